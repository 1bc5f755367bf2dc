import type { DuckDBConnection } from "@duckdb/node-api";
import { quoteIdentifier } from "../query/quote.ts";
import type { TableFiles } from "./protocol.ts";
import { readTable } from "./read-table.ts";

/** Gives each table its name on this connection alone: plain views would be shared with every other query. */
export async function nameTables(
  connection: DuckDBConnection,
  tables: readonly TableFiles[],
): Promise<void> {
  for (const { name, files } of tables) {
    const from = await readTable(connection, files);
    await connection.run(`CREATE TEMP VIEW ${quoteIdentifier(name)} AS FROM ${from}`);
  }
}
