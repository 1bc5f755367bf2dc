import fs from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { type DuckDBConnection, DuckDBInstance } from "@duckdb/node-api";
import { expect } from "chai";
import type { TableFiles } from "../../app/engine/protocol.ts";
import { SpareConnections } from "../../app/engine/spare-connections.ts";

describe("SpareConnections", () => {
  let folder: string;
  let instance: DuckDBInstance;
  let spares: SpareConnections;
  const taken: DuckDBConnection[] = [];

  before(async () => {
    folder = await fs.mkdtemp(path.join(os.tmpdir(), "millpond-test-"));
    instance = await DuckDBInstance.create(":memory:");
    const connection = await instance.connect();
    for (const value of [1, 2]) {
      await connection.run(`COPY (SELECT ${value} AS v) TO '${folder}/${value}.parquet'`);
    }
    connection.closeSync();
  });

  beforeEach(() => {
    spares = new SpareConnections(instance);
  });

  afterEach(() => {
    for (const connection of taken.splice(0)) connection.closeSync();
  });

  after(async () => {
    instance.closeSync();
    await fs.rm(folder, { recursive: true });
  });

  const table = (file: string): TableFiles => ({
    name: "t",
    files: [{ path: path.join(folder, file), id: file }],
  });

  async function take(...tables: TableFiles[]) {
    const connection = await spares.take(tables);
    if (connection !== undefined) taken.push(connection);
    return connection;
  }

  it("has none before one was prepared", async () => {
    expect(await take(table("1.parquet"))).to.equal(undefined);
  });

  it("gives two away once each, with just the tables that they were prepared for", async () => {
    spares.prepare([table("1.parquet")]);
    spares.prepare([table("2.parquet")]);

    const both = [await take(table("2.parquet")), await take(table("2.parquet"))];

    for (const connection of both) {
      expect((await connection?.runAndReadAll("FROM t"))?.getRowsJS()).to.deep.equal([[2]]);
    }
    expect(both[0]).not.to.equal(both[1]);
    expect(await take(table("2.parquet"))).to.equal(undefined);
  });

  it("makes one for each that was given away", async () => {
    spares.prepare([table("1.parquet")]);
    await take(table("1.parquet"));
    spares.prepare([table("1.parquet")]);

    const left = [1, 2, 3].map(async () => await take(table("1.parquet")));

    expect((await Promise.all(left)).map((one) => one !== undefined)).to.deep.equal([
      true,
      true,
      false,
    ]);
  });

  it("shares no table with other connections", async () => {
    spares.prepare([table("1.parquet")]);
    await take(table("1.parquet"));
    const other = await instance.connect();
    taken.push(other);

    const error = await other.run("FROM t").catch((thrown: Error) => thrown);

    expect(String(error)).to.match(/Table with name t does not exist/);
  });

  it("keeps none for files that may be replaced, nor for many", async () => {
    const file = path.join(folder, "1.parquet");
    const replaceable = { name: "t", files: [{ path: file, id: undefined }] };
    const many = { name: "t", files: Array.from({ length: 21 }, () => ({ path: file, id: "1" })) };
    spares.prepare([replaceable]);
    spares.prepare([many]);

    expect(await take(replaceable)).to.equal(undefined);
    expect(await take(many)).to.equal(undefined);
  });

  it("keeps them for eight sets of tables, and closes the oldest for another", async () => {
    const named = (name: string) => ({ ...table("1.parquet"), name });
    for (let i = 1; i <= 9; i += 1) spares.prepare([named(`t${i}`)]);

    expect(await take(named("t1"))).to.equal(undefined);
    expect(await take(named("t2"))).not.to.equal(undefined);
    expect(await take(named("t9"))).not.to.equal(undefined);
  });

  it("has none for a file that can't be read, so that whoever asks is told", async () => {
    spares.prepare([table("gone.parquet")]);

    expect(await take(table("gone.parquet"))).to.equal(undefined);
  });
});
