import fs from "node:fs/promises";
import path from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { outputKey } from "../../app/lake/derived-key.ts";
import { quoteLiteral } from "../../app/query/quote.ts";
import { WatchingProxy } from "../../test/s3/proxy.ts";
import { orders } from "../data.ts";
import { type Benchmark, lineOf } from "../harness.ts";
import { PlainS3 } from "../plain-s3.ts";
import { openBenchPond, type StoreEmulator, serve, startStore } from "../pond.ts";

/** Rows of each table, in however many files. */
const rows = 100_000;
const sql = (table: string) =>
  `SELECT priority, count(*) AS orders, sum(price) AS total FROM ${table} GROUP BY priority`;

/**
 * The same rows in few files and in many, on S3's protocol, each request delayed: the first question of a process, and the
 * next ones, beside the same questions of one file.
 */
export const manyFiles: Benchmark = async function* (context) {
  const { folder, quick, runs, progress } = context;
  const store = await startStore();
  if (store === undefined) {
    process.stderr.write("tables of many files: left out, there is no python3\n");
    return;
  }
  const counts = quick ? [1, 100] : [1, 100, 1000, 10_000];
  const delays = quick ? [20] : [0, 20, 80];
  try {
    const scratch = await openBenchPond(path.join(folder, "pond"));
    try {
      await fill(store, counts, (table, count) =>
        scratch.floor.run(
          `COPY (SELECT *, order_key % ${count} AS file FROM (${orders(rows)})) TO ${quoteLiteral(path.join(folder, table))} ` +
            `(FORMAT parquet, COMPRESSION zstd, PARTITION_BY (file), WRITE_PARTITION_COLUMNS false)`,
        ),
      )(folder, progress);
    } finally {
      await scratch.close();
    }
    for (const delay of delays) {
      const asked = await question(store, delay, tableOf(1), runs);
      for (const count of counts.slice(1)) {
        progress(`${count} files, ${delay} ms a request`);
        const found = await question(store, delay, tableOf(count), count > 1000 ? 1 : runs);
        for (const when of ["cold", "warm"] as const) {
          yield lineOf(
            {
              id: `many-files-${count}-${delay}-${when}`,
              what: `${count.toLocaleString("en-US")} files, ${delay} ms a request, ${when}`,
              beside: "one file of the same rows",
              also: [`${found[when].requests} requests beside ${asked[when].requests}`],
            },
            { floor: asked[when].times, millpond: found[when].times },
          );
        }
      }
    }
  } finally {
    await store.stop();
  }
};

const tableOf = (count: number) => `orders_${count}`;

/** Makes each table's files and puts them into the lake, as ingest would have called them. */
function fill(
  { endpoint }: StoreEmulator,
  counts: readonly number[],
  make: (table: string, count: number) => Promise<unknown>,
) {
  return async (folder: string, progress: (text: string) => void) => {
    const s3 = new PlainS3(endpoint);
    for (const count of counts) {
      const table = tableOf(count);
      progress(`${count} files: making them`);
      await make(table, count);
      const files = (await fs.readdir(path.join(folder, table), { recursive: true }))
        .filter((file) => file.endsWith(".parquet"))
        .map((file) => path.join(folder, table, file));
      for (const [at, file] of files.entries()) {
        if (at % 200 === 0) progress(`${count} files: ${at} put`);
        const key = outputKey(`inbox/${table}/${at}.csv`, table);
        await s3.send("PUT", `/bench/${key}`, await fs.readFile(file));
      }
      await fs.rm(path.join(folder, table), { recursive: true });
    }
    s3.close();
  };
}

interface Asked {
  times: number[];
  /** For one question. */
  requests: number;
}

/** Asks a pond that was just opened, and then the same again. */
async function question(
  { endpoint, settings }: StoreEmulator,
  delay: number,
  table: string,
  runs: number,
): Promise<Record<"cold" | "warm", Asked>> {
  const proxy = await WatchingProxy.start(endpoint);
  proxy.onRequest = async () => void (await pause(delay));
  const found = { cold: { times: [], requests: 0 }, warm: { times: [], requests: 0 } } as Record<
    "cold" | "warm",
    Asked
  >;
  try {
    for (let run = 0; run < runs; run += 1) {
      const bench = await openBenchPond("s3://bench", {
        ...settings,
        AWS_ENDPOINT_URL_S3: proxy.url,
      });
      const server = await serve(bench.pond);
      try {
        // The engine's start is the cold start's.
        await server.query("SELECT 1 AS one");
        proxy.take();
        for (const when of ["cold", "warm", "warm"] as const) {
          const begun = performance.now();
          await server.query(sql(table));
          found[when].times.push(performance.now() - begun);
          found[when].requests = proxy.take().length;
        }
      } finally {
        await server.close();
        await bench.close();
      }
    }
  } finally {
    await proxy.close();
  }
  return found;
}
