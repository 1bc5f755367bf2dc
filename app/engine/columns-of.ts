import type { DuckDBConnection } from "@duckdb/node-api";

export interface NamedType {
  name: string;
  /** As DuckDB writes it: BIGINT, DECIMAL(38,0), STRUCT(a INTEGER)[]. */
  type: string;
}

/** The columns of a relation, in their order. @param from SQL that stands after FROM */
export async function columnsOf(connection: DuckDBConnection, from: string): Promise<NamedType[]> {
  const described = await connection.runAndReadAll(
    `SELECT column_name, column_type FROM (DESCRIBE FROM ${from})`,
  );
  return described.getRowsJS().map(([name, type]) => ({ name: String(name), type: String(type) }));
}
