import { type ChildProcess, execFile, spawn } from "node:child_process";
import { createHash, randomBytes } from "node:crypto";
import fs from "node:fs/promises";
import net from "node:net";
import path from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { CreateBucketCommand, S3Client } from "@aws-sdk/client-s3";
import { DuckDBInstance } from "@duckdb/node-api";

const run = promisify(execFile);
const root = fileURLToPath(new URL("../../", import.meta.url));
const requirements = fileURLToPath(new URL("requirements.txt", import.meta.url));

/** The environment in which a process finds the emulator in place of AWS. */
export interface Emulator {
  /** As seen from this machine. */
  endpoint: string;
  /** Folder of DuckDB's extensions, as MILLPOND_EXTENSIONS takes it. */
  extensions: string;
  stop(): Promise<void>;
}

/** Any will do for the emulator, but there must be some. */
export const emulatorKeys = {
  AWS_ACCESS_KEY_ID: "test",
  AWS_SECRET_ACCESS_KEY: "secret-of-the-tests",
  AWS_REGION: "eu-central-1",
};

/**
 * Installs the emulator under `.cache/`, once, and starts it on a free port.
 * @returns why there is none, where this machine has no Python
 */
export async function startEmulator(): Promise<Emulator | { missing: string }> {
  const pin = createHash("sha256")
    .update(await fs.readFile(requirements))
    .digest("hex");
  const venv = path.join(root, ".cache", `python-${pin.slice(0, 12)}`);
  const made = await fs.access(path.join(venv, "complete")).then(
    () => true,
    () => false,
  );
  if (!made) {
    const python = await run("python3", ["--version"]).catch(() => undefined);
    if (python === undefined) return { missing: "there is no python3 on this machine" };
    process.stderr.write("installing the emulator of AWS under .cache/ …\n");
    await fs.rm(venv, { recursive: true, force: true });
    await run("python3", ["-m", "venv", venv]);
    await run(path.join(venv, "bin/pip"), ["install", "--quiet", "--requirement", requirements]);
    await fs.writeFile(path.join(venv, "complete"), "");
  }
  const extensions = await layOutExtensions(venv);

  const port = await freePort();
  const endpoint = `http://127.0.0.1:${port}`;
  const child = spawn(path.join(venv, "bin/ministack"), {
    // A function in a container reaches it by the address of the bridge.
    env: { ...process.env, GATEWAY_PORT: String(port), LOG_LEVEL: "ERROR" },
    stdio: ["ignore", "ignore", "inherit"],
  });
  await untilItAnswers(`${endpoint}/_ministack/health`, child);
  return { endpoint, extensions, stop: () => stop(child) };
}

/** As DuckDB wants them: `<folder>/v<version>/<platform>/httpfs.duckdb_extension`. */
async function layOutExtensions(venv: string): Promise<string> {
  const connection = await (await DuckDBInstance.create(":memory:")).connect();
  const told = await connection.runAndReadAll("SELECT version(), platform FROM pragma_platform()");
  connection.closeSync();
  const [version, platform] = (told.getRowsJS()[0] as string[]).map(String) as [string, string];
  const folder = path.join(venv, "extensions");
  const target = path.join(folder, version, platform);
  await fs.mkdir(target, { recursive: true });
  const [python] = await fs.readdir(path.join(venv, "lib"));
  const source = `lib/${python}/site-packages/duckdb_extension_httpfs/extensions/${version}`;
  const name = "httpfs.duckdb_extension";
  await fs.copyFile(path.join(venv, source, name), path.join(target, name));
  return folder;
}

async function freePort(): Promise<number> {
  const server = net.createServer().listen(0, "127.0.0.1");
  await new Promise((resolve) => server.once("listening", resolve));
  const { port } = server.address() as net.AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}

async function untilItAnswers(url: string, child: ChildProcess): Promise<void> {
  const end = Date.now() + 60_000;
  while (Date.now() < end) {
    if (child.exitCode !== null) throw new Error(`the emulator ended: ${child.exitCode}`);
    const answer = await fetch(url).catch(() => undefined);
    if (answer?.ok) return;
    await pause(50);
  }
  throw new Error(`the emulator does not answer at ${url}`);
}

async function stop(child: ChildProcess): Promise<void> {
  const ended = new Promise((resolve) => child.once("exit", resolve));
  child.kill("SIGTERM");
  const late = setTimeout(() => child.kill("SIGKILL"), 5000);
  await ended;
  clearTimeout(late);
}

/** A client of the emulator, to look at what is there by other eyes than Millpond's. */
export function emulatorClient(endpoint: string): S3Client {
  return new S3Client({
    endpoint,
    forcePathStyle: true,
    region: emulatorKeys.AWS_REGION,
    credentials: {
      accessKeyId: emulatorKeys.AWS_ACCESS_KEY_ID,
      secretAccessKey: emulatorKeys.AWS_SECRET_ACCESS_KEY,
    },
  });
}

/** A bucket of this test alone. */
export async function newBucket(client: S3Client): Promise<string> {
  const name = `pond-${randomBytes(6).toString("hex")}`;
  await client.send(new CreateBucketCommand({ Bucket: name }));
  return name;
}
