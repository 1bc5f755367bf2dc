import fs from "node:fs/promises";
import path from "node:path";
import { DuckDBInstance } from "@duckdb/node-api";
import { environmentNames } from "../../app/contract.ts";
import { readSettings } from "../../app/environment.ts";
import { ingest as ingestFile } from "../../app/flow/ingest.ts";
import { createLogger } from "../../app/logger.ts";
import { openPond } from "../../app/pond.ts";
import { quoteLiteral } from "../../app/query/quote.ts";
import { alternate, type Benchmark, lineOf } from "../harness.ts";

/** Rows like those of a shop's orders, as TPC-H has them: keys, amounts, days, words. */
const rows = (count: number) =>
  `SELECT i AS order_key, hash(i) % 150000 AS customer, (hash(i, 'p') % 5000000) / 100.0 AS price,
   DATE '1992-01-01' + (hash(i, 'd') % 2400)::INTEGER AS day,
   ['URGENT', 'HIGH', 'MEDIUM', 'LOW'][1 + (hash(i, 'u') % 4)::INTEGER] AS priority,
   'Clerk#' || lpad((hash(i, 'c') % 1000)::TEXT, 9, '0') AS clerk,
   md5(i::TEXT) AS comment FROM range(${count}) t(i)`;

const formats = {
  csv: { write: "(FORMAT csv, HEADER)", read: "read_csv" },
  ndjson: { write: "(FORMAT json)", read: "read_json" },
  parquet: { write: "(FORMAT parquet, COMPRESSION zstd)", read: "read_parquet" },
} as const;

/** One large file of each format, beside DuckDB's own COPY of the same file in one process, by as many threads and as much memory. */
export const ingest: Benchmark = async function* ({ folder, runs, megabytes, progress }) {
  const settings = readSettings({ [environmentNames.store]: path.join(folder, "pond") });
  const pond = await openPond(settings, createLogger({ environment: { LOG_LEVEL: "error" } }));
  const instance = await DuckDBInstance.create(":memory:", {
    threads: String(settings.threads),
    memory_limit: `${settings.memoryMiB}MiB`,
  });
  const connection = await instance.connect();
  try {
    for (const [format, { write, read }] of Object.entries(formats)) {
      const key = `inbox/orders_${format}/all.${format}`;
      const file = path.join(folder, "pond", key);
      await fs.mkdir(path.dirname(file), { recursive: true });
      progress(`${format}: making ${megabytes} MB`);
      await connection.run(`COPY (${rows(10_000)}) TO ${quoteLiteral(file)} ${write}`);
      const { size } = await fs.stat(file);
      const count = Math.round((10_000 * megabytes * 1e6) / size);
      await connection.run(`COPY (${rows(count)}) TO ${quoteLiteral(file)} ${write}`);
      const out = path.join(folder, "floor.parquet");
      const copy = `COPY (FROM ${read}(${quoteLiteral(file)})) TO ${quoteLiteral(out)} (FORMAT parquet, COMPRESSION zstd)`;
      const times = await alternate(
        { run: async () => void (await connection.run(copy)) },
        {
          // As if it had never been read.
          prepare: async () =>
            await fs.rm(path.join(folder, "pond/lake"), { recursive: true, force: true }),
          run: async () => {
            const { kind } = await ingestFile(pond.ingest, key);
            if (kind !== "converted") throw new Error(`${key} was ${kind}`);
          },
        },
        runs,
        (run) => progress(`${format}: run ${run} of ${runs}`),
      );
      await fs.rm(file);
      yield lineOf(`ingest ${format}, ${megabytes} MB`, times, 1.05, 20);
    }
  } finally {
    connection.closeSync();
    instance.closeSync();
    await pond.close();
  }
};
