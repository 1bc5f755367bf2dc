import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import fs from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { expect } from "chai";
import { environmentNames } from "../../app/contract.ts";
import { emulatorKeys } from "../../cli/rehearsal/emulator.ts";
import { emulatorClient, newBucket } from "../s3/emulator.ts";
import { emulatorOf } from "../s3/fixtures.ts";

const token = "token-for-large-answers";
const megabyte = 1_000_000;
/** What the process that answers may grow by, however large the answer is. */
const mostGrowth = 64 * 1024 * 1024;

describe("the memory of a process that answers", function () {
  this.timeout(300_000);

  let folder: string;
  let server: ChildProcess | undefined;

  beforeEach(async () => {
    folder = await fs.mkdtemp(path.join(os.tmpdir(), "millpond-test-"));
  });
  afterEach(async () => {
    server?.kill("SIGKILL");
    await fs.rm(folder, { recursive: true });
  });

  async function start(program: string, args: string[], environment: Record<string, string>) {
    const file = fileURLToPath(new URL(program, import.meta.url));
    const child = spawn(process.execPath, [file, ...args], {
      stdio: ["pipe", "pipe", "inherit"],
      env: { PATH: process.env["PATH"], LOG_LEVEL: "warn", ...environment },
    });
    server = child;
    let said = "";
    while (!/http:\S+\n/.test(said)) {
      const [chunk] = (await once(child.stdout, "data")) as [Buffer];
      said += String(chunk);
    }
    const url = /http:\S+/.exec(said)?.[0] ?? "";
    /** Bytes that it has had at once, at most. */
    const peak = async () => {
      const status = await fs.readFile(`/proc/${child.pid}/status`, "utf8");
      return Number(/VmHWM:\s*(\d+) kB/.exec(status)?.[1]) * 1024;
    };
    /** Asks for rows of a thousand bytes. @returns the bytes that came, wherever they came from */
    const ask = async (rows: number) => {
      const sql = `SELECT repeat('x', 991) AS t FROM range(${rows})`;
      const response = await fetch(
        `${url}/query?${new URLSearchParams({ sql, format: "ndjson" })}`,
        {
          headers: { authorization: `Bearer ${token}` },
        },
      );
      expect(response.status).to.equal(200);
      let bytes = 0;
      for await (const chunk of response.body ?? []) bytes += (chunk as Uint8Array).length;
      return bytes;
    };
    return { peak, ask };
  }

  it("stays as it is while 1 GB is streamed", async () => {
    const { peak, ask } = await start(
      "../../cli/millpond.ts",
      ["start", "--dir", folder, "--port", "0", "--no-sample"],
      {},
    );
    await ask(10_000);
    const before = await peak();

    expect(await ask(1_000_000)).to.equal(1000 * megabyte);

    const growth = (await peak()) - before;
    process.stdout.write(`      1 GB streamed: ${Math.round(growth / megabyte)} MB more\n`);
    expect(growth).to.be.below(mostGrowth);
  });

  it("stays as it is while 1 GB goes to the bucket, where it is fetched", async function () {
    const { endpoint, extensions } = await emulatorOf(this);
    const client = emulatorClient(endpoint);
    const bucket = await newBucket(client);
    client.destroy();
    const { peak, ask } = await start("server.ts", [token], {
      ...emulatorKeys,
      HOME: folder,
      [environmentNames.store]: `s3://${bucket}`,
      [environmentNames.extensions]: extensions,
      [environmentNames.queryDeadlineSeconds]: "200",
      AWS_ENDPOINT_URL_S3: endpoint,
    });
    await ask(10_000);
    const before = await peak();

    expect(await ask(1_000_000)).to.equal(1000 * megabyte);

    const growth = (await peak()) - before;
    process.stdout.write(`      1 GB by the bucket: ${Math.round(growth / megabyte)} MB more\n`);
    expect(growth).to.be.below(mostGrowth);
  });
});
