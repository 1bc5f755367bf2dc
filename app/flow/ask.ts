import { randomUUID } from "node:crypto";
import fs from "node:fs/promises";
import path from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { before } from "../deadline.ts";
import type { Engine, RunOptions } from "../engine/engine.ts";
import type { Parameters } from "../engine/protocol.ts";
import { MillpondError } from "../errors.ts";
import type { QueryFormat } from "../query/result-format.ts";
import type { Version } from "../store/pinned-copies.ts";
import { answerTag, isTagged } from "./answer-tag.ts";
import { type Catalog, type NamedFiles, unknownTable } from "./catalog.ts";
import type { Reviews } from "./reviews.ts";

export interface AskParts {
  catalog: Catalog;
  engine: Engine;
  reviews: Reviews;
  /** A folder for answers. */
  workspace: string;
  /** Bytes of the largest answer. */
  mostBytes: number;
}

export interface Question {
  sql: string;
  parameters: Parameters;
  format: QueryFormat;
}

export interface Answer {
  kind: "answer";
  /** The same as long as the answer is. Undefined where it may be another the next time. */
  tag: string | undefined;
  /** A small one as it is; else a file, which whoever gets it removes. */
  content: { kind: "bytes"; bytes: Uint8Array } | { kind: "file"; file: string };
  bytes: number;
  rows: number;
  columns: { name: string; type: string }[];
  /** Seconds from the question to the answer. */
  elapsed: number;
  /** Bytes of all files of the tables that it names. */
  scanned: number;
}

/** Whoever asks has the answer already; no query ran. */
export interface Unchanged {
  kind: "unchanged";
  tag: string;
}

export interface AskOptions extends RunOptions {
  /** Tags of answers that whoever asks has, as `If-None-Match` gives them. @default undefined */
  known?: string | undefined;
}

/** Bytes up to which an answer needs no file on its way. */
const smallBytes = 64 * 1024;

/**
 * A file that is replaced while it is read makes the answer one of neither version: ask again, after a pause that grows, as somebody
 * may be at many of them.
 */
const pausesMs = [0, 100, 400, 1600];

/**
 * Answers one question of SQL.
 * @throws MillpondError `sql-refused`, `sql-invalid`, `table-unknown`, `parameters-invalid`, `deadline`, …
 */
export async function ask(
  parts: AskParts,
  question: Question,
  { known, ...options }: AskOptions = {},
): Promise<Answer | Unchanged> {
  const begun = performance.now();
  const { catalog, engine, mostBytes } = parts;
  const { tables, volatile } = await parts.reviews.of(question.sql, options);
  const list = () =>
    before(options.deadline, Promise.all(tables.map((name) => catalog.files(name))));
  for (const pauseMs of [undefined, ...pausesMs]) {
    if (pauseMs !== undefined) await before(options.deadline, pause(pauseMs));
    const files = await list();
    const missing = files.find((table) => table.files.length === 0);
    if (missing !== undefined) throw await unknownTable(catalog, missing.name, options);
    const tag = volatile ? undefined : answerTag(question, files);
    if (tag !== undefined && isTagged(known, tag)) return { kind: "unchanged", tag };
    const file = path.join(parts.workspace, randomUUID());
    let kept = false;
    try {
      const opened = await catalog
        .open(
          files,
          (found) =>
            engine.run(
              {
                kind: "query",
                ...question,
                tables: found,
                output: file,
                mostBytes,
                inlineBytes: smallBytes,
              },
              options,
            ),
          options,
        )
        .catch((error: unknown) => error as Error);
      const answered = opened !== undefined && !(opened instanceof Error);
      // DuckDB opens a file several times for one query, and each time takes what is there: only a look at the list
      // tells that it was the same. It costs a request for each table, so not where all that was read is pinned.
      const sure = answered && opened.pinned;
      if (sure || (opened !== undefined && allStill(files, await list()))) {
        if (!answered) throw opened;
        kept = true;
        const { content: bytes, ...facts } = opened.result;
        return {
          kind: "answer",
          tag,
          ...facts,
          content: bytes === undefined ? { kind: "file", file } : { kind: "bytes", bytes },
          elapsed: secondsSince(begun),
          scanned: bytesOf(files),
        };
      }
      // Rows of an old version would be an answer too, but not one whose every row was there at one time.
    } finally {
      if (!kept) await fs.rm(file, { force: true });
    }
  }
  throw new MillpondError(
    "tables-changed",
    "files of the tables were replaced each time they were read: send it again",
    {
      retryable: true,
    },
  );
}

function bytesOf(tables: readonly NamedFiles[]): number {
  return tables.flatMap((table) => table.files).reduce((sum, { size }) => sum + size, 0);
}

function secondsSince(begun: number): number {
  return (performance.now() - begun) / 1000;
}

/** Whether no file that was read has been replaced or removed; one that came does no harm. */
function allStill(before: readonly NamedFiles[], after: readonly NamedFiles[]): boolean {
  // The time as well: an old version may have been put back in between.
  const identity = ({ etag, lastModified }: Version) => `${etag} ${lastModified.getTime()}`;
  const now = new Map(
    after.flatMap((table) => table.files).map((file) => [file.key, identity(file)]),
  );
  return before.every((table) => table.files.every((file) => now.get(file.key) === identity(file)));
}
