import { type ChildProcess, fork } from "node:child_process";
import { createHash } from "node:crypto";
import { once } from "node:events";
import fs from "node:fs/promises";
import http from "node:http";
import type { AddressInfo } from "node:net";
import os from "node:os";
import path from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { ListObjectsV2Command, PutObjectCommand, type S3Client } from "@aws-sdk/client-s3";
import { DuckDBInstance } from "@duckdb/node-api";
import { expect } from "chai";
import { environmentNames } from "../app/contract.ts";
import { readSettings } from "../app/environment.ts";
import { ingest } from "../app/flow/ingest.ts";
import { createHandler } from "../app/functions/query.ts";
import { createLogger } from "../app/logger.ts";
import { openPond, type Pond } from "../app/pond.ts";
import { localContext } from "../cli/local-context.ts";
import { emulatorClient, newBucket } from "./s3/emulator.ts";
import { emulatorOf } from "./s3/fixtures.ts";
import { WatchingProxy } from "./s3/proxy.ts";

describe("a pond in a bucket", () => {
  let client: S3Client;
  let proxy: WatchingProxy;
  let extensions: string;
  let bucket: string;
  let pond: Pond;
  const logger = createLogger({ environment: { LOG_LEVEL: "fatal" } });

  before(async function () {
    const emulator = await emulatorOf(this);
    ({ extensions } = emulator);
    client = emulatorClient(emulator.endpoint);
    proxy = await WatchingProxy.start(emulator.endpoint);
  });
  after(async () => await proxy?.close());

  async function open(more: Record<string, string> = {}): Promise<Pond> {
    const settings = readSettings({
      [environmentNames.store]: `s3://${bucket}`,
      [environmentNames.extensions]: extensions,
      [environmentNames.auth]: "none",
      AWS_ENDPOINT_URL_S3: proxy.url,
      ...more,
    });
    return await openPond(settings, logger);
  }
  beforeEach(async () => {
    bucket = await newBucket(client);
    pond = await open();
    proxy.take();
  });
  afterEach(async () => {
    proxy.onRequest = undefined;
    await pond.close();
  });

  async function put(key: string, content: string) {
    const Body = Buffer.from(content);
    await client.send(new PutObjectCommand({ Bucket: bucket, Key: key, Body }));
  }
  /** Puts a file in the inbox and ingests it. */
  async function load(key: string, content: string) {
    await put(key, content);
    return await ingest(pond.ingest, key);
  }
  /** Puts a Parquet file into the lake, as somebody else may. */
  async function putParquet(key: string, rows: string) {
    const file = path.join(os.tmpdir(), `millpond-test-${process.pid}.parquet`);
    const connection = await (await DuckDBInstance.create(":memory:")).connect();
    await connection.run(`COPY (${rows}) TO '${file}' (FORMAT parquet)`);
    connection.closeSync();
    const Body = await fs.readFile(file);
    await client.send(new PutObjectCommand({ Bucket: bucket, Key: key, Body }));
    await fs.rm(file);
  }
  async function answer(sql: string): Promise<unknown[]> {
    const response = await pond.http.request(
      `/query?${new URLSearchParams({ sql, format: "ndjson" })}`,
    );
    const text = await response.text();
    expect(response.status, text).to.equal(200);
    return text
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line) as unknown);
  }
  async function keys(prefix: string): Promise<string[]> {
    const listed = await client.send(new ListObjectsV2Command({ Bucket: bucket, Prefix: prefix }));
    return (listed.Contents ?? []).map(({ Key }) => Key as string);
  }

  it("turns a file into a table, and answers", async () => {
    const outcome = await load("inbox/people/a.csv", "id,name\n1,Ann\n2,Bo\n");

    expect(outcome).to.include({ kind: "converted", table: "people", rows: 2 });
    expect(await answer("SELECT name FROM people ORDER BY id DESC")).to.deep.equal([
      { name: "Bo" },
      { name: "Ann" },
    ]);
  });

  it("costs a list of its tables to say that an answer is still the same, and no query", async () => {
    await load("inbox/people/a.csv", "id,name\n1,Ann\n");
    const route = `/query?${new URLSearchParams({ sql: "FROM people" })}`;
    const first = await pond.http.request(route);
    const etag = first.headers.get("etag") ?? "";
    await first.text();
    await pond.close();
    // One that has nothing in memory, and runs the same code.
    pond = await open();
    proxy.take();
    const same = { headers: { "if-none-match": etag } };
    const again = await pond.http.request(route, same);

    expect(again.status).to.equal(304);
    expect(
      proxy.take().map(({ method, path: asked }) => [method, asked.split("?")[0]]),
    ).to.deep.equal([["GET", `/${bucket}/`]]);
    await load("inbox/people/a.csv", "id,name\n1,Bo\n");
    expect(await (await pond.http.request(route, same)).text()).to.contain("Bo");
  });

  describe("an answer of more than 4 MiB", () => {
    // Text that doesn't compress, so that it is as large in every format.
    const sql = "SELECT i, md5(i::text) || md5((i + 1)::text) AS text FROM range(200000) t(i)";
    const ask = async (format: string, headers: Record<string, string> = {}) =>
      await pond.http.request(`/query?${new URLSearchParams({ sql, format })}`, { headers });

    for (const [format, type, least] of [
      ["json", "application/json", '{"meta":[{"name":"i"'],
      ["ndjson", "application/x-ndjson", '{"i":0,'],
      ["csv", "text/csv; charset=utf-8; header=present", "i,text\n0,"],
      ["parquet", "application/vnd.apache.parquet", "PAR1"],
    ] as const) {
      it(`waits in the bucket as ${format}, for whoever has its URL`, async () => {
        const response = await ask(format);

        const url = String(response.headers.get("location"));
        expect(response.status).to.equal(303);
        expect(response.headers.get("x-millpond-rows")).to.equal("200000");
        // Its URL ends sooner than the answer does.
        expect(response.headers.get("etag")).to.equal(null);
        expect(response.headers.get("cache-control")).to.equal("no-store");
        const told = (await response.json()) as { url: string; bytes: number; expires: string };
        expect(told).to.include({ url, rows: 200_000 });
        expect(Date.parse(told.expires) - Date.now()).to.be.within(800_000, 900_000);
        const [key, ...others] = await keys("results/");
        expect(key).to.match(new RegExp(`^results/[0-9a-f-]{36}\\.${format}$`));
        expect(others).to.deep.equal([]);
        const got = await fetch(url);
        const content = Buffer.from(await got.arrayBuffer());
        expect(got.headers.get("content-type")).to.equal(type);
        expect(content.length)
          .to.equal(told.bytes)
          .and.to.be.greaterThan(4 * 1024 * 1024);
        expect(content.subarray(0, least.length).toString()).to.equal(least);
        if (format === "json") {
          expect(JSON.parse(content.toString())).to.deep.include({ rows: 200_000 });
        }
        if (format === "csv") expect(content.toString().trim().split("\n")).to.have.length(200_001);
      });
    }

    it("leaves no file open where the bucket does not take it, or not in time", async function () {
      if (process.platform !== "linux") return this.skip();
      const left = async () => {
        const opened = await fs.readdir("/proc/self/fd");
        const files = opened.map((fd) => fs.readlink(`/proc/self/fd/${fd}`).catch(() => ""));
        return (await Promise.all(files)).filter((file) => file.endsWith("(deleted)"));
      };
      expect(await left()).to.deep.equal([]);
      const hurried = await open({ [environmentNames.queryDeadlineSeconds]: "3" });
      const { promise: released, resolve: release } = Promise.withResolvers<void>();
      try {
        for (const [happens, code] of [
          ["refused", "internal"],
          ["hangs", "deadline"],
        ] as const) {
          proxy.onRequest = async (request) => {
            if (!request.path.includes("/results/")) return;
            if (happens === "refused") request.instead = "PreconditionFailed";
            else await released;
          };
          const query = new URLSearchParams({ sql, format: "csv" });
          const response = await hurried.http.request(`/query?${query}`);
          expect(await response.json()).to.include({ code });
          while ((await left()).length > 0) await pause(20);
        }
      } finally {
        release();
        await hurried.close();
      }
    });

    it("may be a list of what was rejected, too", async () => {
      await load("inbox/t/0.csv", "id,v\n1\n");
      const [key = ""] = await keys("rejected/t/");
      const got = await pond.store.read(key);
      const own = JSON.parse(got?.text ?? "") as Record<string, unknown>;
      for (let n = 1; n < 10; n += 1) {
        const record = { ...own, message: "x".repeat(500_000) };
        await put(`rejected/t/${n}.json`, JSON.stringify(record));
      }

      const response = await pond.http.request("/rejected");

      expect(response.status).to.equal(303);
      const fetched = await fetch(String(response.headers.get("location")));
      expect(await fetched.json())
        .to.have.property("rejections")
        .with.length(10);
      const head = await pond.http.request("/rejected", { method: "HEAD" });
      expect(head.status).to.equal(200);
    });

    it("is told of with 200 where a client prefers that", async () => {
      const response = await ask("csv", { prefer: "respond-async, return=representation" });

      const { url } = (await response.json()) as { url: string };
      expect(response.status).to.equal(200);
      expect(response.headers.get("location")).to.equal(null);
      expect(response.headers.get("preference-applied")).to.equal("return=representation");
      expect(await (await fetch(url)).text()).to.match(/^i,text\n0,/);
    });

    it("is put nowhere for a HEAD", async () => {
      const url = `/query?${new URLSearchParams({ sql, format: "csv" })}`;
      const response = await pond.http.request(url, { method: "HEAD" });

      expect(response.status).to.equal(200);
      expect(Number(response.headers.get("content-length"))).to.be.greaterThan(4 * 1024 * 1024);
      expect(await keys("results/")).to.deep.equal([]);
    });

    it("goes back as Base64 from a function where it is a little smaller, as text with quotes grows", async () => {
      const handler = createHandler(async () => pond);
      const rows = `SELECT '""""""""""' AS a FROM range(140000)`;
      const answer = await handler(
        {
          version: "2.0",
          rawPath: "/query",
          rawQueryString: String(new URLSearchParams({ sql: rows, format: "ndjson" })),
          headers: {},
          requestContext: { http: { method: "GET" } },
        },
        localContext("query"),
      );

      expect(answer).to.include({ statusCode: 200, isBase64Encoded: true });
      expect(JSON.stringify(answer).length).to.be.below(6_291_456);
      const text = Buffer.from(String(answer.body), "base64").toString();
      expect(text.trim().split("\n")).to.have.length(140_000);
    });
  });

  for (const name of [
    "a b",
    "a+b",
    "a%20b",
    "a?b",
    "a*b",
    "[ab]",
    "a#b",
    "a&b=c",
    "'a\"b",
    "😀 é e\u0301",
    "a//b",
    "x".repeat(1024 - "inbox/people/.csv".length),
  ]) {
    it(`takes a file called ${name.slice(0, 20)}`, async () => {
      await load(`inbox/people/${name}.csv`, "id\n1\n");
      // Beside what a pattern would match.
      await load("inbox/people/ab.csv", "id\n2\n");

      expect(await answer("SELECT count(*) AS n, sum(id)::INT AS s FROM people")).to.deep.equal([
        { n: 2, s: 3 },
      ]);
    });
  }

  it("says where a caller may put a file, and what became of it", async () => {
    const key = "inbox/trips/2024 + 100 %/é.csv";
    const taking = await open({ [environmentNames.uploads]: "true" });
    const offer = async (to: Pond) =>
      await to.http.request("/inbox", {
        method: "POST",
        headers: { "content-type": "application/json" },
        body: JSON.stringify({ key }),
      });
    try {
      // Nobody asks this pond for a token: it takes nothing unless it is told to.
      expect((await offer(pond)).status).to.equal(403);
      const { url, expires } = (await (await offer(taking)).json()) as Record<string, string>;
      expect(Date.parse(String(expires)) - Date.now()).to.be.within(800_000, 900_000);
      const stored = await fetch(String(url), { method: "PUT", body: "id\n1\n2\n" });
      expect(stored.status).to.equal(200);
      expect(await keys("inbox/")).to.deep.equal([key]);

      await ingest(taking.ingest, key);
      proxy.take();
      const asked = await taking.http.request(`/inbox?${new URLSearchParams({ key })}`);
      const { rows } = (await asked.json()) as { rows: Record<string, unknown> };
      expect(rows).to.deep.include({ etag: stored.headers.get("etag"), rows: 2 });
      expect(proxy.take().map(({ method }) => method)).to.have.members(["HEAD", "GET"]);
      const through = await taking.http.request(`/inbox?${new URLSearchParams({ key })}`, {
        method: "PUT",
        body: "id\n3\n",
      });
      expect(through.status).to.equal(405);
    } finally {
      await taking.close();
    }
  });

  it("reads a file that somebody put into the lake, whatever its name", async () => {
    for (const [index, name] of ["a b+c", "a?b", "a*b", "[ab]", "a#b", "a%20b", "é😀"].entries()) {
      // Beyond what is copied, so that DuckDB itself has to find it.
      const rows = `SELECT ${index} AS i, random() AS r FROM range(200000)`;
      await putParquet(`lake/t/${name}.parquet`, rows);
    }

    expect(await answer("SELECT i, count(r) AS n FROM t GROUP BY i ORDER BY i")).to.deep.equal(
      Array.from({ length: 7 }, (_, i) => ({ i, n: 200_000 })),
    );
    expect(proxy.take().filter(({ by }) => by === "duckdb")).to.not.deep.equal([]);
  });

  it("gives each write of an output an ETag of its own, also of the same rows", async () => {
    const etags = new Set<string | undefined>();
    for (const content of ["id\n1\n", "id\n2\n", "id\n1\n"]) {
      await load("inbox/t.csv", content);
      for await (const { etag } of pond.store.list("lake/t/")) etags.add(etag);
    }

    expect(etags.size).to.equal(3);
    expect(await keys("lake/t/")).to.have.length(1);
  });

  it("keeps the record of what can't be read, and no half output", async () => {
    const outcome = await load("inbox/t.csv", "a,b\n1\n");

    expect(outcome).to.include({ kind: "rejected" });
    expect(await keys("lake/")).to.deep.equal([]);
    expect(await keys("rejected/")).to.have.length(1);
  });

  describe("its requests", () => {
    const sql = "SELECT count(*) AS n FROM small JOIN other USING (id)";
    beforeEach(async () => {
      for (let i = 0; i < 5; i += 1) await load(`inbox/small/${i}.csv`, `id,x${i % 2}\n${i},1\n`);
      await load("inbox/other.csv", "id\n1\n2\n");
      await pond.close();
      pond = await open();
      proxy.take();
    });

    it("are one LIST a table and at most two a small file", async () => {
      await answer(sql);

      const cold = proxy.take();
      const lists = cold.filter(({ path }) => path.includes("list-type=2"));
      expect(
        lists.map(({ path }) => new URL(path, "s3://x").searchParams.get("prefix")),
      ).to.have.members(["lake/small/", "lake/other/"]);
      expect(cold.length - lists.length).to.be.at.most(2 * 6);
    });

    it("read no data again when asked again", async () => {
      const first = await answer(sql);
      proxy.take();

      const second = await answer(sql);

      const warm = proxy.take();
      expect(second).to.deep.equal(first);
      expect(warm.filter(({ path }) => !path.includes("list-type=2"))).to.deep.equal([]);
      expect(warm).to.have.length(2);
    });
  });

  describe("of files too large to be copied", () => {
    const large = (value: number) =>
      `id,text\n${Array.from({ length: 100_000 }, (_, i) => `${value},${hash(i, value)}`).join("\n")}\n`;
    /** Text that doesn't compress. */
    const hash = (i: number, value: number) =>
      createHash("md5").update(`${i} ${value}`).digest("base64");
    const sql = "SELECT min(id) AS least, max(id) AS most, count(text) AS n FROM big";

    it("reads no data again when asked again", async () => {
      await load("inbox/big.csv", large(1));
      await answer(sql);
      expect(
        proxy.take().filter(({ by, method }) => by === "duckdb" && method === "GET"),
      ).to.not.deep.equal([]);

      const again = await answer(sql);

      expect(again).to.deep.equal([{ least: 1, most: 1, n: 100_000 }]);
      expect(
        proxy.take().filter(({ by, method }) => by === "duckdb" && method === "GET"),
      ).to.deep.equal([]);
    });

    it("answers from the new file when one was replaced in place", async () => {
      for (const value of [1, 2, 3]) {
        await load("inbox/big.csv", large(value));

        expect(await answer(sql)).to.deep.equal([{ least: value, most: value, n: 100_000 }]);
      }
    });

    it("answers from one version of each file, whenever one is replaced", async function () {
      this.timeout(200_000);
      // Beyond 2^53 a double is not enough: footers of the one version and rows of the other make a value of neither.
      const numbers = (value: string) =>
        `SELECT ${value}::BIGINT AS id, random() AS r FROM range(150000)`;
      const fractions = "SELECT 0.5::DOUBLE AS id, random() AS r FROM range(150000)";
      await putParquet("lake/t/b.parquet", fractions);
      const versions = { one: numbers("1"), two: numbers("9007199254740993") };
      const most = "SELECT max(id) AS most FROM t";
      const right = [[{ most: 1 }], [{ most: "9007199254740993" }]];
      let asked = 1;
      for (let at = 1; at <= asked; at += 1) {
        await putParquet("lake/t/a.parquet", versions.one);
        await pond.close();
        pond = await open();
        asked = 0;
        proxy.onRequest = async ({ by }) => {
          if (by !== "duckdb") return;
          asked += 1;
          if (asked === at) await putParquet("lake/t/a.parquet", versions.two);
        };
        const response = await pond.http.request(
          `/query?${new URLSearchParams({ sql: most, format: "ndjson" })}`,
        );
        proxy.onRequest = undefined;
        const text = await response.text();
        // Replaced again and again it may give up, but not lie.
        if (response.status === 503) continue;
        expect(right, `replaced at request ${at} of ${asked}`).to.deep.include([JSON.parse(text)]);
      }
      expect(asked).to.be.greaterThan(4);
    });

    it("answers from one version when a file is replaced while it is read", async () => {
      await load("inbox/big.csv", large(1));
      let replaced = false;
      proxy.onRequest = async ({ by, method }) => {
        // Once the first part of the old one was read.
        if (by !== "duckdb" || method !== "GET" || replaced) return;
        replaced = true;
        await load("inbox/big.csv", large(2));
      };

      expect(await answer(sql)).to.deep.equal([{ least: 2, most: 2, n: 100_000 }]);
      expect(replaced).to.equal(true);
    });
  });

  describe("its keys", () => {
    let server: http.Server;
    let served: number;
    let saved: NodeJS.ProcessEnv;

    /** Gives keys as a container's agent does, each set good for a minute less than the SDK takes for expired. */
    beforeEach(async () => {
      served = 0;
      server = http.createServer((_request, response) => {
        served += 1;
        const Expiration = new Date(Date.now() + 30_000).toISOString();
        const keys = { AccessKeyId: `KEY${served}`, SecretAccessKey: "s", Token: "t", Expiration };
        response.setHeader("content-type", "application/json");
        response.end(JSON.stringify(keys));
      });
      await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
      saved = { ...process.env };
      delete process.env["AWS_ACCESS_KEY_ID"];
      delete process.env["AWS_SECRET_ACCESS_KEY"];
      const { port } = server.address() as AddressInfo;
      process.env["AWS_CONTAINER_CREDENTIALS_FULL_URI"] = `http://127.0.0.1:${port}/keys`;
      await pond.close();
      pond = await open();
    });
    afterEach(async () => {
      process.env = saved;
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    });

    it("reach DuckDB, and others as soon as the provider gives others", async () => {
      const rows = "SELECT i, random() AS r FROM range(200000) t(i)";
      await putParquet(`lake/t/a.parquet`, rows);
      const duckdbKeys = () =>
        new Set(proxy.take().flatMap(({ by, keyId }) => (by === "duckdb" ? [keyId] : [])));

      await answer("SELECT count(r) FROM t");
      const first = duckdbKeys();
      await putParquet(`lake/t/a.parquet`, rows);
      await answer("SELECT count(r) FROM t");
      const second = duckdbKeys();

      expect([...first]).to.have.length(1);
      expect([...second]).to.have.length(1);
      expect([...second][0]).to.match(/^KEY\d+$/);
      expect([...second]).to.not.deep.equal([...first]);
    });
  });

  it("keeps the environment from the process that holds DuckDB", async () => {
    await answer("SELECT 1");

    const children = await fs.readFile(`/proc/${process.pid}/task/${process.pid}/children`, "utf8");
    const environments = await Promise.all(
      children
        .trim()
        .split(" ")
        .map(async (pid) => ({
          command: await fs.readFile(`/proc/${pid}/cmdline`, "utf8"),
          environment: await fs.readFile(`/proc/${pid}/environ`, "utf8"),
        })),
    );
    const workers = environments.filter(({ command }) => command.includes("engine/worker"));

    expect(process.env["AWS_SECRET_ACCESS_KEY"]).to.be.a("string");
    expect(workers).to.not.deep.equal([]);
    for (const { environment } of workers) expect(environment).to.not.match(/AWS|secret/i);
  });

  describe("frozen and thawed", () => {
    let child: ChildProcess;
    beforeEach(async () => {
      await putParquet("lake/t/a.parquet", "SELECT i, random() AS r FROM range(300000) t(i)");
      await putParquet("lake/t/b.parquet", "SELECT 1 AS i, 1.5::DOUBLE AS r");
      child = fork(fileURLToPath(new URL("s3/pond-process.ts", import.meta.url)), [], {
        env: {
          ...process.env,
          [environmentNames.store]: `s3://${bucket}`,
          [environmentNames.extensions]: extensions,
          AWS_ENDPOINT_URL_S3: proxy.url,
        },
      });
      expect(await once(child, "message")).to.deep.equal(["ready", undefined]);
    });
    afterEach(async () => {
      const ended = once(child, "exit");
      child.kill("SIGKILL");
      await ended;
    });

    async function ask(column: string): Promise<string> {
      const answered = once(child, "message");
      child.send(`SELECT count(${column}) AS n FROM t`);
      return String((await answered)[0]);
    }
    /** The pond's process and DuckDB's, as the sandbox of a function is frozen. */
    async function signal(name: "SIGSTOP" | "SIGCONT") {
      const { pid } = child;
      const workers = await fs.readFile(`/proc/${pid}/task/${pid}/children`, "utf8");
      for (const one of [pid, ...workers.trim().split(" ")]) process.kill(Number(one), name);
    }

    // The second is long enough that the client takes its connections for old.
    for (const [what, breakConnections, standard] of [
      ["were closed", () => proxy.drop(), 1],
      ["were forgotten, and nothing answers on them", () => proxy.forget(), 16],
    ] as const) {
      const seconds = Number(process.env["FROZEN_SECONDS"] ?? standard);
      it(`answers right after its connections ${what}`, async function () {
        this.timeout((60 + seconds) * 1000);
        expect(await ask("i")).to.equal('{"n":300001}\n');
        await signal("SIGSTOP");
        breakConnections();
        await pause(seconds * 1000);
        await signal("SIGCONT");

        // A column that nobody read before, so that DuckDB has to ask the bucket.
        expect(await ask("r")).to.equal('{"n":300001}\n');
      });
    }
  });
});
