import { type DuckDBConnection, DuckDBInstance } from "@duckdb/node-api";
import { expect } from "chai";
import { NamedConnections } from "../../app/engine/named-connections.ts";
import type { TableFiles } from "../../app/engine/protocol.ts";
import { MillpondError } from "../../app/errors.ts";
import { rejection } from "../failure.ts";

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
  /** On which connection a query over tables runs, and whether they have their names there. */
  const use = async (tables: TableFiles[], spent = false) =>
    await named.use(instance, tables, async (connection, isNamed) => ({
      result: { connection, isNamed },
      spent,
    }));
  /** On which connections some queries run, none of which ends before all have begun. */
  const useAtOnce = async (count: number, tables: TableFiles[]) => {
    const all = Promise.withResolvers<void>();
    const used: DuckDBConnection[] = [];
    const one = async () =>
      await named.use(instance, tables, async (connection) => {
        if (used.push(connection) === count) all.resolve();
        await all.promise;
        return { result: undefined, spent: false };
      });
    await Promise.all(Array.from({ length: count }, one));
    return used;
  };
  const isOpen = async (connection: DuckDBConnection) =>
    await connection.run("SELECT 1").then(
      () => true,
      () => false,
    );

  it("gives the next query over the same files the connection of the one before", async () => {
    const first = await use([table("t", "1")]);
    const second = await use([table("t", "1")]);

    expect(first.isNamed).to.equal(false);
    expect(second).to.deep.equal({ connection: first.connection, isNamed: true });
  });

  it("gives one over other files another", async () => {
    const { connection } = await use([table("t", "1")]);

    for (const other of [[], [table("t", "2")], [table("u", "1")], [table("t", "1"), table("u")]]) {
      const { connection: another, isNamed } = await use(other);
      expect(another).not.to.equal(connection);
      expect(isNamed).to.equal(false);
    }
  });

  it("gives those that run at the same time one each", async () => {
    const seen = await useAtOnce(2, [table("t", "1")]);

    expect(new Set(seen).size).to.equal(2);
    expect(seen).to.include((await use([table("t", "1")])).connection);
  });

  it("closes one on which a query failed, and says how", async () => {
    const tables = [table("t", "1")];
    let failed: DuckDBConnection | undefined;
    const failing = named.use(instance, tables, async (connection) => {
      failed = connection;
      throw new MillpondError("broken", "it is broken");
    });

    expect((await rejection(failing)).message).to.equal("it is broken");
    expect(await isOpen(failed as DuckDBConnection)).to.equal(false);
    expect((await use(tables)).isNamed).to.equal(false);
  });

  for (const [why, ids, spent] of [
    ["that a query has spent", ["1"], true],
    ["with files that may be replaced", [undefined], false],
    ["with many files", Array.from({ length: 21 }, () => "1"), false],
  ] as const) {
    it(`closes one ${why}`, async () => {
      const { connection } = await use([table("t", ...ids)], spent);

      expect(await isOpen(connection)).to.equal(false);
      expect((await use([table("t", ...ids)])).isNamed).to.equal(false);
    });
  }

  it("keeps eight of the same tables", async () => {
    const open = await Promise.all((await useAtOnce(9, [table("t", "1")])).map(isOpen));

    expect(open.filter(Boolean)).to.have.length(8);
  });

  it("keeps them for the eight sets of tables that were asked last", async () => {
    const first = await use([table("t1", "1")]);
    const second = await use([table("t2", "1")]);
    for (let i = 3; i <= 8; i += 1) await use([table(`t${i}`, "1")]);
    await use([table("t1", "1")]);
    await use([table("t9", "1")]);

    expect(await isOpen(second.connection)).to.equal(false);
    expect((await use([table("t1", "1")])).connection).to.equal(first.connection);
  });
});
