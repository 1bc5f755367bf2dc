import fs from "node:fs/promises";
import path from "node:path";
import { isDeepStrictEqual } from "node:util";
import { DuckDBInstance } from "@duckdb/node-api";
import { prefixes } from "../../app/contract.ts";
import { outputKey, rejectionKey } from "../../app/lake/derived-key.ts";
import { decodeOutputMetadata } from "../../app/lake/output-metadata.ts";
import { parseRejection } from "../../app/lake/rejection.ts";
import type { ObjectHead } from "../../app/store/store.ts";

/** What people drop: two tables, one of them from two sources, one of those in a folder with an odd name. */
export const sources = ["inbox/t/a.csv", "inbox/t/2024/b c+d.csv", "inbox/u.csv"] as const;

/** Contents, by their number: what can be read, and what can't. */
export const contents: readonly { text: string; rows: number | undefined }[] = [
  { text: "id,v\n1,one\n2,two\n", rows: 2 },
  { text: "id,v\n3,three\n", rows: 1 },
  { text: "id,v\n4,four\n5,five\n6,six\n", rows: 3 },
  { text: "id,v\n", rows: 0 },
  { text: "id,v\n7,seven,too many\n8,eight\n", rows: undefined },
  { text: "", rows: undefined },
];

/** A version that a source has had. */
export interface Version {
  etag: string;
  content: number;
}

/** What is there when all is quiet, and what was put there. */
export interface Quiet {
  /** All objects of the bucket, by their keys. */
  objects: ReadonlyMap<string, { content: Buffer; head: Pick<ObjectHead, "etag" | "metadata"> }>;
  /** All versions that a source has had, in order. */
  versions: ReadonlyMap<string, readonly Version[]>;
  mirrorDeletes: boolean;
  /** Whether a version may have been given up for what was injected. */
  given: (key: string, etag: string) => boolean;
  /** For copies of the lake. */
  folder: string;
}

/** What is wrong with the lake, as a person would say it. Empty where all is right. */
export async function lakeProblems(quiet: Quiet): Promise<string[]> {
  const { objects, versions, mirrorDeletes, given } = quiet;
  const problems: string[] = [];
  const expected = new Map<string, string[]>();
  const known = new Set<string>();
  for (const key of sources) {
    const table = key.split("/")[1]?.replace(/\.csv$/, "") as string;
    const had = versions.get(key) ?? [];
    const head = objects.get(key)?.head;
    const newest = head && had.findLast(({ etag }) => etag === head.etag);
    const output = objects.get(outputKey(key, table));
    const record = objects.get(rejectionKey(key, table));
    known.add(outputKey(key, table)).add(rejectionKey(key, table));
    const made = output && decodeOutputMetadata(output.head.metadata)?.sourceEtag;
    const from = had.findLast(({ etag }) => etag === made);
    if (output !== undefined && from === undefined) {
      problems.push(`${key}: its output is of no version that it ever had`);
    }
    const judged = head !== undefined && given(key, head.etag);
    const readable = newest !== undefined && contents[newest.content]?.rows !== undefined;
    if (newest !== undefined && readable && made !== newest.etag && !(judged && record)) {
      problems.push(`${key}: its newest version is not in the lake`);
    }
    if (newest === undefined && record !== undefined) {
      problems.push(`${key}: it is gone, but a rejection of it stays`);
    }
    if (newest === undefined && output !== undefined && mirrorDeletes) {
      problems.push(`${key}: it is gone, but its rows stay`);
    }
    if (newest !== undefined && readable && made === newest.etag && record !== undefined) {
      problems.push(`${key}: it is in the lake, but a rejection of it stays`);
    }
    if (newest !== undefined && !readable) {
      const rejected = record && parseRejection(record.content.toString("utf8"));
      if (rejected?.source.etag !== newest.etag) {
        problems.push(`${key}: its newest version can't be read, and nothing says so`);
      }
      if (rejected?.final !== true) problems.push(`${key}: its rejection is not final`);
      if (made === newest.etag) problems.push(`${key}: what can't be read is in the lake`);
    }
    const text = from === undefined ? "" : (contents[from.content]?.text ?? "");
    const rows = text.trim().split("\n").slice(1);
    expected.set(table, [...(expected.get(table) ?? []), ...rows]);
  }
  for (const key of objects.keys()) {
    if (!key.startsWith(prefixes.inbox) && !known.has(key)) problems.push(`${key} is nobody's`);
  }
  for (const [table, rows] of expected) {
    const found = await rowsOf(table, quiet);
    if (!isDeepStrictEqual(found, rows.toSorted())) {
      problems.push(`${table} has the rows ${found.join("; ")}, not ${rows.join("; ")}`);
    }
  }
  return problems;
}

/** The rows of a table, by DuckDB alone. */
async function rowsOf(table: string, { objects, folder: base }: Quiet): Promise<string[]> {
  const folder = path.join(base, table);
  await fs.rm(folder, { recursive: true, force: true });
  await fs.mkdir(folder, { recursive: true });
  let files = 0;
  for (const [key, { content }] of objects) {
    if (!key.startsWith(`${prefixes.lake}${table}/`)) continue;
    await fs.writeFile(path.join(folder, path.posix.basename(key)), content);
    files += 1;
  }
  if (files === 0) return [];
  const connection = await (await reader()).connect();
  try {
    const found = await connection.runAndReadAll(
      `SELECT id::VARCHAR || ',' || v FROM read_parquet('${folder}/*.parquet', union_by_name = true)`,
    );
    return found
      .getRowsJS()
      .map(([row]) => String(row))
      .sort();
  } finally {
    connection.closeSync();
  }
}

let instance: Promise<DuckDBInstance> | undefined;
function reader(): Promise<DuckDBInstance> {
  instance ??= DuckDBInstance.create(":memory:");
  return instance;
}
