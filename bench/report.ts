import fs from "node:fs/promises";
import path from "node:path";
import { fileURLToPath } from "node:url";
import * as vega from "vega";
import { compile, type TopLevelSpec } from "vega-lite";
import { type Line, reachedText, spreadText } from "./harness.ts";

/** What was measured last of each line, as results.json keeps it. */
export interface Results {
  benchmarks: Record<string, Measured>;
}

/** One benchmark's lines, and what they were measured on. */
export interface Measured {
  /** ISO 8601 day. */
  day: string;
  machine: string;
  versions: string;
  runs: number;
  megabytes: number;
  lines: Line[];
}

const folder = fileURLToPath(new URL("./", import.meta.url));
const kept = path.join(folder, "results.json");

/** Puts newly measured benchmarks in the place of what is kept of them, and writes the report and a picture of each anew. */
export async function writeResults(measured: Readonly<Record<string, Measured>>): Promise<void> {
  const before = await fs.readFile(kept, "utf8").then(
    (text) => (JSON.parse(text) as Results).benchmarks,
    (error: NodeJS.ErrnoException) => {
      if (error.code === "ENOENT") return {};
      throw error;
    },
  );
  const benchmarks = { ...before, ...measured };
  await fs.writeFile(kept, `${JSON.stringify({ benchmarks } satisfies Results, undefined, 1)}\n`);
  await fs.mkdir(path.join(folder, "charts"), { recursive: true });
  for (const [name, { lines }] of Object.entries(measured)) {
    await fs.writeFile(path.join(folder, chartOf(name)), await draw(lines));
  }
  await fs.writeFile(path.join(folder, "results.md"), report(benchmarks));
}

const chartOf = (name: string) => `charts/${name}.svg`;

function report(benchmarks: Readonly<Record<string, Measured>>): string {
  const parts = Object.entries(benchmarks).map(
    ([name, { day, machine, versions, runs, lines }]) => {
      const rows = lines.map((line) =>
        [
          line.what,
          line.beside,
          spreadText(line.floor, line.unit),
          spreadText(line.millpond, line.unit),
          line.ratio.toFixed(2),
          line.goal ?? "",
          reachedText(line),
          line.also.join("; "),
        ].join(" | "),
      );
      return `## ${name}

![${name}: ratios to the floor](${chartOf(name)})

${day}, ${machine}, ${versions}; ${runs} runs in turn with the floor.

| what | beside | the floor | Millpond | ratio | goal | | |
| --- | --- | --- | --- | --- | --- | --- | --- |
${rows.map((row) => `| ${row} |`).join("\n")}
`;
    },
  );
  return `# Benchmarks

Written by \`npm run bench\`. Each line compares Millpond with the least that the same work takes, both measured in turn in
one run: the ratio is that of the medians, and less is better. Medians come with the least and the most of all runs.

${parts.join("\n")}`;
}

/** Ratios as bars, on a logarithmic axis, with the floor at 1. */
async function draw(lines: readonly Line[]): Promise<string> {
  const rows = lines.map(({ what, beside, ratio, reached }) => ({
    what: `${what}, beside ${beside}`,
    ratio,
    is: reached === undefined ? "no goal" : reached ? "goal reached" : "goal missed",
  }));
  const y = { field: "what", type: "nominal", sort: null, title: null } as const;
  const axis = { labelLimit: 480 } as const;
  const spec: TopLevelSpec = {
    width: 420,
    background: "white",
    data: { values: rows },
    layer: [
      {
        mark: "bar",
        encoding: {
          y: { ...y, axis },
          x: {
            field: "ratio",
            type: "quantitative",
            scale: { type: "log", domainMin: Math.min(0.5, ...rows.map((row) => row.ratio)) },
            title: "ratio to the floor",
          },
          x2: { datum: 1 },
          color: {
            field: "is",
            type: "nominal",
            title: null,
            scale: {
              domain: ["goal reached", "goal missed", "no goal"],
              range: ["#2a7f62", "#b3402e", "#7a869a"],
            },
          },
        },
      },
      {
        mark: { type: "text", align: "left", dx: 4 },
        encoding: {
          y,
          x: { field: "ratio", type: "quantitative" },
          text: { field: "ratio", type: "quantitative", format: ".2f" },
        },
      },
    ],
  };
  const view = new vega.View(vega.parse(compile(spec).spec), { renderer: "none" });
  return `${await view.toSVG()}\n`;
}
