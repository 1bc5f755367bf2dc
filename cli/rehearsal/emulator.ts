import { type ChildProcess, execFile, spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, readFileSync } from "node:fs";
import fs from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { DuckDBInstance } from "@duckdb/node-api";
import { MillpondError, messageOf } from "../../app/errors.ts";
import { freePort } from "../free-port.ts";

const run = promisify(execFile);
const root = fileURLToPath(new URL("../../", import.meta.url));
const requirements = fileURLToPath(new URL("requirements.txt", import.meta.url));

/** The environment in which a process finds the emulator in place of AWS. */
export interface Emulator {
  /** As seen from this machine. */
  endpoint: string;
  stop(): Promise<void>;
}

export interface EmulatorOptions {
  /** @default 0, a free one */
  port?: number;
  /** Whether it enforces IAM, as AWS does. @default false */
  enforceIam?: boolean;
  /** Whether it speaks TLS, with a certificate that nobody vouches for. @default false */
  tls?: boolean;
}

/** Any will do for the emulator, but there must be some. */
export const emulatorKeys = {
  AWS_ACCESS_KEY_ID: "test",
  AWS_SECRET_ACCESS_KEY: "secret-of-the-tests",
  AWS_REGION: "eu-central-1",
};

const venv = path.join(
  root,
  ".cache",
  `python-${createHash("sha256").update(readFileSync(requirements)).digest("hex").slice(0, 12)}`,
);

/**
 * Makes the Python environment with all of requirements.txt, once, in one process at a time. Whatever needs it does so by itself; those
 * who start several such processes do it before.
 * @returns why it can't
 */
export async function installPython(): Promise<string | undefined> {
  if (existsSync(path.join(venv, "complete"))) return undefined;
  const python = await run("python3", ["--version"]).catch(() => undefined);
  if (python === undefined) return "there is no python3 on this machine: install Python 3";
  process.stderr.write("installing the emulator of AWS under .cache/ …\n");
  await fs.rm(venv, { recursive: true, force: true });
  try {
    await run("python3", ["-m", "venv", venv]);
    await run(path.join(venv, "bin/pip"), ["install", "--quiet", "--requirement", requirements]);
  } catch (error) {
    const { stdout = "", stderr = "" } = error as { stdout?: string; stderr?: string };
    const said = `${stdout}\n${stderr}`.trim().split("\n").at(-1) || messageOf(error);
    throw new MillpondError(
      "emulator",
      `the emulator can't be had from PyPI: ${said}; it takes python3 with venv, and PyPI or PIP_INDEX_URL`,
      { cause: error },
    );
  }
  await fs.writeFile(path.join(venv, "complete"), "");
  return undefined;
}

/**
 * Installs the emulator under `.cache/`, once, and starts it on a free port.
 * @returns why there is none, where this machine has no Python
 */
export async function startEmulator({
  port: wanted = 0,
  enforceIam = false,
  tls = false,
}: EmulatorOptions = {}): Promise<Emulator | { missing: string }> {
  const missing = await installPython();
  if (missing !== undefined) return { missing };
  const port = await freePort(wanted);
  const endpoint = `${tls ? "https" : "http"}://127.0.0.1:${port}`;
  const child = spawn(path.join(venv, "bin/ministack"), {
    // A function in a container reaches it by the address of the bridge.
    env: {
      ...process.env,
      // Those of its account's root.
      ...emulatorKeys,
      GATEWAY_PORT: String(port),
      LOG_LEVEL: "ERROR",
      AUTH: String(enforceIam),
      USE_SSL: String(tls),
      // For labelAt.
      MINISTACK_HOSTNAME: os.hostname(),
    },
    stdio: ["ignore", "ignore", "inherit"],
  });
  // Also where this process ends without stopping it.
  const orphaned = () => child.kill("SIGTERM");
  process.once("exit", orphaned);
  child.once("exit", () => process.off("exit", orphaned));
  await untilItAnswers(`${endpoint}/_ministack/health`, child).catch(async (error: unknown) => {
    await stop(child);
    throw error;
  });
  return { endpoint, stop: () => stop(child) };
}

/**
 * The label of the containers of an emulator's functions, and of no other's. The emulator removes them when it ends in good order.
 * @see https://github.com/ministackorg/ministack/blob/main/ministack/core/container_reaper.py
 */
export function labelAt(endpoint: string): string {
  return `ministack.instance=${os.hostname()}:${new URL(endpoint).port}`;
}

/** What DuckDB calls this machine's platform. */
export async function ownPlatform(): Promise<string> {
  const connection = await (await DuckDBInstance.create(":memory:")).connect();
  const told = await connection.runAndReadAll("SELECT platform FROM pragma_platform()");
  connection.closeSync();
  return String(told.getRowsJS()[0]?.[0]);
}

/** What PyPI calls the platforms that DuckDB's extensions are built for. */
const pypiPlatforms: Readonly<Record<string, string>> = {
  linux_amd64: "manylinux2014_x86_64",
  linux_arm64: "manylinux2014_aarch64",
  osx_amd64: "macosx_11_0_x86_64",
  osx_arm64: "macosx_11_0_arm64",
};

/**
 * Fetches httpfs for a platform from PyPI, and lays it out as DuckDB wants it.
 * @param platform by DuckDB's name, such as `linux_arm64`
 * @returns the folder: `<folder>/v<version>/<platform>/httpfs.duckdb_extension`
 */
export async function extensionFor(platform: string): Promise<string> {
  const missing = await installPython();
  if (missing !== undefined) throw new Error(missing);
  const folder = path.join(venv, "extensions");
  const name = "duckdb-extension-httpfs";
  const pinned = (await fs.readFile(requirements, "utf8"))
    .split("\n")
    .find((line) => line.startsWith(name));
  const version = `v${pinned?.split("==")[1]}`;
  const target = path.join(folder, version, platform, "httpfs.duckdb_extension");
  if (existsSync(target)) return folder;
  const work = path.join(venv, `unpack-${platform}`);
  const only = ["--only-binary=:all:", "--no-deps", "--platform", pypiPlatforms[platform] ?? ""];
  await run(path.join(venv, "bin/pip"), [
    ...["install", "--quiet", ...only, "--target", work],
    pinned ?? name,
  ]);
  await fs.mkdir(path.dirname(target), { recursive: true });
  const source = `duckdb_extension_httpfs/extensions/${version}/httpfs.duckdb_extension`;
  await fs.rename(path.join(work, source), target);
  await fs.rm(work, { recursive: true });
  return folder;
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
  if (child.exitCode !== null || child.signalCode !== null) return;
  const ended = new Promise((resolve) => child.once("exit", resolve));
  child.kill("SIGTERM");
  const late = setTimeout(() => child.kill("SIGKILL"), 5000);
  await ended;
  clearTimeout(late);
}
