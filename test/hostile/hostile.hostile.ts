import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import fs from "node:fs/promises";
import http from "node:http";
import net from "node:net";
import os from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { ListObjectsV2Command, PutObjectCommand, type S3Client } from "@aws-sdk/client-s3";
import { expect } from "chai";
import { environmentNames } from "../../app/contract.ts";
import { readSettings } from "../../app/environment.ts";
import { ingest } from "../../app/flow/ingest.ts";
import { mostBodyBytes } from "../../app/http/question.ts";
import { createLogger } from "../../app/logger.ts";
import { openPond } from "../../app/pond.ts";
import { emulatorKeys } from "../../cli/rehearsal/emulator.ts";
import { emulatorClient, newBucket } from "../s3/emulator.ts";
import { emulatorOf } from "../s3/fixtures.ts";
import { type Expected, harmless, httpCases, limits, type SentRequest, sqlCases } from "./cases.ts";

/** Little, so that limits are met soon. */
const deadlineSeconds = 3;

/** What anybody may ask, and gets whatever others do. */
const ordinary: SentRequest = {
  path: "/query?sql=SELECT+sum(id)+AS+n+FROM+people&format=csv",
};
const ordinaryAnswer = "n\n6\n";

/** What nobody may ever see: in the environment, on the disk, beside the lake. */
const canary = `canary-${randomBytes(8).toString("hex")}`;
const token = `token-${randomBytes(12).toString("hex")}`;
const canaries = [canary, token, emulatorKeys.AWS_SECRET_ACCESS_KEY];

describe("strangers", function () {
  this.timeout(60_000);

  let client: S3Client;
  let folder: string;
  let server: ChildProcess;
  let url: string;
  /** What the server wrote, and what was seen of its system calls. */
  let written = "";
  let trace: string | undefined;
  const decoy = { server: http.createServer(), connections: 0 };
  const places: Record<string, string> = {};
  let untouched: unknown;
  /** By how many ms answers came after their deadline. */
  let latest = 0;

  before(async function () {
    const { endpoint, extensions } = await emulatorOf(this);
    client = emulatorClient(endpoint);
    folder = await fs.mkdtemp(path.join(os.tmpdir(), "millpond-test-"));
    const [bucket, other] = [await newBucket(client), await newBucket(client)];
    decoy.server.on("connection", () => {
      decoy.connections += 1;
    });
    decoy.server.on("request", (_, response) => response.end("a\n1\n"));
    await new Promise<void>((resolve) => decoy.server.listen(0, "127.0.0.1", resolve));
    const { port } = decoy.server.address() as net.AddressInfo;
    const scratch = path.join(folder, "scratch");
    await fs.mkdir(scratch);
    const file = path.join(folder, "secret.csv");
    await fs.writeFile(file, `a\n${canary}\n`);
    Object.assign(places, { bucket, other, file, endpoint });
    Object.assign(places, { decoy: `http://127.0.0.1:${port}`, decoyPort: String(port) });

    const put = async (Bucket: string, Key: string, Body: string) => {
      await client.send(new PutObjectCommand({ Bucket, Key, Body }));
    };
    await put(other, "secret.csv", `a\n${canary}\n`);
    await put(bucket, "inbox/secret.csv", `a\n${canary}\n`);
    await put(bucket, "inbox/people.csv", "id,name\n1,Ann\n2,Bo\n3,Cy\n");
    const environment = {
      [environmentNames.store]: `s3://${bucket}`,
      [environmentNames.extensions]: extensions,
      AWS_ENDPOINT_URL_S3: endpoint,
    };
    const pond = await openPond(
      readSettings(environment),
      createLogger({ environment: { LOG_LEVEL: "fatal" } }),
    );
    await ingest(pond.ingest, "inbox/people.csv");
    await pond.close();

    const command = [process.execPath, fileURLToPath(new URL("server.ts", import.meta.url)), token];
    if (hasStrace()) {
      trace = path.join(folder, "trace");
      command.unshift(
        "strace",
        "-f",
        "-qq",
        "--seccomp-bpf",
        "-e",
        "trace=connect,sendto,openat,execve",
        "-s",
        "200",
        "-o",
        trace,
      );
    } else {
      process.stderr.write("no strace here: connections are counted at the decoy alone\n");
    }
    const [program = "", ...args] = command;
    server = spawn(program, args, {
      stdio: ["pipe", "pipe", "pipe"],
      // Groups of their own: Ctrl-C is for mocha, which ends them.
      env: {
        PATH: process.env["PATH"],
        HOME: folder,
        TMPDIR: scratch,
        ...environment,
        ...emulatorKeys,
        SECRET_CANARY: canary,
        [environmentNames.queryDeadlineSeconds]: String(deadlineSeconds),
        [environmentNames.memoryMiB]: "512",
        [environmentNames.diskMiB]: "64",
        LOG_LEVEL: "trace",
      },
    });
    for (const stream of [server.stdout, server.stderr]) {
      stream?.on("data", (chunk: Buffer) => {
        written += String(chunk);
      });
    }
    while (!/http:\S+\n/.test(written)) await once(server.stdout as NodeJS.EventEmitter, "data");
    url = /http:\S+/.exec(written)?.[0] ?? "";
    untouched = await everything();
  });

  after(async () => {
    server?.kill("SIGKILL");
    decoy.server.close();
    client?.destroy();
    if (folder !== undefined) await fs.rm(folder, { recursive: true });
  });

  /** All objects outside `results/`, and all files in the server's reach, by what they hold. */
  async function everything() {
    const objects: string[] = [];
    for (const Bucket of [places["bucket"], places["other"]]) {
      const { Contents = [] } = await client.send(new ListObjectsV2Command({ Bucket }));
      objects.push(...Contents.map(({ Key, ETag }) => `${Bucket} ${Key} ${ETag}`));
    }
    const files = (await fs.readdir(folder)).filter((name) => !["trace", "scratch"].includes(name));
    return { objects, files, file: await fs.readFile(places["file"] as string, "utf8") };
  }

  async function send(request: SentRequest) {
    const { method = "GET", path: at, headers = {}, body, anonymous } = request;
    const { hostname, port, host } = new URL(url);
    const authorization = anonymous ? {} : { authorization: `Bearer ${token}` };
    const sent = http.request({
      hostname,
      port,
      method,
      path: at,
      agent: false,
      headers: { host, ...authorization, ...headers },
    });
    const begun = performance.now();
    const length = Buffer.byteLength(body ?? "");
    // What is refused by its length is answered before it comes, and not read: whoever goes on to write may never see the answer.
    const refusedByLength = length > mostBodyBytes;
    if (refusedByLength) sent.setHeader("content-length", length).flushHeaders();
    else sent.end(body);
    const [response] = (await once(sent, "response")) as [http.IncomingMessage];
    if (refusedByLength) sent.on("error", () => {});
    const text = Buffer.concat(await response.toArray()).toString("utf8");
    if (refusedByLength) sent.destroy();
    return { response, text, milliseconds: performance.now() - begun };
  }

  async function tryOut(request: SentRequest, expected: Expected) {
    const { response, text, milliseconds } = await send(request);
    const { statusCode: status = 0, headers } = response;
    const all = JSON.stringify(headers) + text;
    for (const one of canaries) expect(all.includes(one), "a canary in the answer").to.equal(false);
    let code = harmless;
    if (status >= 300 && status !== 303) {
      const problem = JSON.parse(text) as { code: string; detail: string };
      code = problem.code;
      expect(headers["content-type"]).to.equal("application/problem+json");
      // Nothing of where things are.
      expect(text).to.not.match(/\.duckdb\/|node_modules|app\/engine|\/millpond\/\d+-/);
    }
    if (code === "deadline") latest = Math.max(latest, milliseconds - deadlineSeconds * 1000);
    expect([expected].flat(), `${status} ${text.slice(0, 500)}`).to.include(code);

    // The next one is answered right, whatever this one did.
    const next = await send(ordinary);
    expect(next.text).to.equal(ordinaryAnswer);
  }

  /** Answers that lie on the disk, and files of the server that have no name any more. */
  async function left(): Promise<string[]> {
    const base = path.join(folder, "scratch", "millpond");
    const [workspace = "", ...others] = await fs.readdir(base);
    const answers = await fs.readdir(path.join(base, workspace, "answers"));
    const pid = Number(server.pid);
    // Under strace it is the only child. What is open, only Linux shows.
    const own = trace === undefined ? pid : Number((await childrenOf(pid))[0]);
    const files = process.platform === "linux" ? await openFiles(own) : [];
    return [...others, ...answers, ...files.filter((one) => one.endsWith("(deleted)"))];
  }

  const filled = (sql: string) =>
    sql.replace(/\{(\w+)\}/g, (whole, name: string) => places[name] ?? whole);
  const posted = (sql: string): SentRequest => ({
    method: "POST",
    path: "/query?format=ndjson",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ sql: filled(sql) }),
  });
  const shown = (text: string) => {
    const line = JSON.stringify(text).slice(1, -1);
    return line.length > 90 ? `${line.slice(0, 90)}… (${text.length})` : line;
  };
  for (const { kind, expected, sql } of sqlCases) {
    describe(kind, () => {
      for (const one of sql) {
        it(shown(one), async () => {
          await tryOut(posted(one), expected);
        });
      }
    });
  }
  for (const { kind, expected, requests } of httpCases) {
    describe(kind, () => {
      for (const request of requests({ token })) {
        const { method = "GET", path: at, headers, body = "" } = request;
        const said = `${method} ${at} ${JSON.stringify(headers ?? {})} ${body.toString()}`;
        it(shown(said.replaceAll(token, "<token>")), async () => await tryOut(request, expected));
      }
    });
  }

  describe("bytes that are no request", () => {
    const raw: Record<string, string> = {
      "two lengths":
        "POST /query HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nxx",
      "a length and chunks":
        "POST /query HTTP/1.1\r\nHost: localhost\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /tables HTTP/1.1\r\n\r\n",
      "a header with a line break": "GET / HTTP/1.1\r\nHost: localhost\r\nX: a\rb\r\n\r\n",
      "no host": "GET /tables HTTP/1.1\r\n\r\n",
      "a header that is too long": `GET / HTTP/1.1\r\nHost: localhost\r\nX: ${"x".repeat(200_000)}\r\n\r\n`,
      "another protocol": "\u0016\u0003\u0001\u0002\u0000",
      "chunks that lie":
        "POST /query HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\nFFFFFFFFFFFFFFFF\r\n",
      "an absolute URL":
        "GET http://evil.example/tables HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n",
    };
    for (const [what, bytes] of Object.entries(raw)) {
      it(what, async () => {
        const { hostname, port } = new URL(url);
        const socket = net.connect(Number(port), hostname);
        socket.on("error", () => {});
        socket.write(bytes);
        const [answer] = (await once(socket, "data")) as [Buffer];
        socket.destroy();
        expect(String(answer)).to.match(/^HTTP\/1\.1 4\d\d /);
        const next = await send(ordinary);
        expect(next.text).to.equal(ordinaryAnswer);
      });
    }
  });

  describe("many at once", () => {
    it("end as they do alone, or at a limit, and leave nothing behind", async function () {
      this.timeout(300_000);
      const waiting = sqlCases.flatMap(({ expected, sql }) =>
        sql.map((one) => ({ sql: one, expected: [expected, limits, "engine-died"].flat() })),
      );
      const wrong: string[] = [];
      const neighbours = { right: 0, late: 0 };
      const stranger = async () => {
        for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) {
          const { response, text } = await send(posted(next.sql));
          const status = response.statusCode ?? 0;
          const code = status < 300 ? harmless : (JSON.parse(text) as { code: string }).code;
          if (!next.expected.includes(code))
            wrong.push(`${shown(next.sql)}: ${text.slice(0, 300)}`);
        }
      };
      /** Who has nothing to do with it may have to wait, and gets no wrong answer. */
      const neighbour = async () => {
        while (waiting.length > 0) {
          const { response, text } = await send(ordinary);
          if (response.statusCode === 408) neighbours.late += 1;
          else if (text === ordinaryAnswer) neighbours.right += 1;
          else wrong.push(`the neighbour: ${text.slice(0, 300)}`);
        }
      };
      await Promise.all([...Array.from({ length: 8 }, stranger), neighbour()]);

      expect(wrong).to.deep.equal([]);
      expect(neighbours.right).to.be.above(0);
      const next = await send(ordinary);
      expect(next.text).to.equal(ordinaryAnswer);
      expect(await left(), "answers, and files that are open without a name").to.deep.equal([]);
      process.stdout.write(
        `      8 at once: a neighbour had ${neighbours.right} answers, and ${neighbours.late} deadlines\n`,
      );
    });
  });

  describe("all of them together", () => {
    it("are as many as docs/security.md says", () => {
      const kinds = [...sqlCases, ...httpCases].map(({ kind }) => kind);
      const sum = [
        ...sqlCases.map(({ sql }) => sql.length),
        ...httpCases.map(({ requests }) => requests({ token }).length),
      ].reduce((a, b) => a + b, 0);
      expect(new Set(kinds).size).to.equal(kinds.length).and.equal(92);
      expect(sum).to.be.above(500);
      process.stdout.write(
        `      ${kinds.length} kinds, ${sum} cases; at most ${Math.round(latest)} ms over a deadline of ${deadlineSeconds} s\n`,
      );
    });

    it("changed nothing in the store, and no file", async () => {
      expect(await everything()).to.deep.equal(untouched);
    });

    it("reached nobody", () => {
      expect(decoy.connections).to.equal(0);
    });

    it("showed no secret in a log", () => {
      expect(written.length).to.be.above(10_000);
      for (const one of canaries) expect(written.includes(one), "in the log").to.equal(false);
    });

    it("had no system call made that leads elsewhere", async function () {
      if (trace === undefined) return this.skip();
      server.stdin?.end();
      await once(server, "close");
      const lines = (await fs.readFile(trace, "utf8")).split("\n");
      const { port } = new URL(places["endpoint"] as string);
      const connects = lines.filter((line) => /\bconnect\(/.test(line));
      expect(connects.length, "calls that were seen").to.be.above(0);
      const elsewhere = connects.filter(
        (line) => !line.includes(`sin_port=htons(${port}), sin_addr=inet_addr("127.0.0.1")`),
      );
      expect(elsewhere).to.deep.equal([]);
      const opened = lines.filter(
        (line) =>
          /\bopenat\(/.test(line) &&
          /secret\.csv|"\/etc\/(passwd|hostname)|\/proc\/.*\/environ/.test(line),
      );
      expect(opened).to.deep.equal([]);
      const started = lines.filter(
        (line) => /\bexecve\(/.test(line) && !line.includes(process.execPath),
      );
      expect(started).to.deep.equal([]);
    });
  });
});

async function childrenOf(pid: number): Promise<number[]> {
  const children = await fs.readFile(`/proc/${pid}/task/${pid}/children`, "utf8");
  return children.trim().split(" ").map(Number);
}

async function openFiles(pid: number): Promise<string[]> {
  const handles = await fs.readdir(`/proc/${pid}/fd`);
  // One may be closed while they are looked at.
  return await Promise.all(
    handles.map((fd) => fs.readlink(`/proc/${pid}/fd/${fd}`).catch(() => "")),
  );
}

function hasStrace(): boolean {
  try {
    execFileSync("strace", ["-f", "-qq", "-o", "/dev/null", "true"], { stdio: "ignore" });
    return true;
  } catch {
    // Not there, or not allowed to watch.
    return false;
  }
}
