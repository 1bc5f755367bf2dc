import type { DuckDBConnection } from "@duckdb/node-api";
import { BoundedMap } from "../bounded-map.ts";
import { isNested, unitedColumn, uniteTypes } from "../lake/unite-types.ts";
import { foldName, quoteIdentifier, quoteList, quoteLiteral } from "../query/quote.ts";
import { columnsOf } from "./columns-of.ts";
import type { TableFile } from "./protocol.ts";

/** Files of a table that have the same columns of the same types. */
interface Shape {
  files: { path: string; known: Known }[];
  columns: ReadonlyMap<string, string>;
}

/** Files of one shape that have a column, as they call it. */
interface Place {
  own: string;
  type: string;
  files: Shape["files"];
}

/** What is in a file, which never changes: its columns' types and, of those that were asked about, what the footer says of their values. */
interface Known {
  columns: ReadonlyMap<string, string>;
  /** By exact names. */
  values: Map<string, Values>;
}

interface Values {
  /** Whether they all are NULL. */
  empty: boolean;
  /** Whether they all are whole numbers such that a double holds them, or NULL. */
  small: boolean;
}

/** By what is in the files. */
const known = new BoundedMap<string, Known>(20_000);

const safeInteger = String(Number.MAX_SAFE_INTEGER);

/**
 * SQL that reads the files of a table as one relation, columns united by name, each in a type that changes none of its
 * values.
 */
export async function readTable(
  connection: DuckDBConnection,
  files: readonly TableFile[],
): Promise<string> {
  const paths = files.map((file) => file.path);
  const together = `read_parquet(${quoteList(paths)}, union_by_name=true, hive_partitioning=false)`;
  if (files.length === 1) return together;
  const shapes = await shapesOf(connection, files);
  // DuckDB opens all files to unite them, each time that it plans. Where they are alike, and stay so, the first one speaks for all.
  if (shapes.length === 1 && files.every(({ id }) => id !== undefined)) {
    return `read_parquet(${quoteList(paths)}, hive_partitioning=false)`;
  }
  // Objects of several shapes are DuckDB's to unite, field by field.
  const differing = new Map(
    [...placesOf(shapes)].filter(([, places]) => {
      const types = typesOf(places);
      return types.size > 1 && ![...types].every(isObject);
    }),
  );
  if (differing.size === 0) return together;

  await lookAtValues(connection, shapes, new Set(differing.keys()));
  const united = new Map([...differing].map(([name, places]) => [name, unitedType(places)]));
  const parts = shapes.map(({ files: some, columns }) => {
    const select = [...columns].map(([name, type]) => {
      const folded = foldName(name);
      const id = quoteIdentifier(name);
      if (!united.has(folded)) return id;
      const to = united.get(folded);
      if (to !== undefined) return `${unitedColumn(name, type, to)} AS ${id}`;
      return isObject(type) ? id : `NULL AS ${id}`;
    });
    const paths = quoteList(some.map(({ path }) => path));
    return `SELECT ${select.join(", ")} FROM read_parquet(${paths}, hive_partitioning=false)`;
  });
  return `(${parts.join(" UNION ALL BY NAME ")})`;
}

/** Where columns are found, by their folded names. */
function placesOf(shapes: readonly Shape[]): Map<string, Place[]> {
  const found = new Map<string, Place[]>();
  for (const { files, columns } of shapes) {
    for (const [own, type] of columns) {
      const name = foldName(own);
      const places = found.get(name);
      if (places === undefined) found.set(name, [{ own, type, files }]);
      else places.push({ own, type, files });
    }
  }
  return found;
}

function typesOf(places: readonly Place[]): Set<string> {
  return new Set(places.map(({ type }) => type));
}

/** The type of a column, which has several. Undefined where they are objects, and DuckDB unites them. */
function unitedType(places: readonly Place[]): string | undefined {
  const found = typesOf(places);
  const every = (type: string, test: (values: Values) => boolean) =>
    places.every(
      (place) =>
        place.type !== type ||
        place.files.every(({ known: { values } }) => test(values.get(place.own) as Values)),
    );
  // A column without a value got that type for want of another: it fits every one.
  const empty = found.has("VARCHAR") && every("VARCHAR", (values) => values.empty);
  const types = [...found].filter((type) => !(empty && type === "VARCHAR"));
  if (types.length > 1 && types.every(isObject)) return undefined;
  return uniteTypes(
    types,
    every("BIGINT", (values) => values.small),
  );
}

function isObject(type: string): boolean {
  return type.startsWith("STRUCT(") && isNested(type);
}

/** The files by their shapes, in the order of the first of each. */
async function shapesOf(
  connection: DuckDBConnection,
  files: readonly TableFile[],
): Promise<Shape[]> {
  // By their paths, apart from what is remembered, which another query may make room in meanwhile.
  const found = new Map(
    files.map(({ path, id }) => [path, id === undefined ? undefined : known.get(id)]),
  );
  const unknown = files.filter(({ path }) => found.get(path) === undefined);
  if (unknown.length > 0) {
    const learnt = await learn(connection, unknown);
    for (const { path, id } of unknown) {
      const columns = learnt.get(path);
      if (columns === undefined) throw new Error(`DuckDB said nothing of ${path}`);
      const one = { columns, values: new Map() };
      found.set(path, one);
      if (id !== undefined) known.set(id, one);
    }
  }
  const shapes = new Map<string, Shape>();
  for (const { path } of files) {
    const one = found.get(path) as Known;
    const text = JSON.stringify([...one.columns]);
    const shape = shapes.get(text);
    const file = { path, known: one };
    if (shape === undefined) shapes.set(text, { files: [file], columns: one.columns });
    else shape.files.push(file);
  }
  return [...shapes.values()];
}

/** One look at all footers, then one at the types of each distinct one. @returns columns by path */
async function learn(
  connection: DuckDBConnection,
  files: readonly TableFile[],
): Promise<Map<string, ReadonlyMap<string, string>>> {
  const paths = quoteList(files.map((file) => file.path));
  const grouped = await connection.runAndReadAll(
    "SELECT list(file_name) FROM (" +
      "SELECT file_name, hash(list((name, type, num_children, converted_type, scale, precision, logical_type, duckdb_type))) AS shape " +
      `FROM parquet_schema(${paths}) GROUP BY file_name) GROUP BY shape`,
  );
  const learnt = new Map<string, ReadonlyMap<string, string>>();
  for (const [value] of grouped.getRowsJS()) {
    const same = value as string[];
    const one = `read_parquet(${quoteLiteral(same[0] as string)}, hive_partitioning=false)`;
    const columns = new Map(
      (await columnsOf(connection, one)).map(({ name, type }) => [name, type] as const),
    );
    for (const path of same) learnt.set(path, columns);
  }
  return learnt;
}

/**
 * Learns of the values of some columns what is not known yet, in one look at the footers of the files that have them.
 * @param names folded
 */
async function lookAtValues(
  connection: DuckDBConnection,
  shapes: readonly Shape[],
  names: ReadonlySet<string>,
): Promise<void> {
  const asked = shapes.flatMap(({ files, columns }) => {
    const own = [...columns]
      .filter(([name, type]) => ["VARCHAR", "BIGINT"].includes(type) && names.has(foldName(name)))
      .map(([name]) => name);
    return files
      .map((file) => ({ ...file, missing: own.filter((name) => !file.known.values.has(name)) }))
      .filter(({ missing }) => missing.length > 0);
  });
  if (asked.length === 0) return;
  const within = (value: string) =>
    `TRY_CAST(${value} AS HUGEINT) BETWEEN -${safeInteger} AND ${safeInteger}`;
  const all = [...new Set(asked.flatMap(({ missing }) => missing))];
  // A row group of NULLs alone has no least and no greatest value.
  const found = await connection.runAndReadAll(
    `SELECT file_name, if(path_in_schema IN (${all.map(quoteLiteral).join(", ")}), path_in_schema, NULL) AS name, ` +
      "bool_and(stats_null_count IS NOT DISTINCT FROM num_values), " +
      `bool_and(coalesce(${within("stats_min_value")} AND ${within("stats_max_value")}, stats_null_count = num_values, false)) ` +
      `FROM parquet_metadata(${quoteList(asked.map(({ path }) => path))}) GROUP BY ALL`,
  );
  const said = new Map<string, Map<unknown, Values>>();
  for (const [path, name, empty, small] of found.getRowsJS()) {
    const columns = said.get(path as string) ?? new Map<unknown, Values>();
    said.set(path as string, columns.set(name, { empty: empty === true, small: small === true }));
  }
  for (const { path, known: one, missing } of asked) {
    const columns = said.get(path);
    for (const name of missing) {
      // A file without a row group has no value; of a column that its footer does not name nothing is known.
      const unsaid = { empty: columns === undefined, small: columns === undefined };
      one.values.set(name, columns?.get(name) ?? unsaid);
    }
  }
}
