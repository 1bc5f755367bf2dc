import { once } from "node:events";
import fs from "node:fs";
import fsp from "node:fs/promises";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { type ServerType, serve } from "@hono/node-server";
import cliProgress from "cli-progress";
import { Command, InvalidArgumentError } from "commander";
import { environmentNames, prefixes } from "../app/contract.ts";
import { readSettings } from "../app/environment.ts";
import { MillpondError } from "../app/errors.ts";
import { wrapObjectEvent } from "../app/events/s3-event.ts";
import type { TableSummary } from "../app/flow/catalog.ts";
import { findStale } from "../app/flow/sweep.ts";
import { handler as hello } from "../app/functions/hello.ts";
import { createHandler as createIngest } from "../app/functions/ingest.ts";
import { processLogger } from "../app/functions/invocation.ts";
import type { Logger } from "../app/logger.ts";
import { openPond, type Pond } from "../app/pond.ts";
import { privateFolder } from "../app/store/folder-store.ts";
import { version } from "../app/version.ts";
import { localContext } from "./local-context.ts";
import { LocalTopic } from "./local-topic.ts";
import { bytesText, columnsText, countText, secondsText } from "./text.ts";
import { UsageError } from "./usage-error.ts";
import { watchInbox } from "./watch-inbox.ts";

export const defaultPort = 8686;
export const defaultFolder = "pond";
const loopback = "127.0.0.1";
const sweepEveryMs = 5 * 60 * 1000;
const sampleFolder = fileURLToPath(new URL("../sample/", import.meta.url));

export interface LocalOptions {
  dir: string;
  port: number;
  host: string;
  token?: string | undefined;
  fresh: boolean;
  sample: boolean;
}

export function localCommand(): Command {
  return new Command("start")
    .description(
      "serve a pond in a folder: files dropped in its inbox/ become tables, HTTP reads them",
    )
    .option("--dir <folder>", "the folder of the pond", defaultFolder)
    .option("--port <number>", "the port to listen on; 0 takes a free one", readPort, defaultPort)
    .option(
      "--host <address>",
      "the address to listen on; beyond this machine it needs --token",
      loopback,
    )
    .option("--token <token>", "ask for this token: Authorization: Bearer <token>")
    .option("--fresh", "make all tables anew from inbox/, and bring the sample back", false)
    .option("--no-sample", "start without the sample tables")
    .action(async (options: LocalOptions) => {
      // First of all, so that a signal at any time ends in good order.
      const stopped = stopSignal();
      const say = (text: string) => process.stdout.write(`${text}\n`);
      const local = await startLocal(options, say, stopped);
      if (!stopped.aborted) await once(stopped, "abort");
      await local.stop();
    });
}

function readPort(text: string): number {
  const port = Number(text);
  if (!/^\d+$/.test(text) || port > 65_535) {
    throw new InvalidArgumentError("A port is a number from 0 to 65535.");
  }
  return port;
}

/** A pond that runs on this machine. */
export interface LocalPond {
  url: string;
  pond: Pond;
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
  if (options.token === "") throw new UsageError("--token must not be empty");
  const root = path.resolve(options.dir);
  const logger = processLogger();
  if (options.fresh) await removeDerived(root);
  const first = !fs.existsSync(path.join(root, privateFolder));
  const settings = readSettings({ ...process.env, [environmentNames.store]: root });
  const pond = await openPond(settings, logger, {
    tokens: options.token === undefined ? undefined : { cli: options.token },
  });

  const ingest = createIngest(() => Promise.resolve(pond));
  const topic = new LocalTopic((event) => ingest(event, localContext("ingest")), settings.threads);
  stopped?.addEventListener("abort", () => void topic.drain());
  let server: ServerType | undefined;
  try {
    server = await listen(pond, options);
    say(`Millpond ${version}, the pond is ${root}`);
    if (first && options.sample) await copySample(root);
    const watcher = await watchInbox(
      root,
      pond.bucket,
      (event) => void topic.publish(event),
      (error) => logger.error("the watcher failed", { error }),
    );
    await load(pond, topic, say);
    const sweeper = new AbortController();
    void sweepAgain(pond, topic, logger, sweeper.signal);

    const url = addressOf(server, options.host);
    await introduce(url, pond, options, say);
    const running = server;
    return {
      url,
      pond,
      stop: async () => {
        sweeper.abort();
        await watcher.close();
        await Promise.all([topic.drain(), closeServer(running)]);
        await pond.close();
      },
    };
  } catch (error) {
    if (server !== undefined) await closeServer(server);
    await pond.close();
    throw error;
  }
}

async function listen(pond: Pond, options: LocalOptions): Promise<ServerType> {
  const { promise, resolve, reject } = Promise.withResolvers<ServerType>();
  const server = serve(
    {
      fetch: (request) =>
        new URL(request.url).pathname === "/hello" ? greet(request) : pond.http.fetch(request),
      hostname: options.host,
      port: options.port,
    },
    () => resolve(server),
  );
  server.once("error", (error: NodeJS.ErrnoException) => {
    const where = `${options.host}:${options.port}`;
    const reason =
      error.code === "EADDRINUSE"
        ? `port ${options.port} is taken: choose another with --port, or stop what listens on ${where}`
        : `can't listen on ${where}: ${error.message}`;
    reject(new MillpondError("listen", reason, { cause: error }));
  });
  return await promise;
}

/** The hello function has a route of its own, as on AWS. */
async function greet(request: Request): Promise<Response> {
  const queryStringParameters = Object.fromEntries(new URL(request.url).searchParams);
  const answer = await hello({ queryStringParameters }, localContext("hello"));
  return new Response(answer.body, { status: answer.statusCode, headers: answer.headers });
}

function addressOf(server: ServerType, host: string): string {
  const address = server.address();
  const port = typeof address === "object" && address !== null ? address.port : 0;
  return `http://${host.includes(":") ? `[${host}]` : host}:${port}`;
}

async function closeServer(server: ServerType): Promise<void> {
  await new Promise<void>((resolve) => {
    server.close(() => resolve());
    if ("closeIdleConnections" in server) server.closeIdleConnections();
  });
}

/** Removes what Millpond made in a pond's folder; what people dropped stays. */
async function removeDerived(root: string): Promise<void> {
  if (!fs.existsSync(root)) return;
  if (!fs.existsSync(path.join(root, privateFolder))) {
    throw new UsageError(
      `--fresh: ${root} is no pond (it has no ${privateFolder}/), nothing was removed`,
    );
  }
  for (const name of [prefixes.lake, prefixes.rejected, privateFolder]) {
    await fsp.rm(path.join(root, name), { recursive: true, force: true });
  }
}

export async function copySample(root: string): Promise<void> {
  const inbox = path.join(root, prefixes.inbox);
  for (const entry of await fsp.readdir(sampleFolder, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile() || entry.name.endsWith(".md")) continue;
    const from = path.join(entry.parentPath, entry.name);
    const to = path.join(inbox, path.relative(sampleFolder, from));
    await fsp.mkdir(path.dirname(to), { recursive: true });
    // A file of the same name is somebody's own.
    await fsp
      .copyFile(from, to, fs.constants.COPYFILE_EXCL)
      .catch((error: NodeJS.ErrnoException) => {
        if (error.code !== "EEXIST") throw error;
      });
  }
}

/** Brings the lake up to what is in the inbox, and says what is there then. */
async function load(pond: Pond, topic: LocalTopic, say: (text: string) => void): Promise<void> {
  const begun = performance.now();
  const { stale } = await findStale(pond.store);
  if (stale.length > 0) {
    const bar = new cliProgress.SingleBar({
      format: "loading [{bar}] {value}/{total} {file}",
      stream: process.stderr,
      hideCursor: true,
      clearOnComplete: true,
      barsize: 30,
    });
    const { level } = pond.logger;
    if (process.stderr.isTTY) {
      bar.start(stale.length, 0, { file: "" });
      // The bar says it; lines between would tear it.
      pond.logger.level = "warn";
    }
    await Promise.all(
      stale.map(async (key) => {
        await topic.publish(wrapObjectEvent(pond.bucket, key, "ObjectCreated:Put", new Date()));
        bar.increment(1, { file: path.posix.basename(key) });
      }),
    );
    bar.stop();
    pond.logger.level = level;
  }
  const tables = await pond.catalog.summaries({});
  if (tables.length === 0) {
    say("There is no table yet.");
    return;
  }
  const count = (n: number) => n.toLocaleString("en-US");
  say("");
  say(
    columnsText([
      ["table", "files", "rows", "Parquet", "rejected"],
      ...tables.map((t) => [
        t.name,
        count(t.files),
        count(t.rows),
        bytesText(t.bytes),
        count(t.rejected),
      ]),
    ]),
  );
  const sum = (of: (table: TableSummary) => number) =>
    tables.reduce((n, table) => n + of(table), 0);
  const made = stale.length > 0 ? `loaded ${countText(stale.length, "file")}: ` : "";
  say(
    `\n${made}${countText(tables.length, "table")}, ${countText(
      sum((t) => t.rows),
      "row",
    )}, ` +
      `${bytesText(sum((t) => t.bytes))} of Parquet, in ${secondsText(performance.now() - begun)}`,
  );
}

/** As the schedule does on AWS; one sweep begins when the one before is done. */
async function sweepAgain(
  pond: Pond,
  topic: LocalTopic,
  logger: Logger,
  stopped: AbortSignal,
): Promise<void> {
  for (;;) {
    try {
      await sleep(sweepEveryMs, undefined, { signal: stopped, ref: false });
    } catch {
      // The pond stops.
      return;
    }
    try {
      const { stale } = await findStale(pond.store);
      for (const key of stale) {
        await topic.publish(wrapObjectEvent(pond.bucket, key, "ObjectCreated:Put", new Date()));
      }
    } catch (error) {
      logger.error("the sweep failed", { error });
    }
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
      ? "SELECT weather, count(*) AS days, max(temp_max) AS hottest FROM weather GROUP BY ALL ORDER BY days DESC"
      : `SELECT * FROM ${table} LIMIT 5`;
  const token = options.token === undefined ? "" : ` -H "Authorization: Bearer <token>"`;
  const absolute = pond.store.locatePrefix(prefixes.inbox);
  const relative = path.relative(process.cwd(), absolute);
  const inbox = relative.startsWith("..") ? absolute.replace(/\/$/, "") : relative;
  say(`\nListening on ${url}`);
  if (table !== undefined) {
    say(`Try:   curl -G ${url}/query${token} -d format=csv --data-urlencode "sql=${sql}"`);
  }
  say(`Drop:  cp my.csv ${inbox}/    makes, or replaces, the rows of my.csv in the table "my"`);
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
