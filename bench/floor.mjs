import { DuckDBInstance } from "@duckdb/node-api";

/** The least that any function of this kind does before its first answer. */
const [extensions, unsigned] = process.argv.slice(2);
const instance = await DuckDBInstance.create(":memory:", {
  extension_directory: extensions,
  // Whether httpfs is loaded as it lies there, or its signature is checked, as DuckDB does unless it is told not to.
  allow_unsigned_extensions: String(unsigned === "unsigned"),
});
const connection = await instance.connect();
await connection.run("LOAD httpfs");
const answer = await connection.runAndReadAll("SELECT 1 AS one");
process.stdout.write(`${JSON.stringify(answer.getRowsJS())}\n`);
process.exit();
