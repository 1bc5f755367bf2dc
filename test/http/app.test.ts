import fs from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { PassThrough } from "node:stream";
import { gunzipSync, gzipSync } from "node:zlib";
import { DuckDBInstance } from "@duckdb/node-api";
import { expect } from "chai";
import winston from "winston";
import { environmentNames } from "../../app/contract.ts";
import { readSettings } from "../../app/environment.ts";
import { ingest } from "../../app/flow/ingest.ts";
import { createLogger } from "../../app/logger.ts";
import { openPond, type Pond } from "../../app/pond.ts";

describe("the HTTP routes", () => {
  let folder: string;
  let pond: Pond;
  let guarded: Pond;
  /** Asks for what API Gateway says, and takes no SQL from callers. */
  let closed: Pond;
  /** Has little room for answers. */
  let narrow: Pond;
  const logger = createLogger({ environment: { LOG_LEVEL: "fatal" } });
  const logged = new PassThrough();
  const listening = winston.createLogger({
    transports: [new winston.transports.Stream({ stream: logged })],
  });

  before(async () => {
    folder = await fs.mkdtemp(path.join(os.tmpdir(), "millpond-test-"));
    const queries = path.join(folder, "queries");
    const environment = {
      [environmentNames.store]: path.join(folder, "pond"),
      [environmentNames.queries]: queries,
      [environmentNames.queryDeadlineSeconds]: "2",
    };
    const settings = readSettings(environment);
    pond = await openPond(settings, logger);
    guarded = await openPond(settings, listening, { tokens: { alice: "a-token", bob: "b-token" } });
    const { auth, adHocSql } = environmentNames;
    closed = await openPond(
      readSettings({ ...environment, [auth]: "iam", [adHocSql]: "false" }),
      listening,
    );
    narrow = await openPond({ ...settings, diskMiB: 1 }, logger);
    const inbox = path.join(folder, "pond/inbox");
    const files: [string, string][] = [
      [path.join(inbox, "people/a.csv"), "id,name\n1,Ann\n2,Bo\n"],
      [path.join(inbox, "people/b.csv"), "id,name,age\n3,Cy,7\n"],
      [path.join(inbox, "people/c.csv"), "id,name\n4\n"],
      [path.join(inbox, "broken.csv"), "a,b\n1\n"],
      [
        path.join(queries, "older.sql"),
        '-- People.\n-- @param age integer = "1" At least\nSELECT name FROM people WHERE age >= $age;\n',
      ],
      [path.join(queries, "typo.sql"), "-- @param age years\nSELECT 1\n"],
    ];
    for (const [file, text] of files) {
      await fs.mkdir(path.dirname(file), { recursive: true });
      await fs.writeFile(file, text);
    }
    for (const key of ["people/a.csv", "people/b.csv", "people/c.csv", "broken.csv"]) {
      await ingest(pond.ingest, `inbox/${key}`);
    }
  });
  after(async () => {
    await Promise.all([pond, guarded, closed, narrow].map((one) => one.close()));
    await fs.rm(folder, { recursive: true });
  });

  const get = (route: string, headers: Record<string, string> = {}) =>
    pond.http.request(route, { headers });
  const post = (body: unknown, headers: Record<string, string> = {}) =>
    pond.http.request("/query", {
      method: "POST",
      headers: { "content-type": "application/json", ...headers },
      body: typeof body === "string" ? body : JSON.stringify(body),
    });
  async function problem(response: Response | Promise<Response>, status: number, code: string) {
    const found = await response;
    const body = (await found.json()) as Record<string, unknown>;
    expect(found.headers.get("content-type")).to.equal("application/problem+json");
    expect({ status: found.status, code: body["code"] }).to.deep.equal({ status, code });
    expect(body).to.include({ status, type: `urn:millpond:problem:${code}` });
    return body as { detail: string; [key: string]: unknown };
  }

  describe("GET /tables", () => {
    it("lists tables with files, rows, bytes, columns, the newest source and what was rejected", async () => {
      const { tables } = (await (await get("/tables")).json()) as {
        tables: Record<string, unknown>[];
      };

      const [broken, people] = tables;
      expect(tables).to.have.length(2);
      expect(broken).to.deep.equal({
        name: "broken",
        files: 0,
        rows: 0,
        bytes: 0,
        columns: [],
        newestSource: null,
        rejected: 1,
      });
      expect(people).to.deep.include({
        name: "people",
        files: 2,
        rows: 3,
        columns: [
          { name: "id", type: "BIGINT" },
          { name: "name", type: "VARCHAR" },
          { name: "age", type: "BIGINT" },
        ],
        rejected: 1,
      });
      expect(people?.["bytes"]).to.be.greaterThan(100);
      expect(people?.["newestSource"])
        .to.have.property("key")
        .that.matches(/^inbox\/people\//);
    });

    it("tells of one table its sources and its rejections", async () => {
      const table = (await (await get("/tables/people")).json()) as {
        sources: { key: string; rows: number }[];
        rejections: { code: string; source: { key: string } }[];
      };

      expect(table.sources.map(({ key, rows }) => ({ key, rows }))).to.deep.equal([
        { key: "inbox/people/a.csv", rows: 2 },
        { key: "inbox/people/b.csv", rows: 1 },
      ]);
      expect(table.rejections.map(({ source }) => source.key)).to.deep.equal([
        "inbox/people/c.csv",
      ]);
    });

    it("refuses a table that isn't there", async () => {
      await problem(get("/tables/none"), 404, "not-found");
      await problem(get("/tables/..%2Flake"), 404, "not-found");
    });
  });

  describe("POST /query", () => {
    it("answers in ClickHouse's shape", async () => {
      const response = await post({
        sql: "SELECT id, name FROM people WHERE id > $1 ORDER BY id",
        params: [1],
      });

      const text = await response.text();
      const body = JSON.parse(text) as { statistics: { elapsed: number } };
      expect(response.status).to.equal(200);
      expect(response.headers.get("content-type")).to.equal("application/json");
      expect(response.headers.get("content-length")).to.equal(String(Buffer.byteLength(text)));
      expect(body).to.deep.include({
        meta: [
          { name: "id", type: "BIGINT" },
          { name: "name", type: "VARCHAR" },
        ],
        data: [
          { id: 2, name: "Bo" },
          { id: 3, name: "Cy" },
        ],
        rows: 2,
      });
      expect(body.statistics.elapsed).to.be.greaterThan(0);
    });

    it("answers a query without rows", async () => {
      const body = await (await post({ sql: "SELECT id FROM people WHERE false" })).json();

      expect(body).to.deep.include({ meta: [{ name: "id", type: "BIGINT" }], data: [], rows: 0 });
    });

    it("binds parameters by name, exactly", async () => {
      const response = await post(
        '{"sql": "SELECT $n AS n", "params": {"n": 12345678901234567890}}',
      );

      expect(await response.json()).to.deep.include({ data: [{ n: "12345678901234567890" }] });
    });

    for (const [accept, type, text] of [
      ["application/x-ndjson", "application/x-ndjson", '{"id":1}\n{"id":2}\n'],
      ["text/csv", "text/csv; charset=utf-8; header=present", "id\n1\n2\n"],
      ["text/html, text/csv;q=0.5", "text/csv; charset=utf-8; header=present", "id\n1\n2\n"],
    ] as const) {
      it(`answers in ${accept}`, async () => {
        const response = await post(
          { sql: "SELECT id FROM people ORDER BY id LIMIT 2" },
          { accept },
        );

        expect(response.headers.get("content-type")).to.equal(type);
        expect(await response.text()).to.equal(text);
      });
    }

    it("answers in Parquet", async () => {
      const response = await pond.http.request("/query?format=parquet", {
        method: "POST",
        headers: { "content-type": "application/json" },
        body: JSON.stringify({ sql: "SELECT id, name FROM people ORDER BY id" }),
      });
      const file = path.join(folder, "answer.parquet");
      await fs.writeFile(file, Buffer.from(await response.arrayBuffer()));

      const connection = await (await DuckDBInstance.create(":memory:")).connect();
      const read = await connection.runAndReadAll(`FROM '${file}'`);
      connection.closeSync();

      expect(read.getRowsJson()).to.deep.equal([
        ["1", "Ann"],
        ["2", "Bo"],
        ["3", "Cy"],
      ]);
    });

    for (const [what, body, status, code, detail] of [
      [
        "a mistake in the SQL",
        { sql: "SELECT nam\nFROM people" },
        400,
        "sql-invalid",
        "LINE 1: SELECT nam\n               ^",
      ],
      [
        "a table that isn't there",
        { sql: "FROM persons" },
        400,
        "table-unknown",
        "there is people",
      ],
      [
        "a misspelt table, with the nearest",
        { sql: "FROM Poeple" },
        400,
        "table-unknown",
        "there is no table poeple; did you mean people?",
      ],
      [
        "a table whose files were all rejected",
        { sql: "FROM broken" },
        400,
        "table-unknown",
        "GET /tables/broken says why",
      ],
      ["a path for a table", { sql: "FROM '/etc/passwd'" }, 400, "table-unknown", "/etc/passwd"],
      [
        "a file of the lake for a table",
        { sql: "FROM 'lake/people/x.parquet'" },
        400,
        "table-unknown",
        "lake",
      ],
      ["a table function", { sql: "FROM read_csv('/etc/passwd')" }, 403, "sql-refused", "read_csv"],
      [
        "a function that isn't there, with the nearest",
        { sql: "SELECT uper('x')" },
        400,
        "function-unknown",
        "there is no function uper: did you mean upper",
      ],
      ["a function that is like no other", { sql: "FROM xqz(1)" }, 400, "function-unknown", "xqz"],
      [
        "more semicolons than it looks at",
        { sql: `SELECT 1; -- ${";".repeat(101)}` },
        400,
        "sql-invalid",
        "more than 100 semicolons",
      ],
      ["a setting", { sql: "SET threads = 1" }, 403, "sql-refused", "SELECT"],
      ["two statements", { sql: "SELECT 1; SELECT 2" }, 403, "sql-refused", "one statement"],
      ["a missing parameter", { sql: "SELECT $1" }, 400, "parameters-invalid", "$1"],
      ["a body that is no JSON", "{", 400, "body-invalid", "JSON"],
      ["a body without SQL", {}, 400, "body-invalid", "sql"],
      ["an unknown key", { sql: "SELECT 1", parms: [] }, 400, "body-invalid", "parms"],
      [
        "an object as a parameter",
        { sql: "SELECT $1", params: [{}] },
        400,
        "body-invalid",
        "params is a list",
      ],
      [
        "a number that no double holds",
        '{"sql": "SELECT $1", "params": [1e400]}',
        400,
        "body-invalid",
        "give it as a string",
      ],
      ["empty SQL", { sql: " " }, 400, "sql-invalid", "empty"],
      ["SQL of a comment alone", { sql: "-- c" }, 400, "sql-invalid", "empty"],
      ["a NUL in the SQL", { sql: "SELECT 1\0; SELECT 2" }, 400, "sql-invalid", "NUL"],
    ] as const) {
      it(`refuses ${what}`, async () => {
        const found = await problem(post(body), status, code);

        expect(found.detail).to.contain(detail);
        expect(found.detail).to.not.contain(folder);
        expect((await post({ sql: "SELECT 1" })).status).to.equal(200);
      });
    }

    it("shows the form that works for a PIVOT whose columns are not known, and that form works", async () => {
      const found = await problem(post({ sql: "PIVOT people ON name" }), 403, "sql-refused");
      const form = "FROM (PIVOT people ON name IN ('Ann', 'Bo') USING count(*))";

      expect(found.detail).to.contain("FROM (PIVOT … ON x IN ('a', 'b') USING …)");
      expect((await post({ sql: form })).status).to.equal(200);
    });

    it("refuses another content type, and a body that is too large", async () => {
      await problem(post("sql=SELECT 1", { "content-type": "text/plain" }), 415, "media-type");
      await problem(post({ sql: `SELECT '${"x".repeat(1_000_001)}'` }), 413, "body-too-large");
    });

    it("stops a query at the deadline, says so, and answers the next", async () => {
      const endless =
        "SELECT count(*) FROM range(10000000) a(i), range(10000000) b(j) WHERE hash(i, j) = 1";

      const found = await problem(post({ sql: endless }), 408, "deadline");

      expect(found.detail).to.contain("MILLPOND_QUERY_DEADLINE_SECONDS");
      expect((await post({ sql: "SELECT 1" })).status).to.equal(200);
    });

    it("stops an answer that grows beyond what it may, says so, and answers the next", async () => {
      const large = "SELECT i, md5(i::text) AS text FROM range(10000000) t(i)";

      const found = await problem(
        narrow.http.request("/query", {
          method: "POST",
          headers: { "content-type": "application/json" },
          body: JSON.stringify({ sql: large }),
        }),
        413,
        "answer-too-large",
      );
      const next = await narrow.http.request("/query?sql=SELECT+1+AS+a&format=csv");

      expect(found.detail).to.match(/larger than the 1 MiB .*MILLPOND_DISK_MIB/);
      expect(await next.text()).to.equal("a\n1\n");
    });

    describe("packed", () => {
      const send = (body: Uint8Array<ArrayBuffer>, encoding: string) =>
        pond.http.request("/query", {
          method: "POST",
          headers: { "content-type": "application/json", "content-encoding": encoding },
          body,
        });
      const packed = (text: string | Buffer) => new Uint8Array(gzipSync(text));

      it("takes gzip", async () => {
        const response = await send(packed('{"sql": "SELECT 1 AS a"}'), "gzip");

        expect(await response.json()).to.have.deep.property("data", [{ a: 1 }]);
      });

      it("refuses what unpacks to more than a body may have, without unpacking it", async () => {
        const bomb = packed(Buffer.alloc(200_000_000, " "));
        expect(bomb.length).to.be.below(300_000);
        const before = process.memoryUsage().arrayBuffers;

        await problem(send(bomb, "gzip"), 413, "body-too-large");

        expect(process.memoryUsage().arrayBuffers - before).to.be.below(20_000_000);
      });

      it("refuses other packings, what is none, and what is no UTF-8", async () => {
        await problem(send(packed("{}"), "br"), 415, "media-type");
        await problem(send(packed("{}"), "gzip, gzip"), 415, "media-type");
        await problem(send(new Uint8Array(Buffer.from("{}")), "gzip"), 400, "body-invalid");
        await problem(send(packed("{}").slice(0, 15), "gzip"), 400, "body-invalid");
        const latin = new Uint8Array(Buffer.from('{"sql": "SELECT \'é\'"}', "latin1"));
        await problem(send(latin, "identity"), 400, "body-invalid");
      });
    });

    it("leaves no answer behind", async () => {
      await (await post({ sql: "FROM people" })).text();
      await post({ sql: "SELECT nope FROM people" });

      const work = path.join(folder, "pond/.millpond/work");
      const [own] = (await fs.readdir(work)).sort();
      expect(await fs.readdir(path.join(work, own as string, "answers"))).to.deep.equal([]);
    });
  });

  describe("GET /query", () => {
    it("answers HEAD with the header alone", async () => {
      const response = await pond.http.request("/query?sql=SELECT+1+AS+a&format=csv", {
        method: "HEAD",
      });

      expect(response.headers.get("content-length")).to.equal("4");
      expect(await response.text()).to.equal("");
    });

    it("says nothing of the inside when a file of the lake is broken", async () => {
      const broken = path.join(folder, "pond/lake/hand_made/x.parquet");
      await fs.mkdir(path.dirname(broken), { recursive: true });
      await fs.writeFile(broken, "PAR1 and nothing more PAR1");

      const found = await problem(get("/query?sql=FROM+hand_made"), 500, "internal");
      const { tables } = (await (await get("/tables")).json()) as {
        tables: { name: string; columns: unknown }[];
      };

      await fs.rm(path.dirname(broken), { recursive: true });
      expect(JSON.stringify(found)).to.not.match(/parquet|lake/);
      expect(tables.find(({ name }) => name === "hand_made")?.columns).to.equal(null);
      expect(tables.find(({ name }) => name === "people")?.columns).to.have.length(3);
    });

    it("answers as POST does", async () => {
      const query = new URLSearchParams({
        sql: "SELECT name FROM people WHERE id = $1",
        params: "[3]",
        format: "ndjson",
      });

      expect(await (await get(`/query?${query}`)).text()).to.equal('{"name":"Cy"}\n');
    });

    it("refuses a format that isn't there, and none that can be accepted", async () => {
      await problem(get("/query?sql=SELECT+1&format=xml"), 400, "format-unknown");
      await problem(get("/query?sql=SELECT+1", { accept: "image/png" }), 406, "not-acceptable");
      await problem(get("/query"), 400, "body-invalid");
    });

    it("refuses an option that it does not know, or that is there twice", async () => {
      const mistyped = await problem(
        get("/query?sql=SELECT+1&fromat=csv"),
        400,
        "parameters-invalid",
      );
      const twice = await problem(
        get("/query?sql=SELECT+1&sql=SELECT+2"),
        400,
        "parameters-invalid",
      );
      const beside = await problem(
        pond.http.request("/query?sql=SELECT+2", { method: "POST", body: '{"sql": "SELECT 1"}' }),
        400,
        "parameters-invalid",
      );

      expect(mistyped.detail).to.equal("there is no option fromat; there is sql, params, format");
      expect(twice.detail).to.equal("sql is there 2 times");
      expect(beside.detail).to.equal("there is no option sql; there is format");
    });
  });

  describe("GET /q", () => {
    it("answers a saved query with its defaults, and with what is given", async () => {
      expect(await (await get("/q/older?format=csv")).text()).to.equal("name\nCy\n");
      expect(await (await get("/q/older?age=8&format=csv")).text()).to.equal("name\n");
    });

    it("binds each value as what it is", async () => {
      const sql =
        '-- @param d date\n-- @param n integer = "3"\nSELECT typeof($d) AS t, $d - INTERVAL 3 DAY AS before, year($d) AS y, $d + $n::INTEGER AS after';
      await fs.writeFile(path.join(folder, "queries/days.sql"), sql);
      const response = await get("/q/days?d=2024-03-01&format=csv");
      const twice = get("/q/days?d=2024-03-01&d=2024-03-02");

      expect(await response.text()).to.equal(
        "t,before,y,after\nDATE,2024-02-27 00:00:00,2024,2024-03-04\n",
      );
      expect((await problem(twice, 400, "parameters-invalid")).detail).to.contain("d is there 2");
      await fs.rm(path.join(folder, "queries/days.sql"));
    });

    it("refuses values that are missing, malformed or unknown, by name", async () => {
      const malformed = await problem(get("/q/older?age=old"), 400, "parameters-invalid");
      const unknown = await problem(get("/q/older?agee=1"), 400, "parameters-invalid");

      expect(malformed.detail).to.equal('age must be of type integer, got "old"');
      expect(unknown.detail).to.contain("there is no parameter agee");
    });

    it("does not blame who asks for parameters that header and SQL don't share", async () => {
      const file = path.join(folder, "queries/apart.sql");
      await fs.writeFile(file, "-- @param a integer\nSELECT $b AS b");

      try {
        const named = await problem(get("/q/apart?a=1"), 500, "saved-query-parameters");
        await fs.writeFile(file, "SELECT ? AS b");
        const placed = await problem(get("/q/apart"), 500, "saved-query-parameters");

        expect(named.detail).to.equal(
          'the saved query apart is for its author to mend: its SQL has $b, which no line "-- @param b <type>" declares; its header declares a, and its SQL has no $a',
        );
        expect(placed.detail).to.contain("has a name such as $least_age");
      } finally {
        await fs.rm(file);
      }
    });

    it("refuses a saved query that isn't there, whatever its name", async () => {
      await problem(get("/q/none"), 404, "not-found");
      await problem(get("/q/..%2Fqueries%2Folder"), 404, "not-found");
    });

    it("lists those that can be read, and names those that can't", async () => {
      const { queries, broken } = (await (await get("/q")).json()) as {
        queries: { name: string }[];
        broken: { name: string; problem: string }[];
      };

      expect(queries.map(({ name }) => name)).to.deep.equal(["older"]);
      expect(broken[0]?.name).to.equal("typo");
      expect(broken[0]?.problem).to.contain("-- @param age years");
    });

    it("says where to look when a saved query's header is broken", async () => {
      const found = await problem(get("/q/typo"), 500, "saved-query");

      expect(found.detail).to.contain("GET /q says why");
      expect(JSON.stringify(found)).to.not.match(/years|typo\.sql/);
    });
  });

  describe("GET /rejected", () => {
    it("lists all that can't be read, also what names no table", async () => {
      await fs.writeFile(path.join(folder, "pond/inbox/My File.csv"), "a\n1\n");
      await ingest(pond.ingest, "inbox/My File.csv");

      const { rejections } = (await (await get("/rejected")).json()) as {
        rejections: { code: string; source: { key: string } }[];
      };

      expect(rejections.map(({ code, source }) => [source.key, code])).to.deep.equal([
        ["inbox/My File.csv", "table-name"],
        ["inbox/broken.csv", "malformed-csv"],
        ["inbox/people/c.csv", "malformed-csv"],
      ]);
    });
  });

  describe("other routes", () => {
    it("gives each request an id, which a problem names", async () => {
      const [one, other] = await Promise.all([get("/nothing"), get("/q/typo")]);

      const id = other.headers.get("x-request-id");
      expect(id).to.match(/^[0-9a-f-]{36}$/);
      expect(one.headers.get("x-request-id")).to.not.equal(id);
      expect(await other.json()).to.include({ code: "saved-query", request: id });
      expect(await one.json()).to.include({
        code: "not-found",
        request: one.headers.get("x-request-id"),
      });
    });

    it("says that it is well, and what there is", async () => {
      expect(await (await get("/health")).json()).to.include({ status: "ok" });
      expect(await (await get("/")).json())
        .to.have.property("routes")
        .that.has.length.greaterThan(5);
    });

    it("refuses a wrong method and a wrong path", async () => {
      const wrong = await pond.http.request("/query", { method: "DELETE" });

      expect(wrong.headers.get("allow")).to.equal("POST, GET");
      await problem(wrong, 405, "method-not-allowed");
      await problem(get("/nothing"), 404, "not-found");
    });
  });

  describe("with tokens", () => {
    const ask = (headers: Record<string, string>) => guarded.http.request("/tables", { headers });

    it("lets in whoever holds one", async () => {
      expect((await ask({ authorization: "Bearer a-token" })).status).to.equal(200);
      expect((await ask({ authorization: "bearer b-token" })).status).to.equal(200);
    });

    for (const headers of [
      {},
      { authorization: "" },
      { authorization: "Bearer" },
      { authorization: "Bearer a-toke" },
      { authorization: "Bearer a-token2" },
      { authorization: "Basic a-token" },
      { authorization: "Bearer a-token, Bearer a-token" },
      { "x-amz-user-arn": "arn:aws:iam::1:user/alice", cookie: "token=a-token" },
    ] as Record<string, string>[]) {
      it(`refuses ${JSON.stringify(headers)}`, async () => {
        const response = await ask(headers);

        expect(response.headers.get("www-authenticate")).to.match(/^Bearer/);
        await problem(response, 401, "unauthorized");
      });
    }

    it("logs who asked, and no token", async () => {
      logged.read();
      await ask({ authorization: "Bearer a-token" });
      await ask({ authorization: "Bearer c-token" });

      const lines = String(logged.read()).trim().split("\n");
      const requests = lines.map((line) => JSON.parse(line) as Record<string, unknown>);
      expect(requests.map(({ status, client, code }) => ({ status, client, code }))).to.deep.equal([
        { status: 200, client: "alice", code: undefined },
        { status: 401, client: undefined, code: "unauthorized" },
      ]);
      expect(lines.join()).to.not.match(/[ac]-token/);
    });

    it("logs of each refused request the code that its answer carries", async () => {
      const body = (chunk: string) =>
        new ReadableStream({
          start(controller) {
            controller.enqueue(new TextEncoder().encode(chunk));
            controller.close();
          },
        });
      const requests: [string, RequestInit, string][] = [
        ["/query?sql=SELECT%20nope", {}, "sql-invalid"],
        ["/query?sql=SET%20threads=1", {}, "sql-refused"],
        ["/nowhere", {}, "not-found"],
        ["/tables", { method: "DELETE" }, "method-not-allowed"],
        // Without a length its request becomes another one on the way.
        [
          "/query",
          { method: "POST", body: body("{"), duplex: "half" } as RequestInit,
          "body-invalid",
        ],
      ];
      for (const [route, init, expected] of requests) {
        logged.read();
        const headers = { authorization: "Bearer a-token" };
        const answer = await guarded.http.request(route, { ...init, headers });

        const { code } = (await answer.json()) as { code: string };
        const line = JSON.parse(String(logged.read())) as Record<string, unknown>;
        expect({ code, ...line }).to.include({
          message: "request",
          client: "alice",
          code: expected,
        });
        expect(line["code"]).to.equal(code);
      }
    });

    it("says of a token whether there is none, or a wrong one", async () => {
      const none = await problem(ask({}), 401, "unauthorized");
      const wrong = await problem(ask({ authorization: "Bearer c-token" }), 401, "unauthorized");

      expect(none.detail).to.match(/^send a token: Authorization/);
      expect(wrong.detail).to.match(/^this token is not one of those that count: Authorization/);
    });

    it("refuses a token in the query string", async () => {
      const response = await guarded.http.request(
        "/tables?token=a-token&authorization=Bearer%20a-token",
      );

      expect(response.status).to.equal(401);
    });
  });

  describe("behind a signature", () => {
    const iam = { userArn: "arn:aws:iam::1:user/alice" };
    const ask = (route: string, requestContext: object | undefined, headers = {}) =>
      closed.http.request(route, { headers }, { requestContext });

    it("believes what API Gateway says, and no header", async () => {
      logged.read();
      expect((await ask("/tables", { authorizer: { iam } })).status).to.equal(200);
      const { client } = JSON.parse(String(logged.read())) as { client: string };
      expect(client).to.equal(iam.userArn);

      for (const context of [undefined, {}, { authorizer: {} }, { authorizer: { iam: {} } }]) {
        for (const route of ["/tables", "/health", "/q/older"]) {
          const claims = { authorization: "Bearer a-token", "x-amzn-request-context": "{}" };
          const response = await ask(route, context, claims);
          expect(response.headers.get("www-authenticate")).to.equal("AWS4-HMAC-SHA256");
          await problem(response, 401, "unauthorized");
        }
      }
    });

    it("runs saved queries alone where that is so", async () => {
      const known = { authorizer: { iam } };
      await problem(ask("/query?sql=SELECT+1", known), 403, "ad-hoc-sql-off");
      const headers = { "content-type": "application/json" };
      const post = { method: "POST", headers, body: '{"sql": "SELECT 1"}' };
      const posted = closed.http.request("/query", post, { requestContext: known });
      await problem(posted, 403, "ad-hoc-sql-off");
      expect(await (await ask("/q/older?format=csv", known)).text()).to.equal("name\nCy\n");
    });
  });

  it("tells browsers to do nothing with what it answers but show it", async () => {
    for (const route of ["/tables", "/query?sql=SELECT+1", "/query?sql=nonsense", "/nothing"]) {
      const { headers } = await get(route);
      expect(Object.fromEntries(headers), route).to.include({
        "x-content-type-options": "nosniff",
        "content-security-policy": "default-src 'none'; frame-ancestors 'none'",
        "referrer-policy": "no-referrer",
        "x-frame-options": "DENY",
        "cross-origin-resource-policy": "same-origin",
      });
      expect(headers.get("access-control-allow-origin")).to.equal(null);
      // Over plain HTTP a browser may not be told.
      expect(headers.get("strict-transport-security")).to.equal(null);
      expect(headers.get("cache-control"), route).to.match(/no-store|no-cache/);
    }
  });

  describe("the page for people", () => {
    const html = { accept: "text/html,application/xhtml+xml,*/*;q=0.8" };
    let paged: Pond;

    before(async () => {
      const settings = readSettings({ [environmentNames.store]: path.join(folder, "pond") });
      const script = new TextEncoder().encode("1");
      const gzipped = new Uint8Array(gzipSync("1"));
      paged = await openPond(settings, logger, {
        tokens: { alice: "a-token" },
        page: async () => ({
          html: '<meta content="{nonce}">',
          files: new Map([
            ["main-1.js", { type: "text/javascript", content: script, packed: gzipped }],
          ]),
        }),
      });
    });
    after(async () => await paged.close());

    it("is for browsers, without a token, and loads nothing but its own", async () => {
      const page = await paged.http.request("/", { headers: html });
      const policy = page.headers.get("content-security-policy");
      const nonce = /content="([\da-f-]{36})"/.exec(await page.text())?.[1];

      expect(page.headers.get("content-type")).to.equal("text/html; charset=utf-8");
      expect(page.headers.get("vary")).to.equal("accept");
      expect(policy).to.match(/^default-src 'none'; script-src 'self'; /);
      expect(policy).to.contain(`style-src 'self' 'nonce-${nonce}'`);
      expect(policy).to.match(/connect-src 'self';/);
      const again = await paged.http.request("/", { headers: html });
      expect(await again.text()).to.not.contain(String(nonce));
    });

    it("has files that browsers keep for ever, and no others", async () => {
      const file = await paged.http.request("/console/main-1.js");
      expect(await file.text()).to.equal("1");
      expect(file.headers.get("cache-control")).to.equal("public, max-age=31536000, immutable");
      for (const name of ["main-2.js", "..%2fpackage.json", "__proto__"]) {
        await problem(paged.http.request(`/console/${name}`), 404, "not-found");
      }
    });

    it("sends its files packed to whoever takes that", async () => {
      const sent = async (accepted: string) => {
        const headers = { "accept-encoding": accepted };
        const { headers: got } = await paged.http.request("/console/main-1.js", { headers });
        expect(got.get("vary"), accepted).to.equal("accept-encoding");
        return got.get("content-encoding");
      };
      for (const accepted of ["gzip, deflate, br, zstd", "br;q=1.0, gzip;q=0.8, *;q=0.1"]) {
        expect(await sent(accepted), accepted).to.equal("gzip");
      }
      for (const accepted of ["", "br", "gzip;q=0", "identity, gzip;q=0.000"]) {
        expect(await sent(accepted), accepted).to.equal(null);
      }
      const headers = { "accept-encoding": "gzip" };
      const file = await paged.http.request("/console/main-1.js", { headers });
      expect(String(gunzipSync(await file.arrayBuffer()))).to.equal("1");
    });

    it("is not what a program gets, which needs a token", async () => {
      await problem(paged.http.request("/"), 401, "unauthorized");
      const authorization = "Bearer a-token";
      const list = await paged.http.request("/", { headers: { authorization } });
      expect(await list.json()).to.have.property("routes");
      await problem(paged.http.request("/tables", { headers: html }), 401, "unauthorized");
    });
  });

  it("binds browsers to HTTPS where they came by it", async () => {
    const { headers } = await get("https://pond.example/health");
    expect(headers.get("strict-transport-security")).to.equal("max-age=31536000");
  });

  describe("an answer that a client has", () => {
    const tagged = "/query?sql=SELECT+name+FROM+people+ORDER+BY+id&format=csv";
    const tagOf = async (route: string, headers = {}) =>
      (await get(route, headers)).headers.get("etag");

    it("is not made again, and comes without a body", async () => {
      const tag = (await tagOf(tagged)) as string;
      const again = await get(tagged, { "if-none-match": tag });

      expect(tag).to.match(/^W\/"[\w-]{22}"$/);
      expect(again.status).to.equal(304);
      expect(await again.text()).to.equal("");
      expect(again.headers.get("etag")).to.equal(tag);
      expect(again.headers.get("cache-control")).to.equal("private, no-cache");
      expect(again.headers.get("vary")).to.equal("accept, authorization");
    });

    it("is known in a list, as strong, and by HEAD", async () => {
      const tag = (await tagOf(tagged)) as string;
      for (const known of [`"x", ${tag}`, tag.slice(2), `${tag},W/"y"`]) {
        expect((await get(tagged, { "if-none-match": known })).status, known).to.equal(304);
      }
      const head = { method: "HEAD", headers: { "if-none-match": tag } };
      expect((await pond.http.request(tagged, head)).status).to.equal(304);
      for (const other of ["*", '"x"', tag.slice(3, -1), ""]) {
        expect((await get(tagged, { "if-none-match": other })).status, other).to.equal(200);
      }
    });

    it("is another for other SQL, values, format and files", async () => {
      const of = (query: Record<string, string>) => `/query?${new URLSearchParams(query)}`;
      const sql = "SELECT name FROM people WHERE id = $1";
      const tags = [
        await tagOf(of({ sql, params: "[1]" })),
        await tagOf(of({ sql, params: "[2]" })),
        await tagOf(of({ sql, params: '["1"]' })),
        await tagOf(of({ sql: `${sql} `, params: "[1]" })),
        await tagOf(of({ sql, params: "[1]", format: "csv" })),
        await tagOf(of({ sql: "SELECT $1 AS a", params: "[9007199254740993]" })),
        await tagOf(of({ sql: "SELECT $1 AS a", params: '["9007199254740993"]' })),
        await tagOf("/q/older"),
        await tagOf("/q/older?age=2"),
      ];
      expect(new Set(tags).size).to.equal(tags.length);
      expect(tags).to.not.include(null);

      const before = await tagOf("/q/older");
      await fs.writeFile(path.join(folder, "pond/inbox/people/d.csv"), "id,name,age\n9,Di,8\n");
      await ingest(pond.ingest, "inbox/people/d.csv");
      const after = await get("/q/older?format=csv", { "if-none-match": before ?? "" });
      expect(await after.text()).to.equal("name\nCy\nDi\n");
      await fs.rm(path.join(folder, "pond/inbox/people/d.csv"));
      await ingest({ ...pond.ingest, mirrorDeletes: true }, "inbox/people/d.csv");
      expect(await tagOf("/q/older")).to.equal(before);
    });

    for (const sql of [
      "SELECT random()",
      "SELECT now()",
      "SELECT current_date",
      "SELECT CURRENT_TIMESTAMP",
      "SELECT age(TIMESTAMP '2020-01-01')",
      "SELECT uuid()",
      "FROM people USING SAMPLE 50%",
      "SELECT 1 FROM people WHERE (SELECT random()) > 2",
      "FROM (FROM people TABLESAMPLE 10%)",
      // It names another function, which may be one of chance.
      "SELECT list_aggregate([1, 2], 'any_value')",
    ]) {
      it(`has no tag where it may be another the next time: ${sql}`, async () => {
        const response = await get(`/query?${new URLSearchParams({ sql })}`);
        expect(response.status).to.equal(200);
        expect(response.headers.get("etag")).to.equal(null);
        expect(response.headers.get("cache-control")).to.equal("no-store");
      });
    }

    it("has no tag where it answers POST", async () => {
      expect((await post({ sql: "SELECT 1" })).headers.get("etag")).to.equal(null);
    });
  });
});
