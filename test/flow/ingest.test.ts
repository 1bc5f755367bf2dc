import fs from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { expect } from "chai";
import { environmentNames } from "../../app/contract.ts";
import { readSettings } from "../../app/environment.ts";
import { type IngestParts, ingest } from "../../app/flow/ingest.ts";
import { findStale } from "../../app/flow/sweep.ts";
import { outputKey, rejectionKey } from "../../app/lake/derived-key.ts";
import { decodeOutputMetadata } from "../../app/lake/output-metadata.ts";
import type { RejectionRecord } from "../../app/lake/rejection.ts";
import { createLogger } from "../../app/logger.ts";
import { openPond, type Pond } from "../../app/pond.ts";
import type { Store } from "../../app/store/store.ts";
import { rejection as failed } from "../failure.ts";

describe("ingest", () => {
  let folder: string;
  let pond: Pond;
  let parts: IngestParts;

  // One pond for all: each test has a table of its own.
  before(async () => {
    folder = await fs.mkdtemp(path.join(os.tmpdir(), "millpond-test-"));
    const settings = readSettings({ [environmentNames.store]: folder });
    pond = await openPond(settings, createLogger({ environment: { LOG_LEVEL: "fatal" } }));
    parts = pond.ingest;
  });
  after(async () => {
    await pond.close();
    await fs.rm(folder, { recursive: true });
  });

  async function drop(key: string, content: string | Buffer) {
    const file = path.join(folder, key);
    await fs.mkdir(path.dirname(file), { recursive: true });
    await fs.writeFile(file, content);
  }
  async function rows(sql: string): Promise<unknown[]> {
    const response = await pond.http.request(`/query?format=json&sql=${encodeURIComponent(sql)}`);
    const body = (await response.json()) as { data?: unknown[] };
    return body.data ?? [body];
  }
  async function rejection(key: string, table?: string): Promise<RejectionRecord | undefined> {
    const found = await parts.store.read(rejectionKey(key, table));
    return found === undefined ? undefined : (JSON.parse(found.text) as RejectionRecord);
  }
  async function outputEtag(key: string, table: string) {
    return (await parts.store.head(outputKey(key, table)))?.etag;
  }
  /** A store that does something before one of its calls, once: what a rival process would do just then. */
  function disturbed(before: keyof Store, disturb: () => Promise<unknown>): Store {
    let armed = true;
    return new Proxy(parts.store, {
      get(target, name) {
        const value = Reflect.get(target, name) as unknown;
        if (typeof value !== "function") return value;
        const method = value.bind(target) as (...args: unknown[]) => unknown;
        if (name !== before) return method;
        return async (...args: unknown[]) => {
          if (armed) {
            armed = false;
            await disturb();
          }
          return await method(...args);
        };
      },
    });
  }

  it("makes a file the rows of its table", async () => {
    await drop("inbox/one/2024/05.csv", "id,name\n00501,Ann\n2,Bo\n");

    const outcome = await ingest(parts, "inbox/one/2024/05.csv");

    expect(outcome).to.include({ kind: "converted", table: "one", rows: 2, sourceBytes: 23 });
    expect(await rows("SELECT * FROM one ORDER BY id")).to.deep.equal([
      { id: "00501", name: "Ann" },
      { id: "2", name: "Bo" },
    ]);
  });

  it("says in the output's metadata what it was made from", async () => {
    await drop("inbox/said.csv", "a\n1\n");
    await ingest(parts, "inbox/said.csv");
    const source = await parts.store.head("inbox/said.csv");

    const output = await parts.store.head(outputKey("inbox/said.csv", "said"));

    expect(decodeOutputMetadata(output?.metadata ?? {})).to.include({
      sourceKey: "inbox/said.csv",
      sourceEtag: source?.etag,
      rows: 1,
    });
  });

  it("unites the columns of several files by name", async () => {
    await drop("inbox/many/a.csv", "id,name\n1,Ann\n");
    await drop("inbox/many/b.ndjson", '{"name":"Bo","age":7}\n');
    await ingest(parts, "inbox/many/a.csv");
    await ingest(parts, "inbox/many/b.ndjson");

    expect(await rows("SELECT id, name, age FROM many ORDER BY name")).to.deep.equal([
      { id: 1, name: "Ann", age: null },
      { id: null, name: "Bo", age: 7 },
    ]);
  });

  describe("of files whose types differ", () => {
    const cases: [what: string, one: string, other: string, type: string, values: unknown[]][] = [
      ["whole numbers and fractions", "1", "2.5", "DOUBLE", ["1.0", "2.5"]],
      [
        "long whole numbers and fractions",
        "9007199254740993",
        "1.5",
        "VARCHAR",
        ["1.5", "9007199254740993"],
      ],
      [
        "numbers of 20 digits and fractions",
        "12345678901234567890",
        "1.5",
        "VARCHAR",
        ["1.5", "12345678901234567890"],
      ],
      [
        "whole numbers, short and long",
        "7",
        "12345678901234567890",
        "DECIMAL(38,0)",
        ["12345678901234567890", "7"],
      ],
      ["truth and numbers", "true", "7", "VARCHAR", ["7", "true"]],
      [
        "days and timestamps",
        "2024-01-02",
        "2024-01-03 10:00:00",
        "TIMESTAMP",
        ["2024-01-02 00:00:00", "2024-01-03 10:00:00"],
      ],
      ["days and numbers", "2024-01-02", "7", "VARCHAR", ["2024-01-02", "7"]],
      ["numbers and texts", "10001", "00501", "VARCHAR", ["00501", "10001"]],
      ["nothing and numbers", "", "7", "VARCHAR", ["7", null]],
    ];
    cases.forEach(([what, one, other, type, values], index) => {
      it(`unites ${what} to ${type}`, async () => {
        for (const [name, value] of [
          ["a", one],
          ["b", other],
        ] as const) {
          await drop(`inbox/united${index}/${name}.csv`, `v,w\n${value},x\n`);
          await ingest(parts, `inbox/united${index}/${name}.csv`);
        }

        const found = await rows(
          `SELECT typeof(v) AS type, v::VARCHAR AS v FROM united${index} ORDER BY v NULLS LAST`,
        );

        expect(found).to.deep.equal(values.map((v) => ({ type, v })));
      });
    });

    it("unites objects with texts, lists and other objects", async () => {
      const files: [string, string][] = [
        ["mixed/a.ndjson", '{"o":{"a":1},"l":[1],"s":{"a":1}}\n'],
        ["mixed/b.ndjson", '{"o":"text","l":{"b":2},"s":{"a":2,"b":3}}\n'],
      ];
      for (const [name, text] of files) {
        await drop(`inbox/${name}`, text);
        await ingest(parts, `inbox/${name}`);
      }

      expect(await rows("SELECT o, l, s.a, s.b FROM mixed ORDER BY o")).to.deep.equal([
        { o: "text", l: '{"b":2}', a: 2, b: 3 },
        { o: '{"a":1}', l: "[1]", a: 1, b: null },
      ]);
    });
  });

  it("replaces a file's rows, and no others", async () => {
    await drop("inbox/replaced/a.csv", "id\n1\n2\n");
    await drop("inbox/replaced/b.csv", "id\n9\n");
    await ingest(parts, "inbox/replaced/a.csv");
    await ingest(parts, "inbox/replaced/b.csv");
    await drop("inbox/replaced/a.csv", "id\n3\n");

    await ingest(parts, "inbox/replaced/a.csv");

    expect(await rows("SELECT id FROM replaced ORDER BY id")).to.deep.equal([{ id: 3 }, { id: 9 }]);
  });

  it("changes nothing for the same content again", async () => {
    await drop("inbox/same.csv", "id\n1\n");
    await ingest(parts, "inbox/same.csv");
    const before = await outputEtag("inbox/same.csv", "same");
    await fs.rm(path.join(folder, "inbox/same.csv"));
    await drop("inbox/same.csv", "id\n1\n");

    const outcome = await ingest(parts, "inbox/same.csv");

    expect(outcome).to.deep.equal({ kind: "unchanged", table: "same" });
    expect(await outputEtag("inbox/same.csv", "same")).to.equal(before);
  });

  it("keeps the rows of a source that is gone", async () => {
    await drop("inbox/gone.csv", "id\n1\n");
    await ingest(parts, "inbox/gone.csv");
    await fs.rm(path.join(folder, "inbox/gone.csv"));

    const outcome = await ingest(parts, "inbox/gone.csv");

    expect(outcome).to.deep.equal({ kind: "gone", table: "gone" });
    expect(await rows("SELECT id FROM gone")).to.deep.equal([{ id: 1 }]);
  });

  it("makes the output anew when somebody replaced it by hand", async () => {
    await drop("inbox/tampered.csv", "id\n1\n");
    await ingest(parts, "inbox/tampered.csv");
    await drop(outputKey("inbox/tampered.csv", "tampered"), "not Parquet");

    const outcome = await ingest(parts, "inbox/tampered.csv");

    expect(outcome.kind).to.equal("converted");
    expect(await rows("SELECT id FROM tampered")).to.deep.equal([{ id: 1 }]);
  });

  it("leaves nothing in its workspace", async () => {
    await drop("inbox/left/a.csv", "id\n1\n");
    await drop("inbox/left/b.csv", "id,x\n1\n");
    await ingest(parts, "inbox/left/a.csv");
    await ingest(parts, "inbox/left/b.csv");

    expect(await fs.readdir(parts.workspace)).to.deep.equal([]);
  });

  for (const key of [
    "inbox/.hidden.csv",
    "inbox/t/.DS_Store",
    "inbox/t/",
    "lake/t/x.parquet",
    "rejected/t/x.json",
  ]) {
    it(`passes over ${key}`, async () => {
      expect((await ingest(parts, key)).kind).to.equal("ignored");
    });
  }

  describe("of a file that can't be read", () => {
    it("records why and where, and leaves the source", async () => {
      await drop("inbox/broken.csv", "a,b\n1,2\n3\n");
      const source = await parts.store.head("inbox/broken.csv");

      const outcome = await ingest(parts, "inbox/broken.csv");

      const record = await rejection("inbox/broken.csv", "broken");
      expect(outcome.kind).to.equal("rejected");
      expect(record).to.deep.include({
        code: "malformed-csv",
        line: 3,
        attempts: 1,
        final: true,
        keptRows: null,
        source: {
          key: "inbox/broken.csv",
          etag: source?.etag,
          size: 10,
          modified: source?.lastModified.toISOString(),
        },
      });
      expect(record?.expected).to.contain("the same number of fields");
      expect(Date.parse(record?.time ?? "")).to.be.closeTo(Date.now(), 60_000);
      expect(await fs.readFile(path.join(folder, "inbox/broken.csv"), "utf8")).to.equal(
        "a,b\n1,2\n3\n",
      );
    });

    it("keeps the rows of the last version that could be, and says how many", async () => {
      await drop("inbox/kept.csv", "a,b\n1,2\n");
      await ingest(parts, "inbox/kept.csv");
      await drop("inbox/kept.csv", "a,b\n1,2\n3\n");

      await ingest(parts, "inbox/kept.csv");

      expect(await rows("SELECT a, b FROM kept")).to.deep.equal([{ a: 1, b: 2 }]);
      expect((await rejection("inbox/kept.csv", "kept"))?.keptRows).to.equal(1);
    });

    it("removes the record when a later version can be", async () => {
      await drop("inbox/mended.csv", "a,b\n1\n");
      await ingest(parts, "inbox/mended.csv");
      const before = await rejection("inbox/mended.csv", "mended");
      await drop("inbox/mended.csv", "a,b\n1,2\n");

      await ingest(parts, "inbox/mended.csv");

      expect(before?.code).to.equal("malformed-csv");
      expect(await rejection("inbox/mended.csv", "mended")).to.equal(undefined);
      expect(await rows("SELECT a, b FROM mended")).to.deep.equal([{ a: 1, b: 2 }]);
    });

    it("removes the record when the version before comes back, or the source goes", async () => {
      await drop("inbox/back.csv", "a,b\n1,2\n");
      await ingest(parts, "inbox/back.csv");
      await drop("inbox/back.csv", "a,b\n1\n");
      await ingest(parts, "inbox/back.csv");
      await drop("inbox/back.csv", "a,b\n1,2\n");

      const back = await ingest(parts, "inbox/back.csv");
      const afterBack = await rejection("inbox/back.csv", "back");
      await drop("inbox/back.csv", "a,b\n1\n");
      await ingest(parts, "inbox/back.csv");
      await fs.rm(path.join(folder, "inbox/back.csv"));
      await ingest(parts, "inbox/back.csv");

      expect(back.kind).to.equal("unchanged");
      expect(afterBack).to.equal(undefined);
      expect(await rejection("inbox/back.csv", "back")).to.equal(undefined);
    });

    it("tries the same version no second time", async () => {
      await drop("inbox/once.csv", "a,b\n1\n");
      await ingest(parts, "inbox/once.csv");
      const before = await rejection("inbox/once.csv", "once");

      const outcome = await ingest(parts, "inbox/once.csv");

      expect(outcome.kind).to.equal("rejected");
      expect(await rejection("inbox/once.csv", "once")).to.deep.equal(before);
    });

    for (const [key, code, table] of [
      ["inbox/Trips/a.csv", "table-name", undefined],
      ["inbox/2024.csv", "table-name", undefined],
      ["inbox/notes.txt", "file-name", "notes"],
      ["inbox/notes/noending", "file-name", "notes"],
    ] as const) {
      it(`rejects ${key} for its name`, async () => {
        await drop(key, "a\n1\n");

        const outcome = await ingest(parts, key);

        expect(outcome).to.include({ kind: "rejected", table });
        expect((await rejection(key, table))?.code).to.equal(code);
      });
    }
  });

  describe("against rivals", () => {
    it("takes the newer version when the source changes before it is checked out", async () => {
      const key = "inbox/raced1.csv";
      await drop(key, "id\n1\n");

      const store = disturbed("checkOut", () => drop(key, "id\n2\n"));
      const outcome = await ingest({ ...parts, store }, key);

      expect(outcome.kind).to.equal("converted");
      expect(await rows("SELECT id FROM raced1")).to.deep.equal([{ id: 2 }]);
    });

    it("takes the newer version when the source changes while it is converted", async () => {
      const key = "inbox/raced2.csv";
      await drop(key, "id\n1\n");

      const store = disturbed("putFile", () => drop(key, "id\n2\n"));
      await ingest({ ...parts, store }, key);

      expect(await rows("SELECT id FROM raced2")).to.deep.equal([{ id: 2 }]);
    });

    it("yields to a rival who wrote the output first, and looks again", async () => {
      const key = "inbox/raced3.csv";
      await drop(key, "id\n1\n");

      const store = disturbed("putFile", () => ingest(parts, key));
      const outcome = await ingest({ ...parts, store }, key);

      expect(outcome.kind).to.equal("unchanged");
      expect(await rows("SELECT id FROM raced3")).to.deep.equal([{ id: 1 }]);
    });

    it("leaves no rejection of a version that was replaced while it was rejected", async () => {
      const key = "inbox/raced4.csv";
      await drop(key, "a,b\n1\n");

      const store = disturbed("putText", async () => {
        await drop(key, "a,b\n1,2\n");
        await ingest(parts, key);
      });
      await ingest({ ...parts, store }, key);

      expect(await rejection(key, "raced4")).to.equal(undefined);
      expect(await rows("SELECT a, b FROM raced4")).to.deep.equal([{ a: 1, b: 2 }]);
    });

    it("ends in one state however many do the same at once", async () => {
      const key = "inbox/raced5.csv";
      await drop(key, "id\n1\n2\n3\n");

      const outcomes = await Promise.all(Array.from({ length: 6 }, () => ingest(parts, key)));

      expect(outcomes.filter(({ kind }) => kind === "converted")).to.have.length(1);
      expect(await rows("SELECT count(*) AS n FROM raced5")).to.deep.equal([{ n: 3 }]);
    });
  });

  describe("findStale", () => {
    it("names what was dropped, replaced or mended unheard, and what a record is left of", async () => {
      const all = await findStale(parts.store);
      for (const key of all.stale) await ingest(parts, key);
      await drop("inbox/unheard/new.csv", "id\n1\n");
      await drop("inbox/same.csv", "id\n5\n");
      await drop("inbox/once.csv", "a,b\n1,2\n");
      await fs.rm(path.join(folder, "inbox/broken.csv"));

      const { stale, sources } = await findStale(parts.store);

      expect(stale).to.have.members([
        "inbox/unheard/new.csv",
        "inbox/same.csv",
        "inbox/once.csv",
        "inbox/broken.csv",
      ]);
      expect(sources).to.be.greaterThan(10);
      for (const key of stale) await ingest(parts, key);
      expect((await findStale(parts.store)).stale).to.deep.equal([]);
    });
  });

  describe("without time", () => {
    it("leaves a file for another try, which it does not count", async () => {
      await drop("inbox/late.csv", "id\n1\n");
      const late = { deadline: Date.now() - 1000 };

      for (let i = 0; i < 3; i += 1) {
        const error = await failed(ingest(parts, "inbox/late.csv", late));
        expect(error).to.include({ code: "late", retryable: true });
      }

      expect(await rejection("inbox/late.csv", "late")).to.equal(undefined);
      expect(await ingest(parts, "inbox/late.csv")).to.include({ kind: "converted" });
    });

    it("does not count a download that took all of it", async () => {
      await drop("inbox/slow.csv", "id\n1\n");
      const slow = disturbed("checkOut", () => pause(1500));

      const error = await failed(
        ingest({ ...parts, store: slow }, "inbox/slow.csv", { deadline: Date.now() + 2600 }),
      );

      expect(error).to.include({ code: "late", retryable: true });
      expect(await rejection("inbox/slow.csv", "slow")).to.equal(undefined);
    });
  });
});
