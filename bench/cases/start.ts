import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import fs from "node:fs/promises";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import {
  architectureCalled,
  architectures,
  environmentNames,
  handlerOf,
} from "../../app/contract.ts";
import { emulatorKeys, extensionFor } from "../../cli/rehearsal/emulator.ts";
import { alternate, type Benchmark, lineOf } from "../harness.ts";

const root = fileURLToPath(new URL("../../", import.meta.url));
const python = path.join(root, ".cache/bench-python");
/** Where the bundle finds what it leaves outside: below the project. */
const folder = path.join(root, ".cache/bench-start");

/** What the functions' own code may have, in MiB. */
const bundleMiB = 1.5;

/**
 * How long a function takes from the start of its process to its first query's answer, beside a bare script that loads
 * DuckDB and httpfs and asks for a 1: as everybody does, and without the check of httpfs's signature, which the image
 * makes when it is built. And beside a function in Python that does the same with the same httpfs.
 */
export const start: Benchmark = async function* ({ runs, progress }) {
  const here = architectureCalled("node", process.arch);
  if (here === undefined) throw new Error(`no function runs on ${process.arch}`);
  if (!(await hasPython())) {
    process.stderr.write("start: left out, there is no python3\n");
    return;
  }
  const extensions =
    process.env[environmentNames.extensions] ?? (await extensionFor(architectures[here].duckdb));

  progress("start: making the bundle");
  await fs.rm(folder, { recursive: true, force: true });
  await command(extensions, process.execPath, [path.join(root, "docker/bundle.ts"), folder]).ended;
  // As Lambda's runtime does: the module first, then an event.
  await fs.writeFile(
    path.join(folder, "invoke.mjs"),
    `import { query } from "./index.mjs";
const body = JSON.stringify({ sql: "SELECT 1 AS one" });
const http = { method: "POST", path: "/query" };
const context = { awsRequestId: "bench", functionName: "query", getRemainingTimeInMillis: () => 30_000 };
const headers = { "content-type": "application/json" };
const answer = await query({ version: "2.0", rawPath: "/query", rawQueryString: "format=ndjson", headers, requestContext: { http }, body }, context);
process.stdout.write(answer.body);
process.exit();
`,
  );
  const floor = path.join(root, "bench/floor.mjs");
  const bare = /^\[\[1\]\]\n$/;
  const pythonFile = await preparePython(progress);
  let ended = Promise.resolve();
  const runOf = (file: string, args: string[], answer: RegExp) => ({
    // How long a process takes to end is nobody's to wait for, but for the next one.
    prepare: () => ended,
    run: async () => {
      const started = command(extensions, file, args, answer);
      ended = started.ended;
      ended.catch(() => {});
      await started.answered;
    },
  });
  const times = await alternate(
    {
      floor: runOf(process.execPath, [floor, extensions], bare),
      unsigned: runOf(process.execPath, [floor, extensions, "unsigned"], bare),
      millpond: runOf(process.execPath, [path.join(folder, "invoke.mjs")], /^\{"one":1\}\n$/),
      python: runOf(pythonFile, [path.join(root, "bench/handler.py"), extensions], bare),
    },
    // A start takes a fraction of a second, and varies.
    runs * 3,
    (run) => progress(`start: run ${run} of ${runs * 3}`),
  );
  const what = "cold start to the first answer";
  const { millpond } = times;
  const against = (id: string, beside: string, other: number[], most?: number) =>
    lineOf(
      { id, what, beside },
      { floor: other, millpond },
      most === undefined ? undefined : { most },
    );
  yield against("start", "a bare script", times.floor, 1.4);
  yield against("start-unsigned", "one that checks no signature, either", times.unsigned);
  yield against("start-python", "a handler in Python", times.python, 1);

  const modules = (await fs.readdir(folder, { recursive: true })).filter(
    (file) => file.endsWith(".mjs") && file !== "invoke.mjs",
  );
  let bytes = 0;
  for (const file of modules) bytes += (await fs.stat(path.join(folder, file))).size;
  yield lineOf(
    {
      id: "start-bundle",
      what: "the functions' bundle",
      beside: "what it may have",
      unit: "MiB",
    },
    { floor: [bundleMiB], millpond: [bytes / 1024 / 1024] },
    { most: 1, limit: true },
  );
};

const run = promisify(execFile);

/** httpfs comes by it, too. */
async function hasPython(): Promise<boolean> {
  return await run("python3", ["--version"]).then(
    () => true,
    (error: NodeJS.ErrnoException) => {
      if (error.code === "ENOENT") return false;
      throw error;
    },
  );
}

/** An environment with DuckDB's package for Python, of the version that httpfs is built for. @returns its interpreter */
async function preparePython(progress: (text: string) => void): Promise<string> {
  const file = path.join(python, "bin/python");
  if (existsSync(path.join(python, "complete"))) return file;
  progress("start: installing DuckDB for Python under .cache/");
  await fs.rm(python, { recursive: true, force: true });
  await run("python3", ["-m", "venv", python]);
  const requirements = path.join(root, "bench/requirements.txt");
  await run(file, ["-m", "pip", "install", "--quiet", "--requirement", requirements]);
  await fs.writeFile(path.join(python, "complete"), "");
  return file;
}

/** Starts a process that says one thing, and ends. */
function command(
  extensions: string,
  file: string,
  args: readonly string[],
  answer?: RegExp,
): { answered: Promise<void>; ended: Promise<void> } {
  const child = spawn(file, args, {
    cwd: root,
    env: {
      ...emulatorKeys,
      _HANDLER: handlerOf("query"),
      AWS_LAMBDA_FUNCTION_MEMORY_SIZE: "1769",
      LOG_LEVEL: "error",
      [environmentNames.store]: "s3://bench",
      [environmentNames.auth]: "none",
      // As in the image.
      [environmentNames.sealedExtensions]: extensions,
    },
    stdio: ["ignore", "pipe", "inherit"],
  });
  let text = "";
  child.stdout.on("data", (chunk: Buffer) => {
    text += chunk.toString();
  });
  const ended = (async () => {
    const [code] = (await once(child, "close")) as [number | null];
    if (code !== 0 || (answer !== undefined && !answer.test(text))) {
      throw new Error(`${args.join(" ")} ended with ${code} and said ${text}`);
    }
  })();
  const answered = (async () => void (await Promise.race([once(child.stdout, "data"), ended])))();
  return { answered, ended };
}
