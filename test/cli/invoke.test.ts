import fs from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { expect } from "chai";
import { noCredentials } from "../failure.ts";
import { runCli } from "../run-cli.ts";

describe("millpond invoke", () => {
  let folder: string;

  before(async () => {
    folder = await fs.mkdtemp(path.join(os.tmpdir(), "millpond-test-"));
  });
  after(async () => await fs.rm(folder, { recursive: true }));

  const environment = { PATH: process.env["PATH"] };
  const valuesOf = (stdout: string) =>
    stdout
      .split("\n")
      .filter((line) => line !== "")
      .map((line) => JSON.parse(line) as Record<string, unknown>);

  async function invoke(args: string[], input = "") {
    const command = ["invoke", "--dir", path.join(folder, "pond"), ...args];
    const ran = await runCli(command, { env: environment, input });
    return { ...ran, values: valuesOf(ran.stdout) };
  }
  const named = (name: string) => JSON.stringify({ queryStringParameters: { name } });
  const messages = (values: Record<string, unknown>[]) =>
    values.map(({ body }) => (JSON.parse(body as string) as { message: string }).message);

  it("prints what the function returns, and its log on standard error", async () => {
    const { code, values, stderr } = await invoke(["-f", "hello", "-d", named("Alice")]);

    expect(code).to.equal(0);
    expect(values[0]).to.include({ statusCode: 200, body: '{"message":"Hello, Alice!"}' });
    expect(stderr).to.match(/info hello/);
  });

  it("takes files, data and standard input, in their order", async () => {
    const file = path.join(folder, "bob.json");
    await fs.writeFile(file, named("Bob"));
    const lines = `${named("Dora")}\n\n${named("Emil")}\n`;

    const { code, values } = await invoke(
      ["-f", "hello", "-d", named("Al"), "-p", file, "-p", "-", "-d", named("Zoe")],
      lines,
    );

    expect(code).to.equal(0);
    expect(messages(values)).to.deep.equal([
      "Hello, Al!",
      "Hello, Bob!",
      "Hello, Dora!",
      "Hello, Emil!",
      "Hello, Zoe!",
    ]);
  });

  it("invokes with an empty event when none is given", async () => {
    const { code, values } = await invoke(["-f", "hello"]);

    expect(code).to.equal(0);
    expect(messages(values)).to.deep.equal(["Hello, world!"]);
  });

  it("ends by what came of it, though nobody reads on", async () => {
    const { code } = await runCli(["invoke", "-f", "ingest", "-d", '{"Records":[{}]}'], {
      env: { ...process.env, MILLPOND_STORE: folder },
      onStart: (child) => void child.stdout?.destroy(),
    });

    expect(code).to.equal(1);
  });

  it("ends with 1 when the function throws, and prints the error as Lambda does", async () => {
    const { code, values } = await invoke([
      "-f",
      "ingest",
      "-d",
      '{"Records":[{}]}',
      "-d",
      '{"Event":"s3:TestEvent","Bucket":"pond"}',
    ]);

    expect(code).to.equal(1);
    expect(values[0]).to.include({ errorType: "event" });
    expect(values[0]?.["errorMessage"]).to.match(/expected an event of S3/);
    expect(values[0]?.["trace"]).to.be.an("array").that.is.not.empty;
    // The events after it still run.
    expect(values[1]).to.include({ converted: 0, refused: 0 });
  });

  it("ends with 1 when the answer is the function's own fault", async () => {
    const query =
      '{"version":"2.0","rawPath":"/tables","requestContext":{"http":{"method":"GET"}}}';
    const { code, stdout, stderr } = await runCli(["invoke", "-f", "query", "-d", query], {
      env: {
        ...environment,
        ...noCredentials,
        MILLPOND_STORE: "s3://my-pond",
        MILLPOND_EXTENSIONS: folder,
        AWS_REGION: "eu-central-1",
      },
    });

    expect(code).to.equal(1);
    expect(JSON.parse(stdout)).to.include({ statusCode: 500 });
    expect(stdout).to.contain("misconfigured").and.to.not.contain("my-pond");
    expect(stderr).to.match(/error request failed\n {4}store-credentials: no credentials for s3:/);
    // What people can mend says where by itself.
    expect(stderr).to.not.match(/\n\s+at /);
  });

  for (const [what, args, message] of [
    [
      "an unknown function",
      ["-f", "goodbye"],
      /no function "goodbye".*hello, ingest, query, sweep/,
    ],
    ["no function", [], /no function was named.*hello, ingest, query, sweep/],
    [
      "data that is no JSON",
      ["-f", "hello", "-d", "{"],
      /^error: the event in -d is not JSON: (?!.*functions:).*\n$/,
    ],
    ["a line that is no JSON", ["-f", "hello", "-p", "-"], /line 2 of standard input is not JSON/],
    [
      "a file that isn't there",
      ["-f", "hello", "-p", "/none.json"],
      /can't read the event \/none.json/,
    ],
    ["an unknown option", ["-f", "hello", "--dta", "{}"], /unknown option '--dta'/],
  ] as const) {
    it(`ends with 2 for ${what}, and says so in one line`, async () => {
      const { code, stdout, stderr } = await invoke([...args], `${named("A")}\n{\n`);

      expect(code).to.equal(2);
      expect(stdout).to.equal("");
      expect(stderr).to.match(message);
      expect(stderr.trim().split("\n")).to.have.length(1);
    });
  }

  it("runs the functions over the pond's folder, which then answer for what it holds", async () => {
    const inbox = path.join(folder, "pond/inbox");
    await fs.mkdir(inbox, { recursive: true });
    await fs.writeFile(path.join(inbox, "a b+c.csv"), "id\n1\n");
    await fs.writeFile(path.join(inbox, "trees.csv"), "id\n1\n2\n");
    const upload = (key: string, bucket = "pond") =>
      JSON.stringify({
        Records: [
          {
            eventVersion: "2.1",
            eventSource: "aws:s3",
            s3: { bucket: { name: bucket }, object: { key } },
          },
        ],
      });
    const request = (method: string, rawPath: string, rawQueryString: string) =>
      JSON.stringify({
        version: "2.0",
        rawPath,
        rawQueryString,
        headers: {},
        requestContext: { http: { method } },
      });

    const ingested = await invoke([
      "-f",
      "ingest",
      "-d",
      upload("inbox/trees.csv"),
      "-d",
      upload("inbox/trees.csv"),
      "-d",
      upload("inbox/a+b%2Bc.csv"),
      "-d",
      upload("inbox/none.csv"),
      "-d",
      upload("inbox/trees.csv", "another"),
    ]);
    const swept = await invoke(["-f", "sweep"]);
    const asked = await invoke([
      "-f",
      "query",
      "-d",
      request("GET", "/query", "sql=SELECT+count(*)+AS+n+FROM+trees&format=ndjson"),
      "-d",
      request("GET", "/query", "sql=SELECT+1+AS+a&format=parquet"),
    ]);
    const malformed = await invoke(["-f", "query", "-d", '{"rawPath":"/tables"}']);

    const summary = {
      converted: 0,
      unchanged: 0,
      gone: 0,
      deleted: 0,
      rejected: 0,
      ignored: 0,
      refused: 0,
    };
    expect(ingested.values).to.deep.equal([
      { ...summary, converted: 1 },
      { ...summary, unchanged: 1 },
      { ...summary, rejected: 1 },
      { ...summary, gone: 1 },
      { ...summary, refused: 1 },
    ]);
    expect(ingested.stderr).to.match(/refused an event .*another bucket/);
    expect(swept.values).to.deep.equal([
      {
        ...{ sources: 2, outputs: 1, rejections: 1, looked: 2, announced: 0 },
        ...{ stale: { missing: 0, outdated: 0, gone: 0 }, spared: 0 },
      },
    ]);
    expect(asked.values[0]).to.include({
      statusCode: 200,
      body: '{"n":2}\n',
      isBase64Encoded: false,
    });
    expect(asked.values[1]).to.include({ statusCode: 200, isBase64Encoded: true });
    expect(
      Buffer.from(asked.values[1]?.["body"] as string, "base64")
        .subarray(0, 4)
        .toString(),
    ).to.equal("PAR1");
    expect(malformed.code).to.equal(1);
    expect(malformed.values[0]?.["errorMessage"]).to.match(/payload format 2.0: version/);
  });

  it("runs every event of events/ in a folder of its own", async () => {
    const { code, stdout } = await runCli(["invoke", "--all"], {
      env: { ...environment, TMPDIR: folder },
    });

    const values = valuesOf(stdout);
    expect(code).to.equal(0);
    expect(messages(values.slice(0, 3))).to.deep.equal([
      "Hello, Alice!",
      "Hello, Bob!",
      "Hello, Charlie!",
    ]);
    expect(values[3]).to.include({ converted: 1 });
    expect(values[4]).to.include({ statusCode: 200 });
    expect(values[5]?.["body"]).to.match(/^weather,days\nrain,641\n/);
    expect(values[6]).to.deep.include({ sources: 4, announced: 3 });
    expect(values[6]?.["ingested"]).to.include({ converted: 3, rejected: 0 });
    expect((await fs.readdir(folder)).filter((name) => name.startsWith("millpond-"))).to.deep.equal(
      [],
    );
  });
});
