import fs from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { expect } from "chai";
import { Engine, type EngineEvent } from "../../app/engine/engine.ts";
import type { Parameters, ParameterValue } from "../../app/engine/protocol.ts";
import type { QueryFormat } from "../../app/query/result-format.ts";
import { rejection } from "../failure.ts";

/** Runs for hours: only its deadline ends it. */
const endless =
  "SELECT count(*) FROM range(10000000) a(i), range(10000000) b(j) WHERE hash(i, j) = 1";

describe("Engine", () => {
  let folder: string;
  let engine: Engine;
  const events: EngineEvent[] = [];

  beforeEach(async () => {
    folder = await fs.realpath(await fs.mkdtemp(path.join(os.tmpdir(), "millpond-test-")));
    events.length = 0;
    engine = new Engine({
      allowedDirectories: [`${folder}/`],
      temporaryDirectory: path.join(folder, "spill"),
      memoryMiB: 512,
      diskMiB: 512,
      threads: 2,
      onEvent: (event) => events.push(event),
    });
  });

  afterEach(async () => {
    await engine.close();
    await fs.rm(folder, { recursive: true });
  });

  let answers = 0;
  async function ask(
    sql: string,
    {
      parameters = [],
      format = "ndjson",
      within,
    }: { parameters?: Parameters; format?: QueryFormat; within?: number } = {},
  ) {
    answers += 1;
    const output = path.join(folder, `answer-${answers}`);
    const result = await engine.run(
      { kind: "query", sql, parameters, tables: [], format, output },
      within === undefined ? {} : { deadline: Date.now() + within },
    );
    return { ...result, text: await fs.readFile(output, "utf8") };
  }

  /** The process id of the nth worker, when it has started. */
  async function startedAs(n: number): Promise<number> {
    for (;;) {
      const started = events.filter((event) => event.kind === "started")[n - 1];
      if (started !== undefined) return started.pid;
      await new Promise((resolve) => setImmediate(resolve));
    }
  }

  /** Resolves when a process has used some of the processor since this was asked: it has its requests by then. */
  async function untilBusy(pid: number): Promise<void> {
    const ticks = async () => {
      const stat = (await fs.readFile(`/proc/${pid}/stat`, "utf8")).split(" ");
      return Number(stat[13]) + Number(stat[14]);
    };
    const before = await ticks();
    while ((await ticks()) < before + 5) await new Promise((resolve) => setImmediate(resolve));
  }

  it("starts one worker and keeps it", async () => {
    await ask("SELECT 1");
    const pid = engine.pid;
    await ask("SELECT 2");

    expect(engine.pid).to.equal(pid);
    expect(events.map((event) => event.kind)).to.deep.equal(["started"]);
  });

  it("answers right after its worker was killed in mid-query", async () => {
    await engine.start();
    const underWay = ask("SELECT sum(hash(i)) > 0 AS ok FROM range(20000000) t(i)");
    process.kill(engine.pid as number, "SIGKILL");

    // The query was no fault of its own, so another worker takes it over.
    expect((await underWay).text).to.equal('{"ok":true}\n');
    expect((await ask("SELECT 7 AS next")).text).to.equal('{"next":7}\n');
    expect(events.map((event) => event.kind)).to.deep.equal(["started", "ended", "started"]);
  });

  it("gives up a request whose worker died twice", async () => {
    await engine.start();
    const underWay = rejection(ask(endless));
    process.kill(engine.pid as number, "SIGKILL");
    process.kill(await startedAs(2), "SIGKILL");

    const error = await underWay;

    expect(error.code).to.equal("engine-died");
    expect(error.retryable).to.equal(true);
  });

  it("runs those apart that were with a worker that died, so that one which kills it does so alone", async () => {
    await engine.start();
    const deadly = rejection(ask(endless));
    const innocent = ask("SELECT sum(hash(i)) > 0 AS ok FROM range(20000000) t(i)");
    await untilBusy(engine.pid as number);
    process.kill(engine.pid as number, "SIGKILL");
    const apart = await startedAs(2);
    // Work that comes meanwhile has nothing to do with it.
    expect((await ask("SELECT 7 AS next")).text).to.equal('{"next":7}\n');
    process.kill(apart, "SIGKILL");

    expect((await deadly).code).to.equal("engine-died");
    expect((await innocent).text).to.equal('{"ok":true}\n');
    expect((await ask("SELECT 8 AS next")).text).to.equal('{"next":8}\n');
  });

  it("keeps what a worker spills from the one beside it, and removes it after", async () => {
    await engine.start();
    // Sorted, far more than the memory holds.
    const spilling = (n: number) =>
      ask(
        `SELECT count(*) AS c FROM (SELECT t, row_number() OVER (ORDER BY t) AS n FROM (SELECT sha256((i * ${n})::VARCHAR) AS t FROM range(4000000) r(i))) WHERE n <> length(t)`,
      );
    const suspect = spilling(1);
    await untilBusy(engine.pid as number);
    process.kill(engine.pid as number, "SIGKILL");
    await startedAs(2);

    const answers = await Promise.all([suspect, spilling(2)]);
    const spilled = path.join(folder, "spill");
    const during = await fs.readdir(spilled);
    await engine.close();

    expect(answers.map(({ text }) => text)).to.deep.equal(['{"c":3999999}\n', '{"c":3999999}\n']);
    expect(during).to.have.length.within(1, 2);
    expect(await fs.readdir(spilled)).to.deep.equal([]);
  });

  it("keeps such a one apart though its next worker dies before it has it", async () => {
    const children = async () => {
      const text = await fs.readFile(`/proc/self/task/${process.pid}/children`, "utf8");
      return text.split(" ").filter(Boolean).map(Number);
    };
    await engine.start();
    const underWay = rejection(ask(endless));
    const first = engine.pid as number;
    const known = await children();
    await untilBusy(first);
    process.kill(first, "SIGKILL");
    let unsent: number | undefined;
    while (unsent === undefined) {
      unsent = (await children()).find((pid) => !known.includes(pid));
      await new Promise((resolve) => setImmediate(resolve));
    }
    process.kill(unsent, "SIGKILL");
    const apart = await startedAs(2);

    expect(apart).not.to.be.oneOf([first, unsent]);
    // The shared one would be known by now.
    expect(engine.pid).to.equal(undefined);
    expect((await ask("SELECT 7 AS next")).text).to.equal('{"next":7}\n');
    process.kill(apart, "SIGKILL");
    expect((await underWay).code).to.equal("engine-died");
  });

  it("is asked again when workers die before they have a request", async () => {
    const underWay = rejection(ask("SELECT 1"));
    process.kill(engine.pid as number, "SIGKILL");
    const first = engine.pid;
    while (engine.pid === first) await new Promise((resolve) => setImmediate(resolve));
    process.kill(engine.pid as number, "SIGKILL");

    // Nothing is known of the request: it is not to blame.
    expect((await underWay).code).to.equal("engine-unavailable");
  });

  for (const [what, sql] of [
    ["a join", endless],
    [
      "what can't be interrupted",
      "SELECT length(repeat('x', 2000000000)) FROM range(1000) t(i) WHERE repeat('y', 2000000000 + i) = ''",
    ],
  ] as const) {
    it(`stops ${what} at its deadline, and answers the next query`, async () => {
      await engine.start();

      const error = await rejection(ask(sql, { within: 300 }));

      expect(error.code).to.equal("deadline");
      expect((await ask("SELECT 7 AS next")).text).to.equal('{"next":7}\n');
      // An end that was asked for is nothing to tell of.
      expect(events.map((event) => event.kind)).to.deep.equal(["started", "started"]);
    });
  }

  it("leaves nothing running when two queries reach their deadlines together", async () => {
    await engine.start();
    const within = 200;

    const errors = await Promise.all([
      rejection(ask(endless, { within })),
      rejection(ask(endless, { within })),
      rejection(ask(endless, { within })),
    ]);
    await ask("SELECT 1");

    expect(errors.map(({ code }) => code)).to.deep.equal(["deadline", "deadline", "deadline"]);
    // A worker that is idle uses no processor: two looks, some real work of the test's own in between.
    const ticks = async () => {
      const stat = await fs.readFile(`/proc/${engine.pid}/stat`, "utf8");
      return stat
        .split(" ")
        .slice(13, 15)
        .map(Number)
        .reduce((a, b) => a + b, 0);
    };
    const before = await ticks();
    const until = Date.now() + 500;
    while (Date.now() < until) await new Promise((resolve) => setImmediate(resolve));
    expect((await ticks()) - before).to.be.below(20);
  });

  it("plans with the memory it was given, and no more", async () => {
    const error = await rejection(ask("SELECT len(list(hash(i))) FROM range(100000000) t(i)"));

    expect(error.code).to.equal("out-of-memory");
    expect((await ask("SELECT 7 AS next")).text).to.equal('{"next":7}\n');
  });

  it("spills to disk, up to what it was given", async () => {
    // 1.5 GB that no compression makes much smaller, in 512 MiB of memory and 512 MiB of disk.
    const wide =
      "SELECT sha256(i::VARCHAR) || sha256((-i)::VARCHAR) AS t FROM range(12000000) r(i)";
    const sorted = `SELECT t, row_number() OVER (ORDER BY t) AS n FROM (${wide})`;

    const error = await rejection(ask(`SELECT max(n) FROM (${sorted}) WHERE t <> ''`));

    expect(error.code).to.equal("out-of-disk");
    expect((await ask("SELECT 7 AS next")).text).to.equal('{"next":7}\n');
  });

  it("goes on with other queries when one is stopped", async () => {
    await engine.start();
    const other = ask("SELECT sum(hash(i)) > 0 AS ok FROM range(30000000) t(i)");

    await rejection(ask(endless, { within: 50 }));

    expect((await other).text).to.equal('{"ok":true}\n');
  });

  it("ends its worker when it is closed", async () => {
    await engine.start();
    const pid = engine.pid as number;

    await engine.close();

    expect(() => process.kill(pid, 0)).to.throw("ESRCH");
    expect((await rejection(ask("SELECT 1"))).code).to.equal("engine-closed");
  });

  describe("its lock", () => {
    // Each of these would do harm if the review of SQL were not there: `describe` and `convert` skip it.
    const read = (file: string) =>
      engine.run({ kind: "describe", files: [{ path: file, id: file }] });

    it("refuses files outside its folders", async () => {
      const outside = path.join(os.tmpdir(), `millpond-outside-${process.pid}.parquet`);
      await ask("SELECT 1 AS a", { format: "parquet" });
      await fs.copyFile(path.join(folder, `answer-${answers}`), outside);

      const error = await rejection(read(outside)).finally(() => fs.rm(outside));

      expect(error.message).to.match(/Permission Error/);
    });

    it("refuses the network", async () => {
      const error = await rejection(read("http://127.0.0.1:9/x.parquet"));

      expect(error.message).to.match(/Permission Error|disabled/);
    });

    it("keeps the environment from DuckDB", async () => {
      process.env["MILLPOND_CANARY"] = "a secret";
      try {
        await engine.start();
        const environment = await fs.readFile(`/proc/${engine.pid}/environ`, "latin1");

        expect(environment).to.not.contain("MILLPOND_CANARY");
      } finally {
        delete process.env["MILLPOND_CANARY"];
      }
    });
  });

  describe("SQL", () => {
    for (const [sql, text] of [
      ["SELECT 1 AS a;", '{"a":1}\n'],
      ["SELECT 1 AS a; -- done", '{"a":1}\n'],
      ["SELECT 1 AS a -- no; end", '{"a":1}\n'],
      ["SELECT ';' AS a", '{"a":";"}\n'],
      ["SELECT 1 AS a; /* ; */ -- ;", '{"a":1}\n'],
      [
        "SELECT millpond_0, MAP {'k': 9007199254740993} AS m FROM (SELECT MAP {'K': 7} AS millpond_0)",
        '{"millpond_0":{"K":7},"m":{"k":"9007199254740993"}}\n',
      ],
      ["VALUES (1)", '{"col0":1}\n'],
      ["SELECT 1 AS a, 2 AS a", '{"a":1,"a_1":2}\n'],
      ["FROM (SUMMARIZE SELECT 1 AS a) SELECT column_name", '{"column_name":"a"}\n'],
      ["SELECT 1 AS a WHERE false", ""],
    ] as const) {
      it(`answers ${sql}`, async () => {
        expect((await ask(sql)).text).to.equal(text);
      });
    }

    it("answers what DESCRIBE says of a query", async () => {
      const { text } = await ask("DESCRIBE SELECT 1 AS a");

      expect(JSON.parse(text)).to.include({ column_name: "a", column_type: "INTEGER" });
    });

    for (const [sql, message] of [
      ["SELECT a,\n  b\nFROM (SELECT 1 AS a)", "LINE 2:   b\n          ^"],
      ["SELECT 1\nFROM t WHERE WHERE", "LINE 2: FROM t WHERE WHERE"],
      ["SELECT 'x'::INTEGER", "Could not convert string 'x'"],
      ["SELECT error('of my own')", "of my own"],
    ] as const) {
      it(`shows DuckDB's message for ${JSON.stringify(sql)}`, async () => {
        const error = await rejection(ask(sql));

        expect(error.code).to.equal("sql-invalid");
        expect(error.message).to.contain(message);
        expect(error.message).to.not.match(/COPY|answer-/);
      });
    }

    it("refuses what the review refuses even when nobody asked for one", async () => {
      expect((await rejection(ask("SELECT * FROM read_text('/etc/passwd')"))).code).to.equal(
        "sql-refused",
      );
    });

    it("reads a file's newest rows, however soon it was replaced", async () => {
      const file = path.join(folder, "replaced.parquet");
      for (let version = 1; version <= 6; version += 1) {
        // Twice: the second new file gets the inode that the first one freed.
        for (const id of [-version, version]) {
          await ask(`SELECT ${id} AS id, 'a' AS n${version}`, { format: "parquet" });
          await fs.rename(path.join(folder, `answer-${answers}`), file);
        }
        const output = path.join(folder, "newest");

        await engine.run({
          kind: "query",
          sql: `SELECT count(*) AS c FROM t WHERE id = ${version} AND n${version} = 'a'`,
          parameters: [],
          tables: [{ name: "t", files: [{ path: file, id: file }] }],
          format: "ndjson",
          output,
        });

        expect(await fs.readFile(output, "utf8"), `version ${version}`).to.equal('{"c":1}\n');
      }
    });

    it("sees nothing of an earlier query's names", async () => {
      const output = path.join(folder, "t.parquet");
      await engine.run({
        kind: "query",
        sql: "SELECT 1 AS a",
        parameters: [],
        tables: [],
        format: "parquet",
        output,
      });
      const named = {
        kind: "query",
        sql: "FROM t",
        parameters: [],
        format: "ndjson",
        output: path.join(folder, "o"),
      } as const;
      const first = await engine.run({
        ...named,
        tables: [{ name: "t", files: [{ path: output, id: output }] }],
      });

      const error = await rejection(engine.run({ ...named, tables: [] }));

      expect(first.rows).to.equal(1);
      expect(error.code).to.equal("table-unknown");
    });
  });

  describe("parameters", () => {
    it("binds by position and by name", async () => {
      const byPosition = await ask("SELECT $1 + 1 AS a, $2 AS b, ? AS c".replace("?", "$3"), {
        parameters: [41, "x", null],
      });
      const byName = await ask("SELECT $n AS n", { parameters: { n: true } });

      expect(byPosition.text).to.equal('{"a":42,"b":"x","c":null}\n');
      expect(byName.text).to.equal('{"n":true}\n');
    });

    it("binds whole numbers as integers and texts as what they are compared with", async () => {
      const { text } = await ask(
        "SELECT i FROM range(10) t(i) WHERE DATE '2024-01-05' > $2 LIMIT $1",
        { parameters: [2, "2024-01-01"] },
      );

      expect(text).to.equal('{"i":0}\n{"i":1}\n');
    });

    it("refuses an integer that no type holds", async () => {
      const error = await rejection(ask("SELECT $1", { parameters: [10n ** 45n] }));

      expect(error.code).to.equal("parameters-invalid");
    });

    for (const [parameters, message] of [
      [{}, "no value for $a"],
      [{ a: 1, b: 2 }, "the SQL has no $b"],
    ] as const) {
      it(`refuses ${JSON.stringify(parameters)} for $a`, async () => {
        const error = await rejection(ask("SELECT $a", { parameters }));

        expect(error.code).to.equal("parameters-invalid");
        expect(error.message).to.contain(message);
      });
    }
  });

  describe("the form of values", () => {
    for (const [type, plain, least] of [
      ["BIGINT", "7", "-9007199254740992"],
      ["BIGINT", "-7", "9007199254740992"],
      ["HUGEINT", "7", "-170141183460469231731687303715884105727"],
      ["UBIGINT", "7", "18446744073709551615"],
      ["UHUGEINT", "7", "340282366920938463463374607431768211455"],
      ["FLOAT", "0.5", "-Infinity"],
      ["DOUBLE", "0.5", "Infinity"],
      ["DOUBLE", "0.5", "NaN"],
    ]) {
      for (const width of [3, 20]) {
        it(`writes ${least} exactly in whichever of ${width} columns of ${type} it is`, async () => {
          const names = Array.from({ length: width }, (_, column) => `c${column}`);
          for (const at of [0, 1, width - 1]) {
            const row = (its: string | undefined, others: string) =>
              names.map((_, column) => (column === at ? `'${its}'::${type}` : others)).join(", ");
            const usual = `'${plain}'::${type}`;
            const values = [row(plain, usual), row(plain, "NULL"), row(least, usual)];

            const { text } = await ask(
              `FROM (VALUES (${values.join("), (")})) t(${names.join(", ")})`,
            );

            const other = (its: unknown, others: unknown) =>
              Object.fromEntries(names.map((name, column) => [name, column === at ? its : others]));
            const lines = text.trimEnd().split("\n");
            const number = Number(plain);
            expect(lines.map((line) => JSON.parse(line) as unknown)).to.deep.equal([
              other(number, number),
              other(number, null),
              other(least, number),
            ]);
          }
        });
      }
    }

    it("writes whatever stands beside such a number as it does without it", async () => {
      const sql = (number: string) =>
        `SELECT ${number} AS n, 2::TINYINT AS t, 'a"b' AS s, [1, NULL] AS l, {'x': 0.5::FLOAT, 'y': 'NaN'::DOUBLE} AS o, MAP {'k': 1} AS m, DATE '2024-02-29' AS d, 1.50::DECIMAL(4, 2) AS p, NULL AS z, row(1, 'b') AS r`;
      const rest = async (number: string) => {
        const { n: _, ...others } = JSON.parse((await ask(sql(number))).text);
        return others;
      };

      expect(await rest("9007199254740992")).to.deep.equal(await rest("7"));
    });

    it("keeps the type in Parquet of a number that JSON had to write as text", async () => {
      const wide = Array.from({ length: 20 }, (_, column) => `7::HUGEINT AS c${column}`).join(", ");
      const sql = `SELECT ${wide}, 9007199254740992::HUGEINT AS n`;
      for (const _ of [1, 2]) {
        expect((await ask(sql)).text).to.contain('"n":"9007199254740992"');
      }
      await ask(sql, { format: "parquet" });
      const file = path.join(folder, `answer-${answers}`);
      const output = path.join(folder, "read");

      await engine.run({
        kind: "query",
        sql: "SELECT typeof(n) AS type FROM t",
        parameters: [],
        tables: [{ name: "t", files: [{ path: file, id: file }] }],
        format: "csv",
        output,
      });

      expect(await fs.readFile(output, "utf8")).to.equal('type\n"DECIMAL(38,0)"\n');
    });

    // The value as DuckDB's SQL, in JSON, in CSV.
    const forms: [sql: string, json: string, csv: string][] = [
      ["NULL", "null", ""],
      ["true", "true", "true"],
      ["42", "42", "42"],
      ["9007199254740991::BIGINT", "9007199254740991", "9007199254740991"],
      ["9007199254740992::BIGINT", '"9007199254740992"', "9007199254740992"],
      ["-9007199254740993::BIGINT", '"-9007199254740993"', "-9007199254740993"],
      ["18446744073709551615::UBIGINT", '"18446744073709551615"', "18446744073709551615"],
      ["sum(7)", "7", "7"],
      [
        "170141183460469231731687303715884105727::HUGEINT",
        '"170141183460469231731687303715884105727"',
        "170141183460469231731687303715884105727",
      ],
      ["1.50::DECIMAL(10,2)", "1.5", "1.50"],
      ["12345678901234567.89::DECIMAL(38,2)", '"12345678901234567.89"', "12345678901234567.89"],
      ["0.1::DOUBLE", "0.1", "0.1"],
      ["'NaN'::DOUBLE", '"NaN"', "nan"],
      ["'Infinity'::DOUBLE", '"Infinity"', "inf"],
      ["'-Infinity'::FLOAT", '"-Infinity"', "-inf"],
      ["DATE '2024-02-29'", '"2024-02-29"', "2024-02-29"],
      [
        "TIMESTAMP '2024-01-02 03:04:05.123456'",
        '"2024-01-02 03:04:05.123456"',
        "2024-01-02 03:04:05.123456",
      ],
      [
        "TIMESTAMP_NS '2024-01-02 03:04:05.123456789'",
        '"2024-01-02 03:04:05.123456789"',
        "2024-01-02 03:04:05.123456789",
      ],
      [
        "TIMESTAMPTZ '2024-01-02 03:04:05+02'",
        '"2024-01-02 01:04:05+00"',
        "2024-01-02 01:04:05+00",
      ],
      ["TIME '01:02:03.5'", '"01:02:03.5"', "01:02:03.5"],
      [
        "INTERVAL '1 month 2 days 3.5 seconds'",
        '"1 month 2 days 00:00:03.5"',
        "1 month 2 days 00:00:03.5",
      ],
      ["'\\x00\\xFFa'::BLOB", '"AP9h"', "AP9h"],
      ["'x\"y'", '"x\\"y"', '"x""y"'],
      ["chr(0) || 'q'", '"\\u0000q"', "\0q"],
      [
        "UUID '00000000-0000-0000-0000-000000000001'",
        '"00000000-0000-0000-0000-000000000001"',
        "00000000-0000-0000-0000-000000000001",
      ],
      [
        "[1, NULL, 9007199254740993]",
        '[1,null,"9007199254740993"]',
        '"[1,null,""9007199254740993""]"',
      ],
      ["[['NaN'::DOUBLE, 1.5]]", '[["NaN",1.5]]', '"[[""NaN"",1.5]]"'],
      [
        "{'a': 1, 'b c': 'x', 'd': '\\xFF'::BLOB}",
        '{"a":1,"b c":"x","d":"/w=="}',
        '"{""a"":1,""b c"":""x"",""d"":""/w==""}"',
      ],
      ["row(1, 'x')", '[1,"x"]', '"[1,""x""]"'],
      ["MAP {'k': 9007199254740993}", '{"k":"9007199254740993"}', '"{""k"":""9007199254740993""}"'],
      ["MAP {1: 'x'}", '{"1":"x"}', '"{""1"":""x""}"'],
      [
        "'{\"n\": 12345678901234567890123}'::JSON",
        '{"n":12345678901234567890123}',
        '"{""n"": 12345678901234567890123}"',
      ],
      [
        "'123456789012345678901234567890123456789012345'::BIGNUM",
        '"123456789012345678901234567890123456789012345"',
        "123456789012345678901234567890123456789012345",
      ],
      ["[1, 2]::INTEGER[2]", "[1,2]", '"[1,2]"'],
      ["union_value(a := 'NaN'::DOUBLE)", '"nan"', "nan"],
      ["to_json('NaN'::DOUBLE)", '"NaN"', "NaN"],
      ['\'{"text": "NaN"}\'::JSON', '{"text":"NaN"}', '"{""text"": ""NaN""}"'],
      ["NULL::STRUCT(a BIGINT)", "null", ""],
      ["NULL::DOUBLE[]", "null", ""],
    ];
    for (const [sql, json, csv] of forms) {
      it(`writes ${sql} as ${json}`, async () => {
        const inJson = await ask(`SELECT ${sql} AS v`);
        const inCsv = await ask(`SELECT ${sql} AS v`, { format: "csv" });

        expect(inJson.text).to.equal(`{"v":${json}}\n`);
        expect(JSON.parse(inJson.text)).to.have.property("v");
        expect(inCsv.text).to.equal(csv === "" ? "v\n\n" : `v\n${csv}\n`);
      });
    }

    /** What the engine makes of a query whose answer is to come with the result; `nowhere`: a file of it could not be written. */
    async function askSmall(
      sql: string,
      {
        format,
        parameters = [],
        inlineBytes = 65_536,
        nowhere = false,
      }: { format: QueryFormat; parameters?: Parameters; inlineBytes?: number; nowhere?: boolean },
    ) {
      answers += 1;
      const output = path.join(folder, nowhere ? "no-folder" : ".", `answer-${answers}`);
      const { content, ...facts } = await engine.run({
        kind: "query",
        sql,
        parameters,
        tables: [],
        format,
        output,
        inlineBytes,
      });
      return {
        ...facts,
        text: content === undefined ? undefined : Buffer.from(content).toString(),
      };
    }

    for (const format of ["json", "ndjson"] as const) {
      it(`answers a small query with the same ${format} again, for which it needs no file`, async () => {
        const queries = [
          ...forms.map(([sql]) => `SELECT ${sql} AS v`),
          "SELECT 1 AS a WHERE false",
          "SELECT i, i::VARCHAR || chr(10) || 'ä\"🦆' AS s FROM range(500) t(i)",
          "SELECT NULL AS a, 9007199254740993 AS b UNION ALL SELECT 'x', 7",
        ];
        for (const sql of queries) {
          const first = await askSmall(sql, { format });
          // The first one may have taken its time.
          const withoutFile = async () => {
            for (;;) {
              const found = await askSmall(sql, { format, nowhere: true }).catch(() => undefined);
              if (found !== undefined) return found;
              await askSmall(sql, { format });
            }
          };

          expect(first.text, sql).to.be.a("string");
          for (const _ of [1, 2]) expect(await withoutFile(), sql).to.deep.equal(first);
        }
      });
    }

    it("writes a file of an answer that may be another each time, and of one that turns out larger", async () => {
      for (const [sql, inlineBytes] of [
        ["SELECT uuid() AS u", 65_536],
        ["SELECT repeat('x', 40) AS s", 40],
      ] as const) {
        await askSmall(sql, { format: "ndjson" });
        const again = askSmall(sql, { format: "ndjson", inlineBytes, nowhere: true });

        expect((await rejection(again)).message, sql).to.contain("no-folder");
      }
    });

    it("tells what it knows of a query's result from what it knows of the same with other parameters", async () => {
      const sql = "SELECT typeof($1) AS type, $1 AS value";
      const said = async (value: ParameterValue) =>
        (await askSmall(sql, { format: "ndjson", parameters: [value] })).text;
      for (const _ of [1, 2]) {
        expect(await said(1)).to.equal('{"type":"BIGINT","value":1}\n');
        expect(await said("1")).to.equal('{"type":"VARCHAR","value":"1"}\n');
        expect(await said(2n ** 64n)).to.equal(
          '{"type":"HUGEINT","value":"18446744073709551616"}\n',
        );
        expect(await said(null)).to.equal('{"type":"\\"NULL\\"","value":null}\n');
        expect(await said(Number.POSITIVE_INFINITY)).to.equal(
          '{"type":"DOUBLE","value":"Infinity"}\n',
        );
      }
    });

    it("says the types that the values had", async () => {
      const { columns } = await ask("SELECT sum(1) AS s, [1.5] AS l");

      expect(columns).to.deep.equal([
        { name: "s", type: "HUGEINT" },
        { name: "l", type: "DECIMAL(2,1)[]" },
      ]);
    });

    for (const [sql, type, value] of [
      ["sum(7)", "DECIMAL(38,0)", "7"],
      [
        "170141183460469231731687303715884105727::HUGEINT",
        "VARCHAR",
        "170141183460469231731687303715884105727",
      ],
      ["INTERVAL '1.123456 seconds'", "VARCHAR", "00:00:01.123456"],
      ["'NaN'::DOUBLE", "DOUBLE", "nan"],
      ["[9007199254740993]", "BIGINT[]", "[9007199254740993]"],
    ] as const) {
      it(`writes ${sql} to Parquet as ${type}`, async () => {
        await ask(`SELECT ${sql} AS v`, { format: "parquet" });
        const file = path.join(folder, `answer-${answers}`);
        const output = path.join(folder, "read");

        await engine.run({
          kind: "query",
          sql: "SELECT typeof(v) AS type, v::VARCHAR AS value FROM t",
          parameters: [],
          tables: [{ name: "t", files: [{ path: file, id: file }] }],
          format: "ndjson",
          output,
        });

        expect(JSON.parse(await fs.readFile(output, "utf8"))).to.deep.equal({ type, value });
      });
    }
  });

  it("stops a query that builds more than there is memory, beside which others end well", async () => {
    await engine.close();
    const peak = { bytes: 0 };
    engine = new Engine({
      allowedDirectories: [`${folder}/`],
      temporaryDirectory: path.join(folder, "spill"),
      ...{ memoryMiB: 256, diskMiB: 512, threads: 2, processMiB: 1024 },
      onEvent: (event) => events.push(event),
    });
    await engine.start();
    const pid = engine.pid;
    const watch = setInterval(() => {
      void fs.readFile(`/proc/${pid}/statm`, "utf8").then(
        (text) => {
          peak.bytes = Math.max(peak.bytes, Number(text.split(" ")[1]) * 4096);
        },
        () => {},
      );
    }, 10);

    // What printf builds is in no limit of DuckDB's.
    const greedy = rejection(
      ask("SELECT sum(length(printf('%200000000d', i))) FROM range(40) t(i)"),
    );
    const modest = ask("SELECT 1 AS one");
    expect((await modest).text).to.equal('{"one":1}\n');
    expect((await greedy).code).to.equal("out-of-memory");
    clearInterval(watch);

    // Without the watch it has gone to several times as much.
    expect(peak.bytes).to.be.within(1, 2.5 * 1024 ** 3);
    expect((await ask("SELECT 2 AS two")).text).to.equal('{"two":2}\n');
  });

  it("ends the query of a client that leaves, and no other", async () => {
    await engine.start();
    const { pid } = engine;
    const controller = new AbortController();
    const output = path.join(folder, "left");
    const left = rejection(
      engine.run(
        { kind: "query", sql: endless, parameters: [], tables: [], format: "csv", output },
        { signal: controller.signal },
      ),
    );
    const other = ask("SELECT count(*) AS n FROM range(300000000) t(i) WHERE hash(i) % 2 < 2");
    await untilBusy(Number(pid));
    controller.abort();

    expect((await left).code).to.equal("client-left");
    expect((await other).text).to.equal('{"n":300000000}\n');
    expect(engine.pid).to.equal(pid);
    expect(events.map(({ kind }) => kind)).to.deep.equal(["started"]);
  });

  it("replaces what a worker left that ended while it wrote, and leaves no other file", async () => {
    const output = path.join(folder, "again");
    await fs.writeFile(output, "half of an answ");

    await engine.run({
      kind: "query",
      ...{ sql: "SELECT 1 AS one", parameters: [], tables: [], format: "csv", output },
    });

    expect(await fs.readFile(output, "utf8")).to.equal("one\n1\n");
    expect((await fs.readdir(folder)).sort()).to.deep.equal(["again", "spill"]);
  });

  it("takes as many semicolons in texts as there are, and those behind the query", async () => {
    const values = Array.from({ length: 8000 }, (_, i) => `'k${i};'`).join(", ");
    const sql = `SELECT count(*) AS n FROM range(3) WHERE 'k7;' IN (${values}) -- one; two;\n;; -- three;`;

    expect((await ask(sql, { within: 20_000 })).text).to.equal('{"n":3}\n');
  });

  it("has a sentence for a type that no answer can have", async () => {
    const { code, message } = await rejection(ask("SELECT TYPE 'integer' AS t"));

    expect(code).to.equal("sql-invalid");
    expect(message).to.match(/the column t is of a type that no answer can have/);
  });

  it("leaves JSON as it is, whatever its texts say", async () => {
    const { text } = await ask(
      `SELECT '{"a":"first, information","b":": nan \\" inf"}'::JSON AS j, '{"c":NaN}' AS t`,
    );

    expect(text).to.contain('"j":{"a":"first, information"');
  });

  it("knows what a recursive CTE with a key has so far", async () => {
    const { text } = await ask(`WITH RECURSIVE t(a, b) USING KEY (a) AS (
      SELECT 1, 1 UNION SELECT t.a, t.b + (SELECT max(r.b) FROM recurring.t AS r) FROM t WHERE t.b < 5
    ) SELECT max(b) AS b FROM t`);

    expect(JSON.parse(text).b).to.be.greaterThan(4);
  });
});
