import fs from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { expect } from "chai";
import { environmentNames, prefixes } from "../../app/contract.ts";
import { readSettings } from "../../app/environment.ts";
import { ingest } from "../../app/flow/ingest.ts";
import { findStale, type SweepOptions } from "../../app/flow/sweep.ts";
import { outputKey, rejectionKey } from "../../app/lake/derived-key.ts";
import { encodeOutputMetadata } from "../../app/lake/output-metadata.ts";
import { createLogger } from "../../app/logger.ts";
import { openPond, type Pond } from "../../app/pond.ts";
import type { ObjectSummary, Store } from "../../app/store/store.ts";

describe("findStale", () => {
  let folder: string;
  let pond: Pond;

  before(async () => {
    folder = await fs.mkdtemp(path.join(os.tmpdir(), "millpond-test-"));
    const settings = readSettings({ [environmentNames.store]: folder });
    pond = await openPond(settings, createLogger({ environment: { LOG_LEVEL: "fatal" } }));
  });
  after(async () => {
    await pond.close();
    await fs.rm(folder, { recursive: true });
  });
  afterEach(async () => {
    for (const prefix of Object.values(prefixes)) {
      await fs.rm(path.join(folder, prefix), { recursive: true, force: true });
    }
  });

  async function drop(key: string, content: string) {
    const file = path.join(folder, key);
    await fs.mkdir(path.dirname(file), { recursive: true });
    await fs.writeFile(file, content);
  }
  /** Drops files that are in the lake then. */
  async function load(table: string, count: number) {
    const keys = Array.from({ length: count }, (_, i) => `inbox/${table}/${i}.csv`);
    for (const key of keys) {
      await drop(key, "id\n1\n");
      await ingest(pond.ingest, key);
    }
    return keys;
  }
  const remove = async (...keys: string[]) => {
    for (const key of keys) await fs.rm(path.join(folder, key));
  };
  async function sweep(mirrorDeletes = false, options: SweepOptions = {}) {
    const stale: string[] = [];
    const counts = await findStale(
      { ...pond.sweep, mirrorDeletes },
      { ...options, onStale: (key) => void stale.push(key) },
    );
    return { stale, counts };
  }
  /** Files that people put into the lake themselves. */
  async function putByHand(count: number) {
    for (let i = 0; i < count; i += 1) await drop(`lake/by_hand/${i}.parquet`, "x");
  }

  it("names what was dropped, replaced or mended unheard, and what a record is left of", async () => {
    await load("t", 2);
    for (const name of ["mended", "broken", "still"]) {
      await drop(`inbox/${name}.csv`, "a,b\n1\n1,2,3\n");
      await ingest(pond.ingest, `inbox/${name}.csv`);
    }
    await drop("inbox/unheard/new.csv", "id\n1\n");
    await drop("inbox/t/1.csv", "id\n5\n");
    await drop("inbox/mended.csv", "a,b\n1,2\n");
    await remove("inbox/broken.csv");

    const { stale, counts } = await sweep();

    expect(stale).to.have.members([
      "inbox/unheard/new.csv",
      "inbox/t/1.csv",
      "inbox/mended.csv",
      "inbox/broken.csv",
    ]);
    expect(counts.stale).to.deep.equal({ missing: 1, outdated: 2, gone: 1 });
    expect(counts.sources).to.equal(5);
    for (const key of stale) await ingest(pond.ingest, key);
    expect((await sweep()).stale).to.deep.equal([]);
  });

  it("names sources that are gone where their rows are to go, and leaves what had none", async () => {
    const [gone = ""] = await load("swept", 2);
    await putByHand(1);
    await remove(gone);

    expect((await sweep(false)).stale).to.deep.equal([]);
    const { stale, counts } = await sweep(true);

    expect(stale).to.deep.equal([gone]);
    expect(counts.stale).to.deep.equal({ missing: 0, outdated: 0, gone: 1 });
    await ingest({ ...pond.ingest, mirrorDeletes: true }, gone);
    expect((await sweep(true)).stale).to.deep.equal([]);
  });

  it("spends no request on what its listing says enough of", async () => {
    const asked: string[] = [];
    const day = 24 * 60 * 60 * 1000;
    const now = Date.now();
    const old = { size: 1, lastModified: new Date(now - 30 * day), etag: "e" };
    const listed = {
      "inbox/": ["old", "fresh", "rewritten", "missing", "rejected"].map((name) => ({
        ...old,
        key: `inbox/t/${name}.csv`,
      })),
      "lake/": [
        { ...old, key: outputKey("inbox/t/old.csv", "t"), lastModified: new Date(now) },
        // Within the time that an upload in parts may have taken, whatever its listing says.
        {
          ...old,
          key: outputKey("inbox/t/fresh.csv", "t"),
          lastModified: new Date(now - 29 * day),
        },
        { ...old, key: outputKey("inbox/t/rewritten.csv", "t"), lastModified: new Date(0) },
      ],
      "rejected/": [{ ...old, key: rejectionKey("inbox/t/rejected.csv", "t") }],
    } as Record<string, ObjectSummary[]>;
    const store = {
      list: (prefix: string) => listed[prefix] ?? [],
      head: async (key: string) => void asked.push(key),
      read: async (key: string) => void asked.push(key),
    } as unknown as Store;
    const stale: string[] = [];

    const counts = await findStale(
      { store, workspace: pond.sweep.workspace, mirrorDeletes: false, ownTimes: true },
      { spotChecks: 0, onStale: (key) => void stale.push(key) },
    );

    expect(asked).to.have.members([
      outputKey("inbox/t/fresh.csv", "t"),
      outputKey("inbox/t/rewritten.csv", "t"),
      rejectionKey("inbox/t/rejected.csv", "t"),
    ]);
    expect(counts).to.deep.equal({
      sources: 5,
      outputs: 3,
      rejections: 1,
      looked: 3,
      stale: { missing: 1, outdated: 3, gone: 0 },
      spared: 0,
    });

    // A file that was put in the place of another may bear any time.
    const files = await findStale({
      ...{ store, workspace: pond.sweep.workspace, mirrorDeletes: false, ownTimes: false },
    });
    expect(files.looked).to.equal(4);
  });

  it("looks at some that the listing leaves no doubt of, as an older version may be back, or at all", async () => {
    const day = 24 * 60 * 60 * 1000;
    const keys = Array.from({ length: 20 }, (_, i) => `inbox/t/${i}.csv`);
    const listed: Record<string, ObjectSummary[]> = {
      "inbox/": keys.map((key) => {
        const lastModified = new Date(Date.now() - 30 * day);
        return { key, size: 1, etag: "before", lastModified };
      }),
      "lake/": keys.map((key) => {
        return { key: outputKey(key, "t"), size: 1, etag: "o", lastModified: new Date() };
      }),
    };
    const asked: string[] = [];
    const store = {
      list: (prefix: string) => listed[prefix] ?? [],
      head: async (key: string) => {
        asked.push(key);
        const metadata = encodeOutputMetadata({
          ...{ sourceKey: "inbox/t/0.csv", sourceEtag: "after", rows: 1, layout: 1 },
          sourceModified: new Date(),
        });
        return { key, etag: "o", size: 1, lastModified: new Date(), metadata };
      },
    } as unknown as Store;
    const given = { store, workspace: pond.sweep.workspace, mirrorDeletes: false, ownTimes: true };

    const told: unknown[] = [];
    const onProgress: SweepOptions["onProgress"] = (_, progress) => told.push({ ...progress });
    const some = await findStale(given, { spotChecks: 7, onProgress });
    expect(told[0]).to.deep.equal({ done: 1, of: 7 });
    expect(told.at(-1)).to.deep.equal({ done: 7, of: 7 });
    expect(some).to.deep.include({ looked: 7, stale: { missing: 0, outdated: 7, gone: 0 } });
    expect(new Set(asked).size).to.equal(7);
    expect((await findStale(given)).stale.outdated).to.equal(20);
    expect((await findStale(given, { all: true, spotChecks: 0 })).stale.outdated).to.equal(20);
  });

  describe("with mirrorDeletes, where many sources are gone", () => {
    it("lets no rows go with most of the inbox, unless it is told to", async () => {
      const keys = await load("t", 21);

      await remove(...keys.slice(0, 10));
      expect((await sweep(true)).counts).to.deep.include({
        spared: 0,
        stale: { missing: 0, outdated: 0, gone: 10 },
      });
      await remove(...keys.slice(10, 11));
      const { stale, counts } = await sweep(true);
      expect({ stale, spared: counts.spared }).to.deep.equal({ stale: [], spared: 11 });
      expect((await sweep(true, { force: true })).stale).to.have.members(keys.slice(0, 11));
      await remove(...keys.slice(11));
      expect((await sweep(true)).counts).to.deep.include({
        spared: 21,
        stale: { missing: 0, outdated: 0, gone: 0 },
      });
    });

    it("counts none of those that people put there themselves, which never had a source", async () => {
      const keys = await load("t", 21);
      await putByHand(30);

      await remove(...keys.slice(0, 10));
      expect((await sweep(true)).stale).to.have.members(keys.slice(0, 10));
      await remove(...keys.slice(10, 11));
      expect((await sweep(true)).stale).to.deep.equal([]);
      await fs.rm(path.join(folder, "lake/t"), { recursive: true });
      expect((await sweep(true)).counts.spared).to.equal(0);
    });

    it("says nothing of the record of a version whose last good one's rows stay", async () => {
      const keys = await load("t", 2);
      const [kept = ""] = keys;
      const never = "inbox/t/never.csv";
      for (const key of [kept, never]) {
        await drop(key, "a,b\n1\n1,2,3\n");
        expect(await ingest(pond.ingest, key)).to.include({ kind: "rejected" });
      }
      await remove(...keys, never);

      const { stale, counts } = await sweep(true);

      expect({ stale, spared: counts.spared }).to.deep.equal({ stale: [never], spared: 2 });
      const { stale: all } = await sweep(true, { force: true });
      expect(new Set(all)).to.deep.equal(new Set([...keys, never]));
    });
  });

  it("tells of no record that lies where nobody looks for it", async () => {
    const key = "inbox/moved.csv";
    await drop(key, "a,b\n1\n1,2,3\n");
    await ingest(pond.ingest, key);
    const record = path.join(folder, rejectionKey(key, "moved"));
    await fs.rename(record, path.join(folder, "rejected/copy.json"));
    await remove(key);

    expect((await sweep()).stale).to.deep.equal([]);
  });
});
