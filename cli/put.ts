import { createHash, randomBytes } from "node:crypto";
import fs from "node:fs";
import fsp from "node:fs/promises";
import type { IncomingMessage } from "node:http";
import path from "node:path";
import { Readable, Transform } from "node:stream";
import { text } from "node:stream/consumers";
import { pipeline } from "node:stream/promises";
import { HeadObjectCommand, S3Client } from "@aws-sdk/client-s3";
import { Upload } from "@aws-sdk/lib-storage";
import { Command, Option } from "commander";
import { environmentNames, prefixes } from "../app/contract.ts";
import { MillpondError, messageOf } from "../app/errors.ts";
import { Uploads } from "../app/flow/uploads.ts";
import type { RejectionRecord } from "../app/lake/rejection.ts";
import { mostPutBytes, type Offer, type SourceOutcome } from "../app/lake/reports.ts";
import { parseSourceKey } from "../app/lake/source-key.ts";
import { reservedWords } from "../app/query/reserved-words.ts";
import { FolderStore } from "../app/store/folder-store.ts";
import { bytesText, countText } from "../app/text.ts";
import { awsError } from "./aws-error.ts";
import type { DeployedStack } from "./deployed-stack.ts";
import { namedStore } from "./named-store.ts";
import { progressBar } from "./progress.ts";
import { rejectionText } from "./rejection-text.ts";
import { send } from "./request.ts";
import { eventually, interruption } from "./steps.ts";
import {
  askTarget,
  jsonOf,
  refusal,
  sentAs,
  type Target,
  type TargetOptions,
  targetOf,
  targetOptions,
} from "./target.ts";
import { fittedTo, secondsText } from "./text.ts";
import { UsageError } from "./usage-error.ts";
import { wholeNumber } from "./whole-number.ts";

interface PutOptions extends TargetOptions {
  dir?: string;
  table?: string;
  wait: boolean;
  timeout: number;
  json: boolean;
}

/** A file, and where it goes. */
interface Upcoming {
  file: string;
  key: string;
  table: string;
  bytes: number;
}

/** What became of one file. */
interface Outcome {
  file: string;
  key: string;
  table: string;
  bytes: number;
  /** Milliseconds from the end of the upload to the rows, or to the rejection. Null where nobody waited. */
  milliseconds: number | null;
  rows: number | null;
  rejection: RejectionRecord | null;
}

export function putCommand(): Command {
  return new Command("put")
    .description("upload files, and wait until their rows can be queried")
    .argument("<file...>", "files to upload, each under its own name")
    .option("--table <name>", "the table that they go to (default: each file's name)")
    .addOption(targetOptions.stack())
    .addOption(targetOptions.url())
    .addOption(
      new Option(
        "--dir <folder>",
        `copy into this pond's folder, and ask no server (default: ${environmentNames.store}, if it is set)`,
      ).conflicts(["stack", "url"]),
    )
    .addOption(targetOptions.token())
    .option("--no-wait", "upload, and look no further")
    .option(
      "--timeout <seconds>",
      "how long to wait for the rows of one file",
      wholeNumber("--timeout", 1, 86_400),
      60,
    )
    .option("--json", "one JSON object a file", false)
    .addHelpText(
      "after",
      `
A file of the same name in the same table is replaced, and its rows with it.
With --url, and with none of the three, the pond itself takes the files, or says
where its bucket does: a token is all that takes. With --stack they go to the
bucket with your own rights, s3:PutObject and s3:GetObject. With --dir they are
ingested when npm start runs on that folder.
Exit code: 0 all rows are there; 1 a file was rejected, or something failed;
2 the call is wrong; 130 interrupted.`,
    )
    .action(async (files: string[], options: PutOptions) => {
      const upcoming = files.map((file) => upcomingOf(file, options.table));
      const doubled = upcoming.find(({ key }, at) => upcoming.findIndex((u) => u.key === key) < at);
      if (doubled !== undefined) {
        throw new UsageError(`two files would be ${doubled.key}: one would replace the other`);
      }
      const stopped = interruption();
      const place = await placeOf(options);
      let failed = false;
      try {
        for (const one of upcoming) {
          stopped.throwIfAborted();
          const outcome = await put(one, place, { ...options, stopped });
          failed ||= outcome.rejection !== null;
          if (options.json) process.stdout.write(`${JSON.stringify(outcome)}\n`);
          else process.stdout.write(`${fittedTo(process.stdout, outcomeText(outcome))}\n`);
        }
      } catch (error) {
        stopped.throwIfAborted();
        throw error;
      } finally {
        await place.close();
      }
      process.exitCode = failed ? 1 : 0;
    });
}

function upcomingOf(file: string, table: string | undefined): Upcoming {
  const stat = fs.statSync(file, { throwIfNoEntry: false });
  if (stat === undefined) throw new UsageError(`there is no file ${file}`);
  if (stat.isDirectory()) throw new UsageError(`${file} is a folder: name the files in it`);
  if (!stat.isFile()) throw new UsageError(`${file} is no file`);
  const name = path.basename(file);
  const key = `${prefixes.inbox}${table === undefined ? "" : `${table}/`}${name}`;
  const parsed = parseSourceKey(key);
  if (parsed.kind === "ignored")
    throw new UsageError(`${file} would be passed over: ${parsed.reason}`);
  if (parsed.kind === "unusable") {
    const hint =
      table === undefined && parsed.code === "table-name" ? "; --table <name> names one" : "";
    const what = table !== undefined && parsed.code === "table-name" ? "--table" : file;
    throw new UsageError(`${what}: ${parsed.message}: expected ${parsed.expected}${hint}`);
  }
  return { file, key, table: parsed.table, bytes: stat.size };
}

/** What a pond says of a version that it has looked at. */
type Source = Pick<RejectionRecord["source"], "etag" | "modified">;

/** Where files are put, and what tells of their rows: always of the same pond. */
interface Place {
  /**
   * @param onProgress called with the bytes that are done
   * @returns whether a version that the pond knows is the one that was put
   */
  put(
    one: Upcoming,
    onProgress: (bytes: number) => void,
    signal: AbortSignal,
  ): Promise<(version: Source) => boolean>;
  outcome(key: string, signal: AbortSignal): Promise<SourceOutcome>;
  /** What has to happen until there are rows. */
  awaits: string;
  /** What to look at where there are none. */
  hint: string;
  close(): Promise<void>;
}

/** The pond that was named; the one at the usual URL where none was. */
async function placeOf(options: PutOptions): Promise<Place> {
  if (options.stack === undefined && options.url === undefined) {
    const store = namedStore(options.dir);
    if (store?.kind === "bucket")
      throw new UsageError(`put takes a folder, --url, or --stack, not ${store.url}`);
    if (store !== undefined) return folderPlace(store.path);
  }
  const target = await targetOf(options);
  return target.stack === undefined ? pondPlace(target) : bucketPlace(target, target.stack);
}

async function askOutcome(target: Target, key: string, signal: AbortSignal) {
  const answer = await askTarget(target, `/inbox?${new URLSearchParams({ key })}`, { signal });
  if (answer.statusCode !== 200) throw await refusal(answer, target);
  return await jsonOf<SourceOutcome>(answer, target);
}

/** By the pond's own way in, as the console uploads. */
function pondPlace(target: Target): Place {
  return {
    put: async ({ file, key, bytes }, onProgress, signal) => {
      const load = { json: JSON.stringify({ key }) };
      const offered = await askTarget(target, "/inbox", { load, signal });
      if (offered.statusCode !== 200) throw await refusal(offered, target);
      const { url } = await jsonOf<Offer>(offered, target);
      // A path is the pond itself, which takes what there is room for.
      const own = url.startsWith("/");
      if (!own && bytes > mostPutBytes) {
        throw new MillpondError(
          "too-large",
          `${file} has ${bytesText(bytes)}, and a bucket takes 5 GB at once: --stack <name> uploads it in parts`,
        );
      }
      const put = { content: contentOf(file, bytes, onProgress), bytes };
      const answer = own
        ? await askTarget(target, url, { load: put, signal })
        : // It has a signature in its URL, and gets no token.
          await send(url, { ...sentAs(put), signal }).catch((error: unknown) => {
            const { host } = new URL(url);
            throw new MillpondError("no-answer", `${host} does not answer: ${messageOf(error)}`, {
              cause: error,
            });
          });
      const { statusCode = 0 } = answer;
      if (statusCode >= 300)
        throw own ? await refusal(answer, target) : await bucketRefusal(answer);
      answer.resume();
      if ((await fsp.stat(file)).size !== bytes) throw changed(file);
      const ETag = answer.headers.etag;
      const tag = own ? ETag?.replaceAll('"', "") : ETag;
      return ({ etag }) => etag === tag;
    },
    outcome: async (key, signal) => await askOutcome(target, key, signal),
    awaits: `${target.url} to read it`,
    hint: `${target.url} has the file, and its log says what became of it: npm run logs where it runs`,
    close: async () => {},
  };
}

/**
 * A folder, whoever serves it. What became of a file stands in there, too: no server is asked, which could be another pond's.
 * @throws UsageError where it is no pond's
 */
function folderPlace(root: string): Place {
  if (!fs.existsSync(path.join(root, prefixes.inbox))) {
    throw new UsageError(`${root} is no pond: it has no ${prefixes.inbox}`);
  }
  let store: FolderStore | undefined;
  return {
    put: async ({ file, key }, onProgress, signal) => {
      const goal = path.join(root, key);
      // Nothing new comes of it, so that nobody would ever see it come.
      if (await haveSameContent(file, goal)) return () => true;
      await fsp.mkdir(path.dirname(goal), { recursive: true });
      // Passed over until it is whole, and on the same file system.
      const part = path.join(path.dirname(goal), `.put-${randomBytes(4).toString("hex")}`);
      try {
        const counting = counter(onProgress);
        await pipeline(fs.createReadStream(file), counting, fs.createWriteStream(part), { signal });
        await fsp.rename(part, goal);
      } catch (error) {
        await fsp.rm(part, { force: true });
        throw error;
      }
      const written = Math.floor((await fsp.stat(goal)).mtimeMs);
      return ({ modified }) => Date.parse(modified) >= written;
    },
    outcome: async (key) => {
      // Nothing is written through it.
      store ??= FolderStore.open(root, path.join(root, prefixes.inbox));
      return await new Uploads(store, undefined).outcome(key);
    },
    awaits: `npm start on ${root} to read it`,
    hint: `is npm start at work on ${root}?`,
    close: async () => await store?.close(),
  };
}

/** As many bytes as were announced: neither HTTP nor S3 takes others. */
function contentOf(file: string, bytes: number, onProgress: (bytes: number) => void): Readable {
  const source = bytes === 0 ? Readable.from([]) : fs.createReadStream(file, { end: bytes - 1 });
  const counting = counter(onProgress, (done) => (done < bytes ? changed(file) : null));
  // Whoever reads hears of it.
  pipeline(source, counting).catch(() => {});
  return counting;
}

function changed(file: string): MillpondError {
  return new MillpondError("changed", `${file} was written to while it was read: put it again`);
}

/** What a bucket says, in XML. */
async function bucketRefusal(answer: IncomingMessage): Promise<MillpondError> {
  const said = /<Message>([^<]*)</.exec(await text(answer))?.[1] ?? "no reason given";
  return new MillpondError(
    "refused",
    `the bucket refused the upload (${answer.statusCode}): ${said}`,
  );
}

/** @param problemOf asked at the end, with the bytes that there were */
function counter(
  onProgress: (bytes: number) => void,
  problemOf: (bytes: number) => Error | null = () => null,
): Transform {
  let done = 0;
  return new Transform({
    transform(chunk: Buffer, _encoding, next) {
      done += chunk.length;
      onProgress(done);
      next(null, chunk);
    },
    flush: (next) => next(problemOf(done)),
  });
}

async function haveSameContent(one: string, other: string): Promise<boolean> {
  const sizeOf = async (file: string) => (await fsp.stat(file).catch(() => undefined))?.size;
  if ((await sizeOf(one)) !== (await sizeOf(other))) return false;
  const hashOf = async (file: string) => {
    const hash = createHash("sha256");
    await pipeline(fs.createReadStream(file), hash);
    return hash.digest("hex");
  };
  return (await hashOf(one)) === (await hashOf(other));
}

function bucketPlace(target: Target, { name, bucketName: Bucket, region }: DeployedStack): Place {
  const client = new S3Client({
    region,
    forcePathStyle: process.env["AWS_ENDPOINT_URL"] !== undefined,
  });
  const head = async (Key: string) =>
    await client.send(new HeadObjectCommand({ Bucket, Key })).catch((error: unknown) => {
      if ((error as { $metadata?: { httpStatusCode?: number } }).$metadata?.httpStatusCode === 404)
        return undefined;
      throw awsError(error, "s3:GetObject", `s3://${Bucket}/${Key}`);
    });
  return {
    put: async ({ file, key: Key }, onProgress, signal) => {
      const upload = new Upload({
        client,
        params: { Bucket, Key, Body: fs.createReadStream(file) },
      });
      upload.on("httpUploadProgress", ({ loaded }) => onProgress(loaded ?? 0));
      const abort = () => void upload.abort();
      signal.addEventListener("abort", abort);
      try {
        await upload.done().catch((error: unknown) => {
          throw awsError(error, "s3:PutObject", `s3://${Bucket}/${Key}`);
        });
      } finally {
        signal.removeEventListener("abort", abort);
      }
      const { ETag } = (await head(Key)) ?? {};
      return ({ etag }) => etag === ETag;
    },
    outcome: async (key, signal) => await askOutcome(target, key, signal),
    awaits: `the stack ${name} to read it`,
    hint: `npm run redrive -- --stack ${name} shows what failed`,
    close: async () => client.destroy(),
  };
}

async function put(
  one: Upcoming,
  place: Place,
  { wait, timeout, stopped }: { wait: boolean; timeout: number; stopped: AbortSignal },
): Promise<Outcome> {
  const bar = progressBar(`${path.basename(one.file)} [{bar}] {done} of {all}{next}`);
  const all = bytesText(one.bytes);
  if (process.stderr.isTTY) bar.start(Math.max(1, one.bytes), 0, { done: "0 B", all, next: "" });
  const progress = (bytes: number, next = "") =>
    bar.update(bytes, { done: bytesText(bytes), all, next });
  try {
    const isIt = await place.put(one, progress, stopped);
    const begun = performance.now();
    const { file, key, table, bytes } = one;
    const outcome = { file, key, table, bytes, milliseconds: null, rows: null, rejection: null };
    if (!wait) return outcome;
    progress(one.bytes, `, waiting for ${place.awaits}`);
    const seen = await eventually(timeout, `${key} came to nothing`, async () => {
      stopped.throwIfAborted();
      return await lookFor(place, one, isIt, stopped);
    }).catch((error: unknown) => {
      if (error instanceof MillpondError) throw error;
      throw new MillpondError("no-rows", `${messageOf(error)}: ${place.hint}`);
    });
    return { ...outcome, ...seen, milliseconds: Math.round(performance.now() - begun) };
  } finally {
    bar.stop();
  }
}

/** The rows of this version, or why there are none; undefined where neither is there yet. */
async function lookFor(
  place: Place,
  { key }: Upcoming,
  isIt: (source: Source) => boolean,
  signal: AbortSignal,
): Promise<Pick<Outcome, "rows" | "rejection"> | undefined> {
  const { rows, rejection } = await place.outcome(key, signal);
  if (rejection !== null && isIt(rejection.source)) {
    return rejection.final ? { rows: null, rejection } : undefined;
  }
  return rows !== null && isIt(rows) ? { rows: rows.rows, rejection: null } : undefined;
}

function outcomeText({ file, key, table, bytes, milliseconds, rows, rejection }: Outcome): string {
  const head = `${file} → ${key} (${bytesText(bytes)})`;
  if (rejection !== null) return rejectionText(head, rejection);
  if (rows === null || milliseconds === null) return `✔ ${head}`;
  const quoted = reservedWords.has(table) ? `; in SQL its name is written "${table}"` : "";
  return `✔ ${head}: ${countText(rows, "row")} in ${table}, ${secondsText(milliseconds)} after the upload${quoted}`;
}
