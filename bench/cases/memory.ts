import fs from "node:fs/promises";
import path from "node:path";
import { environmentNames, prefixes, privateFolder } from "../../app/contract.ts";
import { quoteLiteral } from "../../app/query/quote.ts";
import { narrow, orders } from "../data.ts";
import { type Benchmark, type BenchmarkContext, lineOf } from "../harness.ts";
import { openPondProcess, type PondProcess } from "../pond.ts";

const limitMiB = 1024;

/**
 * What the process that answers, and the one that holds DuckDB, have in memory at most: for answers and for files of growing
 * sizes, under a limit. Where there is /proc, which is Linux.
 */
export const memory: Benchmark = async function* (context) {
  if (process.platform !== "linux") {
    process.stderr.write("memory: left out, this machine has no /proc\n");
    return;
  }
  const folder = path.join(context.folder, "pond");
  const pond = await openPondProcess(folder, { [environmentNames.memoryMiB]: String(limitMiB) });
  try {
    yield* ofAnswers(context, pond);
    yield* ofFiles(context, pond, folder);
    yield* ofSort(context, pond);
  } finally {
    await pond.close();
  }
};

/** The most that each process had since the last call, in MiB. */
interface Peak {
  server: number;
  engines: number;
}

async function peakOf({ pid }: PondProcess): Promise<Peak> {
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

async function* ofAnswers({ quick, progress }: BenchmarkContext, pond: PondProcess) {
  const rowBytes = 64;
  const ask = async (megabytes: number) => {
    progress(`memory: an answer of ${megabytes} MB`);
    const rows = Math.round((megabytes * 1e6) / rowBytes);
    await pond.query(
      `SELECT i, md5(i::TEXT) AS hash, i / 7.0 AS part FROM range(${rows}) t(i)`,
      "csv",
    );
    return await peakOf(pond);
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
        { most: 1, added: 64, limit: true },
      );
    yield of("server", "who answers");
    yield of("engines", "DuckDB's process");
  }
}

async function* ofFiles({ quick, progress }: BenchmarkContext, pond: PondProcess, folder: string) {
  const inbox = path.join(folder, prefixes.inbox, "sized");
  await fs.mkdir(inbox, { recursive: true });
  let files = 0;
  const take = async (megabytes: number) => {
    progress(`memory: a file of ${megabytes} MB`);
    files += 1;
    const name = `${files}.csv`;
    const file = path.join(inbox, name);
    await pond.floor.run(
      `COPY (${orders(megabytes * 9600)}) TO ${quoteLiteral(file)} (FORMAT csv, HEADER)`,
    );
    await peakOf(pond);
    await pond.ingest(`${prefixes.inbox}sized/${name}`);
    const peak = await peakOf(pond);
    await fs.rm(file);
    return peak;
  };
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
      { most: 1, added: 64, limit: true },
    );
    yield within(`memory-file-${megabytes}`, `${what}: both processes`, large);
  }
}

/** Far more than the limit holds, so that it must spill. */
async function* ofSort({ quick, progress, folder }: BenchmarkContext, pond: PondProcess) {
  progress("memory: a sort that spills");
  const rows = quick ? 5_000_000 : 20_000_000;
  await pond.makeTable("sorted", `SELECT *, md5(order_key::TEXT) AS hash FROM (${narrow(rows)})`);
  await peakOf(pond);
  const window = "SELECT *, row_number() OVER (ORDER BY hash) AS place FROM sorted";
  // Of all columns, so that none is left out of the sort.
  const spilled = await mostBytesIn(path.join(folder, "pond", privateFolder, "work"), async () => {
    await pond.query(`SELECT max(COLUMNS(*)) FROM (${window}) WHERE place % 7 = 0`);
  });
  if (spilled === 0) throw new Error("the sort fitted into memory: nothing of it is told");
  const peak = await peakOf(pond);
  const what = `sort of ${rows.toLocaleString("en-US")} rows: both processes`;
  const line = within("memory-sort", what, peak);
  yield { ...line, also: [`${(spilled / 1e6).toFixed(0)} MB spilled at most`] };
}

/** The most that a folder holds while something runs. */
async function mostBytesIn(folder: string, work: () => Promise<void>): Promise<number> {
  let most = 0;
  const look = async () => {
    const files = await fs.readdir(folder, { recursive: true }).catch(() => []);
    const sizes = files.map((file) =>
      fs.stat(path.join(folder, file)).then(
        (found) => (found.isFile() ? found.size : 0),
        // It went meanwhile.
        () => 0,
      ),
    );
    most = Math.max(
      most,
      (await Promise.all(sizes)).reduce((sum, size) => sum + size, 0),
    );
  };
  const timer = setInterval(() => void look(), 50);
  await work().finally(() => clearInterval(timer));
  return most;
}

function within(id: string, what: string, { server, engines }: Peak) {
  return lineOf(
    { id, what, beside: `the limit of ${limitMiB} MiB`, unit: "MiB" },
    { floor: [limitMiB], millpond: [server + engines] },
    { most: 1, limit: true },
  );
}
