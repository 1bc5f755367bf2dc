import fs from "node:fs/promises";
import { createRequire } from "node:module";
import os from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { columnsText } from "../cli/text.ts";
import { answers } from "./cases/answers.ts";
import { clickbench } from "./cases/clickbench.ts";
import { ingest } from "./cases/ingest.ts";
import { latency } from "./cases/latency.ts";
import { layout } from "./cases/layout.ts";
import { manyFiles } from "./cases/many-files.ts";
import { memory } from "./cases/memory.ts";
import { smallFiles } from "./cases/small-files.ts";
import { start } from "./cases/start.ts";
import { type Benchmark, type Line, machine, reachedText, spreadText } from "./harness.ts";

/** How far Millpond is from the least that the same work takes, each in one run of both. */
const benchmarks: Readonly<Record<string, Benchmark>> = {
  ingest,
  "small-files": smallFiles,
  answers,
  latency,
  clickbench,
  "many-files": manyFiles,
  start,
  memory,
  layout,
};
const usage = `usage: npm run bench [-- <name>…] [options]

  <name>          ${Object.keys(benchmarks).join(", ")}; without one, all of them

  --runs 5        how often each is measured, in turn with its floor
  --megabytes 100 the size of the files that are ingested
  --quick         small inputs and few runs: minutes in place of an hour; writes no report
  --check         fail where a ratio is more than twice what bench/quick.json holds, or
                  where memory or the bundle is beyond its limit; implies --quick
  --record        write bench/quick.json; implies --quick

Otherwise bench/results.md gets what was measured, and bench/charts a picture of it.
`;
const quickFile = fileURLToPath(new URL("quick.json", import.meta.url));
/** Not part of a quick run: its lines guide a choice, and nothing can get worse in them. */
const slowOnly = ["layout"];
/** What a ratio may be of the recorded one. */
const mostWorse = 2;

const { names, allOfThem, runs, megabytes, quick, check, record } = readArguments();
process.stdout.write(`machine: ${machine()}, ${versions()}\n`);
const begun = performance.now();
const progress = (text: string) => {
  if (!process.stderr.isTTY) return;
  const seconds = Math.round((performance.now() - begun) / 1000);
  const line = text === "" ? "" : `${seconds} s · ${text}`;
  process.stderr.write(`\r\x1b[K${line.slice(0, (process.stderr.columns ?? 80) - 1)}`);
};
const measured: Record<string, Line[]> = {};
for (const name of names) {
  const lines = await measure(name);
  measured[name] = lines;
  // At once, so that what the next one does can't lose it.
  if (!quick) await keep(name, lines);
}
if (!quick) process.stdout.write("\nwritten: bench/results.md\n");
if (record) {
  const before = await recorded().catch(() => ({}));
  await fs.writeFile(
    quickFile,
    `${JSON.stringify({ ...before, ...ratiosOf(measured) }, undefined, 2)}\n`,
  );
}
if (check) process.exitCode = (await compare(await recorded())) ? 0 : 1;

/** @param why it is measured, where that is not the first time */
async function measure(name: string, why = ""): Promise<Line[]> {
  const folder = await fs.mkdtemp(path.join(os.tmpdir(), "millpond-bench-"));
  const stop = () => {
    // What runs in other processes ends with this one.
    void fs.rm(folder, { recursive: true, force: true }).finally(() => process.exit(130));
  };
  process.once("SIGINT", stop);
  const lines: Line[] = [];
  try {
    const benchmark = benchmarks[name] as Benchmark;
    process.stdout.write(`\n${name}${why}\n`);
    for await (const line of benchmark({ folder, runs, megabytes, quick, progress })) {
      progress("");
      show(line);
      lines.push(line);
    }
  } finally {
    process.off("SIGINT", stop);
    await fs.rm(folder, { recursive: true, force: true });
    progress("");
  }
  return lines;
}

async function keep(name: string, lines: Line[]): Promise<void> {
  const day = new Date().toISOString().slice(0, 10);
  const { writeResults } = await import("./report.ts");
  await writeResults({
    [name]: { day, machine: machine(), versions: versions(), runs, megabytes, lines },
  });
}

function ratiosOf(found: Readonly<Record<string, Line[]>>): Ratios {
  const lines = Object.values(found).flat();
  return Object.fromEntries(lines.map(({ id, ratio }) => [id, Number(ratio.toFixed(2))]));
}

function show(line: Line): void {
  const { what, beside, unit, floor, millpond, ratio, goal, also } = line;
  const verdict = goal === undefined ? "" : `, goal ${goal}: ${reachedText(line)}`;
  const times = `${spreadText(millpond, unit)} beside ${spreadText(floor, unit)}`;
  process.stdout.write(
    `  ${what}, beside ${beside}\n    ${ratio.toFixed(2)} ×${verdict}\n    ${[times, ...also].join("; ")}\n`,
  );
}

type Ratios = Readonly<Record<string, number>>;

async function recorded(): Promise<Ratios> {
  return JSON.parse(await fs.readFile(quickFile, "utf8")) as Ratios;
}

/**
 * Says what got worse, and what nobody recorded. What seems worse is measured once more, as the machine may have been busy with
 * something else.
 * @returns whether all is well
 */
async function compare(before: Ratios): Promise<boolean> {
  const isWorse = (line: Line) =>
    line.limit === true
      ? line.reached !== true
      : !(line.ratio <= (before[line.id] ?? line.ratio) * mostWorse);
  const again: Record<string, Line[]> = {};
  for (const [name, lines] of Object.entries(measured)) {
    if (!lines.some(isWorse)) continue;
    again[name] = await measure(name, ", once more");
  }
  const second = new Map(
    Object.values(again).flatMap((lines) => lines.map((one) => [one.id, one])),
  );
  const first = Object.values(measured).flat();
  const rows = first.map((line) => {
    const other = second.get(line.id);
    const better = other !== undefined && !isWorse(other) ? other : line;
    const was = before[line.id];
    const verdict = was === undefined ? "NOT RECORDED" : isWorse(better) ? "WORSE" : "";
    return [line.id, better.ratio.toFixed(2), was?.toFixed(2) ?? "", verdict];
  });
  // What a machine can't measure, as without Python; but nothing goes missing unseen.
  const absent = Object.entries(before)
    .filter(([id]) => allOfThem && first.every((line) => line.id !== id))
    .map(([id, was]) => [id, "", was.toFixed(2), "not measured"]);
  const table = [["ratio", "now", "recorded", ""], ...rows, ...absent];
  process.stdout.write(`\n${columnsText(table)}\n`);
  const bad = rows.filter(([, , , verdict]) => verdict !== "");
  if (bad.length === 0) return true;
  process.stderr.write(
    `${bad.length} of ${rows.length} ratios are not what they were: look at the change, or record them by npm run bench -- --record\n`,
  );
  return false;
}

/** What is compared: figures of other versions are other figures. */
function versions(): string {
  const { version } = createRequire(import.meta.url)("@duckdb/node-api/package.json") as {
    version: string;
  };
  return `DuckDB ${version}`;
}

function readArguments() {
  try {
    const { values, positionals } = parseArgs({
      allowPositionals: true,
      options: {
        runs: { type: "string" },
        megabytes: { type: "string" },
        quick: { type: "boolean", default: false },
        check: { type: "boolean", default: false },
        record: { type: "boolean", default: false },
        help: { type: "boolean" },
      },
    });
    if (values.help) {
      process.stdout.write(usage);
      process.exit(0);
    }
    const unknown = positionals.find((name) => benchmarks[name] === undefined);
    if (unknown !== undefined) throw new Error(`there is no benchmark "${unknown}"`);
    const quick = values.quick || values.check || values.record;
    const number = (name: "runs" | "megabytes", otherwise: number) => {
      const value = values[name];
      if (value === undefined) return otherwise;
      if (/^[1-9]\d*$/.test(value)) return Number(value);
      throw new Error(`--${name} takes a number from 1, got "${value}"`);
    };
    const all = Object.keys(benchmarks).filter((name) => !quick || !slowOnly.includes(name));
    return {
      names: positionals.length > 0 ? positionals : all,
      allOfThem: positionals.length === 0,
      runs: number("runs", quick ? 3 : 5),
      megabytes: number("megabytes", quick ? 20 : 100),
      quick,
      check: values.check,
      record: values.record,
    };
  } catch (error) {
    process.stderr.write(`error: ${(error as Error).message}\n${usage}`);
    process.exit(2);
  }
}
