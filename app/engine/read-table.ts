import type { DuckDBConnection } from "@duckdb/node-api";
import { isNested, unitedColumn, uniteTypes } from "../lake/unite-types.ts";
import { quoteIdentifier, quoteList, quoteLiteral } from "../query/quote.ts";
import { columnsOf } from "./columns-of.ts";
import type { TableFile } from "./protocol.ts";

/** Files of a table that have the same columns of the same types. */
interface Shape {
  /** What DuckDB reads them by. */
  files: string[];
  columns: ReadonlyMap<string, string>;
}

/** Names and types of columns, by what is in the files. */
const known = new Map<string, ReadonlyMap<string, string>>();
/** Files whose columns are remembered: an entry is a reference and an id. */
const mostKnown = 20_000;

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
  const types = new Map<string, { name: string; types: Set<string> }>();
  for (const { columns } of shapes) {
    for (const [name, type] of columns) {
      // DuckDB finds columns without regard to case.
      const known = types.get(name.toLowerCase());
      if (known === undefined) types.set(name.toLowerCase(), { name, types: new Set([type]) });
      else known.types.add(type);
    }
  }
  // Objects of several shapes are DuckDB's to unite, field by field.
  const differing = [...types.values()].filter(
    (column) => column.types.size > 1 && ![...column.types].every(isObject),
  );
  if (differing.length === 0) return together;

  const united = new Map<string, string>();
  for (const { name, types: found } of differing) {
    // A column without a value got that type for want of another: it fits every one.
    const texts = filesWith(shapes, name, "VARCHAR");
    if (texts.length > 0 && !(await holdsValues(connection, name, texts))) found.delete("VARCHAR");
    const fits = found.has("BIGINT") && (await wholeNumbersFit(connection, name, shapes));
    united.set(name.toLowerCase(), uniteTypes([...found], fits));
  }
  const parts = shapes.map(({ files: some, columns }) => {
    const select = [...columns].map(([name, type]) => {
      const to = united.get(name.toLowerCase());
      const id = quoteIdentifier(name);
      return to === undefined ? id : `${unitedColumn(name, type, to)} AS ${id}`;
    });
    return `SELECT ${select.join(", ")} FROM read_parquet(${quoteList(some)}, hive_partitioning=false)`;
  });
  return `(${parts.join(" UNION ALL BY NAME ")})`;
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
    if (known.size + learnt.size > mostKnown) known.clear();
    for (const { path, id } of unknown) {
      const columns = learnt.get(path);
      if (columns === undefined) throw new Error(`DuckDB said nothing of ${path}`);
      found.set(path, columns);
      if (id !== undefined) known.set(id, columns);
    }
  }
  const shapes = new Map<string, Shape>();
  for (const { path } of files) {
    const columns = found.get(path) as ReadonlyMap<string, string>;
    const text = JSON.stringify([...columns]);
    const shape = shapes.get(text);
    if (shape === undefined) shapes.set(text, { files: [path], columns });
    else shape.files.push(path);
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

/** The files in which a column, whatever its case, is of a type. */
function filesWith(shapes: readonly Shape[], name: string, type: string): string[] {
  const lower = name.toLowerCase();
  return shapes
    .filter(({ columns }) =>
      [...columns].some(([own, its]) => own.toLowerCase() === lower && its === type),
    )
    .flatMap(({ files }) => files);
}

/** SQL that picks a column's rows of parquet_metadata. */
function isColumn(name: string): string {
  return `lower(path_in_schema) = lower(${quoteLiteral(name)})`;
}

/** Whether a column is anything but NULL in some file, by what the footers say. */
async function holdsValues(
  connection: DuckDBConnection,
  name: string,
  files: readonly string[],
): Promise<boolean> {
  const found = await connection.runAndReadAll(
    "SELECT bool_or(stats_null_count IS DISTINCT FROM num_values) " +
      `FROM parquet_metadata(${quoteList(files)}) WHERE ${isColumn(name)}`,
  );
  return found.getRowsJS()[0]?.[0] === true;
}

/** Whether the footers say that all whole numbers of a column are such that a double holds them. */
async function wholeNumbersFit(
  connection: DuckDBConnection,
  name: string,
  shapes: readonly Shape[],
): Promise<boolean> {
  const files = filesWith(shapes, name, "BIGINT");
  if (files.length === 0) return true;
  const within = (value: string) =>
    `TRY_CAST(${value} AS HUGEINT) BETWEEN -${safeInteger} AND ${safeInteger}`;
  // A row group of NULLs alone has no least and no greatest value.
  const checked = await connection.runAndReadAll(
    `SELECT bool_and(coalesce(${within("stats_min_value")} AND ${within("stats_max_value")}, stats_null_count = num_values, false)) ` +
      `FROM parquet_metadata(${quoteList(files)}) WHERE ${isColumn(name)}`,
  );
  // Without a row group there is no value.
  return checked.getRowsJS()[0]?.[0] !== false;
}
