import type { DuckDBConnection } from "@duckdb/node-api";
import { isNested, unitedColumn, uniteTypes } from "../lake/unite-types.ts";
import { quoteIdentifier, quoteList, quoteLiteral } from "../query/quote.ts";
import { columnsOf } from "./columns-of.ts";

/** Files of a table that have the same columns of the same types. */
interface Shape {
  files: string[];
  columns: Map<string, string>;
}

const safeInteger = String(Number.MAX_SAFE_INTEGER);

/**
 * SQL that reads the files of a table as one relation, columns united by name, each in a type that changes none of its
 * values.
 */
export async function readTable(
  connection: DuckDBConnection,
  files: readonly string[],
): Promise<string> {
  const together = `read_parquet(${quoteList(files)}, union_by_name=true, hive_partitioning=false)`;
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

/** One look at all footers, then one at the types of each distinct shape. */
async function shapesOf(connection: DuckDBConnection, files: readonly string[]): Promise<Shape[]> {
  const list = quoteList(files);
  const grouped = await connection.runAndReadAll(
    "SELECT list(file_name) FROM (" +
      "SELECT file_name, hash(list((name, type, num_children, converted_type, scale, precision, logical_type, duckdb_type))) AS shape " +
      `FROM parquet_schema(${list}) GROUP BY file_name) GROUP BY shape ORDER BY min(file_name)`,
  );
  const shapes: Shape[] = [];
  for (const [value] of grouped.getRowsJS()) {
    const some = value as string[];
    const one = `read_parquet(${quoteLiteral(some[0] as string)}, hive_partitioning=false)`;
    const columns = await columnsOf(connection, one);
    shapes.push({
      files: some.sort(),
      columns: new Map(columns.map(({ name, type }) => [name, type])),
    });
  }
  return shapes;
}

/** Whether the footers say that all whole numbers of a column are such that a double holds them. */
async function wholeNumbersFit(
  connection: DuckDBConnection,
  name: string,
  shapes: readonly Shape[],
): Promise<boolean> {
  const files = shapes
    .filter(({ columns }) => [...columns].some(([own, type]) => own === name && type === "BIGINT"))
    .flatMap((shape) => shape.files);
  if (files.length === 0) return true;
  const within = (value: string) =>
    `TRY_CAST(${value} AS HUGEINT) BETWEEN -${safeInteger} AND ${safeInteger}`;
  // A row group of NULLs alone has no least and no greatest value.
  const checked = await connection.runAndReadAll(
    `SELECT bool_and(coalesce(${within("stats_min_value")} AND ${within("stats_max_value")}, stats_null_count = num_values, false)) ` +
      `FROM parquet_metadata(${quoteList(files)}) WHERE path_in_schema = ${quoteLiteral(name)}`,
  );
  // Without a row group there is no value.
  return checked.getRowsJS()[0]?.[0] !== false;
}
