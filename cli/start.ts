import { once } from "node:events";
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { Command } from "commander";
import {
  environmentNames,
  isToken,
  leastTokenLength,
  prefixes,
  privateFolder,
} from "../app/contract.ts";
import { readSettings } from "../app/environment.ts";
import { MillpondError } from "../app/errors.ts";
import { wrapObjectEvent } from "../app/events/s3-event.ts";
import { findStale } from "../app/flow/sweep.ts";
import { createHandler as createIngest } from "../app/functions/ingest.ts";
import { processLogger } from "../app/functions/invocation.ts";
import { createHandler as createSweep } from "../app/functions/sweep.ts";
import { type Page, readPage } from "../app/http/page.ts";
import { decodeOutputMetadata } from "../app/lake/output-metadata.ts";
import type { TableSummary } from "../app/lake/reports.ts";
import { alsoLogTo } from "../app/logger.ts";
import { openPond, type Pond } from "../app/pond.ts";
import type { Store } from "../app/store/store.ts";
import { bytesText, countText, numberText } from "../app/text.ts";
import { version } from "../app/version.ts";
import { localContext } from "./local-context.ts";
import { localLogFile } from "./local-log.ts";
import { serveLocal, urlOf } from "./local-server.ts";
import { LocalTopic } from "./local-topic.ts";
import { defaultFolder, namedStore } from "./named-store.ts";
import { progressBar } from "./progress.ts";
import { copySample } from "./sample.ts";
import { tablesText } from "./tables-text.ts";
import { defaultPort } from "./target.ts";
import { fittedTo, foldedCommand, secondsText, widthOf } from "./text.ts";
import { UsageError } from "./usage-error.ts";
import { watchInbox } from "./watch-inbox.ts";
import { wholeNumber } from "./whole-number.ts";

const loopback = "127.0.0.1";
const sweepEveryMs = 5 * 60 * 1000;
/** How long whoever reads an answer may pause. */
const mostIdleReadingMs = 60_000;

export interface LocalOptions {
  dir: string;
  port: number;
  host: string;
  /** Names by which requests may call it, beside localhost and addresses. @default [] */
  allowHost?: readonly string[];
  token?: string | undefined;
  fresh: boolean;
  sample: boolean;
}

export function startCommand(): Command {
  return new Command("start")
    .description(
      "serve a pond in a folder: files dropped in its inbox/ become tables, HTTP reads them",
    )
    .option(
      "--dir <folder>",
      `the folder of the pond (default: ${environmentNames.store}, else "${defaultFolder}")`,
    )
    .option(
      "--port <number>",
      "the port to listen on; 0 takes a free one",
      wholeNumber("--port", 0, 65_535),
      defaultPort,
    )
    .option(
      "--host <address>",
      "the address to listen on; beyond this machine it needs --token",
      loopback,
    )
    .option(
      "--allow-host <name...>",
      "answer to this name, too: a proxy's, or this machine's in its network",
    )
    .option("--token <token>", "ask for this token: Authorization: Bearer <token>")
    .option(
      "--fresh",
      "make the tables of all files in inbox/ anew, and bring the sample back",
      false,
    )
    .option("--no-sample", "start without the sample tables")
    .action(async (given: Omit<LocalOptions, "dir"> & { dir?: string }) => {
      // First of all, so that a signal at any time ends in good order.
      const stopped = stopSignal();
      const store = namedStore(given.dir);
      if (store?.kind === "bucket") {
        throw new UsageError(
          `start serves a folder, not ${store.url}: to load a bucket, npm run invoke -- -f sweep --dir ${store.url}; to query it, npm run image:run -- query --dir ${store.url}`,
        );
      }
      const options = { ...given, dir: store?.path ?? defaultFolder };
      const say = (text: string) => process.stdout.write(`${text}\n`);
      const local = await startLocal(options, say, stopped).catch(async (error: unknown) => {
        throw (await servedAlready(error, options)) ?? error;
      });
      if (!stopped.aborted) await once(stopped, "abort");
      await local.stop();
    });
}

/** Says of a port that is taken that a pond has it: who forgot a first terminal has no need of a second server. */
async function servedAlready(
  error: unknown,
  { host, port }: Pick<LocalOptions, "host" | "port">,
): Promise<MillpondError | undefined> {
  if (!(error instanceof MillpondError) || error.code !== "listen") return undefined;
  const url = urlOf(host, port);
  const found = await fetch(`${url}/health`, { signal: AbortSignal.timeout(5000) })
    .then(async (answer) => (await answer.json()) as { millpond?: unknown })
    .catch(() => undefined);
  if (typeof found?.millpond !== "string") return undefined;
  const message = `a pond is served at ${url} already: use that one, or give this one --port <another>, and --dir <folder> where it is to be another pond`;
  return new MillpondError("listen", message, { cause: error });
}

/** A pond that runs on this machine. */
export interface LocalPond {
  url: string;
  /** Finishes what is under way, and ends the rest. */
  stop(): Promise<void>;
}

/**
 * Composes the functions over a folder: a watcher in place of S3's notifications, a queue in place of SNS, a server in
 * place of API Gateway.
 * @param say where what a person should know goes
 * @param stopped ends the loading of what is in the inbox before all of it is loaded
 */
export async function startLocal(
  options: LocalOptions,
  say: (text: string) => void,
  stopped?: AbortSignal,
): Promise<LocalPond> {
  const beyond = !["127.0.0.1", "::1", "localhost"].includes(options.host);
  if (beyond && options.token === undefined) {
    throw new UsageError(
      `--host ${options.host} lets other machines in: add --token <token>, which they then send`,
    );
  }
  if (options.token !== undefined && !isToken(options.token)) {
    throw new UsageError(
      `--token takes ${leastTokenLength} characters or more, without a space: openssl rand -hex 24`,
    );
  }
  const root = path.resolve(options.dir);
  const logger = processLogger();
  if (options.fresh && fs.existsSync(root) && !fs.existsSync(path.join(root, privateFolder))) {
    throw new UsageError(`--fresh: ${root} is no pond, as it has no ${privateFolder}/`);
  }
  const settings = readSettings({ ...process.env, [environmentNames.store]: root });
  const pond = await openPond(settings, logger, {
    tokens: options.token === undefined ? undefined : { cli: options.token },
    page: localPage,
  }).catch((error: unknown) => {
    if (!(error instanceof MillpondError) || error.code !== "folder") throw error;
    throw new MillpondError("folder", `${error.message}; --dir <folder> names another`, {
      cause: error,
    });
  });

  alsoLogTo(logger, localLogFile(root));

  const open = () => Promise.resolve(pond);
  const ingest = createIngest(open);
  const topic = new LocalTopic((event) => ingest(event, localContext("ingest")), settings.threads);
  const drop = () => void topic.drain();
  stopped?.addEventListener("abort", drop);
  const sweeper = new AbortController();
  // In the order in which they end.
  const parts: (() => Promise<void>)[] = [() => pond.close()];
  const stop = async () => {
    sweeper.abort();
    stopped?.removeEventListener("abort", drop);
    for (const end of parts) await end();
  };
  try {
    const { host, port, allowHost: names = [] } = options;
    const stallMs = settings.queryDeadlineMs + mostIdleReadingMs;
    const server = await serveLocal(pond, { host, port, names, stallMs });
    parts.unshift(async () => {
      await Promise.all([topic.drain(), server.close()]);
    });
    say(`Millpond ${version}, the pond is ${root}`);
    if (options.fresh) await forget(pond.store);
    if (options.sample && (options.fresh || (await isEmpty(pond.store)))) await copySample(root);
    const watcher = await watchInbox(
      root,
      pond.bucket,
      (event) => void topic.publish(event),
      (error) => logger.error("the watcher failed", { error }),
    );
    parts.unshift(() => watcher.close());
    await load(pond, topic, say);
    const sweep = createSweep(open, async (event) => {
      await topic.publish(event);
      return undefined;
    });
    void sweepAgain(() => sweep({}, localContext("sweep")), sweeper.signal);
    await introduce(server.url, pond, options, say);
    return { url: server.url, stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

/** The console as its sources are now: built when somebody first looks. */
async function localPage(): Promise<Page> {
  const { buildConsole } = await import("../console/build.ts");
  const folder = await fs.promises.mkdtemp(path.join(os.tmpdir(), "millpond-console-"));
  try {
    await buildConsole(folder);
    return await readPage(folder);
  } finally {
    await fs.promises.rm(folder, { recursive: true });
  }
}

/** Whether nobody ever dropped anything: what a first start looks like, whatever ran before it. */
async function isEmpty(store: Store): Promise<boolean> {
  for (const prefix of [prefixes.inbox, prefixes.lake]) {
    for await (const _ of store.list(prefix)) return false;
  }
  return true;
}

/**
 * Removes what is made from the inbox, so that it is made anew. Rows whose source is no longer there can't be, and
 * stay.
 */
async function forget(store: Store): Promise<void> {
  for await (const { key, etag } of store.list(prefixes.lake)) {
    const metadata = decodeOutputMetadata((await store.head(key))?.metadata ?? {});
    if (metadata === undefined || (await store.head(metadata.sourceKey)) === undefined) continue;
    await store.delete(key, etag);
  }
  for await (const { key, etag } of store.list(prefixes.rejected)) await store.delete(key, etag);
}

/** Brings the lake up to what is in the inbox, and says what is there then. */
async function load(pond: Pond, topic: LocalTopic, say: (text: string) => void): Promise<void> {
  const begun = performance.now();
  const stale: string[] = [];
  const { stale: why } = await findStale(pond.sweep, {
    onStale: (key) => {
      stale.push(key);
    },
  });
  if (stale.length > 0) {
    const bar = progressBar("loading [{bar}] {value}/{total} {file}");
    const [terminal = pond.logger] = pond.logger.transports;
    const { level = pond.logger.level } = terminal;
    if (process.stderr.isTTY) {
      bar.start(stale.length, 0, { file: "" });
      // The bar says it; lines between would tear it.
      terminal.level = "warn";
    }
    await Promise.all(
      stale.map(async (key) => {
        await topic.publish(wrapObjectEvent(pond.bucket, key, "ObjectCreated:Put", new Date()));
        bar.increment(1, { file: path.posix.basename(key) });
      }),
    );
    bar.stop();
    terminal.level = level;
  }
  const tables = await pond.catalog.summaries({});
  const rejections = await pond.catalog.rejections({});
  if (tables.length === 0) say("There is no table yet.");
  else {
    const late = new Set(stale);
    const rejected = rejections.filter(({ source }) => late.has(source.key)).length;
    const loaded = why.missing + why.outdated - rejected;
    const done = { loaded, rejected, gone: why.gone };
    sayTables(tables, done, performance.now() - begun, say);
  }
  if (rejections.length > 0) {
    const keys = rejections.map(({ source }) => source.key);
    const more = keys.length > 3 ? `, and ${keys.length - 3} more` : "";
    const which = `${countText(keys.length, "file")} can't be read: ${keys.slice(0, 3).join(", ")}${more}; GET /rejected says why`;
    say(fittedTo(process.stdout, which));
  }
}

function sayTables(
  tables: readonly TableSummary[],
  done: Readonly<Record<"loaded" | "rejected" | "gone", number>>,
  milliseconds: number,
  say: (text: string) => void,
): void {
  say("");
  say(tablesText(tables, { columns: false }));
  const sum = (of: (table: TableSummary) => number) =>
    tables.reduce((n, table) => n + of(table), 0);
  const { loaded, rejected, gone } = done;
  const other = [
    ...(rejected > 0 ? [`${numberText(rejected)} rejected`] : []),
    ...(gone > 0 ? [`${numberText(gone)} gone`] : []),
  ];
  const made =
    loaded + other.length > 0 ? [`loaded ${countText(loaded, "file")}`, ...other].join(", ") : "";
  const readable = tables.filter(({ files }) => files > 0);
  say(
    `\n${made}${made === "" ? "" : ": "}${countText(readable.length, "table")}, ${countText(
      sum((t) => t.rows),
      "row",
    )}, ` + `${bytesText(sum((t) => t.bytes))} of Parquet, in ${secondsText(milliseconds)}`,
  );
}

/** Runs the sweep function as the schedule does on AWS; one sweep begins when the one before is done. */
async function sweepAgain(sweep: () => Promise<unknown>, stopped: AbortSignal): Promise<void> {
  for (;;) {
    try {
      await sleep(sweepEveryMs, undefined, { signal: stopped, ref: false });
    } catch {
      // The pond stops.
      return;
    }
    // Its own failures it has logged; the next one may do better.
    await sweep().catch(() => undefined);
  }
}

/** Says where the pond listens, and what to try first. */
async function introduce(
  url: string,
  pond: Pond,
  options: LocalOptions,
  say: (text: string) => void,
): Promise<void> {
  const names = await pond.catalog.names();
  const table = names.includes("weather") ? "weather" : names[0];
  const sql =
    table === "weather"
      ? "SELECT weather, count(*) FROM weather GROUP BY ALL"
      : // A table may be called as a word of SQL is.
        `SELECT * FROM "${table}" LIMIT 5`;
  const token = options.token === undefined ? [] : [`-H "Authorization: Bearer <token>"`];
  const absolute = pond.store.locatePrefix(prefixes.inbox);
  const relative = path.relative(process.cwd(), absolute);
  const inbox = relative.startsWith("..") ? absolute.replace(/\/$/, "") : relative;
  say(`\nListening on ${url}`);
  say(`Look:  ${url}/ in a browser`);
  if (table !== undefined) {
    const sent = [...token, "-d format=csv", `--data-urlencode 'sql=${sql}'`];
    const parts = [`Try:   curl -G ${url}/query`, ...sent];
    say(foldedCommand(parts, widthOf(process.stdout)));
  }
  const drop = `Drop:  cp my.csv ${inbox}/`;
  const becomes = `its rows are the table "my"`;
  const fits = drop.length + 4 + becomes.length <= widthOf(process.stdout);
  say(`${drop}${fits ? "    " : "\n       "}${becomes}`);
  say("Stop:  Ctrl-C");
}

/** A terminal sends Ctrl-C to npm and to us, and npm passes its own on: what comes this soon is the same Ctrl-C. */
const sameSignalMs = 500;

/** Aborted by Ctrl-C; a second Ctrl-C waits for nothing. */
function stopSignal(): AbortSignal {
  const controller = new AbortController();
  let asked: number | undefined;
  const stop = () => {
    if (asked === undefined) {
      asked = performance.now();
      process.stderr.write("stopping: finishing what is under way, Ctrl-C again to drop it\n");
      controller.abort();
    } else if (performance.now() - asked > sameSignalMs) {
      process.exit(130);
    }
  };
  process.on("SIGINT", stop);
  process.on("SIGTERM", stop);
  return controller.signal;
}
