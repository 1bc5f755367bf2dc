import type { ChildProcess } from "node:child_process";
import fs from "node:fs/promises";
import http from "node:http";
import type { AddressInfo } from "node:net";
import os from "node:os";
import path from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { expect } from "chai";
import { localLogFile } from "../../cli/local-log.ts";
import { isWanted, jsonLine, readLine, shownLine } from "../../cli/log-line.ts";
import { runCli } from "../run-cli.ts";

const time = Date.parse("2026-01-02T03:04:05.678Z");
const line = (fields: object | string, source = "ingest") =>
  readLine({ time, source, text: typeof fields === "string" ? fields : JSON.stringify(fields) });

describe("a line of a log", () => {
  const report = {
    time: "2026-01-02T03:04:05.678Z",
    type: "platform.report",
    record: {
      requestId: "r1",
      status: "success",
      metrics: { durationMs: 12.5, maxMemoryUsedMB: 90 },
      tracing: { spanId: "s" },
    },
  };
  const access = {
    timestamp: "02/Jan/2026:03:04:05 +0000",
    request: "a",
    function_request_id: "r1",
    method: "GET",
    path: "/tables",
    status: "200",
  };

  for (const [what, fields, level] of [
    ["of ours", { level: "warn", message: "rejected" }, "warn"],
    ["of ours, at winston's lowest level", { level: "silly", message: "x" }, "debug"],
    ["of Lambda, where all went well", report, "debug"],
    [
      "of Lambda, where it did not",
      { ...report, record: { ...report.record, status: "timeout" } },
      "error",
    ],
    ["of Lambda's start", { type: "platform.start", record: { requestId: "r1" } }, "debug"],
    ["of the access log", access, "info"],
    ["of the access log, where the caller was wrong", { ...access, status: "401" }, "warn"],
    ["of the access log, where we were", { ...access, status: "503" }, "error"],
    ["that is no JSON", "FATAL ERROR: Reached heap limit", "warn"],
  ] as const) {
    it(`${what} is ${level}`, () => {
      expect(line(fields).level).to.equal(level);
    });
  }

  it("is shown with its time, whose it is, and what more is known, and cannot speak to the terminal", () => {
    const fields = {
      timestamp: "2026-01-02T03:04:05.678Z",
      level: "info",
      message: "converted",
      source: "inbox/a\u001b[2J.csv",
      function_name: "millpond-dev-ingest-image",
      function_request_id: "r1",
      RowsConverted: 3,
      _aws: { Timestamp: 1 },
    };

    expect(shownLine(line(fields))).to.equal(
      "2026-01-02T03:04:05.678Z ingest info converted source=inbox/a\\u001b[2J.csv",
    );
    expect(shownLine(line(report))).to.match(
      /ingest debug report status=success durationMs=12.5 maxMemoryUsedMB=90$/,
    );
    expect(shownLine(line(access, "api"))).to.match(/api {4}info GET \/tables .*status=200/);
    expect(shownLine(line("\u001b[2JFATAL"))).to.match(/ingest warn \\u001b\[2JFATAL$/);
  });

  it("is found by its level, its text and its request", () => {
    const ours = line({ level: "info", message: "request", function_request_id: "r1" });

    expect(isWanted(ours, { level: "info" })).to.equal(true);
    expect(isWanted(ours, { level: "warn" })).to.equal(false);
    expect(isWanted(ours, { level: "info", text: "REQ" })).to.equal(true);
    expect(isWanted(ours, { level: "info", text: "other" })).to.equal(false);
    for (const one of [ours, line(report), line(access, "api")]) {
      expect(isWanted(one, { level: "debug", request: "r1" })).to.equal(true);
      expect(isWanted(one, { level: "debug", request: "r" })).to.equal(false);
    }
  });

  it("is an object for scripts, whatever it was", () => {
    expect(JSON.parse(jsonLine(line({ function_name: "f", level: "info" })))).to.deep.equal({
      function_name: "f",
      level: "info",
    });
    expect(JSON.parse(jsonLine(line("words")))).to.deep.equal({
      timestamp: "2026-01-02T03:04:05.678Z",
      level: "warn",
      message: "words",
      function_name: "ingest",
    });
  });
});

describe("millpond logs, of a pond on this machine", () => {
  let folder: string;
  let file: string;
  const logged = (message: string, { ago = 0, ...fields }: Record<string, unknown> = {}) =>
    `${JSON.stringify({
      timestamp: new Date(Date.now() - Number(ago)).toISOString(),
      level: "info",
      message,
      function_name: "ingest",
      ...fields,
    })}\n`;
  const logs = async (...args: string[]) => await runCli(["logs", "--dir", folder, ...args]);
  const messages = (text: string) =>
    text
      .split("\n")
      .filter((one) => one !== "")
      .map((one) => (JSON.parse(one) as { message: string }).message);

  beforeEach(async () => {
    folder = await fs.mkdtemp(path.join(os.tmpdir(), "millpond-test-"));
    file = localLogFile(folder);
    await fs.mkdir(path.dirname(file), { recursive: true });
  });
  afterEach(async () => {
    await fs.rm(folder, { recursive: true });
  });

  it("shows all parts of the log from the oldest on, of the last hour alone, and what is cut off", async () => {
    await fs.writeFile(file.replace(".ndjson", "2.ndjson"), logged("first"));
    await fs.writeFile(file.replace(".ndjson", "1.ndjson"), `${logged("second")}{"level":"in\n`);
    await fs.writeFile(
      file,
      logged("long ago", { ago: 2 * 3_600_000 }) +
        logged("third", { function_name: "query" }) +
        logged("quiet", { level: "debug" }),
    );

    const all = await logs("--json");
    const query = await logs("--json", "-f", "query", "sweep");
    const older = await logs("--json", "--since", "3h", "--filter", "LONG");

    expect(messages(all.stdout)).to.deep.equal(["first", "second", '{"level":"in', "third"]);
    expect(all.code).to.equal(0);
    expect(messages(query.stdout)).to.deep.equal(["third"]);
    expect(messages(older.stdout)).to.deep.equal(["long ago"]);
  });

  it("shows all lines of one request, also those of days ago that say little", async () => {
    const ours = { function_request_id: "r1" };
    await fs.writeFile(
      file,
      logged("too long ago", { ...ours, ago: 8 * 86_400_000 }) +
        logged("long ago", { ...ours, ago: 6 * 86_400_000, level: "debug" }) +
        logged("another's", { function_request_id: "r2" }) +
        logged("now", ours),
    );

    const all = await logs("--json", "--request", "r1");
    const fewer = await logs("--json", "--request", "r1", "--level", "info", "--since", "1h");
    const none = await logs("--request", "r3");

    expect(messages(all.stdout)).to.deep.equal(["long ago", "now"]);
    expect(messages(fewer.stdout)).to.deep.equal(["now"]);
    expect(none.stderr).to.match(/is such a line: --since 30d looks further back\n$/);
  });

  it("ends in silence when nobody reads on", async () => {
    await fs.writeFile(file, logged("x".repeat(200)).repeat(20_000));
    const { code, stderr } = await runCli(["logs", "--dir", folder, "--json"], {
      onStart: (child) => void child.stdout?.once("data", () => child.stdout?.destroy()),
    });

    expect({ code, stderr }).to.deep.equal({ code: 0, stderr: "" });
  });

  /** Resolves when a process has taken no time of a processor in five looks, where that can be told. */
  const untilIdle = async (pid: number) => {
    let same = 0;
    for (let before = ""; same < 5; await pause(20)) {
      const stat = await fs.readFile(`/proc/${pid}/stat`, "utf8").catch(() => "");
      const taken = stat.split(" ").slice(13, 15).join(" ");
      same = taken === before ? same + 1 : 0;
      before = taken;
    }
  };

  it("ends with 130 by Ctrl-C while it waits for who reads", async () => {
    await fs.writeFile(file, logged("x".repeat(200)).repeat(50_000));
    const { code, stderr } = await runCli(["logs", "--dir", folder, "--json"], {
      onStart: (child) => {
        child.stdout?.once("data", () => {
          child.stdout?.pause();
          void untilIdle(child.pid ?? 0).then(() => {
            child.kill("SIGINT");
            // What it has written, it waits to be rid of.
            setImmediate(() => child.stdout?.resume());
          });
        });
      },
    });

    expect({ code, stderr }).to.deep.equal({ code: 130, stderr: "" });
  });

  it("follows it, also into a new file, until Ctrl-C", async () => {
    await fs.writeFile(file, logged("before"));
    let child: ChildProcess | undefined;
    const shown = { text: "" };
    const waiting = new Set<() => void>();
    const ended = runCli(["logs", "--dir", folder, "--follow", "--json"], {
      onStart: (started) => {
        child = started;
        started.stdout?.on("data", (chunk: Buffer) => {
          shown.text += String(chunk);
          for (const look of waiting) look();
        });
      },
    });
    const saw = async (message: string) => {
      await new Promise<void>((resolve) => {
        const look = () => shown.text.includes(`"${message}"`) && resolve();
        waiting.add(look);
        look();
      });
    };

    await saw("before");
    await fs.appendFile(file, logged("after"));
    await saw("after");
    await fs.appendFile(file, logged("last of the old"));
    await fs.rename(file, file.replace(".ndjson", "1.ndjson"));
    const [half, rest] = [logged("anew").slice(0, 20), logged("anew").slice(20)];
    await fs.writeFile(file, half);
    await saw("last of the old");
    await fs.appendFile(file, rest);
    await saw("anew");
    child?.kill("SIGINT");
    const { code, stderr } = await ended;

    expect(messages(shown.text)).to.deep.equal(["before", "after", "last of the old", "anew"]);
    expect({ code, stderr }).to.deep.equal({ code: 0, stderr: "" });
  });

  it("says where there is none, and where nothing is such a line", async () => {
    const none = await logs();
    await fs.writeFile(file, logged("one"));
    const other = await logs("--level", "error");

    expect(none).to.include({ code: 1, stdout: "" });
    expect(none.stderr).to.match(/^error: there is no log at .*npm start writes it/);
    expect(other).to.include({ code: 0, stdout: "" });
    expect(other.stderr).to.match(/^none of 1 line since .* is such a line: --since 1d/);
  });

  for (const [args, said] of [
    [["-f", "other"], /Allowed choices are hello, ingest, query, sweep, api/],
    [["-f", "api"], /no API Gateway/],
    [["--since", "yesterday"], /takes 30m, 2h, 7d/],
    [["--since", "2026"], /takes 30m, 2h, 7d/],
    [["--dir", "s3://a-bucket"], /--stack <name>/],
  ] as const) {
    it(`refuses ${args.join(" ")}`, async () => {
      const { code, stderr } = await runCli(["logs", "--dir", folder, ...args]);

      expect(stderr).to.match(said);
      expect(stderr.trim().split("\n")).to.have.length(1);
      expect(code).to.equal(2);
    });
  }
});

describe("millpond logs, of a stack", () => {
  let folder: string;
  let server: http.Server;
  let asked: Record<string, unknown>[];
  const lines: Record<string, object[]> = {
    query: [
      { level: "info", message: "request", function_request_id: "r-1" },
      { type: "platform.start", record: { requestId: "r-1" } },
    ],
    api: [{ function_request_id: "r-1", method: "GET", path: "/query", status: "200" }],
  };

  before(async () => {
    folder = await fs.mkdtemp(path.join(os.tmpdir(), "millpond-test-"));
    const sources = ["hello", "ingest", "query", "sweep", "api"];
    const outputs = {
      ...{ region: "eu-central-1", apiUrl: "https://api", failureQueues: {} },
      logGroups: Object.fromEntries(sources.map((one) => [one, `/${one}`])),
    };
    const script = `#!/bin/sh\ncat <<'END'\n${JSON.stringify(outputs)}\nEND\n`;
    await fs.writeFile(path.join(folder, "pulumi"), script, { mode: 0o755 });
    // As CloudWatch answers FilterLogEvents.
    server = http.createServer(async (request, response) => {
      const body = Buffer.concat(await request.toArray()).toString();
      const input = JSON.parse(body) as { logGroupName: string };
      asked.push(input);
      const found = lines[input.logGroupName.slice(1)] ?? [];
      const events = found.map((line, i) => ({
        ...{ eventId: `${input.logGroupName} ${i}`, timestamp: time + i },
        message: JSON.stringify(line),
      }));
      response.setHeader("content-type", "application/x-amz-json-1.1");
      response.end(JSON.stringify({ events }));
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  });
  after(async () => {
    server.close();
    await fs.rm(folder, { recursive: true });
  });
  beforeEach(() => {
    asked = [];
  });

  const logs = async (...args: string[]) => {
    const { port } = server.address() as AddressInfo;
    return await runCli(["logs", "--stack", "dev", ...args], {
      env: {
        PATH: `${folder}:${process.env["PATH"]}`,
        ...{ AWS_ACCESS_KEY_ID: "a", AWS_SECRET_ACCESS_KEY: "b" },
        AWS_ENDPOINT_URL: `http://127.0.0.1:${port}`,
      },
    });
  };
  const days = (since: unknown) => (Date.now() - Number(since)) / 86_400_000;

  it("asks each function and API Gateway for the lines of one request, of a week, and shows them all", async () => {
    const { stdout, code, stderr } = await logs("--request", "r-1");

    expect(code, stderr).to.equal(0);
    expect(asked.map(({ logGroupName }) => logGroupName)).to.have.members(
      ["hello", "ingest", "query", "sweep", "api"].map((one) => `/${one}`),
    );
    for (const { filterPattern, startTime } of asked) {
      expect(filterPattern).to.equal('"r-1"');
      expect(days(startTime)).to.be.within(7, 7.1);
    }
    expect(stdout).to.match(/query +info request/);
    expect(stdout).to.match(/query +debug start/);
    expect(stdout).to.match(/api +info GET \/query/);
  });

  it("asks the functions alone for an hour's lines of any kind where no request is named", async () => {
    await logs();

    expect(asked).to.have.length(4);
    for (const { logGroupName, filterPattern, startTime } of asked) {
      expect(logGroupName).to.not.equal("/api");
      expect(filterPattern).to.equal(undefined);
      expect(days(startTime) * 24).to.be.within(1, 1.1);
    }
  });
});
