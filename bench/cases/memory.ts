import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import fs from "node:fs/promises";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { prefixes } from "../../app/contract.ts";
import { quoteLiteral } from "../../app/query/quote.ts";
import { narrow, orders } from "../data.ts";
import { type Benchmark, type BenchmarkContext, lineOf } from "../harness.ts";
import { clientOf, openBenchPond } from "../pond.ts";

const limitMiB = 1024;

/**
 * What the process that answers, and the one that holds DuckDB, have in memory at most: for answers and for files of growing
 * sizes, under a limit. Where there is /proc, which is Linux.
 */
export const memory: Benchmark = async function* (context) {
  const { folder, progress } = context;
  if (process.platform !== "linux") {
    process.stderr.write("memory: left out, this machine has no /proc\n");
    return;
  }
  const pondFolder = path.join(folder, "pond");
  const child = fork(
    fileURLToPath(new URL("../memory-pond.ts", import.meta.url)),
    [pondFolder, String(limitMiB)],
    { stdio: ["ignore", "inherit", "inherit", "ipc"] },
  );
  try {
    const [{ url }] = (await once(child, "message")) as [{ url: string }];
    yield* ofAnswers(context, child, url);
    yield* ofFiles(context, child, pondFolder);
    progress("memory: a sort that spills");
    yield* ofSort(context, child, url);
  } finally {
    child.disconnect();
    if (child.exitCode === null) await once(child, "exit");
  }
};

/** The most that each process had since the last call, in MiB. */
interface Peak {
  server: number;
  engines: number;
}

async function peakOf({ pid }: ChildProcess): Promise<Peak> {
  const engines = (await fs.readFile(`/proc/${pid}/task/${pid}/children`, "utf8"))
    .trim()
    .split(" ")
    .filter((one) => one !== "");
  const peak = async (one: number | string | undefined) => {
    const status = await fs.readFile(`/proc/${one}/status`, "utf8");
    // The next peak begins with what is there now.
    await fs.writeFile(`/proc/${one}/clear_refs`, "5");
    return Number(/VmHWM:\s*(\d+) kB/.exec(status)?.[1]) / 1024;
  };
  return {
    server: await peak(pid),
    engines: Math.max(0, ...(await Promise.all(engines.map(peak)))),
  };
}

async function* ofAnswers({ quick, progress }: BenchmarkContext, child: ChildProcess, url: string) {
  const client = clientOf(url);
  const rowBytes = 64;
  const ask = async (megabytes: number) => {
    progress(`memory: an answer of ${megabytes} MB`);
    const rows = Math.round((megabytes * 1e6) / rowBytes);
    await client.query(
      `SELECT i, md5(i::TEXT) AS hash, i / 7.0 AS part FROM range(${rows}) t(i)`,
      "csv",
    );
    return await peakOf(child);
  };
  await ask(1);
  const small = await ask(1);
  for (const megabytes of quick ? [50] : [10, 100, 1000]) {
    const large = await ask(megabytes);
    const what = `answer of ${megabytes} MB`;
    const of = (part: keyof Peak, name: string) =>
      lineOf(
        {
          id: `memory-answer-${megabytes}-${part}`,
          what: `${what}: ${name}`,
          beside: "of 1 MB",
          unit: "MiB",
        },
        { floor: [small[part]], millpond: [large[part]] },
        { most: 1, added: 64 },
      );
    yield of("server", "who answers");
    yield of("engines", "DuckDB's process");
  }
  client.close();
}

async function* ofFiles(
  { folder, quick, progress }: BenchmarkContext,
  child: ChildProcess,
  pond: string,
) {
  const maker = await openBenchPond(path.join(folder, "maker"));
  const inbox = path.join(pond, prefixes.inbox, "sized");
  await fs.mkdir(inbox, { recursive: true });
  const take = async (megabytes: number) => {
    progress(`memory: a file of ${megabytes} MB`);
    const file = path.join(inbox, `of-${megabytes}.csv`);
    await maker.floor.run(
      `COPY (${orders(megabytes * 9600)}) TO ${quoteLiteral(file)} (FORMAT csv, HEADER)`,
    );
    await peakOf(child);
    child.send(`${prefixes.inbox}sized/of-${megabytes}.csv`);
    const [{ kind }] = (await once(child, "message")) as [{ kind: string }];
    if (kind !== "converted") throw new Error(`a file of ${megabytes} MB was ${kind}`);
    const peak = await peakOf(child);
    await fs.rm(file);
    return peak;
  };
  try {
    await take(10);
    const small = await take(10);
    for (const megabytes of quick ? [100] : [100, 500, 2000]) {
      const large = await take(megabytes);
      const what = `CSV of ${megabytes} MB`;
      yield lineOf(
        {
          id: `memory-file-${megabytes}-server`,
          what: `${what}: who ingests`,
          beside: "of 10 MB",
          unit: "MiB",
        },
        { floor: [small.server], millpond: [large.server] },
        { most: 1, added: 64 },
      );
      yield within(`memory-file-${megabytes}`, `${what}: both processes`, large);
    }
  } finally {
    await maker.close();
  }
}

async function* ofSort({ folder, quick }: BenchmarkContext, child: ChildProcess, url: string) {
  const maker = await openBenchPond(path.join(folder, "maker"));
  const client = clientOf(url);
  try {
    const rows = quick ? 1_000_000 : 20_000_000;
    const wide = path.join(folder, "pond", prefixes.inbox, "sorted.parquet");
    await maker.floor.run(
      `COPY (SELECT *, md5(order_key::TEXT) AS hash FROM (${narrow(rows)})) TO ${quoteLiteral(wide)} (FORMAT parquet)`,
    );
    child.send(`${prefixes.inbox}sorted.parquet`);
    const [{ kind }] = (await once(child, "message")) as [{ kind: string }];
    if (kind !== "converted") throw new Error(`the table to sort was ${kind}`);
    await fs.rm(wide);
    await peakOf(child);
    const window = "SELECT *, row_number() OVER (ORDER BY hash) AS place FROM sorted";
    await client.query(`SELECT count(*) FROM (${window}) WHERE place % 7 = 0`);
    const peak = await peakOf(child);
    yield within(
      "memory-sort",
      `sort of ${rows.toLocaleString("en-US")} rows: both processes`,
      peak,
    );
  } finally {
    client.close();
    await maker.close();
  }
}

function within(id: string, what: string, { server, engines }: Peak) {
  return lineOf(
    { id, what, beside: `the limit of ${limitMiB} MiB`, unit: "MiB" },
    { floor: [limitMiB], millpond: [server + engines] },
    { most: 1 },
  );
}
