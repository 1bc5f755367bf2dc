import fs from "node:fs/promises";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { quoteLiteral } from "../../app/query/quote.ts";
import { hits } from "../../test/http/friendly/clickbench.ts";
import { orders } from "../data.ts";
import { alternate, type Benchmark, lineOf } from "../harness.ts";
import { openBenchPond } from "../pond.ts";

const flights = fileURLToPath(
  new URL("../../node_modules/vega-datasets/data/flights-3m.parquet", import.meta.url),
);

/** What ingest writes with, and what it could. Names are DuckDB's options of COPY. */
const asNow = "COMPRESSION zstd";
const layouts: Readonly<Record<string, { options: string; ordered?: boolean }>> = {
  "zstd level 1": { options: `${asNow}, COMPRESSION_LEVEL 1` },
  "zstd level 9": { options: `${asNow}, COMPRESSION_LEVEL 9` },
  snappy: { options: "COMPRESSION snappy" },
  "row groups of 20,480": { options: `${asNow}, ROW_GROUP_SIZE 20480` },
  "row groups of 491,520": { options: `${asNow}, ROW_GROUP_SIZE 491520` },
  "no dictionaries, so no bloom filters": { options: `${asNow}, DICTIONARY_SIZE_LIMIT 1` },
  "dictionaries of any size": { options: `${asNow}, DICTIONARY_SIZE_LIMIT 1000000` },
  "Parquet's second version": { options: `${asNow}, PARQUET_VERSION v2` },
  "rows in any order": { options: asNow, ordered: false },
};

/**
 * Other ways to write a table, beside the one of now: the time to write it, its size, and the time to read all of it, a column
 * of it, and one row.
 */
export const layout: Benchmark = async function* ({ folder, runs, quick, progress }) {
  const bench = await openBenchPond(path.join(folder, "pond"));
  const { floor } = bench;
  const tables = [
    {
      name: "orders",
      rows: orders(quick ? 300_000 : 3_000_000),
      scan: "count(comment), sum(price), max(day)",
      column: "sum(price)",
      row: "comment = md5('271828')",
    },
    {
      name: "flights",
      rows: `FROM read_parquet(${quoteLiteral(flights)})`,
      scan: "max(COLUMNS(*))",
      column: "avg(delay)",
      row: "origin = 'SFO' AND destination = 'ANC'",
    },
    {
      name: "hits",
      rows: hits(quick ? 50_000 : 500_000),
      scan: "max(COLUMNS(*))",
      column: "avg(ResolutionWidth)",
      row: "UserID = 435090932899640449",
      // A dictionary for each of 105 columns at once: 4 GiB are not enough.
      without: ["dictionaries of any size"],
    },
  ];
  try {
    for (const { name, rows, scan, column, row, without = [] } of tables) {
      progress(`layout, ${name}: making the rows`);
      await floor.run(`CREATE OR REPLACE TABLE made AS ${rows}`);
      for (const [called, { options, ordered = true }] of Object.entries(layouts)) {
        if (without.includes(called)) continue;
        const now = path.join(folder, "now.parquet");
        const other = path.join(folder, "other.parquet");
        const write = async (file: string, how: string, keep: boolean) => {
          await floor.run(`SET preserve_insertion_order = ${keep}`);
          await floor.run(`COPY made TO ${quoteLiteral(file)} (FORMAT parquet, ${how})`);
          await floor.run("SET preserve_insertion_order = true");
        };
        const both = (run: (file: string) => Promise<void>) => ({
          floor: { run: () => run(now) },
          millpond: { run: () => run(other) },
        });
        const measure = async (what: string, contenders: ReturnType<typeof both>, id: string) =>
          lineOf(
            {
              id: `layout-${name}-${called}-${id}`,
              what: `${name}, ${called}: ${what}`,
              beside: "as now",
            },
            await alternate(contenders, runs, (run) =>
              progress(`layout, ${name}, ${called}, ${what}: run ${run} of ${runs}`),
            ),
          );
        yield await measure(
          "to write",
          {
            floor: { run: () => write(now, asNow, true) },
            millpond: { run: () => write(other, options, ordered) },
          },
          "write",
        );
        const size = async (file: string) => (await fs.stat(file)).size / 1024 / 1024;
        yield lineOf(
          {
            id: `layout-${name}-${called}-size`,
            what: `${name}, ${called}: size`,
            beside: "as now",
            unit: "MiB",
          },
          { floor: [await size(now)], millpond: [await size(other)] },
        );
        const read = (select: string) =>
          both(
            async (file) =>
              void (await floor.runAndReadAll(
                select.replace("?", `read_parquet(${quoteLiteral(file)})`),
              )),
          );
        yield await measure("all of it", read(`SELECT ${scan} FROM ?`), "scan");
        yield await measure("a column", read(`SELECT ${column} FROM ?`), "column");
        yield await measure("few rows", read(`SELECT count(*) FROM ? WHERE ${row}`), "row");
      }
    }
  } finally {
    await bench.close();
  }
};
