import { type DuckDBConnection, DuckDBInstance } from "@duckdb/node-api";
import { expect } from "chai";
import { allowed, type CalledFor, denialOf } from "../../app/query/functions.ts";

/** What `duckdb_functions()` calls them. Another kind is for somebody to look at. */
const kinds: Readonly<Record<string, CalledFor | "statement">> = {
  scalar: "value",
  aggregate: "value",
  macro: "value",
  table: "relation",
  table_macro: "relation",
  // Of PRAGMA and CALL, which parse to no tree.
  pragma: "statement",
};
/** What the parser makes expressions of other kinds from; the policy may meet them as functions all the same. */
const syntax = ["->", "if", "ifnull", "coalesce"];

describe("the list of functions", () => {
  let connection: DuckDBConnection;
  /** By `kind name`. */
  const all: { kind: string; name: string }[] = [];

  before(async () => {
    connection = await (await DuckDBInstance.create(":memory:")).connect();
    const found = await connection.runAndReadAll(
      "SELECT DISTINCT function_type, lower(function_name) FROM duckdb_functions() ORDER BY ALL",
    );
    for (const [kind, name] of found.getRowsJS()) {
      all.push({ kind: String(kind), name: String(name) });
    }
  });
  after(() => connection.closeSync());

  it("has each that DuckDB has, as allowed or as denied for a reason, and none as both", () => {
    expect(all.length).to.be.above(900);
    const wrong = all.flatMap(({ kind, name }) => {
      const calledFor = kinds[kind];
      if (calledFor === undefined) return [`${name} is of a kind that is new: ${kind}`];
      if (calledFor === "statement") return [];
      const may = allowed[calledFor].has(name);
      const denied = denialOf(name, calledFor) !== undefined;
      if (may === denied) {
        return [`${kind} ${name} is ${may ? "allowed and denied" : "neither"}`];
      }
      return [];
    });

    expect(wrong).to.deep.equal([]);
  });

  it("allows none that DuckDB does not have: it might get one by that name", () => {
    const known = new Set([...all.map(({ name }) => name), ...syntax]);

    expect([...allowed.value].filter((n) => !known.has(n))).to.be.empty;
  });

  it("finds no tree for PRAGMA and CALL, whatever they name", async () => {
    const pragmas = all.filter(({ kind }) => kind === "pragma");
    expect(pragmas.length).to.be.above(40);
    for (const { name } of pragmas) {
      for (const sql of [`PRAGMA ${name}`, `CALL ${name}()`]) {
        const found = await connection.runAndReadAll("SELECT json_serialize_sql($1::VARCHAR)", [
          sql,
        ]);
        expect(JSON.parse(String(found.getRowsJS()[0]?.[0])), sql).to.have.property("error", true);
      }
    }
  });
});
