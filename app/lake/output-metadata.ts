import * as v from "valibot";
import type { Partition } from "./source-key.ts";

/** What an output says of the source version it was made from. Kept in the object's user metadata. */
export interface OutputMetadata {
  sourceKey: string;
  sourceEtag: string;
  /** When that version of the source was written. */
  sourceModified: Date;
  rows: number;
  /** The rules by which its columns came about. 1 where it does not say. */
  layout: number;
}

/** The rules that count for a source now: an output that is made by others is made anew. */
export function layoutOf({ partitions }: { partitions: readonly Partition[] }): number {
  // 2: folders named <column>=<value> are columns. Nothing else has changed since.
  return partitions.length > 0 ? 2 : 1;
}

// S3 keeps user metadata as ASCII headers of at most 2 kB in all, and a key may have 1,024 bytes of anything: base64.
const wholeNumber = v.pipe(v.string(), v.regex(/^\d+$/), v.transform(Number));
const schema = v.pipe(
  v.object({
    source: v.string(),
    "source-etag": v.string(),
    "source-modified": v.pipe(v.string(), v.isoTimestamp()),
    rows: wholeNumber,
    layout: v.optional(wholeNumber, "1"),
  }),
  v.transform(
    (found): OutputMetadata => ({
      sourceKey: Buffer.from(found.source, "base64url").toString("utf8"),
      sourceEtag: found["source-etag"],
      sourceModified: new Date(found["source-modified"]),
      rows: found.rows,
      layout: found.layout,
    }),
  ),
);

export function encodeOutputMetadata(metadata: OutputMetadata): Record<string, string> {
  return {
    source: Buffer.from(metadata.sourceKey, "utf8").toString("base64url"),
    "source-etag": metadata.sourceEtag,
    "source-modified": metadata.sourceModified.toISOString(),
    rows: String(metadata.rows),
    layout: String(metadata.layout),
  };
}

/** Undefined where the object has no such metadata: somebody else's file, or one whose sidecar is gone. */
export function decodeOutputMetadata(
  metadata: Readonly<Record<string, string>>,
): OutputMetadata | undefined {
  const parsed = v.safeParse(schema, metadata);
  return parsed.success ? parsed.output : undefined;
}
