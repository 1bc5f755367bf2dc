import { prefixes } from "../contract.ts";
import { foldName } from "../query/quote.ts";

/** How a source file is written, apart from its compression. */
export type SourceFormat = "csv" | "tsv" | "json" | "ndjson" | "parquet";
export type Compression = "none" | "gzip" | "zstd";

// Maps, not objects: a file may well end in `.constructor`.
const formats: ReadonlyMap<string, SourceFormat> = new Map([
  ["csv", "csv"],
  ["tsv", "tsv"],
  ["json", "json"],
  ["ndjson", "ndjson"],
  ["jsonl", "ndjson"],
  ["parquet", "parquet"],
]);
const compressions: ReadonlyMap<string, Compression> = new Map([
  ["gz", "gzip"],
  ["zst", "zstd"],
]);

/** How the name of a file of such a kind ends. */
export function endingOf(format: SourceFormat, compression: Compression): string {
  const packed = [...compressions].find(([, one]) => one === compression)?.[0];
  return packed === undefined ? `.${format}` : `.${format}.${packed}`;
}

/** The last endings that such names have. */
export const acceptedEndings = [...formats.keys(), ...compressions.keys()].map((one) => `.${one}`);

/** What a person may drop, for messages. */
export const acceptedNames = `.${[...formats.keys()].join(", .")}, each also with .gz or .zst`;

/** A table's name. SQL takes it without quotes, but for its own words, such as order. */
export const tableNamePattern = /^[a-z][a-z0-9_]{0,62}$/;

/** A folder named `<column>=<value>`, as Hive, Spark and DuckDB write them. */
export interface Partition {
  column: string;
  /** Null where the folder says so, by Hive's own word for it. */
  value: string | null;
}

/** What an object key under `inbox/` stands for. */
export type SourceKey =
  | {
      kind: "source";
      table: string;
      format: SourceFormat;
      compression: Compression;
      /** What folders between the table and the file say of all its rows, outermost first. */
      partitions: Partition[];
    }
  | { kind: "ignored"; reason: string }
  | {
      kind: "unusable";
      /** Undefined where the key holds no name that a table may have. */
      table: string | undefined;
      code: "table-name" | "file-name";
      message: string;
      expected: string;
    };

/** The nearest name that a table may have, to suggest. Undefined where nothing of the name is usable. */
export function suggestTableName(name: string): string | undefined {
  const near = name
    .normalize("NFKD")
    .replace(/\p{M}/gu, "")
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, "_")
    .replace(/^[^a-z]+|_+$/g, "")
    .slice(0, 63);
  return tableNamePattern.test(near) ? near : undefined;
}

/**
 * Reads a source key: `inbox/<table>/<anything>.<ext>`, or `inbox/<table>.<ext>`.
 * Endings are read without regard to case; anything between the table and the last name is free.
 */
export function parseSourceKey(key: string): SourceKey {
  if (!key.startsWith(prefixes.inbox)) {
    return { kind: "ignored", reason: `not under ${prefixes.inbox}` };
  }
  const components = key.slice(prefixes.inbox.length).split("/");
  const file = components.at(-1) as string;
  // Consoles make `trips/`, an empty object, to show a folder.
  if (file === "") return { kind: "ignored", reason: "a folder marker, not a file" };
  if (components.some((component) => component === "." || component === "..")) {
    return {
      kind: "unusable",
      table: undefined,
      code: "file-name",
      message: 'a part of the key is "." or ".."',
      expected: `${prefixes.inbox}<table>/<file>, without "." or ".." between slashes`,
    };
  }
  if (components.some((component) => component.startsWith("."))) {
    return { kind: "ignored", reason: "a hidden file" };
  }

  const { stem, format, compression } = splitEndings(file);
  const folder = components.length > 1 ? (components[0] as string) : undefined;
  const table = folder ?? stem;
  const usableTable = tableNamePattern.test(table) ? table : undefined;
  if (format === undefined) {
    return {
      kind: "unusable",
      table: usableTable,
      code: "file-name",
      message: `the ending of "${file}" says nothing that Millpond can read`,
      expected: `a name that ends in ${acceptedNames}`,
    };
  }
  if (usableTable === undefined) {
    const near = suggestTableName(table);
    const example = near === undefined ? "" : `, such as ${near}`;
    return {
      kind: "unusable",
      table: undefined,
      code: "table-name",
      message: `"${table}" can't be the name of a table`,
      expected: `a ${folder === undefined ? "file" : "folder"} name of 1 to 63 lower-case letters, digits and _ that starts with a letter${example}`,
    };
  }
  const partitions = partitionsOf(components.slice(1, -1));
  return { kind: "source", table: usableTable, format, compression, partitions };
}

/** Hive's word for a value that is not there. */
const noValue = "__HIVE_DEFAULT_PARTITION__";

/** Of several folders for one column the innermost counts. */
function partitionsOf(folders: readonly string[]): Partition[] {
  const found = new Map<string, Partition>();
  for (const folder of folders) {
    const equals = folder.indexOf("=");
    const column = unescaped(folder.slice(0, Math.max(0, equals)));
    const value = unescaped(folder.slice(equals + 1));
    // A name, or a value, that no column may have is a folder's alone: SQL's texts hold no NUL.
    if (column === "" || `${column}${value}`.includes("\0")) continue;
    found.set(foldName(column), { column, value: value === noValue ? null : value });
  }
  return [...found.values()];
}

/** Writers escape what a folder can't be called by, as URLs do. What is no such escape, or none that SQL takes, stands for itself. */
function unescaped(text: string): string {
  try {
    const plain = decodeURIComponent(text);
    return plain.includes("\0") ? text : plain;
  } catch {
    return text;
  }
}

/**
 * DuckDB's type of a partition's value. Each file has but one, and those of a table are united: so only what is written in the one
 * way that its type writes it gets a type, and the text of no other file's value changes.
 */
export function partitionType(value: string): "BIGINT" | "DATE" | "VARCHAR" {
  // Of up to 18 digits: all of them are in range.
  if (/^(0|-?[1-9]\d{0,17})$/.test(value)) return "BIGINT";
  if (/^(?!0000)\d{4}-\d\d-\d\d$/.test(value)) {
    const day = new Date(`${value}T00:00:00Z`);
    if (!Number.isNaN(day.getTime()) && day.toISOString().startsWith(value)) return "DATE";
  }
  return "VARCHAR";
}

/** A file's name without the endings that say format and compression. */
export function stemOf(file: string): string {
  return splitEndings(file).stem;
}

function splitEndings(file: string) {
  const parts = file.split(".");
  let compression: Compression = "none";
  const packed = compressions.get(parts.at(-1)?.toLowerCase() ?? "");
  if (parts.length > 2 && packed !== undefined) {
    compression = packed;
    parts.pop();
  }
  const format = parts.length > 1 ? formats.get(parts.at(-1)?.toLowerCase() ?? "") : undefined;
  const stem = format === undefined ? (parts[0] as string) : parts.slice(0, -1).join(".");
  return { stem, format, compression };
}
