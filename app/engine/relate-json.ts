import fs from "node:fs/promises";
import type { DuckDBConnection } from "@duckdb/node-api";
import {
  type ExactType,
  jsonRungs,
  mixedRungs,
  numberRungs,
  type Proposal,
  plainText,
  proposedRung,
  stringRungs,
  unsure,
  valueRungs,
} from "../lake/exact-types.ts";
import { emptyFile } from "../lake/source-error.ts";
import { quoteIdentifier, quoteLiteral } from "../query/quote.ts";
import { columnsOf, type NamedType } from "./columns-of.ts";
import type { ConvertRequest } from "./protocol.ts";
import { type Relation, settled } from "./relation.ts";
import { byteOrderMark, readHead, withoutMark } from "./unpack.ts";

/** Bytes of a file from which its start proposes: a smaller one is read as a whole in no time. */
const sampledFromBytes = 1024 * 1024;

/** A JSON source, as DuckDB's readers take it. */
interface JsonSource {
  /** SQL of its path. */
  path: string;
  /** SQL of what is known of it, for each reader. */
  options: string;
  /** Whether it is an unpacked copy. */
  unpacked: boolean;
}

/**
 * JSON: what the start of a large file proposes, as far as each record and each value bears it out. Else DuckDB reads the
 * types from the whole file, by one thread and for longer than the conversion itself.
 */
export async function relateJson(
  connection: DuckDBConnection,
  request: ConvertRequest,
): Promise<Relation> {
  const head = await readHead(request);
  const unpacked = head.startsWith(byteOrderMark);
  const file = unpacked ? await withoutMark(request) : request.source;
  const shape = request.format === "ndjson" ? "newline_delimited" : "auto";
  const packing = unpacked || request.compression === "none" ? "uncompressed" : request.compression;
  const source: JsonSource = {
    path: quoteLiteral(file),
    options: `compression='${packing}', format='${shape}'`,
    unpacked,
  };
  const { size } = await fs.stat(file);
  const sampled = size < sampledFromBytes ? undefined : await relateBySample(connection, source);
  if (sampled === undefined) return await relateAsWhole(connection, source);
  return { ...sampled, otherwise: () => relateAsWhole(connection, source) };
}

/**
 * A source by the types of its first records. Undefined where they do not tell, or where a later record has another
 * key. Numbers are read as they are written, so that a string or a truth among them is seen.
 */
async function relateBySample(
  connection: DuckDBConnection,
  { path, options, unpacked }: JsonSource,
): Promise<Relation | undefined> {
  try {
    const found = await columnsOf(connection, `read_json(${path}, ${options})`);
    const columns = found.map(sampledColumn).filter((column) => column !== undefined);
    if (columns.length < found.length) return undefined;
    const names = found.map(({ name }) => quoteLiteral(name));
    const struct = columns.map(({ readAs }, index) => `${names[index]}: '${readAs}'`);
    const keys = `[${names.join(", ")}]`;
    // Nearly every record has the keys of the first in the same order, which is quick to see.
    const known =
      `CASE WHEN json_keys(json) = ${keys} THEN true ELSE json_type(json) = 'OBJECT' ` +
      `AND list_has_all(${keys}, json_keys(json)) AND list_unique(json_keys(json)) = len(json_keys(json)) END`;
    const [row] = (
      await connection.runAndReadAll(
        `SELECT bool_and(${known}) FROM read_json_objects(${path}, ${options})`,
      )
    ).getRowsJS();
    if (row?.[0] !== true) return undefined;
    return {
      from: `read_json(${path}, ${options}, records=true, columns={${struct.join(", ")}})`,
      columns: columns.map(({ column }) => column),
      unpacked,
    };
  } catch {
    // Whatever is wrong with the file, reading all of it says it best.
    return undefined;
  }
}

async function relateAsWhole(
  connection: DuckDBConnection,
  { path, options, unpacked }: JsonSource,
): Promise<Relation> {
  // From a sample, a key that first stands after it would be dropped without a word: read all of it.
  const whole = `${options}, sample_size=-1`;
  const found = await columnsOf(connection, `read_json(${path}, ${whole})`);
  if (found.length === 1 && found[0]?.type === "JSON" && found[0].name === "json") {
    const any = await connection.runAndReadAll(`FROM read_json(${path}, ${whole}) LIMIT 1`);
    if (any.currentRowCount === 0) throw emptyFile("the file holds no record");
  }
  const names = found.map(({ name }) => name);
  const objects = `read_json_objects(${path}, ${options})`;
  if (!(await namesAreKeys(connection, names, objects))) {
    return { ...(await relateByKey(connection, objects)), unpacked };
  }
  const columns = found.map(jsonColumn);
  const struct = columns.map((c) => `${quoteLiteral(c.column.name)}: ${quoteLiteral(c.readAs)}`);
  return {
    from: `read_json(${path}, ${options}, columns={${struct.join(", ")}})`,
    columns: columns.map((c) => c.column),
    unpacked,
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

/**
 * How a key becomes a column of the type that the start of a source has for it, whose every value the conversion checks.
 * Undefined for types whose values can't be checked one by one: lists, objects, and what holds nothing so far.
 */
function sampledColumn({ name, type }: NamedType) {
  const expression = `${quoteIdentifier(name)}::VARCHAR`;
  const column = (
    readAs: "JSON" | "VARCHAR",
    rungs: readonly ExactType[],
    proposal: Proposal = unsure,
  ) => ({ readAs, column: { name, expression, rungs, proposal } });
  switch (type) {
    case "BIGINT":
    case "DOUBLE":
    case "BOOLEAN":
      return column("JSON", valueRungs, proposedRung(type, null));
    case "VARCHAR":
    case "UUID":
      return column("VARCHAR", [plainText], { kind: "type", type: plainText });
    case "DATE":
    case "TIME":
    case "TIMESTAMP":
      return column("VARCHAR", [...stringRungs, plainText]);
    default:
      return undefined;
  }
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
