import fs from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { parseArgs } from "node:util";
import { columnsText } from "../cli/text.ts";
import { answers } from "./cases/answers.ts";
import { clickbench } from "./cases/clickbench.ts";
import { ingest } from "./cases/ingest.ts";
import { latency } from "./cases/latency.ts";
import { type Benchmark, type Line, machine } from "./harness.ts";

/**
 * How far Millpond is from the least that the same work takes, each in one run of both.
 *
 *   npm run bench [-- <name>…] [--runs 5] [--megabytes 100]
 */
const benchmarks: Readonly<Record<string, Benchmark>> = { ingest, answers, latency, clickbench };
const usage = `usage: npm run bench [-- <${Object.keys(benchmarks).join("|")}>… --runs 5 --megabytes 100 --quick]\n`;

const { names, runs, megabytes, quick } = readArguments();
process.stdout.write(`machine: ${machine()}\n`);
const progress = (text: string) => {
  if (process.stderr.isTTY) process.stderr.write(`\r\x1b[K${text}`);
};
const lines: Line[] = [];
for (const name of names) {
  const folder = await fs.mkdtemp(path.join(os.tmpdir(), "millpond-bench-"));
  try {
    const benchmark = benchmarks[name] as Benchmark;
    for await (const line of benchmark({ folder, runs, megabytes, quick, progress })) {
      lines.push(line);
    }
  } finally {
    await fs.rm(folder, { recursive: true, force: true });
  }
}
progress("");
process.stdout.write(
  `${columnsText([["what", "beside", "floor", "Millpond", "ratio", "goal", "", ""], ...lines.map(row)])}\n`,
);

function row({ what, beside, unit, floor, millpond, ratio, goal, reached, also }: Line) {
  const digits = millpond.median < 20 ? 1 : 0;
  const spread = ({ least, median, most }: Line["floor"]) =>
    `${median.toFixed(digits)} ${unit} (${least.toFixed(digits)} to ${most.toFixed(digits)})`;
  return [
    what,
    beside,
    spread(floor),
    spread(millpond),
    ratio.toFixed(2),
    goal ?? "",
    reached === undefined ? "" : reached ? "reached" : "missed",
    also.join("; "),
  ];
}

function readArguments() {
  try {
    const { values, positionals } = parseArgs({
      allowPositionals: true,
      options: {
        runs: { type: "string", default: "5" },
        megabytes: { type: "string", default: "100" },
        quick: { type: "boolean", default: false },
        help: { type: "boolean" },
      },
    });
    if (values.help) {
      process.stdout.write(usage);
      process.exit(0);
    }
    const unknown = positionals.find((name) => !Object.hasOwn(benchmarks, name));
    if (unknown !== undefined) throw new Error(`there is no benchmark ${unknown}`);
    const number = (name: "runs" | "megabytes") => {
      if (/^[1-9]\d*$/.test(values[name])) return Number(values[name]);
      throw new Error(`--${name} takes a number from 1, got "${values[name]}"`);
    };
    return {
      names: positionals.length > 0 ? positionals : Object.keys(benchmarks),
      runs: number("runs"),
      megabytes: number("megabytes"),
      quick: values.quick,
    };
  } catch (error) {
    process.stderr.write(`error: ${(error as Error).message}\n${usage}`);
    process.exit(2);
  }
}
