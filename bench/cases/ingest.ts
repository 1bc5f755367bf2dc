import fs from "node:fs/promises";
import path from "node:path";
import { ingest as ingestFile } from "../../app/flow/ingest.ts";
import { quoteLiteral } from "../../app/query/quote.ts";
import { orders } from "../data.ts";
import { alternate, type Benchmark, lineOf } from "../harness.ts";
import { openBenchPond } from "../pond.ts";

const formats = {
  csv: { write: "(FORMAT csv, HEADER)", read: "read_csv", wholly: ", sample_size=-1" },
  ndjson: { write: "(FORMAT json)", read: "read_json", wholly: ", sample_size=-1" },
  parquet: {
    write: "(FORMAT parquet, COMPRESSION zstd)",
    read: "read_parquet",
    wholly: undefined,
  },
} as const;

const goal = { most: 1.05, added: 20 };

/**
 * One large file of each format, beside DuckDB's own COPY of the same file with the same settings, which for texts are types from
 * all rows; and beside COPY as it comes, which takes them from the first rows and changes what doesn't fit.
 */
export const ingest: Benchmark = async function* ({ folder, runs, megabytes, progress }) {
  const bench = await openBenchPond(path.join(folder, "pond"));
  const { pond, floor } = bench;
  try {
    for (const [format, { write, read, wholly }] of Object.entries(formats)) {
      const key = `inbox/orders_${format}/all.${format}`;
      const file = path.join(folder, "pond", key);
      await fs.mkdir(path.dirname(file), { recursive: true });
      progress(`${format}: making ${megabytes} MB`);
      await floor.run(`COPY (${orders(10_000)}) TO ${quoteLiteral(file)} ${write}`);
      const { size } = await fs.stat(file);
      const count = Math.round((10_000 * megabytes * 1e6) / size);
      await floor.run(`COPY (${orders(count)}) TO ${quoteLiteral(file)} ${write}`);
      const out = path.join(folder, "floor.parquet");
      const copy = (options: string) => ({
        run: async () => {
          const from = `${read}(${quoteLiteral(file)}${options})`;
          await floor.run(
            `COPY (FROM ${from}) TO ${quoteLiteral(out)} (FORMAT parquet, COMPRESSION zstd)`,
          );
        },
      });
      const times = await alternate(
        {
          floor: copy(""),
          ...(wholly === undefined ? {} : { wholly: copy(wholly) }),
          millpond: {
            // As if it had never been read.
            prepare: async () =>
              await fs.rm(path.join(folder, "pond/lake"), { recursive: true, force: true }),
            run: async () => {
              const { kind } = await ingestFile(pond.ingest, key);
              if (kind !== "converted") throw new Error(`${key} was ${kind}`);
            },
          },
        },
        runs,
        (run) => progress(`${format}: run ${run} of ${runs}`),
      );
      await fs.rm(file);
      const what = `ingest ${format}, ${megabytes} MB`;
      const plain = { id: `ingest-${format}`, what, beside: "COPY" };
      if (wholly === undefined) {
        yield lineOf(plain, times, goal);
        continue;
      }
      yield lineOf(
        { id: `ingest-${format}-wholly`, what, beside: "COPY with types from all rows" },
        { floor: times.wholly, millpond: times.millpond },
        goal,
      );
      yield lineOf({ ...plain, beside: "COPY with types from the first rows" }, times);
    }
  } finally {
    await bench.close();
  }
};
