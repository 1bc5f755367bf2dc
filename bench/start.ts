import { spawn } from "node:child_process";
import { once } from "node:events";
import fs from "node:fs/promises";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { architectureCalled, architectures, environmentNames, handlerOf } from "../app/contract.ts";
import { emulatorKeys, extensionFor } from "../cli/rehearsal/emulator.ts";
import { machine, median } from "./harness.ts";

/**
 * How long a function takes from the start of its process to its first query's answer, beside a bare script that loads
 * DuckDB and httpfs and asks for a 1: as everybody does, and without the check of httpfs's signature, which the image
 * makes when it is built. Runs alternate, so that whatever else the machine does hits all alike.
 *
 *   npm run bench:start [-- --runs 15]
 */
const root = fileURLToPath(new URL("../", import.meta.url));
const folder = path.join(root, ".cache/bench-start");
const usage = "usage: npm run bench:start [-- --runs <number, 15>]\n";
const runs = readRuns();
const goal = 1.4;
const mostBundleBytes = 1.5e6;

const here = architectureCalled("node", process.arch);
if (here === undefined) throw new Error(`no function runs on ${process.arch}`);
const extensions =
  process.env[environmentNames.extensions] ??
  (await extensionFor(architectures[here].duckdb).catch((error: Error) => {
    process.stderr.write(
      `error: httpfs can't be had: ${error.message}; install Python 3, or name a folder of DuckDB's extensions in ${environmentNames.extensions}\n`,
    );
    process.exit(1);
  }));

await fs.rm(folder, { recursive: true, force: true });
await command([path.join(root, "docker/bundle.ts"), folder]);
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

const contenders = {
  floor: { args: [path.join(root, "bench/floor.mjs"), extensions], answer: /^\[\[1\]\]\n$/ },
  unsigned: {
    args: [path.join(root, "bench/floor.mjs"), extensions, "unsigned"],
    answer: /^\[\[1\]\]\n$/,
  },
  millpond: { args: [path.join(folder, "invoke.mjs")], answer: /^\{"one":1\}\n$/ },
} as const;
type Name = keyof typeof contenders;
const names = Object.keys(contenders) as Name[];
const times: Record<Name, number[]> = { floor: [], unsigned: [], millpond: [] };

// The first of each warms the disk's cache.
for (let run = 0; run <= runs; run += 1) {
  for (const name of run % 2 === 0 ? names : names.toReversed()) {
    const { args, answer } = contenders[name];
    const took = await command(args, answer);
    if (run > 0) times[name].push(took);
  }
  if (process.stderr.isTTY) process.stderr.write(`\rrun ${run} of ${runs} `);
}
if (process.stderr.isTTY) process.stderr.write("\r");

const modules = (await fs.readdir(folder, { recursive: true })).filter(
  (file) => file.endsWith(".mjs") && file !== "invoke.mjs",
);
let bundleBytes = 0;
for (const file of modules) bundleBytes += (await fs.stat(path.join(folder, file))).size;
const ratio = median(times.millpond) / median(times.floor);
print("machine", machine());
for (const name of names) {
  const [least, most] = [Math.min(...times[name]), Math.max(...times[name])];
  print(name, `${ms(median(times[name]))} median of ${runs} (${ms(least)} to ${ms(most)})`);
}
print("ratio", `${ratio.toFixed(2)}, goal at most ${goal}`);
const unsigned = median(times.millpond) / median(times.unsigned);
print("", `${unsigned.toFixed(2)} to a script that does not check the signature, either`);
print("bundle", `${(bundleBytes / 1e6).toFixed(2)} MB, goal at most ${mostBundleBytes / 1e6} MB`);
process.exitCode = ratio <= goal && bundleBytes <= mostBundleBytes ? 0 : 1;

function readRuns(): number {
  try {
    const options = { runs: { type: "string", default: "15" }, help: { type: "boolean" } } as const;
    const { values } = parseArgs({ options });
    if (values.help) {
      process.stdout.write(usage);
      process.exit(0);
    }
    if (/^[1-9]\d*$/.test(values.runs)) return Number(values.runs);
    throw new Error(`--runs takes a number from 1, got "${values.runs}"`);
  } catch (error) {
    process.stderr.write(`error: ${(error as Error).message}\n${usage}`);
    process.exit(2);
  }
}

/** @returns milliseconds from the start of a process to its answer */
async function command(args: readonly string[], answer?: RegExp): Promise<number> {
  const begun = performance.now();
  const child = spawn(process.execPath, args, {
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
  let took = 0;
  child.stdout.on("data", (chunk: Buffer) => {
    if (took === 0) took = performance.now() - begun;
    text += chunk.toString();
  });
  const [code] = (await once(child, "close")) as [number | null];
  if (code !== 0 || (answer !== undefined && !answer.test(text))) {
    throw new Error(`${args.join(" ")} ended with ${code} and said ${text}`);
  }
  return took;
}

function ms(value: number): string {
  return `${Math.round(value)} ms`;
}

function print(what: string, text: string): void {
  process.stdout.write(`${what.padEnd(10)}${text}\n`);
}
