import * as v from "valibot";

/** Why a source can't be read: what a person needs to mend the file. */
export interface RejectionReason {
  /** Stable, for scripts: see docs/architecture.md. */
  code: string;
  message: string;
  /** What would have been read. */
  expected: string;
  /** 1-based line of the source, where known. */
  line?: number;
  /** Name of the column, where known. */
  column?: string;
}

const schema = v.object({
  code: v.string(),
  message: v.string(),
  expected: v.string(),
  line: v.optional(v.number()),
  column: v.optional(v.string()),
  source: v.object({
    key: v.string(),
    etag: v.string(),
    size: v.number(),
    modified: v.string(),
  }),
  /** When the record was written, ISO 8601. */
  time: v.string(),
  /** How often this version was tried. */
  attempts: v.number(),
  /** Whether the next event leaves this version alone. */
  final: v.boolean(),
  /** The Millpond that decided: another version may read what this one could not. */
  millpond: v.string(),
  /** Rows of the last version that could be read; they stay in the table. Null where there was none. */
  keptRows: v.nullable(v.number()),
});

/** The JSON object under `rejected/`. */
export type RejectionRecord = v.InferOutput<typeof schema>;

/** Undefined for text that is no rejection record; it is then written anew. */
export function parseRejection(text: string): RejectionRecord | undefined {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return undefined;
  }
  const parsed = v.safeParse(schema, value);
  return parsed.success ? parsed.output : undefined;
}
