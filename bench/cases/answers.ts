import path from "node:path";
import { quoteLiteral } from "../../app/query/quote.ts";
import { formatNames, type QueryFormat } from "../../app/query/result-format.ts";
import { narrow, wide } from "../data.ts";
import { alternate, type Benchmark, lineOf, median } from "../harness.ts";
import { openPondProcess } from "../pond.ts";

/** As whoever has DuckDB at hand would write the file. */
const copies: Readonly<Record<QueryFormat, string>> = {
  json: "FORMAT json, ARRAY true",
  ndjson: "FORMAT json",
  csv: "FORMAT csv, HEADER true",
  parquet: "FORMAT parquet, COMPRESSION zstd",
};

/**
 * Whole tables as answers over HTTP, beside DuckDB's COPY of the same table to a file; and NDJSON beside rows that become
 * objects and then text, as clients of DuckDB mostly do.
 */
export const answers: Benchmark = async function* ({ folder, runs, quick, progress }) {
  const pond = await openPondProcess(path.join(folder, "pond"));
  const { floor } = pond;
  try {
    const tables = [
      { name: "narrow", rows: 300_000, columns: 6, sql: narrow(300_000) },
      ...(quick ? [] : [{ name: "wide", rows: 3_000_000, columns: 10, sql: wide(3_000_000) }]),
    ];
    for (const { name, rows, columns, sql } of tables) {
      const size = `${rows.toLocaleString("en-US")} × ${columns}`;
      progress(`${size}: making it`);
      const from = `read_parquet(${quoteLiteral(await pond.makeTable(name, sql))})`;
      for (const format of formatNames) {
        const out = quoteLiteral(path.join(folder, "floor.out"));
        const copy = `COPY (FROM ${from}) TO ${out} (${copies[format]})`;
        let bytes = 0;
        const answered: number[] = [];
        const times = await alternate(
          {
            floor: { run: async () => void (await floor.run(copy)) },
            millpond: {
              run: async () => {
                const taken = await pond.take(`FROM ${name}`, format);
                ({ bytes } = taken);
                answered.push(taken.answeredMs);
              },
            },
          },
          runs,
          (run) => progress(`${size} as ${format}: run ${run} of ${runs}`),
        );
        const line = lineOf(
          {
            id: `answers-${format}-${name}`,
            what: `${size} as ${format}`,
            beside: "COPY to a file",
          },
          times,
          { most: 1 / 0.9, text: "≥ 0.9 × its throughput" },
        );
        // The first one warmed up.
        const written = median(answered.slice(1));
        yield {
          ...line,
          also: [
            `${(bytes / 1e6).toFixed(0)} MB, ${perSecond(bytes, line.millpond.median)} MB/s`,
            `written after ${written.toFixed(0)} ms (${(written / line.floor.median).toFixed(2)} ×), then sent`,
          ],
        };
      }
      if (name !== "narrow") continue;
      const times = await alternate(
        {
          // What rows hold that JSON does not, such as 64-bit numbers, is text.
          json: {
            run: async () => {
              const read = await floor.runAndReadAll(`FROM ${from}`);
              use(read.getRowObjectsJson().map((row) => JSON.stringify(row)));
            },
          },
          // What DuckDB's first client for Node.js gave: one object of JavaScript's own values a row.
          objects: {
            run: async () => {
              const read = await floor.runAndReadAll(`FROM ${from}`);
              use(read.getRowObjectsJS().map((row) => JSON.stringify(row, plain)));
            },
          },
          millpond: { run: async () => void (await pond.query(`FROM ${name}`)) },
        },
        runs,
        (run) => progress(`${size}, rows as objects: run ${run} of ${runs}`),
      );
      const goal = { most: 1 / 5, text: "≥ 5 × as fast" };
      const what = `${size} as ndjson`;
      yield lineOf(
        { id: "answers-row-objects", what, beside: "getRowObjectsJson + JSON.stringify" },
        { floor: times.json, millpond: times.millpond },
        goal,
      );
      yield lineOf(
        { id: "answers-js-objects", what, beside: "objects of JavaScript values + JSON.stringify" },
        { floor: times.objects, millpond: times.millpond },
        goal,
      );
    }
  } finally {
    await pond.close();
  }
};

function plain(_key: string, value: unknown): unknown {
  return typeof value === "bigint" ? value.toString() : value;
}

/** What is made must be there as bytes, as an answer is. */
function use(lines: readonly string[]): void {
  Buffer.from(lines.join("\n"));
}

function perSecond(bytes: number, ms: number): string {
  return (bytes / 1e6 / (ms / 1000)).toFixed(0);
}
