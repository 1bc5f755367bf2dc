import { DuckDBInstance } from "@duckdb/node-api";
import { expect } from "chai";
import { reservedWords } from "../../app/query/reserved-words.ts";

describe("reservedWords", () => {
  it("are those of DuckDB's words that can't stand where a table's name does", async () => {
    const instance = await DuckDBInstance.create(":memory:");
    const connection = await instance.connect();
    const found = await connection.runAndReadAll("SELECT keyword_name FROM duckdb_keywords()");
    const words = new Set(found.getRowsJS().map(([word]) => String(word)));
    const refused: string[] = [];

    for (const word of words) {
      const parsed = connection.extractStatements(`SELECT * FROM ${word}`);
      await parsed.catch(() => refused.push(word));
    }
    connection.closeSync();
    instance.closeSync();

    expect([...reservedWords].sort()).to.deep.equal(refused.sort());
  });
});
