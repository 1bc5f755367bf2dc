import type { ChildProcess } from "node:child_process";
import fs from "node:fs/promises";
import http from "node:http";
import type { AddressInfo } from "node:net";
import os from "node:os";
import path from "node:path";
import { Readable } from "node:stream";
import { expect } from "chai";
import { environmentNames } from "../../app/contract.ts";
import { readSettings } from "../../app/environment.ts";
import { ingest } from "../../app/flow/ingest.ts";
import { createLogger } from "../../app/logger.ts";
import { openPond, type Pond } from "../../app/pond.ts";
import { type LocalServer, serveLocal } from "../../cli/local-server.ts";
import { readSql } from "../../cli/query.ts";
import { type CliOptions, runCli } from "../run-cli.ts";

describe("millpond query", () => {
  let folder: string;
  let pond: Pond;
  let server: LocalServer;
  const token = "a-token-of-24-characters";

  before(async () => {
    folder = await fs.mkdtemp(path.join(os.tmpdir(), "millpond-test-"));
    await fs.mkdir(path.join(folder, "inbox"));
    await fs.writeFile(path.join(folder, "inbox/people.csv"), "id,name\n1,Ann\n2,\n");
    const settings = readSettings({ [environmentNames.store]: folder });
    const logger = createLogger({ environment: { LOG_LEVEL: "fatal" } });
    pond = await openPond(settings, logger, { tokens: { cli: token } });
    await ingest(pond.ingest, "inbox/people.csv");
    server = await serveLocal(pond, { host: "127.0.0.1", port: 0, names: [], stallMs: 60_000 });
  });
  after(async () => {
    await server.close();
    await pond.close();
    await fs.rm(folder, { recursive: true });
  });

  const env = { ...process.env, MILLPOND_TOKEN: token };
  const query = async (args: string[], options: CliOptions = {}) =>
    await runCli(["query", "--url", server.url, ...args], { env, ...options });

  it("answers in CSV where nobody watches, as it came", async () => {
    const { code, stdout, stderr } = await query(["FROM people ORDER BY id"]);
    const quiet = await query(["--quiet", "FROM people ORDER BY id"]);

    expect({ code, stdout }).to.deep.equal({ code: 0, stdout: "id,name\n1,Ann\n2,\n" });
    expect(stderr).to.match(/^2 rows in \d+\.\d\d s, \d+\.\d\d s with the way here\n$/);
    expect(quiet).to.include({ code: 0, stdout, stderr: "" });
  });

  it("takes SQL from standard input, and values by place and by name", async () => {
    const byPlace = await query(
      ["-f", "ndjson", "-p", "1", "-p", '"1"', "-p", "true", "-p", "x y", "-p", "null"],
      { input: "SELECT $1 AS a, $2 AS b, $3 AS c, $4 AS d, $5 AS e" },
    );
    const byName = await query(["-p", "n=Ann", "SELECT id FROM people WHERE name = $n"]);
    const byNumber = await query(["-p", "2=b", "-p", '1="a=b"', "SELECT $1 AS a, $2 AS b"]);

    expect(byPlace.stdout).to.equal('{"a":1,"b":"1","c":true,"d":"x y","e":null}\n');
    expect(byName.stdout).to.equal("id\n1\n");
    expect(byNumber.stdout).to.equal("a,b\na=b,b\n");
  });

  for (const [value, type, text] of [
    ["00501", "VARCHAR", '"00501"'],
    ["-007", "VARCHAR", '"-007"'],
    ["9007199254740993", "BIGINT", '"9007199254740993"'],
    [
      "170141183460469231731687303715884105727",
      "HUGEINT",
      '"170141183460469231731687303715884105727"',
    ],
    ["-5", "BIGINT", "-5"],
    ["1.10", "DOUBLE", "1.1"],
    ["20.0", "BIGINT", "20"],
    ["1e3", "BIGINT", "1000"],
    ["0.1234567890123456789", "VARCHAR", '"0.1234567890123456789"'],
  ]) {
    it(`takes -p ${value} for ${type}`, async () => {
      const { stdout } = await query([
        "-f",
        "ndjson",
        "-p",
        String(value),
        "SELECT typeof($1) AS t, $1 AS v",
      ]);

      expect(stdout).to.equal(`{"t":"${type}","v":${text}}\n`);
    });
  }

  it("says how to give a value that is missing", async () => {
    const missing = await query(["SELECT $1, $2", "-p", "1"]);
    const misnamed = await query(["SELECT $state", "-p", "stat=AK"]);
    const one = await query(["SELECT 1", "-p", "1"]);
    const unnamed = await query(["SELECT $state", "-p", "AK"]);

    expect(missing.stderr).to.contain("no value for $2: -p 2=<value> (parameters-invalid)");
    expect(misnamed.stderr).to.contain(
      "no value for $state; the SQL has no $stat: -p state=<value> (parameters-invalid)",
    );
    expect(one.stderr).to.contain("the SQL has no $1, for which -p gives a value (");
    expect(unnamed.stderr).to.contain(
      "the SQL asks for $state by name, and -p gives a value without one: -p state=<value> (",
    );
  });

  it("writes no file whose ending it does not know, but as it is told", async () => {
    const file = path.join(folder, "answer.xlsx");
    const unknown = await query(["SELECT 1 AS a", "--output", file]);
    const told = await query([
      "SELECT 1 AS a",
      "--output",
      path.join(folder, "a.txt"),
      "-f",
      "csv",
    ]);

    expect(unknown.stderr).to.contain(".xlsx is none of .json, .ndjson, .csv, .parquet");
    expect([unknown.code, told.code]).to.deep.equal([2, 0]);
    expect(await fs.readdir(folder))
      .to.include("a.txt")
      .and.not.include("answer.xlsx");
  });

  it("writes no file whose ending is that of another format", async () => {
    const file = path.join(folder, "other.Parquet");
    const other = await query(["SELECT 1 AS a", "--format", "csv", "--output", file]);
    const same = await query([
      "SELECT 1 AS a",
      "--format",
      "parquet",
      "--output",
      path.join(folder, "same.Parquet"),
    ]);

    expect({ code: other.code, stderr: other.stderr }).to.deep.equal({
      code: 2,
      stderr: `error: --format csv, and --output ${file}, which is for parquet: leave --format out, or call the file <name>.csv\n`,
    });
    expect(same.code, same.stderr).to.equal(0);
    expect(await fs.readdir(folder))
      .to.include("same.Parquet")
      .and.not.include("other.Parquet");
  });

  it("writes a file as its name ends, whole or not at all", async () => {
    const file = path.join(folder, "out.parquet");
    const done = await query(["FROM people", "--output", file]);
    const large = path.join(folder, "large.csv");
    await fs.writeFile(large, "as it was\n");
    const refused = await query(["FROM nowhere", "--output", large]);
    const nowhere = await query(["SELECT 1", "--output", path.join(folder, "none/x.csv")]);

    expect([done.code, refused.code, nowhere.code]).to.deep.equal([0, 1, 1]);
    expect((await fs.readFile(file)).subarray(0, 4).toString()).to.equal("PAR1");
    expect(await fs.readFile(large, "utf8")).to.equal("as it was\n");
    const folderThere = await query(["SELECT 1", "--output", folder, "-f", "csv"]);
    expect(nowhere.stderr).to.match(/^error: can't write .*none\/x\.csv: ENOENT: [a-z ]+\n$/);
    expect(folderThere.stderr).to.match(/^error: can't write \S+: E[A-Z]+: [a-z ]+\n$/);
    expect(await fs.readdir(path.dirname(folder))).to.not.include(`${path.basename(folder)}.part`);
    expect((await fs.readdir(folder)).filter((name) => name.endsWith(".part"))).to.be.empty;
  });

  it("says what is wrong in one place: the SQL, the token, the pond, the call", async () => {
    const sql = await query(["SELECT nope FROM people"]);
    const stranger = await query(["SELECT 1"], { env: { PATH: process.env["PATH"] } });
    const nobody = await runCli(["query", "--url", "http://127.0.0.1:1", "SELECT 1"]);
    const mixed = await query(["-p", "1", "-p", "a=1", "SELECT $a"]);
    const empty = await query([], { input: " " });

    expect(sql.stderr).to.match(/^error: Binder Error: .*nope.*LINE 1: .*\^\n\(sql-invalid\)\n$/s);
    expect(stranger.stderr).to.match(/asks for a token: .*MILLPOND_TOKEN \(unauthorized\)/);
    expect(nobody.stderr).to.match(/^error: http:\/\/127\.0\.0\.1:1 does not answer: .*npm start/);
    expect(mixed.stderr).to.contain("either values, or name=value");
    expect(empty.stderr).to.contain("which SQL?");
    const codes = [sql, stranger, nobody, mixed, empty].map(({ code }) => code);
    expect(codes).to.deep.equal([1, 1, 1, 2, 2]);
  });

  it("writes a table that is called as a word of SQL in double quotes", async () => {
    const hint = (word: string) => `; a table of this name is written "${word}", in double quotes`;
    const near = await query(['SELECT *\nFROM order WHERE "x" = 1']);
    const behind = await query(["FROM people JOIN left ON true"]);
    const atEnd = await query(["SELECT * FROM natural;"]);
    const other = await query(["SELECT 1 IS DISTINCT FROM NULL FROM people GROUP ORDER BY 1"]);

    expect(near.stderr).to.equal(
      `error: Parser Error: syntax error at or near "order"${hint("order")}\n\n` +
        'LINE 2: FROM order WHERE "x" = 1\n             ^\n(sql-invalid)\n',
    );
    expect(behind.stderr).to.contain(`at or near "ON"${hint("left")}\n\nLINE 1:`);
    expect(atEnd.stderr).to.contain(hint("natural"));
    expect(other.stderr).to.contain("syntax error").and.not.contain("double quotes");
  });

  for (const [status, type, content] of [
    [501, "text/html;charset=utf-8", "<html><h1>Unsupported method</h1></html>"],
    [200, "text/html", "<html>an app of one page</html>"],
    [404, "application/json", '{"message":"Not Found"}'],
  ] as const) {
    it(`says that what answers with ${status} and ${type} is no pond`, async () => {
      const other = http.createServer((_, response) => {
        response.writeHead(status, { "content-type": type }).end(content);
      });
      await new Promise<void>((resolve) => other.listen(0, "127.0.0.1", resolve));
      const url = `http://127.0.0.1:${(other.address() as AddressInfo).port}`;

      const asked = await runCli(["query", "--url", url, "SELECT 1"]);
      const file = path.join(folder, "inbox/people.csv");
      const put = await runCli(["put", "--url", url, file]);
      other.close();

      const said = `error: what answers at ${url} is no Millpond (${status}, ${type.split(";")[0]}): is that its URL?\n`;
      expect(asked).to.include({ code: 1, stdout: "", stderr: said });
      // A pond without a way in may answer so.
      if (status !== 404) expect(put).to.include({ code: 1, stdout: "", stderr: said });
    });
  }

  it("tells what API Gateway says in a pond's place", async () => {
    const gateway = http.createServer((_, response) => {
      response.writeHead(503, { "content-type": "application/json" });
      response.end('{"message":"Service Unavailable"}');
    });
    await new Promise<void>((resolve) => gateway.listen(0, "127.0.0.1", resolve));
    const { port } = gateway.address() as AddressInfo;

    const { stderr } = await runCli(["query", "--url", `http://127.0.0.1:${port}`, "SELECT 1"]);
    gateway.close();

    expect(stderr).to.equal('error: the answer is 503: {"message":"Service Unavailable"}\n');
  });

  it("takes a URL with a path, but for those that the pond itself has", async () => {
    const roots = [
      [`${server.url}/query`, server.url],
      [`${server.url}/q/top/`, server.url],
      [`${server.url}/?sql=SELECT%201`, server.url],
      ["https://api.example.com/prod/tables", "https://api.example.com/prod"],
    ];
    for (const [url = "", root] of roots) {
      const { code, stderr } = await runCli(["query", "--url", url, "SELECT 1"]);

      expect(stderr).to.equal(`error: --url takes the pond's root, ${root}\n`);
      expect(code).to.equal(2);
    }
    const based = await runCli(["query", "--url", "http://127.0.0.1:1/prod/", "SELECT 1"]);
    expect(based.stderr).to.contain("http://127.0.0.1:1/prod does not answer");
  });

  it("shows a table also where nobody watches, if told so, but writes none to a file", async () => {
    const { stdout } = await query(["FROM people ORDER BY id", "--format", "table"]);
    const file = await query(["FROM people", "-f", "table", "--output", path.join(folder, "x")]);

    expect(stdout.split("\n").slice(1, 5)).to.deep.equal([
      "│ id │ name │",
      "├────┼──────┤",
      "│  1 │ Ann  │",
      "│  2 │ NULL │",
    ]);
    expect([file.code, file.stderr]).to.deep.equal([
      2,
      "error: --format table is for reading, and --output for files: give one\n",
    ]);
  });

  it("asks for SQL where somebody is to type it", async () => {
    const aside: string[] = [];
    const say = { write: (said: string) => aside.push(said) };
    const typed = Object.assign(Readable.from(["SELECT 1"]), { isTTY: true });

    expect(await readSql(undefined, typed, say)).to.equal("SELECT 1");
    expect(await readSql("-", Readable.from(["SELECT 2"]), say)).to.equal("SELECT 2");
    expect(await readSql("SELECT 3", typed, say)).to.equal("SELECT 3");
    expect(aside.join("")).to.match(/^which SQL\?.*Ctrl-D.*\n$/);
  });

  it("ends at Ctrl-C, and leaves whom it asked", async () => {
    let child: ChildProcess | undefined;
    const left = Promise.withResolvers<void>();
    const silent = http.createServer((_, response) => {
      response.once("close", () => left.resolve());
      child?.kill("SIGINT");
    });
    await new Promise<void>((resolve) => silent.listen(0, "127.0.0.1", resolve));
    const { port } = silent.address() as AddressInfo;

    const { code } = await runCli(["query", "--url", `http://127.0.0.1:${port}`, "SELECT 1"], {
      onStart: (started) => {
        child = started;
      },
    });
    await left.promise;
    silent.close();

    expect(code).to.equal(130);
  });

  /** As on a terminal, for a program that asks whether it is on one. */
  const terminal = {
    ...env,
    NODE_OPTIONS: `--import "data:text/javascript,process.stdout.isTTY=process.stderr.isTTY=true"`,
  };

  it("shows a table on a terminal: numbers to the right, its first rows, and how many more there are", async () => {
    const few = await query(["FROM people ORDER BY id"], { env: terminal });
    const many = await query(["SELECT i FROM range(1000000) t(i)"], { env: terminal });

    expect(few.stdout).to.contain("│  1 │ Ann  │").and.to.contain("│  2 │ NULL │");
    expect(many.stdout).to.match(/│ {3}0 │\n.*│ 199 │/s);
    expect(many.stdout).to.match(/… 999,800 more rows: --format csv shows all/);
    expect(many.stderr).to.match(/1,000,000 rows in/);
  });

  it("shows how a large answer comes, and leaves it when there is enough of it for a terminal", async () => {
    const left = Promise.withResolvers<void>();
    const bucket = http.createServer((request, response) => {
      if (request.method === "POST") {
        const location = `http://127.0.0.1:${port}/results/a.json`;
        response.writeHead(303, { location, "x-millpond-rows": "5000000000" }).end("{}");
        return;
      }
      // More than fits a string.
      response.writeHead(200, { "content-length": String(10e9) });
      response.write('{"meta":[{"name":"i","type":"BIGINT"}],"data":[{"i":7}');
      const rows = ',{"i":7}'.repeat(1000);
      const more = () => {
        while (response.write(rows));
      };
      response.on("drain", more).once("close", () => left.resolve());
      more();
    });
    await new Promise<void>((resolve) => bucket.listen(0, "127.0.0.1", resolve));
    const { port } = bucket.address() as AddressInfo;

    const run = await runCli(["query", "--url", `http://127.0.0.1:${port}`, "FROM large"], {
      env: terminal,
    });
    await left.promise;
    bucket.close();

    expect(run.code, run.stderr).to.equal(0);
    expect(run.stdout).to.contain("… 4,999,999,800 more rows");
    expect(run.stderr).to.match(/fetching \[.*\] \S+ \w+ of 10\.0 GB/);
  });

  it("ends in silence when nobody reads on", async () => {
    const { code, stderr } = await query(["SELECT i FROM range(1000000) t(i)"], {
      onStart: (child) => void child.stdout?.once("data", () => child.stdout?.destroy()),
    });

    expect({ code, stderr }).to.deep.equal({ code: 0, stderr: "" });
  });
});
