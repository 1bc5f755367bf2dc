import { randomUUID } from "node:crypto";
import fs from "node:fs/promises";
import path from "node:path";
import { before } from "../deadline.ts";
import type { Engine } from "../engine/engine.ts";
import { MillpondError } from "../errors.ts";
import { decide } from "../lake/decide.ts";
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

/** One look and one act. Undefined where something changed meanwhile: look again. */
async function ingestOnce(
  parts: IngestParts,
  key: string,
  source: Exclude<SourceKey, { kind: "ignored" }>,
  options: IngestOptions,
): Promise<Outcome | undefined> {
  const { store, mirrorDeletes = false } = parts;
  const { table } = source;
  const rejectedAt = rejectionKey(key, table);
  const [rejection, output, head] = await Promise.all([
    store.read(rejectedAt),
    source.kind === "source" ? store.head(outputKey(key, source.table)) : undefined,
    store.head(key),
  ]);
  const state = sourceState({ key: source, source: head, output, rejection, mirrorDeletes });
  const record = state.rejection?.record;
  const metadata = state.output?.metadata;
  const decision = decide(state);

  if (decision.kind === "done") {
    if (decision.clearRejection && rejection !== undefined) {
      await store.delete(rejectedAt, rejection.etag);
    }
    switch (decision.why) {
      case "gone":
        return { kind: "gone", table };
      case "current":
        return { kind: "unchanged", table };
      case "rejected": {
        const { code, message, expected } = record as RejectionRecord;
        return {
          kind: "rejected",
          table,
          rejectionKey: rejectedAt,
          reason: { code, message, expected },
          again: true,
        };
      }
    }
  }

  if (decision.kind === "delete") {
    const { key: outputAt, etag } = output as ObjectHead;
    await store.delete(outputAt, etag);
    // A source that came back has its rows made anew; rows that an older version left meanwhile go, too.
    const [back, left] = await Promise.all([store.head(key), store.head(outputAt)]);
    if (back !== undefined || left !== undefined) return undefined;
    if (rejection !== undefined) await store.delete(rejectedAt, rejection.etag);
    return { kind: "deleted", table: table as string, rows: metadata?.rows ?? 0 };
  }

  const newest = head as ObjectHead;
  const reject = async (reason: RejectionReason, final: boolean) => {
    const written = await store.putText(
      rejectedAt,
      `${JSON.stringify(
        {
          ...reason,
          source: {
            key,
            etag: newest.etag,
            size: newest.size,
            modified: newest.lastModified.toISOString(),
          },
          time: new Date().toISOString(),
          attempts: decision.attempt,
          final,
          millpond: version,
          keptRows: metadata?.rows ?? null,
        } satisfies RejectionRecord,
        undefined,
        2,
      )}\n`,
      { condition: conditionFor(rejection), contentType: "application/json" },
    );
    // A version that came meanwhile may be readable: then this record must not be the last word.
    if (written.kind === "conflict" || (await store.head(key))?.etag !== newest.etag)
      return undefined;
    return { kind: "rejected", table, reason, rejectionKey: rejectedAt, again: false } as const;
  };

  if (source.kind === "unusable") {
    const { code, message, expected } = source;
    return await reject({ code, message, expected }, true);
  }

  const directory = path.join(parts.workspace, randomUUID());
  await fs.mkdir(directory);
  try {
    const fair = isFair(options);
    const slow = (cause?: unknown) => late(key, cause, fair ? parts.limits : undefined);
    const copy = await before(options.deadline, store.checkOut(key, newest.etag, directory)).catch(
      (error: unknown) => error as Error,
    );
    if (copy === undefined) return undefined;
    // A store that hangs says nothing of the file: whoever finds the event in a queue learns what to raise.
    if (copy instanceof MillpondError && copy.code === "deadline") throw slow(copy);
    if (isLate(options)) throw slow();
    const converted = path.join(directory, "converted.parquet");
    const result =
      copy instanceof Error
        ? copy
        : await parts.engine
            .run(
              {
                kind: "convert",
                source: copy.path,
                output: converted,
                scratch: directory,
                format: source.format,
                compression: source.compression,
                partitions: source.partitions,
              },
              options,
            )
            .catch((error: unknown) => error as Error);
    if (!(copy instanceof Error) && !(await copy.intact())) return undefined;
    if (result instanceof SourceError) return await reject(result.reason, true);
    if (result instanceof MillpondError) {
      const code = await blame(result.code, directory);
      if (code === "deadline" && !fair) throw slow(result);
      if (verdictOn(code) === "suspect") {
        const final = decision.attempt >= mostAttempts;
        const reason = tooMuch(code, newest.size, parts.limits, options);
        const rejected = await reject(reason, final);
        if (final || rejected === undefined) return rejected;
        throw new MillpondError(code, `${key}: ${reason.message}; it takes ${reason.expected}`, {
          retryable: true,
          cause: result,
        });
      }
    }
    if (result instanceof Error) throw result;

    const { size } = await fs.stat(converted);
    const stored = await store.putFile(outputKey(key, source.table), converted, {
      condition: conditionFor(output),
      contentType: "application/vnd.apache.parquet",
      metadata: encodeOutputMetadata({
        sourceKey: key,
        sourceEtag: newest.etag,
        sourceModified: newest.lastModified,
        rows: result.rows,
        layout: layoutOf(source),
      }),
    });
    if (stored.kind === "conflict") return undefined;
    // Clears the rejection of an older version, and finds a source that changed meanwhile.
    if ((await store.head(key))?.etag !== newest.etag) return undefined;
    if (rejection !== undefined) await store.delete(rejectedAt, rejection.etag);
    return {
      kind: "converted",
      table: source.table,
      rows: result.rows,
      sourceBytes: newest.size,
      outputBytes: size,
      lagMs:
        metadata?.sourceEtag === newest.etag
          ? undefined
          : Math.max(0, Date.now() - newest.lastModified.getTime()),
    };
  } finally {
    await fs.rm(directory, { recursive: true, force: true });
  }
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
  { timeMs }: IngestOptions,
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
