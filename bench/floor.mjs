import { DuckDBInstance } from "@duckdb/node-api";

/** The least that any function of this kind does before its first answer. */
const [extensions] = process.argv.slice(2);
const instance = await DuckDBInstance.create(":memory:", {
  extension_directory: extensions,
});
const connection = await instance.connect();
await connection.run("LOAD httpfs");
const answer = await connection.runAndReadAll("SELECT 1 AS one");
process.stdout.write(`${JSON.stringify(answer.getRowsJS())}\n`);
process.exit();
