import { type DuckDBConnection, DuckDBInstance } from "@duckdb/node-api";
import { expect } from "chai";
import { NamedConnections } from "../../app/engine/named-connections.ts";
import type { TableFiles } from "../../app/engine/protocol.ts";

describe("NamedConnections", () => {
  let instance: DuckDBInstance;
  let named: NamedConnections;

  before(async () => {
    instance = await DuckDBInstance.create(":memory:");
  });

  beforeEach(() => {
    named = new NamedConnections();
  });

  after(() => {
    instance.closeSync();
  });

  const table = (name: string, ...ids: (string | undefined)[]): TableFiles => ({
    name,
    files: ids.map((id) => ({ path: `/lake/${name}/file`, id })),
  });

  async function giveBack(tables: TableFiles[]): Promise<DuckDBConnection> {
    const connection = await instance.connect();
    named.giveBack(tables, connection);
    return connection;
  }

  async function isOpen(connection: DuckDBConnection): Promise<boolean> {
    return await connection.run("SELECT 1").then(
      () => true,
      () => false,
    );
  }

  it("has none before one was given back", () => {
    expect(named.take([table("t", "1")])).to.equal(undefined);
  });

  it("gives one away once, for just the files that it was given back for", async () => {
    const connection = await giveBack([table("t", "1")]);

    for (const other of [[], [table("t", "2")], [table("u", "1")], [table("t", "1"), table("u")]]) {
      expect(named.take(other)).to.equal(undefined);
    }
    expect(named.take([table("t", "1")])).to.equal(connection);
    expect(named.take([table("t", "1")])).to.equal(undefined);
  });

  for (const [why, ids] of [
    ["files that may be replaced", [undefined]],
    ["many files", Array.from({ length: 21 }, () => "1")],
  ] as const) {
    it(`closes one with ${why}`, async () => {
      const tables = [table("t", ...ids)];
      const connection = await giveBack(tables);

      expect(named.take(tables)).to.equal(undefined);
      expect(await isOpen(connection)).to.equal(false);
    });
  }

  it("keeps eight of the same tables", async () => {
    const tables = [table("t", "1")];
    const given = [];
    for (let i = 0; i < 9; i += 1) given.push(await giveBack(tables));
    const open = await Promise.all(given.map(isOpen));

    expect(open).to.deep.equal([...Array.from({ length: 8 }, () => true), false]);
  });

  it("keeps them for the eight sets of tables that were asked last", async () => {
    const given = [];
    for (let i = 1; i <= 8; i += 1) given.push(await giveBack([table(`t${i}`, "1")]));
    named.giveBack([table("t1", "1")], named.take([table("t1", "1")]) as DuckDBConnection);
    await giveBack([table("t9", "1")]);

    expect(named.take([table("t2", "1")])).to.equal(undefined);
    expect(await isOpen(given[1] as DuckDBConnection)).to.equal(false);
    expect(named.take([table("t1", "1")])).to.equal(given[0]);
  });
});
