import { once } from "node:events";
import fs from "node:fs/promises";
import path from "node:path";
import { createInterface } from "node:readline";
import { setTimeout as pause } from "node:timers/promises";
import { CloudWatchLogsClient, paginateFilterLogEvents } from "@aws-sdk/client-cloudwatch-logs";
import { Command, InvalidArgumentError, Option } from "commander";
import { environmentNames, functionNames } from "../app/contract.ts";
import { MillpondError } from "../app/errors.ts";
import { countText } from "../app/text.ts";
import { awsError } from "./aws-error.ts";
import { type DeployedStack, readStack, stackOption } from "./deployed-stack.ts";
import { localLogFile } from "./local-log.ts";
import {
  isWanted,
  jsonLine,
  type LogLevelName,
  type LogLine,
  logLevelNames,
  readLine,
  shownLine,
} from "./log-line.ts";
import { defaultFolder, namedStore } from "./named-store.ts";
import { endingSignals } from "./signals.ts";
import { UsageError } from "./usage-error.ts";

/** Whose lines there are: the functions', and the requests as API Gateway saw them. */
const sources = [...functionNames, "api"] as const;
type LogSource = (typeof sources)[number];

interface LogsOptions {
  stack?: string;
  dir?: string;
  function?: LogSource[];
  since?: Date;
  follow: boolean;
  level?: LogLevelName;
  filter?: string;
  request?: string;
  json: boolean;
}

/** With what was not said. */
interface LogsAsked extends LogsOptions {
  since: Date;
  level: LogLevelName;
}

/** Milliseconds from one look for new lines to the next. */
const pauseMs = { cloud: 2000, local: 250 };

/** Lines may come to CloudWatch so much later than others of the same time. */
const latenessMs = 60_000;

export function logsCommand(): Command {
  return new Command("logs")
    .description("show what the functions of a stack, or of the pond on this machine, have logged")
    .addOption(stackOption())
    .addOption(
      new Option(
        "--dir <folder>",
        `the folder of the pond (default: ${environmentNames.store}, else "${defaultFolder}")`,
      ).conflicts("stack"),
    )
    .addOption(
      new Option(
        "-f, --function <name...>",
        "whose lines; api is the requests as API Gateway saw them (default: those of all functions; with --request of api, too)",
      ).choices(sources),
    )
    .addOption(
      new Option(
        "--since <time>",
        "how far back: 30m, 2h, 7d, or 2026-01-31T12:00Z (default: 1h; with --request 7d)",
      ).argParser(readTime),
    )
    .option("--follow", "go on with new lines as they come, until Ctrl-C", false)
    .addOption(
      new Option(
        "--level <level>",
        "lines as severe as this, and more so (default: info; with --request debug)",
      ).choices(logLevelNames),
    )
    .option("--filter <text>", "lines with this text in them")
    .option("--request <id>", "all lines of one request, by the x-request-id of its answer")
    .option("--json", "one JSON object a line, as the functions wrote it", false)
    .addHelpText(
      "after",
      `
With --level debug Lambda's own lines come, too: how long each invocation took
and how much memory. --request shows them, and the line of API Gateway, which
comes a minute later than others. The pond on this machine keeps its log in
<folder>/.millpond/logs/.
Exit code: 0 done; 1 the log can't be read; 2 the call is wrong; 130
interrupted. Ctrl-C is the way to end --follow: the exit code is then 0, but
npm, where it ran the command, makes it 130.`,
    )
    .action(async (options: LogsOptions) => {
      const controller = new AbortController();
      const stop = () => controller.abort(new MillpondError("interrupted", "ended by a signal"));
      for (const signal of endingSignals) process.once(signal, stop);
      // Whoever reads has had enough, as `head` has.
      let left = false;
      process.stdout.once("error", () => {
        left = true;
        stop();
      });
      try {
        await logs(asked(options), controller.signal);
      } catch (error) {
        if (left || (controller.signal.aborted && options.follow)) return;
        controller.signal.throwIfAborted();
        throw error;
      } finally {
        for (const signal of endingSignals) process.removeListener(signal, stop);
      }
    });
}

/** A request is looked for wherever it may have left a line, unless less is asked for. */
function asked(options: LogsOptions): LogsAsked {
  const { request, since, level } = options;
  const wide = request !== undefined;
  return {
    ...options,
    since: since ?? readTime(wide ? "7d" : "1h"),
    level: level ?? (wide ? "debug" : "info"),
  };
}

function readTime(text: string): Date {
  const units: Record<string, number> = { s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 };
  const [, count, unit] = /^(\d+)([smhd])$/.exec(text) ?? [];
  const time =
    count === undefined || unit === undefined
      ? // A number alone would be a year.
        Date.parse(/^\d{4}-\d\d-\d\d/.test(text) ? text : "")
      : Date.now() - Number(count) * (units[unit] as number);
  if (Number.isNaN(time)) {
    throw new InvalidArgumentError(
      "It takes 30m, 2h, 7d, or a time as 2026-01-31 or 2026-01-31T12:00Z.",
    );
  }
  return new Date(time);
}

async function logs(options: LogsAsked, stopped: AbortSignal): Promise<void> {
  const { level, filter: text, request, json, since, follow } = options;
  const filter = { level, text, request };
  let read = 0;
  let shown = 0;
  const live = process.stderr.isTTY && !process.stdout.isTTY;
  for await (const line of await linesOf(options, stopped)) {
    stopped.throwIfAborted();
    read += 1;
    // A busy day is read for long before a rare line is found.
    if (live && read % 5000 === 0) process.stderr.write(`\r${countText(read, "line")} read`);
    const one = readLine(line);
    if (!isWanted(one, filter)) continue;
    shown += 1;
    if (!process.stdout.write(`${json ? jsonLine(one) : shownLine(one)}\n`)) {
      await once(process.stdout, "drain", { signal: stopped });
    }
  }
  if (live && read >= 5000) process.stderr.write("\r\u001b[2K");
  stopped.throwIfAborted();
  if (shown === 0 && !follow) {
    const further =
      request === undefined
        ? "--since 1d looks further back, --level debug at more"
        : "--since 30d looks further back";
    process.stderr.write(
      `none of ${countText(read, "line")} since ${since.toISOString()} is such a line: ${further}\n`,
    );
  }
}

async function linesOf(options: LogsAsked, stopped: AbortSignal): Promise<AsyncIterable<LogLine>> {
  if (options.stack !== undefined)
    return cloudLines(await readStack(options.stack), options, stopped);
  const store = namedStore(options.dir);
  if (store?.kind === "bucket") {
    throw new UsageError(`the logs of ${store.url} are those of its stack: --stack <name>`);
  }
  if (options.function?.includes("api")) {
    throw new UsageError("a pond on one machine has no API Gateway: -f query has its requests");
  }
  return await localLines(store?.path ?? path.resolve(defaultFolder), options, stopped);
}

/** The lines of a stack's log groups, by their times. */
async function* cloudLines(
  stack: DeployedStack,
  { function: named, since, follow, request }: LogsAsked,
  stopped: AbortSignal,
): AsyncGenerator<LogLine> {
  const client = new CloudWatchLogsClient({ region: stack.region });
  const wanted = named ?? (request === undefined ? functionNames : sources);
  const groups = wanted.map(
    (source) => new LogGroup(client, source, stack.logGroups[source], request),
  );
  try {
    let from = since.getTime();
    for (;;) {
      // What comes while a long log is read is found by the next look, whose beginning this is.
      const next = Math.max(since.getTime(), Date.now() - latenessMs);
      for await (const line of merged(groups.map((group) => group.lines(from, next, stopped)))) {
        yield line;
      }
      if (!follow) return;
      await pause(pauseMs.cloud, undefined, { signal: stopped });
      from = next;
    }
  } finally {
    client.destroy();
  }
}

/** What one log group has, without what it has given before. */
class LogGroup {
  readonly #client: CloudWatchLogsClient;
  readonly #source: LogSource;
  readonly #name: string;
  readonly #pattern: { filterPattern?: string };
  /** Times of the lines that were given, by their ids. */
  readonly #given = new Map<string, number>();

  /** @param text what is in all lines that are wanted @default - any line is */
  constructor(client: CloudWatchLogsClient, source: LogSource, name: string, text?: string) {
    this.#client = client;
    this.#source = source;
    this.#name = name;
    // Days of a log come as their few lines. What stands in quotes is looked for in lines of any kind.
    this.#pattern =
      text !== undefined && /^[\w-]+$/.test(text) ? { filterPattern: `"${text}"` } : {};
  }

  /**
   * @param from in ms since the epoch
   * @param next where the next look begins: what is later now must be known then
   */
  async *lines(from: number, next: number, stopped: AbortSignal): AsyncGenerator<LogLine> {
    for (const [id, time] of this.#given) if (time < from) this.#given.delete(id);
    // By level or field it can't be asked: such filters see JSON alone, and lines of text would be missing without a word.
    const asked = { logGroupName: this.#name, startTime: from, ...this.#pattern };
    const pages = paginateFilterLogEvents({ client: this.#client }, asked, {
      abortSignal: stopped,
    });
    try {
      for await (const { events = [] } of pages) {
        for (const { eventId = "", timestamp = 0, message = "" } of events) {
          if (this.#given.has(eventId)) continue;
          if (timestamp >= next) this.#given.set(eventId, timestamp);
          yield { time: timestamp, source: this.#source, text: message.trimEnd() };
        }
      }
    } catch (error) {
      if (stopped.aborted) throw stopped.reason;
      throw awsError(error, "logs:FilterLogEvents", this.#name);
    }
  }
}

/** Lines of several logs, each in the order of its times, in the order of all. */
async function* merged(logs: AsyncGenerator<LogLine>[]): AsyncGenerator<LogLine> {
  const heads = await Promise.all(logs.map(async (log) => ({ log, next: await log.next() })));
  for (;;) {
    let first: (typeof heads)[number] | undefined;
    for (const head of heads) {
      if (head.next.done) continue;
      if (first === undefined || head.next.value.time < (first.next.value as LogLine).time) {
        first = head;
      }
    }
    if (first === undefined) return;
    yield first.next.value as LogLine;
    first.next = await first.log.next();
  }
}

/** What the pond in a folder has logged, and goes on to log. */
async function localLines(
  root: string,
  { function: named, since, follow }: LogsAsked,
  stopped: AbortSignal,
): Promise<AsyncIterable<LogLine>> {
  const newest = localLogFile(root);
  const parts = await logParts(newest);
  if (parts.length === 0 && !follow) {
    throw new MillpondError(
      "no-log",
      `there is no log at ${newest}: npm start writes it; for a deployed stack, --stack <name>`,
    );
  }
  async function* wanted(file: string, part: { end: number }) {
    for await (const line of linesFrom(file, part)) {
      const { time, source } = line;
      const asked = named === undefined || named.includes(source as LogSource);
      if (asked && time >= since.getTime()) yield line;
    }
  }
  async function* lines() {
    // What is begun anew while it is followed has another number.
    let part = { inode: 0, end: 0 };
    for (const file of parts) {
      part = { inode: (await fs.stat(file)).ino, end: 0 };
      yield* wanted(file, part);
    }
    while (follow) {
      await pause(pauseMs.local, undefined, { signal: stopped });
      const stat = await fs.stat(newest).catch(() => undefined);
      if (stat === undefined) continue;
      if (stat.ino !== part.inode) {
        const [before] = (await logParts(newest)).slice(-2, -1);
        // The rest of the one that is full by now.
        if (before !== undefined && (await fs.stat(before)).ino === part.inode) {
          yield* wanted(before, part);
        }
        part = { inode: stat.ino, end: 0 };
      }
      if (stat.size > part.end) {
        yield* wanted(newest, part);
      }
    }
  }
  return lines();
}

/** The files of a local log, the oldest first. */
async function logParts(newest: string): Promise<string[]> {
  const { name, ext, dir } = path.parse(newest);
  const names = await fs.readdir(dir).catch(() => []);
  const numberOf = (one: string) =>
    one.startsWith(name) && one.endsWith(ext)
      ? Number(one.slice(name.length, one.length - ext.length))
      : Number.NaN;
  return names
    .filter((one) => !Number.isNaN(numberOf(one)))
    .sort((a, b) => numberOf(b) - numberOf(a))
    .map((one) => path.join(dir, one));
}

/** @param part where to begin; it is moved on by what was read, whole lines alone */
async function* linesFrom(file: string, part: { end: number }): AsyncGenerator<LogLine> {
  const handle = await fs.open(file);
  let time = 0;
  try {
    const { size } = await handle.stat();
    if (size <= part.end) return;
    const stream = handle.createReadStream({ start: part.end, end: size - 1, autoClose: false });
    for await (const text of createInterface({ input: stream })) {
      const end = part.end + Buffer.byteLength(text) + 1;
      // It is being written.
      if (end > size) return;
      part.end = end;
      const { fields } = readLine({ time, source: "", text });
      const { timestamp, function_name: source = "" } = (fields ?? {}) as Record<string, string>;
      // One that was cut off when the pond was killed has the time of the one before it.
      if (timestamp !== undefined) time = Date.parse(timestamp);
      yield { time, source, text };
    }
  } finally {
    await handle.close();
  }
}
