import { randomUUID } from "node:crypto";
import fs from "node:fs/promises";
import path from "node:path";
import { before } from "../deadline.ts";
import type { Engine } from "../engine/engine.ts";
import { MillpondError } from "../errors.ts";
import { decide } from "../lake/decide.ts";
import { outputKey, rejectionKey } from "../lake/derived-key.ts";
import { encodeOutputMetadata } from "../lake/output-metadata.ts";
import type { RejectionReason, RejectionRecord } from "../lake/rejection.ts";
import { SourceError } from "../lake/source-error.ts";
import { parseSourceKey, type SourceKey } from "../lake/source-key.ts";
import type { ObjectHead, Store, WriteCondition } from "../store/store.ts";
import { version } from "../version.ts";
import { sourceState } from "./source-state.ts";

export interface IngestParts {
  store: Store;
  engine: Engine;
  /** A folder for copies and conversions, on the store's file system where that is a folder. */
  workspace: string;
}

/** How one source stands after an event. */
export type Outcome =
  | { kind: "converted"; table: string; rows: number; sourceBytes: number; outputBytes: number }
  | { kind: "unchanged"; table: string | undefined }
  | { kind: "gone"; table: string | undefined }
  | { kind: "rejected"; table: string | undefined; reason: RejectionReason; rejectionKey: string }
  | { kind: "ignored"; why: string };

export interface IngestOptions {
  /** Time by which the engine is stopped, in ms since the epoch. @default - none */
  deadline?: number;
}

/** Times that a source may change, or another ingest may win, while this one looks at it. */
const tries = 8;

/** Time that is left at least when a file's conversion begins, in ms: with less the engine would hardly start. */
const leastMs = 2000;

/** The share of a disk that is free when nobody else uses it. */
const emptyShare = 0.9;

/** An engine that fails under a file may have failed for something else; the second time it is the file. */
const deadlyAttempts = 2;

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
    checkTime(key, options);
    const outcome = await ingestOnce(parts, key, source, options);
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
  const { store } = parts;
  const { table } = source;
  const rejectedAt = rejectionKey(key, table);
  const [rejection, output, head] = await Promise.all([
    store.read(rejectedAt),
    source.kind === "source" ? store.head(outputKey(key, source.table)) : undefined,
    store.head(key),
  ]);
  const state = sourceState({ source: head, output, rejection });
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
        };
      }
    }
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
    return { kind: "rejected", table, reason, rejectionKey: rejectedAt } as const;
  };

  if (source.kind === "unusable") {
    const { code, message, expected } = source;
    return await reject({ code, message, expected }, true);
  }

  const directory = path.join(parts.workspace, randomUUID());
  await fs.mkdir(directory);
  try {
    const copy = await before(options.deadline, store.checkOut(key, newest.etag, directory)).catch(
      (error: unknown) => error as Error,
    );
    if (copy === undefined) return undefined;
    // A download that took all the time says nothing of the file.
    checkTime(key, options);
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
              },
              options,
            )
            .catch((error: unknown) => error as Error);
    if (!(copy instanceof Error) && !(await copy.intact())) return undefined;
    if (result instanceof SourceError) return await reject(result.reason, true);
    const code = result instanceof MillpondError ? await blame(result.code, directory) : "";
    if (Object.hasOwn(tooMuch, code)) {
      const final = decision.attempt >= deadlyAttempts;
      const rejected = await reject(tooLarge(code, newest.size), final);
      if (final || rejected === undefined) return rejected;
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
    };
  } finally {
    await fs.rm(directory, { recursive: true, force: true });
  }
}

/** @throws MillpondError `late`, retryable, where too little time is left for what a file is judged by */
function checkTime(key: string, { deadline }: IngestOptions): void {
  if (deadline === undefined || deadline - Date.now() >= leastMs) return;
  throw new MillpondError("late", `no time is left for ${key}: it is tried again`, {
    retryable: true,
  });
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

/** What a file may ask too much of. A full disk is not the file's doing, so it is not among them. */
const tooMuch: Readonly<Record<string, string>> = {
  "engine-died": "the engine ended while it read this file",
  "out-of-memory": "the engine has too little memory to read this file",
  "out-of-disk": "the engine has too little disk to read this file",
  deadline: "there was not time enough to read this file",
};

function tooLarge(code: string, size: number): RejectionReason {
  return {
    code,
    message: `${tooMuch[code]} of ${size} bytes`,
    expected:
      "a file that can be read within the memory, the disk and the time that the ingest function has",
  };
}
