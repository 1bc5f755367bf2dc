import fs from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { parseArgs } from "node:util";
import { columnsText } from "../cli/text.ts";
import { ingest } from "./cases/ingest.ts";
import { type Benchmark, type Line, machine, type Spread } from "./harness.ts";

/**
 * How far Millpond is from the least that the same work takes, each in one run of both.
 *
 *   npm run bench [-- <name>…] [--runs 5] [--megabytes 100]
 */
const benchmarks: Readonly<Record<string, Benchmark>> = { ingest };
const usage = `usage: npm run bench [-- <${Object.keys(benchmarks).join("|")}>… --runs 5 --megabytes 100]\n`;

const { names, runs, megabytes } = readArguments();
process.stdout.write(`machine: ${machine()}\n`);
const progress = (text: string) => {
  if (process.stderr.isTTY) process.stderr.write(`\r\x1b[K${text}`);
};
const lines: Line[] = [];
for (const name of names) {
  const folder = await fs.mkdtemp(path.join(os.tmpdir(), "millpond-bench-"));
  try {
    const benchmark = benchmarks[name] as Benchmark;
    for await (const line of benchmark({ folder, runs, megabytes, progress })) lines.push(line);
  } finally {
    await fs.rm(folder, { recursive: true, force: true });
  }
}
progress("");
const spread = ({ least, median, most }: Spread) =>
  `${Math.round(median)} ms (${Math.round(least)} to ${Math.round(most)})`;
process.stdout.write(
  `${columnsText([
    ["what", "floor", "Millpond", "ratio", "goal", ""],
    ...lines.map(({ what, floor, millpond, ratio, goal, reached }) => [
      what,
      spread(floor),
      spread(millpond),
      ratio.toFixed(2),
      goal,
      reached ? "reached" : "missed",
    ]),
  ])}\n`,
);

function readArguments() {
  try {
    const { values, positionals } = parseArgs({
      allowPositionals: true,
      options: {
        runs: { type: "string", default: "5" },
        megabytes: { type: "string", default: "100" },
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
    };
  } catch (error) {
    process.stderr.write(`error: ${(error as Error).message}\n${usage}`);
    process.exit(2);
  }
}
