import { type ChildProcess, execFile, spawn } from "node:child_process";
import { once } from "node:events";
import fs from "node:fs/promises";
import http from "node:http";
import net from "node:net";
import os from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { expect } from "chai";
import { copySample } from "../../cli/sample.ts";

const program = fileURLToPath(new URL("../../cli/millpond.ts", import.meta.url));

describe("millpond start", () => {
  let folder: string;
  const running = new Set<ChildProcess>();
  /** Beside what every process has. */
  let environment: Record<string, string> = {};

  beforeEach(async () => {
    folder = await fs.mkdtemp(path.join(os.tmpdir(), "millpond-test-"));
  });
  afterEach(async () => {
    for (const child of running) child.kill("SIGKILL");
    running.clear();
    environment = {};
    await fs.rm(folder, { recursive: true });
  });

  /** Starts the command; `said` resolves when its output holds a text, or fails when it ends without. */
  function start(...args: string[]) {
    const child = spawn(
      process.execPath,
      [program, "start", "--dir", path.join(folder, "pond"), ...args],
      {
        stdio: ["ignore", "pipe", "pipe"],
        env: { PATH: process.env["PATH"], LOG_LEVEL: "info", ...environment },
      },
    );
    running.add(child);
    const output = { text: "", stderr: "" };
    const waiting = new Set<() => void>();
    const heard = (to: "text" | "stderr") => (chunk: Buffer) => {
      output[to] += String(chunk);
      for (const look of waiting) look();
    };
    child.stdout.on("data", heard("text"));
    child.stderr.on("data", heard("stderr"));
    const ended = new Promise<number | null>((resolve) => child.once("close", resolve));
    const said = async (pattern: RegExp) => {
      const { promise, resolve, reject } = Promise.withResolvers<RegExpExecArray>();
      const look = () => {
        const found = pattern.exec(output.text);
        if (found !== null) resolve(found);
      };
      waiting.add(look);
      look();
      void ended.then(() =>
        reject(new Error(`ended without saying ${pattern}: ${output.text}${output.stderr}`)),
      );
      return await promise;
    };
    return { child, output, ended, said };
  }
  /** Asks until the answer is as wanted; mocha's own limit ends it. */
  async function until<T>(ask: () => Promise<T>, wanted: (answer: T) => boolean): Promise<T> {
    for (;;) {
      const answer = await ask();
      if (wanted(answer)) return answer;
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }
  const query = async (url: string, sql: string) =>
    await (await fetch(`${url}/query?format=csv&sql=${encodeURIComponent(sql)}`)).text();

  it("loads the sample, serves it, follows the inbox, and ends with 0 on Ctrl-C", async function () {
    this.timeout(60_000);
    const pond = start("--port", "0");
    const [, url = ""] = await pond.said(/Listening on (http:\/\/127\.0\.0\.1:\d+)/);
    await pond.said(/Look: {2}http:\/\/127\.0\.0\.1:\d+\/ in a browser/);
    await pond.said(/Try: {3}curl .*\/query/);

    expect(pond.output.text).to.match(
      /loaded 4 files: 4 tables, 18,038 rows, [\d.]+ kB of Parquet, in [\d.]+ s/,
    );
    expect(await query(url, "SELECT count(*) AS n FROM weather")).to.equal("n\n1461\n");
    expect(await (await fetch(`${url}/hello?name=Alice`)).json()).to.deep.equal({
      message: "Hello, Alice!",
    });

    const inbox = path.join(folder, "pond/inbox");
    await fs.mkdir(path.join(inbox, "trees"));
    await fs.writeFile(path.join(inbox, "trees/one.csv"), "id\n1\n");
    await until(
      () => query(url, "SELECT count(*) AS n FROM trees"),
      (text) => text === "n\n1\n",
    );
    await fs.writeFile(path.join(inbox, "trees/two.csv"), "id\n2\n3\n");
    await until(
      () => query(url, "SELECT count(*) AS n FROM trees"),
      (text) => text === "n\n3\n",
    );
    await fs.writeFile(path.join(inbox, "trees/two.csv"), "id\n2\n3,4\n");
    const rejected = async () =>
      ((await (await fetch(`${url}/tables/trees`)).json()) as { rejections: unknown[] }).rejections
        .length;
    await until(rejected, (count) => count === 1);
    await fs.rm(path.join(inbox, "trees/two.csv"));
    await until(rejected, (count) => count === 0);

    pond.child.kill("SIGINT");
    expect(await pond.ended).to.equal(0);
    expect(await fs.readdir(path.join(folder, "pond/.millpond/work"))).to.deep.equal([]);
  });

  it("greets a terminal in its 80 columns, with a command that can be copied", async function () {
    this.timeout(60_000);
    const terminal =
      "data:text/javascript,process.stdout.isTTY=true;process.stdout.columns=80;process.stdout.getColorDepth=()=>1";
    environment = { NODE_OPTIONS: `--import "${terminal}"` };
    await fs.mkdir(path.join(folder, "pond/inbox"), { recursive: true });
    for (const name of ["First File.csv", "Second File.csv", "Third File.csv", "Fourth File.csv"]) {
      await fs.writeFile(path.join(folder, "pond/inbox", name), "id\n1\n");
    }
    await copySample(path.join(folder, "pond"));

    const pond = start("--port", "0");
    await pond.said(/Stop:/);
    const screen = pond.output.text;
    const [, command = ""] = /^Try: {3}(.*?)(?=\n\S)/ms.exec(screen) ?? [];
    const { stdout } = await promisify(execFile)("sh", ["-c", command.replace("curl", "curl -s")]);
    pond.child.kill("SIGINT");
    await pond.ended;

    // A folder may have a longer name than that; it stays whole.
    const long = screen.split("\n").filter((line) => line.length > 80 && !line.includes(folder));
    expect(long).to.deep.equal([]);
    expect(screen).to.match(/4 files can't be read:\n? .*Fourth File\.csv,\s/);
    expect(stdout).to.match(/^weather,count_star\(\)\n/);
  });

  it("keeps what is there, finds what was dropped meanwhile, and starts anew with --fresh", async function () {
    this.timeout(60_000);
    const first = start("--port", "0", "--no-sample");
    await first.said(/Listening on/);
    first.child.kill("SIGTERM");
    expect(await first.ended).to.equal(0);
    expect(first.output.text).to.contain("There is no table yet.");
    await fs.writeFile(path.join(folder, "pond/inbox/mine.csv"), "id\n1\n");

    const second = start("--port", "0");
    await second.said(/loaded 1 file: 1 table, 1 row,/);
    second.child.kill("SIGINT");
    await second.ended;
    const third = start("--port", "0");
    await third.said(/\n1 table, 1 row,/);
    third.child.kill("SIGINT");
    await third.ended;

    const fresh = start("--port", "0", "--fresh");
    await fresh.said(/loaded 5 files: 5 tables, 18,039 rows,/);
    fresh.child.kill("SIGINT");
    expect(await fresh.ended).to.equal(0);
  });

  it("keeps rows whose file is gone with --fresh", async function () {
    this.timeout(60_000);
    const inbox = path.join(folder, "pond/inbox");
    await fs.mkdir(inbox, { recursive: true });
    await fs.writeFile(path.join(inbox, "gone.csv"), "id\n1\n");
    await fs.writeFile(path.join(inbox, "My File.csv"), "id\n1\n");
    const first = start("--port", "0", "--no-sample");
    await first.said(/1 file can't be read: inbox\/My File.csv; GET \/rejected says why/);
    await first.said(/Stop:/);
    first.child.kill("SIGINT");
    await first.ended;
    await fs.rm(path.join(inbox, "gone.csv"));

    const fresh = start("--port", "0", "--no-sample", "--fresh");
    const [, url = ""] = await fresh.said(/Listening on (\S+)/);

    expect(await query(url, "SELECT count(*) AS n FROM gone")).to.equal("n\n1\n");
    fresh.child.kill("SIGINT");
    expect(await fresh.ended).to.equal(0);
  });

  it("brings the sample to a pond that only an invocation has opened", async function () {
    this.timeout(60_000);
    await fs.mkdir(path.join(folder, "pond/.millpond/work"), { recursive: true });
    await fs.mkdir(path.join(folder, "pond/inbox"));

    const pond = start("--port", "0");
    await pond.said(/loaded 4 files/);
    pond.child.kill("SIGINT");

    expect(await pond.ended).to.equal(0);
  });

  it("answers a request that is under way before it stops", async function () {
    this.timeout(60_000);
    const pond = start("--port", "0", "--no-sample");
    const [, url = ""] = await pond.said(/Listening on (\S+)/);

    // A connection on which nothing is asked, as browsers open them, must not keep the pond from ending.
    const idle = net.connect(Number(new URL(url).port), "127.0.0.1");
    await new Promise((resolve) => idle.once("connect", resolve));
    idle.on("error", () => {});
    const underWay = query(url, "SELECT sum(hash(i)) > 0 AS ok FROM range(60000000) t(i)");
    // Answered after the query had begun, as both came to one server in this order.
    await fetch(`${url}/health`);
    pond.child.kill("SIGINT");

    expect(await underWay).to.equal("ok\ntrue\n");
    expect(await pond.ended).to.equal(0);
  });

  it("stops a query whose client has left, and answers the next", async function () {
    this.timeout(60_000);
    const pond = start("--port", "0", "--no-sample");
    const [, url = ""] = await pond.said(/Listening on (\S+)/);
    const leaving = new AbortController();
    const endless =
      "SELECT count(*) FROM range(10000000) a(i), range(10000000) b(j) WHERE hash(i, j) = 1";

    const { signal } = leaving;
    const left = fetch(`${url}/query?${new URLSearchParams({ sql: endless })}`, { signal });
    // Answered after the query had begun, as both came to one server in this order.
    await fetch(`${url}/health`);
    leaving.abort();
    const failed = await left.catch((error: Error) => error.name);

    expect(failed).to.equal("AbortError");
    // At its deadline it would be 408.
    await until(
      async () => pond.output.stderr,
      (log) => /path=\/query status=499/.test(log),
    );
    expect(await query(url, "SELECT 7 AS next")).to.equal("next\n7\n");
    pond.child.kill("SIGINT");
    expect(await pond.ended).to.equal(0);
  });

  it("answers to the names that it was told, and to no page of another site", async function () {
    this.timeout(60_000);
    const pond = start("--port", "0", "--no-sample", "--allow-host", "pond.lan");
    const [, url = ""] = await pond.said(/Listening on (\S+)/);
    const { host, port } = new URL(url);
    const ask = async (headers: Record<string, string>, path = "/tables") => {
      const request = http.get({ host: "127.0.0.1", port, path, headers, agent: false });
      const [response] = (await once(request, "response")) as [http.IncomingMessage];
      const { statusCode: status } = response;
      const text = (await response.toArray()).join("");
      return status === 200 ? 200 : (JSON.parse(text) as { code: string }).code;
    };

    expect(await ask({ host })).to.equal(200);
    expect(await ask({ host: `pond.lan:${port}` })).to.equal(200);
    expect(await ask({ host: "evil.example" })).to.equal("host-unknown");
    expect(await ask({ host: "evil.example" }, "/hello")).to.equal("host-unknown");
    expect(await ask({ host, origin: "https://evil.example" })).to.equal("cross-site");
    expect(await ask({ host, origin: url })).to.equal(200);
    pond.child.kill("SIGINT");
    expect(await pond.ended).to.equal(0);
  });

  it("asks for the token it was given", async function () {
    this.timeout(60_000);
    const pond = start(
      "--port",
      "0",
      "--no-sample",
      "--host",
      "0.0.0.0",
      "--token",
      "a-token-of-24-characters",
    );
    const [, port = ""] = await pond.said(/Listening on http:\/\/0\.0\.0\.0:(\d+)/);
    const ask = (headers: Record<string, string>) =>
      fetch(`http://127.0.0.1:${port}/tables`, { headers }).then((response) => response.status);

    expect(await ask({})).to.equal(401);
    expect(await ask({ authorization: "Bearer a-token-of-24-characters" })).to.equal(200);
    pond.child.kill("SIGINT");
    await pond.ended;
    expect(pond.output.text + pond.output.stderr).to.not.contain("a-token");
  });

  it("ends with 1 and one line when the port is taken", async () => {
    const other = net.createServer();
    await new Promise<void>((resolve) => other.listen(0, "127.0.0.1", resolve));
    const { port } = other.address() as net.AddressInfo;

    const pond = start("--port", String(port));
    const code = await pond.ended;
    other.close();

    expect(code).to.equal(1);
    expect(pond.output.stderr).to.equal(
      `error: port ${port} is taken: choose another with --port, or stop what listens on 127.0.0.1:${port}\n`,
    );
  });

  it("says of a port that is taken that a pond has it", async function () {
    this.timeout(60_000);
    const first = start("--port", "0", "--no-sample");
    const [, url = ""] = await first.said(/(http:\/\/127\.0\.0\.1:\d+)/);
    const { port } = new URL(url);

    const second = start("--port", port);
    const code = await second.ended;
    first.child.kill("SIGINT");
    await first.ended;

    expect(code).to.equal(1);
    expect(second.output.stderr).to.match(
      new RegExp(`^error: a pond is served at ${url} already: .*--port <another>`),
    );
  });

  it("doubles no row beside another one on the same folder, and leaves none out", async function () {
    this.timeout(60_000);
    const ponds = [start("--port", "0", "--no-sample"), start("--port", "0", "--no-sample")];
    const urls = await Promise.all(
      ponds.map(async (pond) => (await pond.said(/(http:\/\/127\.0\.0\.1:\d+)/))[1] ?? ""),
    );
    await Promise.all(ponds.map((pond) => pond.said(/Stop:/)));
    await fs.mkdir(path.join(folder, "pond/inbox/rows"));
    for (let file = 0; file < 20; file += 1) {
      await fs.writeFile(path.join(folder, `pond/inbox/rows/${file}.csv`), `id\n${file}\n`);
    }

    for (const url of urls) {
      await until(
        () => query(url, "SELECT count(*) AS n, count(DISTINCT id) AS d FROM rows"),
        (text) => text === "n,d\n20,20\n",
      );
    }
    for (const pond of ponds) pond.child.kill("SIGINT");
    expect(await Promise.all(ponds.map((pond) => pond.ended))).to.deep.equal([0, 0]);
    const made = await fs.readdir(path.join(folder, "pond/lake/rows"));
    expect(made).to.have.length(20);
  });

  it("tells files whose rows go from those that are loaded", async function () {
    this.timeout(60_000);
    await fs.mkdir(path.join(folder, "pond/inbox"), { recursive: true });
    await fs.writeFile(path.join(folder, "pond/inbox/stays.csv"), "id\n1\n");
    await fs.writeFile(path.join(folder, "pond/inbox/goes.csv"), "id\n1\n");
    const first = start("--port", "0", "--no-sample");
    await first.said(/loaded 2 files: 2 tables, 2 rows,/);
    first.child.kill("SIGINT");
    await first.ended;
    await fs.rm(path.join(folder, "pond/inbox/goes.csv"));
    await fs.writeFile(path.join(folder, "pond/inbox/broken.csv"), 'id\n"1\n');

    environment = { MILLPOND_MIRROR_DELETES: "true" };
    const second = start("--port", "0");
    await second.said(/\nloaded 0 files, 1 rejected, 1 gone: 1 table, 1 row,/);
    second.child.kill("SIGINT");
    await second.ended;
  });

  it("ends with 1 and one line when the folder can't be written", async () => {
    await fs.writeFile(path.join(folder, "pond"), "a file, not a folder");

    const pond = start();

    expect(await pond.ended).to.equal(1);
    expect(pond.output.stderr).to.match(
      /^error: can't write to the folder .*; --dir <folder> names another\n$/,
    );
  });

  for (const [args, message] of [
    [["--prot", "1"], /unknown option '--prot'/],
    [["--port", "http"], /--port takes a number from 0 to 65535/],
    [["--port", "65536"], /--port takes a number from 0 to 65535/],
    [["--host", "0.0.0.0"], /--token/],
    [["--token", "short"], /16 characters or more/],
    [["extra"], /too many arguments/],
  ] as const) {
    it(`ends with 2 and one line for ${args.join(" ")}`, async () => {
      const pond = start(...args);

      expect(await pond.ended).to.equal(2);
      expect(pond.output.stderr).to.match(message);
      expect(pond.output.stderr.trim().split("\n")).to.have.length(1);
    });
  }

  it("refuses --fresh for a folder that is no pond, and removes nothing", async () => {
    const lake = path.join(folder, "pond/lake");
    await fs.mkdir(lake, { recursive: true });

    const pond = start("--fresh");

    expect(await pond.ended).to.equal(2);
    expect(pond.output.stderr).to.contain("is no pond");
    expect((await fs.stat(lake)).isDirectory()).to.equal(true);
  });
});
