import fs from "node:fs/promises";
import path from "node:path";
import { prefixes } from "../../app/contract.ts";
import { ingest } from "../../app/flow/ingest.ts";
import { quoteLiteral } from "../../app/query/quote.ts";
import { WatchingProxy } from "../../test/s3/proxy.ts";
import { orders } from "../data.ts";
import { type Benchmark, type BenchmarkContext, type Line, lineOf, quantile } from "../harness.ts";
import { PlainS3 } from "../plain-s3.ts";
import { type BenchPond, openBenchPond, type StoreEmulator, startStore } from "../pond.ts";

/** Files of 1 kB, each converted when the one before is done; in turn with a COPY of the same file. */
export const smallFiles: Benchmark = async function* (context) {
  const { folder, quick, progress } = context;
  const count = quick ? 100 : 1000;
  const made = path.join(folder, "made");
  await fs.mkdir(made);
  const pond = await openBenchPond(path.join(folder, "pond"));
  try {
    progress("small files: making them");
    const rows = orders(count * 9);
    await pond.floor.run(
      `COPY (SELECT *, order_key // 9 AS file FROM (${rows})) TO ${quoteLiteral(made)} (FORMAT csv, HEADER, PARTITION_BY (file), WRITE_PARTITION_COLUMNS false)`,
    );
    yield await ofFolder(context, pond, await filesOf(made, count));
  } finally {
    await pond.close();
  }
  const store = await startStore();
  if (store === undefined) {
    progress("");
    process.stderr.write("small files on S3's protocol: left out, there is no python3\n");
    return;
  }
  try {
    yield await ofBucket(context, store, await filesOf(made, count));
  } finally {
    await store.stop();
  }
};

async function filesOf(folder: string, count: number): Promise<string[]> {
  const all = await fs.readdir(folder, { recursive: true });
  return all
    .filter((file) => file.endsWith(".csv"))
    .map((file) => path.join(folder, file))
    .slice(0, count);
}

function copyTo({ floor }: BenchPond, folder: string, file: string) {
  const out = quoteLiteral(path.join(folder, "floor.parquet"));
  return floor.run(
    `COPY (FROM read_csv(${quoteLiteral(file)})) TO ${out} (FORMAT parquet, COMPRESSION zstd)`,
  );
}

interface Times {
  floor: number[];
  millpond: number[];
}

async function timed(list: number[], work: () => Promise<unknown>): Promise<void> {
  const begun = performance.now();
  await work();
  list.push(performance.now() - begun);
}

async function convert({ pond }: BenchPond, key: string): Promise<void> {
  const { kind } = await ingest(pond.ingest, key);
  if (kind !== "converted") throw new Error(`${key} was ${kind}`);
}

/** The first few warm up both. */
const warm = 10;

function result(where: string, beside: string, { floor, millpond }: Times): Line {
  const p99 = (values: number[]) => `${quantile(values, 0.99).toFixed(1)} ms`;
  const counted = { floor: floor.slice(warm), millpond: millpond.slice(warm) };
  return lineOf(
    {
      id: `small-files-${where}`,
      what: `${floor.length} files of 1 kB, ${where === "folder" ? "folder" : "S3's protocol"}, each`,
      beside,
      also: [`p99 ${p99(counted.millpond)} beside ${p99(counted.floor)}`],
    },
    counted,
    { most: 2 },
  );
}

async function ofFolder(
  { folder, progress }: BenchmarkContext,
  bench: BenchPond,
  files: readonly string[],
): Promise<Line> {
  const times: Times = { floor: [], millpond: [] };
  const inbox = path.join(folder, "pond", prefixes.inbox, "small");
  await fs.mkdir(inbox, { recursive: true });
  for (const [at, file] of files.entries()) {
    if (at % 50 === 0) progress(`small files, folder: ${at} of ${files.length}`);
    await fs.copyFile(file, path.join(inbox, `${at}.csv`));
    await timed(times.floor, () => copyTo(bench, folder, file));
    await timed(times.millpond, () => convert(bench, `${prefixes.inbox}small/${at}.csv`));
  }
  return result("folder", "COPY", times);
}

/** The floor makes the requests that Millpond makes for a file, one after the other, by Node's own client and unsigned. */
async function ofBucket(
  { folder, progress }: BenchmarkContext,
  { endpoint, settings }: StoreEmulator,
  files: readonly string[],
): Promise<Line> {
  const plain = new PlainS3(endpoint);
  const proxy = await WatchingProxy.start(endpoint);
  const times: Times = { floor: [], millpond: [] };
  try {
    const key = (at: number) => `${prefixes.inbox}small/${at}.csv`;
    const put = async (at: number) =>
      await plain.send("PUT", `/bench/${key(at)}`, await fs.readFile(files[at] as string));
    // One by way of the proxy tells which requests it takes; the others are timed without it.
    const watched = await openBenchPond("s3://bench", {
      ...settings,
      AWS_ENDPOINT_URL_S3: proxy.url,
    });
    await put(0);
    await convert(watched, key(0));
    await watched.close();
    const asked = proxy.take().map(({ method }) => method);
    const bench = await openBenchPond("s3://bench", {
      ...settings,
      AWS_ENDPOINT_URL_S3: endpoint,
    });
    const converted = path.join(folder, "floor.parquet");
    try {
      for (let at = 1; at < files.length; at += 1) {
        if (at % 50 === 0) progress(`small files, S3's protocol: ${at} of ${files.length}`);
        await put(at);
        await timed(times.floor, async () => {
          await copyTo(bench, folder, files[at] as string);
          for (const method of asked) {
            const body = method === "PUT" ? await fs.readFile(converted) : undefined;
            const to = method === "PUT" ? "floor.parquet" : key(at);
            await plain.send(method, `/bench/${to}`, body);
          }
        });
        await timed(times.millpond, () => convert(bench, key(at)));
      }
    } finally {
      await bench.close();
    }
    return result("bucket", `COPY and the same ${asked.length} requests`, times);
  } finally {
    plain.close();
    await proxy.close();
  }
}
