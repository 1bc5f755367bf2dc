import { createHash, randomBytes } from "node:crypto";
import fs from "node:fs";
import fsp from "node:fs/promises";
import path from "node:path";
import { Transform } from "node:stream";
import { json } from "node:stream/consumers";
import { pipeline } from "node:stream/promises";
import { HeadObjectCommand, S3Client } from "@aws-sdk/client-s3";
import { Upload } from "@aws-sdk/lib-storage";
import { Command } from "commander";
import { prefixes } from "../app/contract.ts";
import { MillpondError, messageOf } from "../app/errors.ts";
import type { RejectionRecord } from "../app/lake/rejection.ts";
import type { SourceOutcome } from "../app/lake/reports.ts";
import { parseSourceKey } from "../app/lake/source-key.ts";
import { awsError } from "./aws-error.ts";
import { storeFor } from "./named-store.ts";
import { progressBar } from "./progress.ts";
import { eventually, interruption } from "./steps.ts";
import {
  askTarget,
  refusal,
  type Target,
  type TargetOptions,
  targetOf,
  targetOptions,
} from "./target.ts";
import { bytesText, countText, secondsText } from "./text.ts";
import { UsageError } from "./usage-error.ts";

interface PutOptions extends TargetOptions {
  dir?: string;
  table?: string;
  wait: boolean;
  timeout: string;
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
    .option("--dir <folder>", "the folder of a pond on this machine, which runs")
    .addOption(targetOptions.url())
    .addOption(targetOptions.token())
    .option("--no-wait", "upload, and look no further")
    .option("--timeout <seconds>", "how long to wait for the rows of one file", "60")
    .option("--json", "one JSON object a file", false)
    .addHelpText(
      "after",
      `
A file of the same name in the same table is replaced, and its rows with it.
With --stack it takes the rights s3:PutObject and s3:GetObject on the stack's
bucket; else npm start must run on the folder.
Exit code: 0 all rows are there; 1 a file was rejected, or something failed;
2 the call is wrong; 130 interrupted.`,
    )
    .action(async (files: string[], options: PutOptions) => {
      const seconds = Number(options.timeout);
      if (!/^[1-9]\d*$/.test(options.timeout)) {
        throw new UsageError(`--timeout takes seconds, got "${options.timeout}"`);
      }
      if (options.stack !== undefined && options.dir !== undefined) {
        throw new UsageError("--stack and --dir name two ponds: give one");
      }
      const upcoming = files.map((file) => upcomingOf(file, options.table));
      const doubled = upcoming.find(({ key }, at) => upcoming.findIndex((u) => u.key === key) < at);
      if (doubled !== undefined) {
        throw new UsageError(`two files would be ${doubled.key}: one would replace the other`);
      }
      const stopped = interruption();
      const target = await targetOf(options);
      const place = placeOf(target, options.dir);
      let failed = false;
      try {
        for (const one of upcoming) {
          stopped.throwIfAborted();
          const outcome = await put(one, place, target, { ...options, seconds, stopped });
          failed ||= outcome.rejection !== null;
          if (options.json) process.stdout.write(`${JSON.stringify(outcome)}\n`);
          else process.stdout.write(`${outcomeText(outcome)}\n`);
        }
      } catch (error) {
        stopped.throwIfAborted();
        throw error;
      } finally {
        place.close();
      }
      process.exitCode = failed ? 1 : 0;
    });
}

function upcomingOf(file: string, table: string | undefined): Upcoming {
  const stat = fs.statSync(file, { throwIfNoEntry: false });
  if (stat === undefined) throw new UsageError(`there is no file ${file}`);
  if (!stat.isFile()) throw new UsageError(`${file} is no file`);
  const name = path.basename(file);
  const key = `${prefixes.inbox}${table === undefined ? "" : `${table}/`}${name}`;
  const parsed = parseSourceKey(key);
  if (parsed.kind === "ignored")
    throw new UsageError(`${file} would be passed over: ${parsed.reason}`);
  if (parsed.kind === "unusable") {
    const hint =
      table === undefined && parsed.code === "table-name" ? "; --table <name> names one" : "";
    throw new UsageError(`${file}: ${parsed.message}: expected ${parsed.expected}${hint}`);
  }
  return { file, key, table: parsed.table, bytes: stat.size };
}

/** What a pond says of a version that it has looked at. */
type Source = Pick<RejectionRecord["source"], "etag" | "modified">;

/** Where files are put. */
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
  close(): void;
}

function placeOf({ stack }: Target, dir: string | undefined): Place {
  if (stack !== undefined) return bucketPlace(stack.bucketName, stack.region);
  const store = storeFor(dir);
  if (store.kind === "bucket")
    throw new UsageError(`put takes a folder, or --stack, not ${store.url}`);
  if (!fs.existsSync(path.join(store.path, prefixes.inbox))) {
    throw new UsageError(
      `${store.path} is no pond: it has no ${prefixes.inbox}; --dir <folder>, or --stack`,
    );
  }
  return folderPlace(store.path);
}

function folderPlace(root: string): Place {
  return {
    put: async ({ file, key }, onProgress, signal) => {
      const goal = path.join(root, key);
      // Nothing new comes of it, so that nobody would ever see it come.
      if (await haveSameContent(file, goal)) return () => true;
      await fsp.mkdir(path.dirname(goal), { recursive: true });
      // Passed over until it is whole, and on the same file system.
      const part = path.join(path.dirname(goal), `.put-${randomBytes(4).toString("hex")}`);
      let done = 0;
      const counting = new Transform({
        transform(chunk: Buffer, _encoding, next) {
          done += chunk.length;
          onProgress(done);
          next(null, chunk);
        },
      });
      try {
        await pipeline(fs.createReadStream(file), counting, fs.createWriteStream(part), { signal });
        await fsp.rename(part, goal);
      } catch (error) {
        await fsp.rm(part, { force: true });
        throw error;
      }
      const written = Math.floor((await fsp.stat(goal)).mtimeMs);
      return ({ modified }) => Date.parse(modified) >= written;
    },
    close: () => {},
  };
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

function bucketPlace(Bucket: string, region: string): Place {
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
    close: () => client.destroy(),
  };
}

async function put(
  one: Upcoming,
  place: Place,
  target: Target,
  { wait, seconds, stopped }: { wait: boolean; seconds: number; stopped: AbortSignal },
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
    progress(one.bytes, ", waiting for its rows");
    const seen = await eventually(seconds, `${key} came to nothing`, async () => {
      stopped.throwIfAborted();
      return await lookFor(target, one, isIt, stopped);
    }).catch((error: unknown) => {
      if (error instanceof MillpondError) throw error;
      const where =
        target.stack === undefined
          ? "is npm start at work on this folder?"
          : `npm run redrive -- --stack ${target.stack.name} shows what failed`;
      throw new MillpondError("no-rows", `${messageOf(error)}: ${where}`);
    });
    return { ...outcome, ...seen, milliseconds: Math.round(performance.now() - begun) };
  } finally {
    bar.stop();
  }
}

/** The rows of this version, or why there are none; undefined where neither is there yet. */
async function lookFor(
  target: Target,
  { key }: Upcoming,
  isIt: (source: Source) => boolean,
  signal: AbortSignal,
): Promise<Pick<Outcome, "rows" | "rejection"> | undefined> {
  const answer = await askTarget(target, `/inbox?${new URLSearchParams({ key })}`, { signal });
  if (answer.statusCode !== 200) throw await refusal(answer);
  const { rows, rejection } = (await json(answer)) as SourceOutcome;
  if (rejection !== null && isIt(rejection.source)) {
    return rejection.final ? { rows: null, rejection } : undefined;
  }
  return rows !== null && isIt(rows) ? { rows: rows.rows, rejection: null } : undefined;
}

function outcomeText({ file, key, table, bytes, milliseconds, rows, rejection }: Outcome): string {
  const head = `${file} → ${key} (${bytesText(bytes)})`;
  if (rejection !== null) {
    const { code, message, expected, line, keptRows } = rejection;
    const where = line === undefined ? "" : ` in line ${line}`;
    const kept =
      keptRows === null ? "" : `\n  ${countText(keptRows, "row")} of its last good version stay`;
    return `✘ ${head}: rejected${where}: ${message} (${code})\n  expected: ${expected}${kept}`;
  }
  if (rows === null || milliseconds === null) return `✔ ${head}`;
  return `✔ ${head}: ${countText(rows, "row")} in ${table}, ${secondsText(milliseconds)} after the upload`;
}
