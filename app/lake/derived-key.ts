import { createHash } from "node:crypto";
import { prefixes } from "../contract.ts";
import { stemOf, tableNamePattern } from "./source-key.ts";

/** Stands for the table in the rejection's key where the source key names none. `_` can't start a table's name. */
const noTable = "_";

/**
 * The first 128 bits of SHA-256: two source keys share one with a probability nobody need fear, even when somebody
 * tries, and the file's name stays readable.
 */
function hashOf(sourceKey: string): string {
  return createHash("sha256").update(sourceKey, "utf8").digest("hex").slice(0, 32);
}

/** A readable piece of the source's file name: lower-case ASCII letters, digits and hyphens, at most 48. */
function slugOf(sourceKey: string): string {
  const file = sourceKey.slice(sourceKey.lastIndexOf("/") + 1);
  const slug = stemOf(file)
    .normalize("NFKD")
    .replace(/\p{M}/gu, "")
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, "-")
    .slice(0, 48)
    .replace(/^-+|-+$/g, "");
  return slug === "" ? "file" : slug;
}

/** Where the rows of one source live. Injective: another source key, another output key. */
export function outputKey(sourceKey: string, table: string): string {
  return `${tablePrefix(table)}${slugOf(sourceKey)}-${hashOf(sourceKey)}.parquet`;
}

/** Where the record goes that says why the newest version of a source can't be read. */
export function rejectionKey(sourceKey: string, table: string | undefined): string {
  return `${rejectedPrefix(table)}${slugOf(sourceKey)}-${hashOf(sourceKey)}.json`;
}

/** All files of one table. */
export function tablePrefix(table: string): string {
  return `${prefixes.lake}${table}/`;
}

/** All rejections of one table, or of sources that name none. */
export function rejectedPrefix(table: string | undefined): string {
  return `${prefixes.rejected}${table ?? noTable}/`;
}

/** The table that an output or rejection key belongs to. Undefined for any other key. */
export function tableOf(derivedKey: string): string | undefined {
  const [prefix, table, file] = derivedKey.split("/");
  if (prefix === undefined || table === undefined || file === undefined) return undefined;
  if (`${prefix}/` !== prefixes.lake && `${prefix}/` !== prefixes.rejected) return undefined;
  return tableNamePattern.test(table) ? table : undefined;
}
