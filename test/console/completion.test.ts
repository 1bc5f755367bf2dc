import { CompletionContext, type CompletionSource } from "@codemirror/autocomplete";
import { EditorState } from "@codemirror/state";
import { expect } from "chai";
import { completionOf } from "../../console/src/completion.ts";
import { duckdb } from "../../console/src/duckdb-dialect.ts";

describe("completionOf", () => {
  const table = (name: string, ...columns: string[]) => ({
    name,
    files: 1,
    rows: 1,
    bytes: 1,
    columns: columns.map((column) => ({ name: column, type: "BIGINT" })),
    newestSource: null,
    rejected: 0,
  });
  const sources = completionOf([
    table("special", "id", "value", "order"),
    table("other", "value", "more"),
  ]) as CompletionSource[];
  const offered = async (sql: string) => {
    const state = EditorState.create({ doc: sql, extensions: duckdb.language });
    const found = await Promise.all(
      sources.map((source) => source(new CompletionContext(state, sql.length, true))),
    );
    return found.flatMap((one) => one?.options ?? []);
  };
  const labels = async (sql: string) => (await offered(sql)).map(({ label }) => label);

  it("offers nothing in texts and comments", async () => {
    for (const sql of ["SELECT 'spec", "SELECT 1 -- spec", "/* spec", "SELECT 1 -- special.v"]) {
      expect(await labels(sql), sql).to.deep.equal([]);
    }
    expect(await labels("SELECT 'a' || v")).to.include.members(["value", "special", "concat"]);
  });

  it("offers columns of the tables that the text names, and of all before it names one", async () => {
    expect(await labels("SELECT m")).to.include.members(["id", "more"]);
    expect(await labels("FROM special WHERE m"))
      .to.include("id")
      .and.not.include("more");
    expect(await labels('FROM "special" WHERE m')).to.not.include("more");
  });

  it("offers columns alone after a table's name", async () => {
    expect(await labels("SELECT special.v")).to.deep.equal(["id", "value", "order"]);
  });

  it("offers each name once, and quotes those that are words of SQL", async () => {
    const all = (await offered("SELECT v")).filter(({ type }) => type !== "property");
    expect(all.map(({ label }) => label)).to.have.length(new Set(all.map((one) => one.label)).size);
    const order = (await offered("SELECT o")).find(
      ({ label, type }) => label === "order" && type === "property",
    );
    expect(order).to.include({ apply: '"order"' });
  });
});
