/**
 * What becomes of a file that could not be ingested, by the code of the error: the one place that says it.
 *
 * - `reject`: it is the file. A record says why, the event is done, and the same version is not tried again.
 * - `suspect`: it may be the file, or what else went on. The attempt is counted in the record, which outlives the function, and
 *   the event is tried again; the second attempt that ends so is the file's.
 * - `retry`: it is not the file. Nothing is written, and the event is tried again until it waits in a queue for a person.
 */
export type Verdict = "reject" | "suspect" | "retry";

/** What the ingest function has of which a file may need more. */
export type Limit = "memory" | "disk" | "time";

interface Row {
  verdict: Verdict;
  /** What the error says of the file or the machine. */
  means: string;
  /** What may be raised. */
  raise?: readonly Limit[];
}

const rows = {
  "table-name": { verdict: "reject", means: "the key names no table" },
  "file-name": { verdict: "reject", means: "the key's ending says nothing that can be read" },
  "empty-file": { verdict: "reject", means: "there is nothing in the file" },
  "not-utf8": { verdict: "reject", means: "the file's text is not UTF-8" },
  "malformed-csv": { verdict: "reject", means: "the file is not sound CSV" },
  "malformed-json": { verdict: "reject", means: "the file is not sound JSON" },
  "malformed-parquet": { verdict: "reject", means: "the file is not sound Parquet" },
  "malformed-compression": { verdict: "reject", means: "the packed file is cut off or damaged" },
  "engine-died": {
    verdict: "suspect",
    means: "the engine ended while it read this file",
    raise: ["memory"],
  },
  "out-of-memory": {
    verdict: "suspect",
    means: "the engine has too little memory to read this file",
    raise: ["memory"],
  },
  "out-of-disk": {
    verdict: "suspect",
    means: "the engine has too little disk to read this file",
    raise: ["disk"],
  },
  deadline: {
    verdict: "suspect",
    means: "there was not time enough to read this file",
    raise: ["time", "memory"],
  },
  "disk-full": { verdict: "retry", means: "the disk is full of other things" },
  late: {
    verdict: "retry",
    means: "other files took the time that this file would have had, or its download all of it",
  },
  "source-busy": { verdict: "retry", means: "the file changed each time it was read" },
  "store-unavailable": { verdict: "retry", means: "S3 did not answer, or is asked too often" },
  "engine-closed": { verdict: "retry", means: "the process was asked to end" },
  "engine-unavailable": {
    verdict: "retry",
    means: "engines ended before they had this file: the machine has too little for them",
  },
  engine: { verdict: "retry", means: "DuckDB failed for a reason that is not the file's" },
} as const satisfies Record<string, Row>;

/** By the code of the error. */
export const verdicts: Readonly<Record<string, Row>> = rows;

/** An attempt that ends with a `suspect` error counts; at this many the file is rejected. */
export const mostAttempts = 2;

/** What nobody has thought of is nobody's fault yet: it is tried again, and in the end a person sees it. */
export function verdictOn(code: string): Verdict {
  return Object.hasOwn(verdicts, code) ? (verdicts[code] as Row).verdict : "retry";
}
