import { DuckDBInstance } from "@duckdb/node-api";
import { expect } from "chai";
import { resultSelect, unhopefulMarker } from "../../app/query/result-form.ts";

describe("resultSelect", () => {
  /** A row of BIGINT columns of which the last one needs its exact form, as the hopeful form writes it. */
  async function hopefully(width: number): Promise<string> {
    const names = Array.from({ length: width }, (_, index) => `c${index}`);
    const values = names.map((_, index) => (index === width - 1 ? "9007199254740992" : "7"));
    const columns = names.map((name) => ({
      name,
      type: { kind: "plain", name: "BIGINT" } as const,
    }));
    const select = resultSelect(columns, "ndjson", "hopeful");
    const from = `(VALUES (${values.map((value) => `${value}::BIGINT`).join(", ")})) t(${names.join(", ")})`;
    const connection = await (await DuckDBInstance.create(":memory:")).connect();
    const read = await connection.runAndReadAll(`SELECT ${select} FROM ${from}`);
    return String(read.getRowsJS()[0]?.[0]);
  }

  it("writes a row of few numbers exactly in the same run", async () => {
    expect(await hopefully(2)).to.equal('{"c0":7,"c1":"9007199254740992"}');
  });

  it("asks for another run where planning both forms would take longer", async () => {
    const error = await hopefully(40).then(
      (row) => row,
      (failure: Error) => failure.message,
    );

    expect(error).to.contain(unhopefulMarker);
  });
});
