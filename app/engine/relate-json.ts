import type { DuckDBConnection } from "@duckdb/node-api";
import {
  type ExactType,
  jsonRungs,
  mixedRungs,
  numberRungs,
  type Proposal,
  proposedRung,
  stringRungs,
  unsure,
} from "../lake/exact-types.ts";
import { emptyFile } from "../lake/source-error.ts";
import { quoteIdentifier, quoteLiteral } from "../query/quote.ts";
import { columnsOf, type NamedType } from "./columns-of.ts";
import type { ConvertRequest } from "./protocol.ts";
import { type Relation, settled } from "./relation.ts";
import { byteOrderMark, readHead, withoutMark } from "./unpack.ts";

/** JSON: DuckDB reads the types from the whole file, and what it would change is read as text. */
export async function relateJson(
  connection: DuckDBConnection,
  request: ConvertRequest,
): Promise<Relation> {
  const head = await readHead(request.source, request.compression);
  const marked = head.startsWith(byteOrderMark);
  const source = quoteLiteral(marked ? await withoutMark(request) : request.source);
  const shape = request.format === "ndjson" ? "newline_delimited" : "auto";
  const packed = !marked && request.compression !== "none";
  const packing = packed ? request.compression : "uncompressed";
  // From a sample, a key that first stands after it would be dropped without a word: read all of it.
  const read = `compression='${packing}', format='${shape}'`;
  const whole = `${read}, sample_size=-1`;
  const found = await columnsOf(connection, `read_json(${source}, ${whole})`);
  if (found.length === 1 && found[0]?.type === "JSON" && found[0].name === "json") {
    const any = await connection.runAndReadAll(`FROM read_json(${source}, ${whole}) LIMIT 1`);
    if (any.currentRowCount === 0) throw emptyFile("the file holds no record");
  }
  const names = found.map(({ name }) => name);
  const objects = `read_json_objects(${source}, ${read})`;
  if (!(await namesAreKeys(connection, names, objects))) {
    return { ...(await relateByKey(connection, objects)), unpacked: marked };
  }
  const columns = found.map(jsonColumn);
  const struct = columns.map((c) => `${quoteLiteral(c.column.name)}: ${quoteLiteral(c.readAs)}`);
  return {
    from: `read_json(${source}, ${read}, columns={${struct.join(", ")}})`,
    columns: columns.map((c) => c.column),
    unpacked: marked,
  };
}

/**
 * Whether the columns' names are the records' keys. Keys that differ only in case, and the empty one, get names of
 * DuckDB's making (`A_1`, `C0`); a column asked for by such a name would be empty.
 */
async function namesAreKeys(
  connection: DuckDBConnection,
  names: readonly string[],
  objects: string,
): Promise<boolean> {
  const known = new Set(names.map((name) => name.toLowerCase()));
  const suspects = names.filter((name) => {
    const original = name.replace(/_\d+$/, "");
    return (original !== name && known.has(original.toLowerCase())) || /^C\d+$/.test(name);
  });
  if (suspects.length === 0) return true;
  const tests = suspects.map(
    (name) => `bool_or(list_contains(json_keys(json), ${quoteLiteral(name)}))`,
  );
  const [row] = (
    await connection.runAndReadAll(`SELECT ${tests.join(", ")} FROM ${objects}`)
  ).getRowsJS();
  return row?.every((isKey) => isKey === true) ?? false;
}

/** The records key by key, where their keys can't be the names of columns. Slower, and as exact. */
async function relateByKey(connection: DuckDBConnection, objects: string): Promise<Relation> {
  // In the order in which they first stand there.
  const found = await connection.runAndReadAll(
    `WITH records AS (SELECT json_keys(json) AS keys, row_number() OVER () AS record FROM ${objects}), ` +
      "places AS (SELECT unnest(keys) AS key, record, unnest(range(len(keys))) AS place FROM records) " +
      "SELECT key FROM places GROUP BY key ORDER BY min((record, place))",
  );
  const taken = new Set<string>();
  const parts = found.getRowsJS().map(([value], index) => {
    const key = String(value);
    const wanted = key === "" ? `column${index}` : key;
    let name = wanted;
    for (let n = 1; taken.has(name.toLowerCase()); n += 1) name = `${wanted}_${n}`;
    taken.add(name.toLowerCase());
    // A JSON pointer: it has a way to write any key.
    const pointer = `/${key.replaceAll("~", "~0").replaceAll("/", "~1")}`;
    const text = `nullif((json->${quoteLiteral(pointer)})::VARCHAR, 'null')`;
    return { name, sql: `${text} AS ${quoteIdentifier(name)}` };
  });
  return {
    from: `(SELECT ${parts.map(({ sql }) => sql).join(", ")} FROM ${objects})`,
    columns: parts.map(({ name }) => ({
      name,
      expression: quoteIdentifier(name),
      rungs: jsonRungs,
      proposal: unsure,
    })),
  };
}

/** How one key of a JSON source becomes a column. */
function jsonColumn({ name, type }: NamedType) {
  const id = quoteIdentifier(name);
  const column = (
    readAs: string,
    expression: string,
    rungs: readonly ExactType[],
    proposal: Proposal = settled,
  ) => ({ readAs, column: { name, expression, rungs, proposal } });
  switch (type) {
    // DuckDB would drop the zone of "…+02:00", and how a UUID is spelt.
    case "DATE":
    case "TIME":
      return column("VARCHAR", `${id}::VARCHAR`, stringRungs, proposedRung(type, null));
    case "TIMESTAMP":
      return column("VARCHAR", `${id}::VARCHAR`, stringRungs, unsure);
    case "UUID":
      return column("VARCHAR", `${id}::VARCHAR`, []);
    case "DOUBLE":
      return column("VARCHAR", `${id}::VARCHAR`, numberRungs, proposedRung(type, null));
    case "HUGEINT":
      return column("VARCHAR", `${id}::VARCHAR`, numberRungs, unsure);
    case "JSON":
      return column("JSON", `${id}::VARCHAR`, mixedRungs, unsure);
    default:
      return column(exactInside(type), id, []);
  }
}

/**
 * The type of a list or an object, with text in place of what would change inside it: HUGEINT, which is DOUBLE in
 * Parquet; TIMESTAMP, which drops the zone; days, times and UUIDs, which may be spelt in another way.
 */
function exactInside(type: string): string {
  // A field's name is quoted, or a space follows it; what follows a type is never a space.
  return type.replace(
    /"(?:[^"]|"")*"|\b(?:U?HUGEINT|TIMESTAMP|DATE|TIME|UUID)(?=[,)[]|$)/g,
    (found) => (found.startsWith('"') ? found : "VARCHAR"),
  );
}
