import { randomUUID } from "node:crypto";
import fs from "node:fs/promises";
import path from "node:path";
import { before } from "../deadline.ts";
import type { Engine } from "../engine/engine.ts";
import { MillpondError } from "../errors.ts";
import { type Decision, decide, type SourceState } from "../lake/decide.ts";
import { outputKey, rejectionKey } from "../lake/derived-key.ts";
import { encodeOutputMetadata, layoutOf } from "../lake/output-metadata.ts";
import type { RejectionReason, RejectionRecord } from "../lake/rejection.ts";
import { SourceError } from "../lake/source-error.ts";
import { parseSourceKey, type SourceKey } from "../lake/source-key.ts";
import { type Limit, mostAttempts, verdictOn, verdicts } from "../lake/verdict.ts";
import type { ObjectHead, Store, WriteCondition } from "../store/store.ts";
import { version } from "../version.ts";
import { sourceState } from "./source-state.ts";

export interface IngestParts {
  store: Store;
  engine: Engine;
  /** A folder for copies and conversions, on the store's file system where that is a folder. */
  workspace: string;
  /** Whether the rows of a source go with it. @default false */
  mirrorDeletes?: boolean;
  /** What a file may use, for the person who reads why one asked too much. @default - not said */
  limits?: IngestLimits;
}

export interface IngestLimits {
  memoryMiB: number;
  /** That may be spilled. */
  diskMiB: number;
  /** The setting that raises each; none for what can't be. */
  raise: Readonly<Partial<Record<Limit, string>>>;
}

/** How one source stands after an event. */
export type Outcome =
  | {
      kind: "converted";
      table: string;
      rows: number;
      sourceBytes: number;
      outputBytes: number;
      /** Since the upload. Undefined where rows of this version were there before, made by other rules. */
      lagMs: number | undefined;
    }
  | { kind: "unchanged"; table: string | undefined }
  | { kind: "gone"; table: string | undefined }
  /** The source is gone, and its rows with it. */
  | { kind: "deleted"; table: string; rows: number }
  | {
      kind: "rejected";
      table: string | undefined;
      reason: RejectionReason;
      rejectionKey: string;
      /** Whether an event before this one had this version rejected. */
      again: boolean;
    }
  | { kind: "ignored"; why: string };

export interface IngestOptions {
  /** Time by which the engine is stopped, in ms since the epoch. @default - none */
  deadline?: number;
  /** Milliseconds that the function has for one event. @default - no more than are left */
  timeMs?: number;
}

/** Times that a source may change, or another ingest may win, while this one looks at it. */
const tries = 8;

/** Time that is left at least when a file's conversion begins, in ms: with less the engine would hardly start. */
const leastMs = 2000;

/** The share of a disk that is free when nobody else uses it. */
const emptyShare = 0.9;

/**
 * A file is to blame where this share of the function's time was there for it, its download included; of less, files before it took
 * the rest.
 */
const fairShare = 0.5;

/**
 * Makes the lake hold the newest version of one source, whatever the event said. It looks at what is there, acts, and
 * looks again until nothing changed in between: duplicates, reordering and two ingests at once end in the same lake.
 * @throws MillpondError, `retryable`, where another try may succeed; the source is untouched then
 */
export async function ingest(
  parts: IngestParts,
  key: string,
  options: IngestOptions = {},
): Promise<Outcome> {
  const source = parseSourceKey(key);
  if (source.kind === "ignored") return { kind: "ignored", why: source.reason };
  for (let attempt = 1; attempt <= tries; attempt += 1) {
    if (isLate(options)) throw late(key);
    const outcome = await ingestOnce(parts, key, source, options);
    // What came up since the first look may be its own, where the answer to its write got lost.
    if (outcome?.kind === "rejected" && attempt > 1) return { ...outcome, again: false };
    if (outcome !== undefined) return outcome;
  }
  throw new MillpondError("source-busy", `${key} changed ${tries} times while it was read`, {
    retryable: true,
  });
}

/** A key that names a file which is read, or rejected by its name alone. */
type Source = Exclude<SourceKey, { kind: "ignored" }>;
type ReadableSource = Extract<SourceKey, { kind: "source" }>;

/** What one look found of a source, and of what was made of it. */
interface Seen {
  key: string;
  source: Source;
  /** The newest version. Undefined where it is gone. */
  newest: ObjectHead | undefined;
  output: ObjectHead | undefined;
  rejection: Awaited<ReturnType<Store["read"]>>;
  /** Where the record is, or would be. */
  rejectedAt: string;
  /** The same as decisions are made by it. */
  state: SourceState;
}

/** One look and one act. Undefined where something changed meanwhile: look again. */
async function ingestOnce(
  parts: IngestParts,
  key: string,
  source: Source,
  options: IngestOptions,
): Promise<Outcome | undefined> {
  const { store } = parts;
  const seen = await lookAt(parts, key, source);
  const decision = decide(seen.state);
  switch (decision.kind) {
    case "done":
      return await finish(store, seen, decision);
    case "delete":
      return await deleteRows(store, seen);
    case "convert": {
      const { attempt } = decision;
      if (source.kind === "source") return await convert(parts, seen, source, attempt, options);
      const { code, message, expected } = source;
      return await reject(store, seen, { code, message, expected }, { attempt, final: true });
    }
  }
}

async function lookAt(
  { store, mirrorDeletes = false }: IngestParts,
  key: string,
  source: Source,
): Promise<Seen> {
  const rejectedAt = rejectionKey(key, source.table);
  const [rejection, output, newest] = await Promise.all([
    store.read(rejectedAt),
    source.kind === "source" ? store.head(outputKey(key, source.table)) : undefined,
    store.head(key),
  ]);
  const state = sourceState({ key: source, source: newest, output, rejection, mirrorDeletes });
  return { key, source, newest, output, rejection, rejectedAt, state };
}

/** Whether the version that was seen is the newest still. */
async function isStill(store: Store, { key, newest }: Seen): Promise<boolean> {
  return (await store.head(key))?.etag === newest?.etag;
}

async function clearRejection(store: Store, { rejectedAt, rejection }: Seen): Promise<void> {
  if (rejection !== undefined) await store.delete(rejectedAt, rejection.etag);
}

/** Nothing is to be read: says how the source stands. */
async function finish(
  store: Store,
  seen: Seen,
  decision: Extract<Decision, { kind: "done" }>,
): Promise<Outcome> {
  const { table } = seen.source;
  if (decision.clearRejection) await clearRejection(store, seen);
  switch (decision.why) {
    case "gone":
      return { kind: "gone", table };
    case "current":
      return { kind: "unchanged", table };
    case "rejected": {
      const record = seen.state.rejection?.record as RejectionRecord;
      const { code, message, expected } = record;
      const reason = { code, message, expected };
      return { kind: "rejected", table, rejectionKey: seen.rejectedAt, reason, again: true };
    }
  }
}

/** The source is gone, and what was made of it goes with it. */
async function deleteRows(store: Store, seen: Seen): Promise<Outcome | undefined> {
  const { key: outputAt, etag } = seen.output as ObjectHead;
  await store.delete(outputAt, etag);
  // A source that came back has its rows made anew; rows that an older version left meanwhile go, too.
  const [back, left] = await Promise.all([store.head(seen.key), store.head(outputAt)]);
  if (back !== undefined || left !== undefined) return undefined;
  await clearRejection(store, seen);
  const rows = seen.state.output?.metadata?.rows ?? 0;
  return { kind: "deleted", table: seen.source.table as string, rows };
}

/** Writes down why this version can't be read. */
async function reject(
  store: Store,
  seen: Seen,
  reason: RejectionReason,
  { attempt, final }: { attempt: number; final: boolean },
): Promise<Outcome | undefined> {
  const { key, source, rejection, rejectedAt, state } = seen;
  const { etag, size, lastModified } = seen.newest as ObjectHead;
  const record: RejectionRecord = {
    ...reason,
    source: { key, etag, size, modified: lastModified.toISOString() },
    time: new Date().toISOString(),
    attempts: attempt,
    final,
    millpond: version,
    keptRows: state.output?.metadata?.rows ?? null,
  };
  const written = await store.putText(rejectedAt, `${JSON.stringify(record, undefined, 2)}\n`, {
    condition: conditionFor(rejection),
    contentType: "application/json",
  });
  // A version that came meanwhile may be readable: then this record must not be the last word.
  if (written.kind === "conflict" || !(await isStill(store, seen))) return undefined;
  return { kind: "rejected", table: source.table, reason, rejectionKey: rejectedAt, again: false };
}

/** Reads the newest version, and writes its rows, or why there are none. */
async function convert(
  parts: IngestParts,
  seen: Seen,
  source: ReadableSource,
  attempt: number,
  options: IngestOptions,
): Promise<Outcome | undefined> {
  const { store, engine, limits } = parts;
  const { key } = seen;
  const { etag } = seen.newest as ObjectHead;
  const directory = path.join(parts.workspace, randomUUID());
  await fs.mkdir(directory);
  try {
    const fair = isFair(options);
    const slow = (cause?: unknown) => late(key, cause, fair ? limits : undefined);
    const failed = (error: Error) =>
      judge(parts, seen, error, { attempt, directory, fair, timeMs: options.timeMs });
    const copy = await before(options.deadline, store.checkOut(key, etag, directory)).catch(
      (error: unknown) => error as Error,
    );
    if (copy === undefined) return undefined;
    // A store that hangs says nothing of the file: whoever finds the event in a queue learns what to raise.
    if (copy instanceof MillpondError && copy.code === "deadline") throw slow(copy);
    if (isLate(options)) throw slow();
    if (copy instanceof Error) return await failed(copy);
    const output = path.join(directory, "converted.parquet");
    const { format, compression, partitions } = source;
    const result = await engine
      .run(
        {
          kind: "convert",
          source: copy.path,
          output,
          scratch: directory,
          format,
          compression,
          partitions,
        },
        options,
      )
      .catch((error: unknown) => error as Error);
    if (!(await copy.intact())) return undefined;
    if (result instanceof Error) return await failed(result);
    return await keepRows(store, seen, source, { file: output, rows: result.rows });
  } finally {
    await fs.rm(directory, { recursive: true, force: true });
  }
}

/** One try to read a version. */
interface Try {
  /** Which one it is, of those that ended the engine. */
  attempt: number;
  /** What it took is in there. */
  directory: string;
  /** Whether it had its share of the function's time. */
  fair: boolean;
  timeMs: number | undefined;
}

/** What becomes of a version that could not be read: it is rejected, or its event is tried again. */
async function judge(
  { store, limits }: IngestParts,
  seen: Seen,
  error: Error,
  { attempt, directory, fair, timeMs }: Try,
): Promise<Outcome | undefined> {
  const { key } = seen;
  if (error instanceof SourceError) {
    return await reject(store, seen, error.reason, { attempt, final: true });
  }
  if (!(error instanceof MillpondError)) throw error;
  const code = await blame(error.code, directory);
  if (code === "deadline" && !fair) throw late(key, error);
  if (verdictOn(code) !== "suspect") throw error;
  const final = attempt >= mostAttempts;
  const reason = tooMuch(code, (seen.newest as ObjectHead).size, limits, timeMs);
  const rejected = await reject(store, seen, reason, { attempt, final });
  if (final || rejected === undefined) return rejected;
  throw new MillpondError(code, `${key}: ${reason.message}; it takes ${reason.expected}`, {
    retryable: true,
    cause: error,
  });
}

/** Puts a version's rows in the place of those that were seen. */
async function keepRows(
  store: Store,
  seen: Seen,
  source: ReadableSource,
  { file, rows }: { file: string; rows: number },
): Promise<Outcome | undefined> {
  const { key, output } = seen;
  const newest = seen.newest as ObjectHead;
  const { size } = await fs.stat(file);
  const stored = await store.putFile(outputKey(key, source.table), file, {
    condition: conditionFor(output),
    contentType: "application/vnd.apache.parquet",
    metadata: encodeOutputMetadata({
      sourceKey: key,
      sourceEtag: newest.etag,
      sourceModified: newest.lastModified,
      rows,
      layout: layoutOf(source),
    }),
  });
  if (stored.kind === "conflict") return undefined;
  // Clears the rejection of an older version, and finds a source that changed meanwhile.
  if (!(await isStill(store, seen))) return undefined;
  await clearRejection(store, seen);
  const before = seen.state.output?.metadata?.sourceEtag;
  return {
    kind: "converted",
    table: source.table,
    rows,
    sourceBytes: newest.size,
    outputBytes: size,
    lagMs:
      before === newest.etag ? undefined : Math.max(0, Date.now() - newest.lastModified.getTime()),
  };
}

/** Whether too little time is left for what a file is judged by. */
function isLate({ deadline }: IngestOptions): boolean {
  return deadline !== undefined && deadline - Date.now() < leastMs;
}

/** Whether a file that begins now has so much of the function's time that it is to blame if it takes all of it. */
function isFair({ deadline, timeMs }: IngestOptions): boolean {
  if (deadline === undefined || timeMs === undefined) return true;
  return deadline - Date.now() >= timeMs * fairShare;
}

/** @param limits where no other file took the time, and only its download can have */
function late(key: string, cause?: unknown, limits?: IngestLimits): MillpondError {
  const setting = limits?.raise.time;
  const advice =
    setting === undefined ? "" : `; its download took most of it, more is there by ${setting}`;
  const message = `too little time was left for ${key}: it is tried again${advice}`;
  return new MillpondError("late", message, { retryable: true, cause });
}

/**
 * Whose doing a failure is. A disk that is full may be full of other things; one that is all but empty without what this
 * file took was too small for the file.
 * @param directory what this file took: it is emptied
 */
async function blame(code: string, directory: string): Promise<string> {
  if (code !== "disk-full") return code;
  for (const name of await fs.readdir(directory)) {
    await fs.rm(path.join(directory, name), { recursive: true, force: true });
  }
  const { blocks, bavail } = await fs.statfs(directory);
  return bavail > blocks * emptyShare ? "out-of-disk" : code;
}

/** Only what was looked at is replaced. */
function conditionFor(existing: { etag: string } | undefined): WriteCondition {
  return existing === undefined ? { ifAbsent: true } : { ifMatch: existing.etag };
}

/** Why a file asked too much: how large it is, what there was for it, and which settings give it more. */
function tooMuch(
  code: string,
  size: number,
  limits: IngestLimits | undefined,
  timeMs: number | undefined,
): RejectionReason {
  const { means, raise = [] } = verdicts[code] as (typeof verdicts)[string];
  const had = [
    ...(limits === undefined
      ? []
      : [`${limits.memoryMiB} MiB of memory`, `${limits.diskMiB} MiB to spill`]),
    ...(timeMs === undefined ? [] : [`${Math.round(timeMs / 1000)} s`]),
  ];
  const settings = raise.flatMap((limit) => {
    const setting = limits?.raise[limit];
    return setting === undefined ? [] : [`more ${limit} (${setting})`];
  });
  return {
    code,
    message: `${means} of ${size} bytes${had.length === 0 ? "" : `, with ${had.join(", ")}`}`,
    expected: [...settings, "a smaller file"].join(", or "),
  };
}
