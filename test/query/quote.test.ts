import { DuckDBInstance } from "@duckdb/node-api";
import { expect } from "chai";
import fc from "fast-check";
import { quoteIdentifier, quoteList, quoteLiteral } from "../../app/query/quote.ts";

describe("quoting", () => {
  const texts = fc
    .string({ unit: "binary", minLength: 1, maxLength: 30 })
    .filter((text) => text.isWellFormed() && !text.includes("\0"));
  const nasty = fc.constantFrom(
    "'",
    "''",
    '"',
    '""',
    "\\",
    "\\'",
    "'; DROP TABLE t; --",
    "$1",
    "?",
    "\n--",
    "/*",
    "$$",
    "E'\\n'",
  );

  it("gives back the same text when DuckDB reads it", async () => {
    const connection = await (await DuckDBInstance.create(":memory:")).connect();
    await fc.assert(
      fc.asyncProperty(fc.oneof(texts, nasty), async (text) => {
        const read = await connection.runAndReadAll(
          `SELECT ${quoteLiteral(text)} AS ${quoteIdentifier(text)}, ${quoteList([text, text])} AS l`,
        );

        expect(read.getRowsJson()).to.deep.equal([[text, [text, text]]]);
        expect(read.columnNames()[0]).to.equal(text);
      }),
    );
    connection.closeSync();
  });

  it("refuses a NUL in a text, which would end the statement", () => {
    expect(() => quoteLiteral("a\0b")).to.throw(RangeError);
  });
});
