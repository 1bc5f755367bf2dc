import fs from "node:fs";
import type { IncomingMessage } from "node:http";
import path from "node:path";
import { Transform } from "node:stream";
import { text } from "node:stream/consumers";
import { pipeline } from "node:stream/promises";
import { Command, InvalidArgumentError, Option } from "commander";
import { MillpondError, messageOf } from "../app/errors.ts";
import { formatNames, type QueryFormat } from "../app/query/result-format.ts";
import { bytesText, countText } from "../app/text.ts";
import { answerTable } from "./answer-table.ts";
import { firstRows } from "./first-rows.ts";
import { progressBar } from "./progress.ts";
import { interruption } from "./steps.ts";
import {
  askWhole,
  noPond,
  type Problem,
  refusal,
  type Target,
  type TargetOptions,
  targetOf,
  targetOptions,
} from "./target.ts";
import { secondsText } from "./text.ts";
import { UsageError } from "./usage-error.ts";

type Value = string | number | boolean | null;

interface QueryOptions extends TargetOptions {
  format?: QueryFormat | typeof tableFormat;
  output?: string;
  param: [string | undefined, Value][];
  quiet: boolean;
}

/** Rows that a person reads. */
const mostRowsShown = 200;
/** What people read, beside what programs do. */
const tableFormat = "table";

export function queryCommand(): Command {
  return new Command("query")
    .description("ask a pond: a table on a terminal, CSV in a pipe")
    .argument("[sql]", "what to ask, in quotes; without it, or with -, standard input")
    .addOption(targetOptions.stack())
    .addOption(targetOptions.url())
    .addOption(targetOptions.token())
    .addOption(
      new Option("-f, --format <format>", "how the answer is written").choices([
        ...formatNames,
        tableFormat,
      ]),
    )
    .option("--output <file>", "write the answer to this file")
    .option(
      "-p, --param <value>",
      "a value for $1, $2, … in their order, or name=value (1=value for $1); a number, true, false, null, or text; in double quotes always text; can be given several times",
      readParameter,
      [],
    )
    .option("-q, --quiet", "do not say how long it took", false)
    .addHelpText(
      "after",
      `
On a terminal, and by --format table, the first ${mostRowsShown} rows are shown, in as many
columns as it has room for, and of a large answer no more is fetched; a pipe and
a file get all of them, as CSV or as --format says. Of --output the ending says
it: .csv, .json, .ndjson, .parquet; a --format beside it must be the same. How
many rows there are and how long it took goes to standard error.
Exit code: 0 answered; 1 refused or failed; 2 the call is wrong; 130
interrupted.`,
    )
    .action(async (sql: string | undefined, options: QueryOptions) => {
      const question = await readSql(sql, process.stdin, process.stderr);
      if (question.trim() === "") throw new UsageError('which SQL? npm run query -- "select 1"');
      const parameters = parametersOf(options.param);
      const { format: named = process.stdout.isTTY ? tableFormat : undefined, output } = options;
      const shown = named === tableFormat && output === undefined;
      const format = shown ? "json" : formatOf(options);
      const stopped = interruption();
      const target = await targetOf(options);
      const begun = performance.now();
      const body = JSON.stringify({ sql: question, params: parameters });
      try {
        const answer = await ask(target, body, format, stopped);
        const done = shown ? await show(answer) : await save(answer, output);
        if (done && !options.quiet) {
          const engine = secondsText(Number(answer.elapsed) * 1000);
          const whole = secondsText(performance.now() - begun);
          process.stderr.write(
            `${countText(Number(answer.rows), "row")} in ${engine}, ${whole} with the way here\n`,
          );
        }
      } catch (error) {
        stopped.throwIfAborted();
        throw error;
      }
    });
}

/** The SQL of the call, or of standard input: who is to type it there is told. */
export async function readSql(
  given: string | undefined,
  input: NodeJS.ReadableStream & { isTTY?: boolean },
  aside: { write(text: string): unknown },
): Promise<string> {
  if (given !== undefined && given !== "-") return given;
  if (input.isTTY) aside.write("which SQL? Type it, then Ctrl-D on a line of its own\n");
  return await text(input);
}

/** One value; those before it stay. */
function readParameter(given: string, before: QueryOptions["param"]): QueryOptions["param"] {
  const [, name, value = ""] = /^(?:(\d+|[A-Za-z_]\w*)=)?(.*)$/s.exec(given) ?? [];
  return [...before, [name, parsedValue(value)]];
}

/** A number as JSON writes it: 00501 is none, and means what it says. */
const jsonNumber = /^-?((?:0|[1-9]\d*)(\.\d+)?)([eE][+-]?\d+)?$/;
/** Digits that a double holds, whichever they are. */
const mostDigits = 15;

function parsedValue(given: string): Value {
  const [, digits = "", fraction, exponent] = jsonNumber.exec(given) ?? [];
  if (digits !== "") {
    const isWhole = fraction === undefined && exponent === undefined;
    const fits = digits.replace(/^[0.]+|\./g, "").length <= mostDigits;
    // Its digits as they are: the pond takes whole numbers of any size exactly. What would lose some stays a text.
    return isWhole || fits ? rawJson(given) : given;
  }
  if (!/^(true|false|null|".*")$/s.test(given)) return given;
  try {
    return JSON.parse(given) as Value;
  } catch {
    throw new InvalidArgumentError(`${given} is no JSON string: without the quotes it is a text.`);
  }
}

/** @see https://developer.mozilla.org/docs/Web/JavaScript/Reference/Global_Objects/JSON/rawJSON */
function rawJson(text: string): Value {
  return (JSON as JSON & { rawJSON(text: string): Value }).rawJSON(text);
}

function parametersOf(given: QueryOptions["param"]): Value[] | Record<string, Value> {
  const named = given.filter(([name]) => name !== undefined);
  if (named.length === 0) return given.map(([, value]) => value);
  if (named.length < given.length) {
    throw new UsageError("--param takes either values, or name=value, not both");
  }
  return Object.fromEntries(named as [string, Value][]);
}

function formatOf({ format, output }: QueryOptions): QueryFormat {
  if (format === tableFormat) {
    throw new UsageError("--format table is for reading, and --output for files: give one");
  }
  const ending = path.extname(output ?? "").slice(1);
  const named = formatNames.find((name) => name === ending.toLowerCase());
  if (format !== undefined) {
    // Whoever opens the file goes by its name.
    if (named !== undefined && named !== format) {
      throw new UsageError(
        `--format ${format}, and --output ${output}, which is for ${named}: leave --format out, or call the file <name>.${format}`,
      );
    }
    return format;
  }
  if (ending === "") return "csv";
  if (named !== undefined) return named;
  const known = formatNames.map((name) => `.${name}`).join(", ");
  throw new UsageError(`--output ${output}: .${ending} is none of ${known}; or say --format`);
}

/** What the SQL wants, as this command takes it. */
function howToGive({ missing, unknown, detail }: Problem): string {
  if (!Array.isArray(missing) || !Array.isArray(unknown)) return detail;
  const list = (names: string[]) => names.map((name) => `$${name}`).join(", ");
  const give = missing.map((name) => `-p ${name}=<value>`).join(" ");
  if (missing.length === 0) return `the SQL has no ${list(unknown)}, for which -p gives a value`;
  const byPlace = (name: string) => /^\d+$/.test(name);
  if (unknown.length > 0 && unknown.every(byPlace) && !missing.some(byPlace)) {
    return `the SQL asks for ${list(missing)} by name, and -p gives a value without one: ${give}`;
  }
  const beside = unknown.length === 0 ? "" : `; the SQL has no ${list(unknown)}`;
  return `no value for ${list(missing)}${beside}: ${give}`;
}

interface Reply {
  body: IncomingMessage;
  rows: string;
  /** Seconds. */
  elapsed: string;
  /** Bytes, where the answer says how many there are. */
  bytes: number | undefined;
  /** Whether it waited in the bucket. */
  large: boolean;
}

async function ask(
  target: Target,
  json: string,
  format: QueryFormat,
  signal: AbortSignal,
): Promise<Reply> {
  const { answer, body } = await askWhole(target, `/query?format=${format}`, {
    load: { json },
    signal,
  });
  const { "x-millpond-rows": rows, "x-millpond-elapsed": elapsed } = answer.headers;
  const found = { rows: String(rows ?? "0"), elapsed: String(elapsed ?? "0") };
  const large = body !== answer;
  // Of a page that any server has, no row may come.
  if (answer.statusCode === 200 && rows === undefined) throw noPond(answer, target);
  if (large || answer.statusCode === 200) return { body, ...found, bytes: lengthOf(body), large };
  throw await refusal(answer, target, { "parameters-invalid": howToGive });
}

function lengthOf({ headers }: IncomingMessage): number | undefined {
  const { "content-length": length } = headers;
  return length === undefined ? undefined : Number(length);
}

/** Shows how much of an answer is there, where somebody watches. @param bytes of all of it */
function fetching(bytes: number | undefined, watched: boolean) {
  const bar = progressBar("fetching [{bar}] {done} of {all}");
  const all = bytesText(bytes ?? 0);
  const shows = watched && process.stderr.isTTY && bytes !== undefined;
  let done = 0;
  if (shows) bar.start(bytes, 0, { done: bytesText(0), all });
  return {
    add(count: number) {
      done += count;
      if (shows) bar.update(done, { done: bytesText(done), all });
    },
    stop: () => bar.stop(),
  };
}

/** @returns whether all of it was taken */
async function save({ body, bytes }: Reply, output: string | undefined): Promise<boolean> {
  // Where the answer goes to the same terminal it is the progress.
  const progress = fetching(bytes, !(output === undefined && process.stdout.isTTY));
  const counting = new Transform({
    transform(chunk: Buffer, _encoding, next) {
      progress.add(chunk.length);
      next(null, chunk);
    },
  });
  try {
    if (output === undefined) {
      return await pipeline(body, counting, process.stdout, { end: false }).then(
        () => true,
        wasClosed,
      );
    }
    // Whole or not at all: what was there stays until then.
    const part = `${output}.part`;
    try {
      await pipeline(body, counting, fs.createWriteStream(part));
      fs.renameSync(part, output);
      return true;
    } catch (error) {
      fs.rmSync(part, { force: true });
      throw fileError(error, output);
    }
  } finally {
    progress.stop();
  }
}

/** Whoever reads has had enough. */
function wasClosed(error: NodeJS.ErrnoException): false {
  if (error.code !== "EPIPE") throw error;
  return false;
}

function fileError(error: unknown, file: string): unknown {
  const { code } = error as NodeJS.ErrnoException;
  if (!["ENOENT", "EACCES", "EISDIR", "ENOTDIR", "ENOSPC", "EROFS"].includes(code ?? ""))
    return error;
  // Behind the comma stand the call, and the name until it is whole.
  const [reason] = messageOf(error).split(", ");
  return new MillpondError("file", `can't write ${file}: ${reason}`, { cause: error });
}

/** For people: the first rows. */
async function show({ body, bytes, rows, large }: Reply): Promise<true> {
  const progress = fetching(bytes, large);
  async function* counted() {
    for await (const chunk of body as AsyncIterable<Buffer>) {
      progress.add(chunk.length);
      yield chunk;
    }
  }
  const first = await firstRows(counted(), mostRowsShown).finally(() => progress.stop());
  process.stdout.write(answerTable(first, Number(rows), process.stdout.columns || undefined));
  return true;
}
