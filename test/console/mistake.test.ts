import { DuckDBInstance } from "@duckdb/node-api";
import { expect } from "chai";
import { placeOfMistake } from "../../console/src/mistake.ts";

describe("placeOfMistake", () => {
  const marked = (sql: string, message: string, details: Record<string, unknown> = {}) => {
    const place = placeOfMistake(sql, message, details);
    return place && sql.slice(place.from, place.to);
  };
  const end = "Parser Error: syntax error at end of input";

  it("is where DuckDB's own caret points, whatever stands before it", async () => {
    const connection = await (await DuckDBInstance.create()).connect();
    const long = Array.from({ length: 12 }, (_, i) => `\t${i} AS "Spalte für ${i} 日本"`).join();
    for (const before of [
      "",
      "1 AS a,\n\t",
      "'日本語日本語' AS a, ",
      "'ｆｕｌｌ、。한국어' AS a, ",
      "'👩‍👩‍👧 🇩🇪 e\u0301' AS a, ",
      `\t1 AS a,\t2 AS b,\t`,
      `${long},\t`,
    ]) {
      for (const after of ["", ", 1 AS z", `, ${long}`]) {
        const sql = `SELECT ${before}vallue${after} FROM range(3) t(value)`;
        const message = await connection.run(sql).then(
          () => "",
          (error: Error) => error.message,
        );
        expect(message).to.contain('"vallue" not found');
        expect(marked(sql, message), sql).to.equal("vallue");
      }
    }
  });

  it("says nothing where the answer names no place", () => {
    expect(marked("INSERT INTO t", "a query is one statement of the SELECT family")).to.equal(
      undefined,
    );
    expect(marked("SELECT 1", "there is no table t", { table: "t" })).to.equal(undefined);
  });

  it("is unsure where a cut line has the same twice", () => {
    const line = "ab, ".repeat(100);
    expect(marked(line, `Error\n\nLINE 1: ...${"ab, ".repeat(10)}...\n           ^`)).to.equal(
      undefined,
    );
  });

  it("is the last word where something is missing after it", () => {
    expect(marked("SELECT id FROM t\nWHERE\n", end)).to.equal("WHERE");
    expect(marked("SELECT 1 + -- more", end)).to.equal("+");
    expect(marked("-- nothing", end)).to.equal(undefined);
  });

  it("is the name of a table, not a text, comment or column of that name", () => {
    const place = (sql: string) => placeOfMistake(sql, "there is no table", { table: "obs" })?.from;

    expect(place("SELECT 'obs', obs -- obs\nFROM  Obs")).to.equal(31);
    expect(place('FROM a JOIN "obs"')).to.equal(12);
    expect(place("FROM a, obs")).to.equal(8);
    expect(place("FROM a.obs, jobs, obs2")).to.equal(undefined);
  });

  it("is the name of a function where it is called", () => {
    const place = (sql: string) =>
      placeOfMistake(sql, "there is no function", { function: "foo" })?.from;

    expect(place("SELECT foo, foo (1)")).to.equal(12);
    expect(place("SELECT 'foo(' || foo(1)")).to.equal(17);
  });
});
