import fs from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { DuckDBInstance } from "@duckdb/node-api";
import { expect } from "chai";
import { environmentNames } from "../../app/contract.ts";
import { readSettings } from "../../app/environment.ts";
import { type IngestParts, ingest } from "../../app/flow/ingest.ts";
import { outputKey, rejectionKey } from "../../app/lake/derived-key.ts";
import { decodeOutputMetadata } from "../../app/lake/output-metadata.ts";
import type { RejectionRecord } from "../../app/lake/rejection.ts";
import { createLogger } from "../../app/logger.ts";
import { openPond, type Pond } from "../../app/pond.ts";
import type { Store } from "../../app/store/store.ts";
import { rejection as failed } from "../failure.ts";
import { intercepted } from "../store/intercepted.ts";

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
    const once = async () => {
      if (!armed) return;
      armed = false;
      await disturb();
    };
    return intercepted(parts.store, { [before]: once });
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
      ["nothing and numbers", "", "7", "BIGINT", ["7", null]],
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

    it("unites objects of several fields beside files that have none, and tells apart what DuckDB does", async () => {
      const files: [string, string][] = [
        // Letters that are one to Unicode, and two names to DuckDB.
        ["a.ndjson", '{"s":null,"n":1,"σ":1}\n'],
        ["b.ndjson", '{"s":{"a":1},"n":2,"ς":"x"}\n'],
        ["c.ndjson", '{"s":{"b":{"c":2}},"n":3,"Σ":"7.5"}\n'],
      ];
      for (const [name, text] of files) {
        await drop(`inbox/shapes/${name}`, text);
        await ingest(parts, `inbox/shapes/${name}`);
      }

      // Twice: what was seen of their values is remembered.
      for (let i = 0; i < 2; i += 1) {
        expect(
          await rows('SELECT s.a, s.b.c, "σ" AS v, "ς" AS w, "Σ" AS x FROM shapes ORDER BY n'),
        ).to.deep.equal([
          { a: null, c: null, v: 1, w: null, x: null },
          { a: 1, c: null, v: null, w: "x", x: null },
          { a: null, c: 2, v: null, w: null, x: "7.5" },
        ]);
      }
    });
  });

  describe("of a table that changes", () => {
    const versions: [what: string, before: string, after: string, read: unknown[]][] = [
      [
        "by a column more",
        "id,name\n1,Ann\n",
        "id,name,age\n2,Bo,7\n",
        [
          { id: 1, name: "Ann", age: null },
          { id: 2, name: "Bo", age: 7 },
        ],
      ],
      [
        "by a column less",
        "id,name,age\n1,Ann,9\n",
        "id,name\n2,Bo\n",
        [
          { id: 1, name: "Ann", age: 9 },
          { id: 2, name: "Bo", age: null },
        ],
      ],
      [
        "in the order of its columns, and their case",
        "id,name\n1,Ann\n",
        "NAME,id\nBo,2\n",
        [
          { id: 1, name: "Ann" },
          { id: 2, name: "Bo" },
        ],
      ],
      [
        "from whole numbers to texts",
        "id,code\n1,17\n",
        "id,code\n2,B-4\n",
        [
          { id: 1, code: "17" },
          { id: 2, code: "B-4" },
        ],
      ],
      [
        "by a column that is empty from then on",
        "id,age,day\n1,7,2024-02-29\n",
        "id,age,day\n2,,\n",
        [
          { id: 1, age: 7, day: "2024-02-29" },
          { id: 2, age: null, day: null },
        ],
      ],
      [
        "in the case of a column of long numbers, beside fractions",
        "id,N\n1,9007199254740993\n",
        "id,n\n2,1.5\n",
        [
          { id: 1, N: "9007199254740993" },
          { id: 2, N: "1.5" },
        ],
      ],
      ["to nothing but its header", "id,name\n1,Ann\n", "id,name\n", [{ id: 1, name: "Ann" }]],
    ];
    for (const [index, [what, before, after, read]] of versions.entries()) {
      it(`${what} reads the files of before and after`, async () => {
        const table = `changing${index}`;
        await drop(`inbox/${table}/a.csv`, before);
        await drop(`inbox/${table}/b.csv`, after);
        for (const name of ["a", "b"]) await ingest(parts, `inbox/${table}/${name}.csv`);

        expect(await rows(`FROM ${table} ORDER BY id`)).to.deep.equal(read);
      });
    }

    it("by folders named as Hive does, their values being columns of what they hold", async () => {
      const files: [string, string][] = [
        ["year=2024/month=05/a.csv", "id\n1\n"],
        ["year=2024/month=11/b.ndjson", '{"id":2}\n'],
        ["year=__HIVE_DEFAULT_PARTITION__/month=x/c.csv", "id\n3\n"],
        // What the file itself says of its rows is theirs.
        ["year=1999/d.csv", "id,Year\n4,2001\n"],
        ["year=2000/empty.csv", "id\n"],
      ];
      for (const [name, content] of files) {
        await drop(`inbox/hive/${name}`, content);
        await ingest(parts, `inbox/hive/${name}`);
      }

      expect(await rows("SELECT id, year, month FROM hive ORDER BY id")).to.deep.equal([
        { id: 1, year: 2024, month: "05" },
        { id: 2, year: 2024, month: "11" },
        { id: 3, year: null, month: "x" },
        { id: 4, year: 2001, month: null },
      ]);
    });

    it("by folders whose values no type would leave as they are, as the text that they are", async () => {
      const values = ["12e4", "3", "1.10", "TRUE", "2024-02-29"];
      for (const [i, value] of values.entries()) {
        const key = `inbox/spelt/v=${value}/day=2024-02-0${i + 1}/a.csv`;
        await drop(key, `id\n${i}\n`);
        await ingest(parts, key);
      }

      expect(await rows("SELECT v, typeof(day) AS type FROM spelt ORDER BY id")).to.deep.equal(
        values.map((v) => ({ v, type: "DATE" })),
      );
    });

    it("takes Parquet of any row groups, nested, and of no rows, beside each other", async () => {
      const duckdb = await (await DuckDBInstance.create(":memory:")).connect();
      const write = async (name: string, sql: string, rowGroup: number) => {
        await fs.mkdir(path.join(folder, "inbox/groups"), { recursive: true });
        const file = path.join(folder, `inbox/groups/${name}.parquet`);
        await duckdb.run(`COPY (${sql}) TO '${file}' (FORMAT parquet, ROW_GROUP_SIZE ${rowGroup})`);
        return await ingest(parts, `inbox/groups/${name}.parquet`);
      };
      const nested = "i AS id, {'a': [i, NULL], 'm': MAP {'k': i::VARCHAR}} AS deep FROM range";

      await write("small", `SELECT ${nested}(0, 6000) t(i)`, 2048);
      await write("large", `SELECT ${nested}(6000, 300000) t(i)`, 1_000_000);
      await write("none", `SELECT ${nested}(0) t(i)`, 2048);
      duckdb.closeSync();

      expect(
        await rows(
          "SELECT count(*) AS n, sum(id) AS s, sum(deep.a[1]) AS a, sum(CAST(deep.m['k'] AS BIGINT)) AS m FROM groups",
        ),
      ).to.deep.equal([{ n: 300_000, s: 44_999_850_000, a: 44_999_850_000, m: 44_999_850_000 }]);
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

    it("says of a rejection whether it was there before its event", async () => {
      const key = "inbox/raced6.csv";
      await drop(key, "a,b\n1\n");

      // As where its own answer got lost.
      const store = disturbed("putText", () => ingest(parts, key));
      const first = await ingest({ ...parts, store }, key);
      const second = await ingest(parts, key);

      expect(first).to.include({ kind: "rejected", again: false });
      expect(second).to.include({ kind: "rejected", again: true });
    });

    it("ends in one state however many do the same at once", async () => {
      const key = "inbox/raced5.csv";
      await drop(key, "id\n1\n2\n3\n");

      const outcomes = await Promise.all(Array.from({ length: 6 }, () => ingest(parts, key)));

      expect(outcomes.filter(({ kind }) => kind === "converted")).to.have.length(1);
      expect(await rows("SELECT count(*) AS n FROM raced5")).to.deep.equal([{ n: 3 }]);
    });
  });

  describe("where deletes are mirrored", () => {
    const mirror = () => ({ ...parts, mirrorDeletes: true });

    it("deletes the rows of a source that is gone, and no others", async () => {
      await drop("inbox/mirrored/a.csv", "id\n1\n");
      await drop("inbox/mirrored/b.csv", "id\n2\n3\n");
      for (const name of ["a", "b"]) await ingest(mirror(), `inbox/mirrored/${name}.csv`);
      await fs.rm(path.join(folder, "inbox/mirrored/b.csv"));

      const outcome = await ingest(mirror(), "inbox/mirrored/b.csv");

      expect(outcome).to.deep.equal({ kind: "deleted", table: "mirrored", rows: 2 });
      expect(await rows("FROM mirrored")).to.deep.equal([{ id: 1 }]);
      expect(await ingest(mirror(), "inbox/mirrored/b.csv")).to.include({ kind: "gone" });
    });

    it("deletes them when the source goes while an older version of it is converted", async () => {
      const key = "inbox/mirrored2.csv";
      await drop(key, "id\n1\n");
      // The event of the delete is handled by another process, which finds nothing to delete yet.
      const store = disturbed("putFile", async () => {
        await fs.rm(path.join(folder, key));
        expect(await ingest(mirror(), key)).to.include({ kind: "gone" });
      });

      const outcome = await ingest({ ...mirror(), store }, key);

      expect(outcome).to.deep.equal({ kind: "deleted", table: "mirrored2", rows: 1 });
      expect(await outputEtag(key, "mirrored2")).to.equal(undefined);
    });

    it("keeps the rows of a source that came back before they were gone", async () => {
      const key = "inbox/mirrored3.csv";
      await drop(key, "id\n1\n");
      await ingest(mirror(), key);
      await fs.rm(path.join(folder, key));
      const store = disturbed("delete", async () => {
        await drop(key, "id\n2\n");
        await ingest(mirror(), key);
      });

      await ingest({ ...mirror(), store }, key);

      expect(await rows("FROM mirrored3")).to.deep.equal([{ id: 2 }]);
    });

    it("removes the record of a version that could not be read, too", async () => {
      const key = "inbox/mirrored4.csv";
      await drop(key, "id\n1\n");
      await ingest(mirror(), key);
      await drop(key, "a,b\n1\n");
      expect(await ingest(mirror(), key)).to.include({ kind: "rejected" });
      await fs.rm(path.join(folder, key));

      expect(await ingest(mirror(), key)).to.include({ kind: "deleted" });

      expect(await rejection(key, "mirrored4")).to.equal(undefined);
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

    /** What a file has of the time of its event, or less, and its engine does not move. */
    async function stuck(
      key: string,
      { deadlineMs, timeMs }: { deadlineMs: number; timeMs: number },
    ) {
      await parts.engine.start();
      const limits = {
        memoryMiB: 1769,
        diskMiB: 2048,
        raise: { memory: "the setting of memory", time: "the setting of time" },
      };
      process.kill(parts.engine.pid as number, "SIGSTOP");
      return await ingest({ ...parts, limits }, key, { deadline: Date.now() + deadlineMs, timeMs });
    }
    const stuckFor = (key: string, deadlineMs: number, timeMs: number) =>
      failed(stuck(key, { deadlineMs, timeMs }));

    it("does not count a file for which others left too little of it", async () => {
      await drop("inbox/slow.csv", "id\n1\n");

      const error = await stuckFor("inbox/slow.csv", 2500, 10_000);

      expect(error).to.include({ code: "late", retryable: true });
      expect(await rejection("inbox/slow.csv", "slow")).to.equal(undefined);
    });

    it("does not count a file that the store hardly gives, and says what to raise", async () => {
      await drop("inbox/far.csv", "id\n1\n");
      const never = disturbed("checkOut", () => new Promise<never>(() => {}));
      const soon = disturbed("checkOut", () => new Promise((resolve) => setTimeout(resolve, 700)));
      const limits = { memoryMiB: 1769, diskMiB: 2048, raise: { time: "the setting of time" } };

      for (const store of [never, soon]) {
        const options = { deadline: Date.now() + 2500, timeMs: 2500 };
        const error = await failed(ingest({ ...parts, store, limits }, "inbox/far.csv", options));
        expect(error).to.include({ code: "late", retryable: true });
        expect(error.message).to.contain("more is there by the setting of time");
      }

      expect(await rejection("inbox/far.csv", "far")).to.equal(undefined);
    });

    it("counts one that had all of it, though most went into its download", async () => {
      const key = "inbox/large.csv";
      await drop(key, "id\n1\n");
      await parts.engine.start();
      process.kill(parts.engine.pid as number, "SIGSTOP");
      const store = disturbed(
        "checkOut",
        () => new Promise((resolve) => setTimeout(resolve, 3500)),
      );

      const options = { deadline: Date.now() + 6000, timeMs: 6000 };
      const error = await failed(ingest({ ...parts, store }, key, options));

      expect(error).to.include({ code: "deadline", retryable: true });
      expect(await rejection(key, "large")).to.include({ attempts: 1, final: false });
    });

    it("counts one that takes all of it, and says its size, what there was, and what to raise", async () => {
      const key = "inbox/endless.csv";
      await drop(key, "id\n1\n");

      const first = await stuckFor(key, 2500, 2500);
      expect(first).to.include({ code: "deadline", retryable: true });
      expect(first.message).to.equal(
        "inbox/endless.csv: there was not time enough to read this file of 5 bytes, with 1769 MiB of memory, 2048 MiB to spill, 3 s; " +
          "it takes more time (the setting of time), or more memory (the setting of memory), or a smaller file",
      );
      expect(await rejection(key, "endless")).to.include({ attempts: 1, final: false });

      // Another process, which knows of the first attempt by the record alone.
      const second = await stuck(key, { deadlineMs: 2500, timeMs: 2500 });
      expect(second).to.include({ kind: "rejected", table: "endless" });
      expect(await rejection(key, "endless")).to.include({
        code: "deadline",
        attempts: 2,
        final: true,
      });
    });
  });
});
