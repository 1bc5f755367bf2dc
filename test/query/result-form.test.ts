import { DuckDBInstance } from "@duckdb/node-api";
import { expect } from "chai";
import { type ColumnType, resultSelect, unhopefulMarker } from "../../app/query/result-form.ts";

describe("resultSelect", () => {
  const bigint: ColumnType = { kind: "plain", name: "BIGINT" };
  const field = (name: string) => ({ name, type: bigint });

  /**
   * A row as the hopeful form writes it: some numbers, the last of which needs its exact form.
   * @param inside more numbers, in a column of their own
   */
  async function hopefully(width: number, inside = 0): Promise<string> {
    const names = Array.from({ length: width }, (_, index) => `c${index}`);
    const values = names.map((name, index) => {
      const value = index === width - 1 ? "9007199254740992" : "7";
      return `${value}::BIGINT AS ${name}`;
    });
    const columns: { name: string; type: ColumnType }[] = names.map(field);
    if (inside > 0) {
      const fields = Array.from({ length: inside }, (_, index) => `f${index}`);
      values.push(`{${fields.map((name) => `${name}: 7::BIGINT`).join(", ")}} AS s`);
      columns.push({ name: "s", type: { kind: "struct", fields: fields.map(field) } });
    }
    const instance = await DuckDBInstance.create(":memory:");
    const connection = await instance.connect();
    try {
      const select = resultSelect(columns, "ndjson", "hopeful");
      const read = await connection.runAndReadAll(
        `SELECT ${select} FROM (SELECT ${values.join(", ")})`,
      );
      return String(read.getRowsJS()[0]?.[0]);
    } catch (error) {
      return (error as Error).message;
    } finally {
      connection.closeSync();
      instance.closeSync();
    }
  }

  it("writes a row of few numbers exactly in the same run", async () => {
    expect(await hopefully(2)).to.equal('{"c0":7,"c1":"9007199254740992"}');
    expect(await hopefully(16)).to.contain('"c14":7,"c15":"9007199254740992"}');
    expect(await hopefully(1, 15)).to.match(
      /^\{"c0":"9007199254740992","s":\{"f0":7,.*"f14":7\}\}$/,
    );
  });

  it("asks for another run where planning both forms would take longer", async () => {
    expect(await hopefully(17)).to.contain(unhopefulMarker);
    expect(await hopefully(1, 16)).to.contain(unhopefulMarker);
  });
});
