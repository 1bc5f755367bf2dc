import type { BucketAccess, BucketKeys } from "../bucket-access.ts";
import type { Extensions } from "../extensions.ts";
import type { RejectionReason } from "../lake/rejection.ts";
import type { Compression, Partition, SourceFormat } from "../lake/source-key.ts";
import type { QueryFormat } from "../query/result-format.ts";
import type { ReviewedQuery } from "../query/sql-policy.ts";

/** What engine.ts and worker.ts say to each other. Plain values only: they cross a process boundary. */

/** A part of a bucket that a worker may read. */
export interface BucketSetup {
  /** `s3://<bucket>/<prefix>/`. The slash at its end keeps out what only begins alike. */
  scope: string;
  access: BucketAccess;
  keys: BucketKeys;
  extensions: Extensions;
}

/** What a worker may do and use; it locks itself to this before it says that it is ready. */
export interface WorkerSetup {
  /** Prefixes of paths that DuckDB may touch, each with a slash at its end. */
  allowedDirectories: string[];
  /** Of this worker alone: DuckDB calls what it spills the same in every process. */
  temporaryDirectory: string;
  memoryMiB: number;
  diskMiB: number;
  threads: number;
  /** Undefined for a worker that reads local files alone, and then has no network. */
  bucket: BucketSetup | undefined;
}

export interface ConvertRequest {
  kind: "convert";
  /** A file that holds exactly one version of the source, under a name without glob characters. */
  source: string;
  /** Where the Parquet file goes. */
  output: string;
  /** A folder for intermediate files of this request alone. */
  scratch: string;
  format: SourceFormat;
  compression: Compression;
  /** Columns that the key gives to all rows. One that the file has itself is the file's. @default [] */
  partitions?: Partition[];
}
export interface ConvertResult {
  rows: number;
}

/** One Parquet file of a table. */
export interface TableFile {
  /** What DuckDB reads it by. */
  path: string;
  /**
   * The same for the same content, so that what was found out about it needn't be again. Undefined for a file that may
   * be replaced while it is read.
   */
  id: string | undefined;
}

/** One table that a query may read, with just the files it consists of. */
export interface TableFiles {
  name: string;
  files: TableFile[];
}

export interface ReviewRequest {
  kind: "review";
  sql: string;
}
export type ReviewResult = ReviewedQuery;

/** Values that a caller binds: by position, or by name without `$`. */
export type ParameterValue =
  | string
  | number
  | bigint
  | boolean
  | null
  /** A day, as 2024-02-29. */
  | { date: string };
export type Parameters = readonly ParameterValue[] | Readonly<Record<string, ParameterValue>>;

export interface QueryRequest {
  kind: "query";
  sql: string;
  parameters: Parameters;
  tables: TableFiles[];
  format: QueryFormat;
  /** Where the answer goes. */
  output: string;
  /** Bytes that it may have. @default - any number */
  mostBytes?: number;
  /** An answer of so many bytes or fewer comes with the result, and no file is left. @default - all stay in files */
  inlineBytes?: number;
}
export interface QueryResult {
  rows: number;
  /** Bytes of the answer. */
  bytes: number;
  /** The answer itself, where it is small. Undefined: it is in the file. */
  content?: Uint8Array;
  columns: { name: string; type: string }[];
}

export interface DescribeRequest {
  kind: "describe";
  files: TableFile[];
}
export interface DescribeResult {
  columns: { name: string; type: string }[];
}

export type WorkerRequest = ConvertRequest | ReviewRequest | QueryRequest | DescribeRequest;
export type ResultOf<R extends WorkerRequest> = R extends ConvertRequest
  ? ConvertResult
  : R extends ReviewRequest
    ? ReviewResult
    : R extends QueryRequest
      ? QueryResult
      : DescribeResult;

/** An error as it crosses the process boundary. */
export interface WireError {
  code: string;
  message: string;
  retryable: boolean;
  details: Record<string, unknown>;
  /** Set where a source can't be read. */
  rejection?: RejectionReason;
}

/** What a worker that will read a bucket can do before the rest of its set-up is known. */
export type WorkerPreparation = Pick<BucketSetup, "extensions">;

export type ToWorker =
  | { kind: "prepare"; preparation: WorkerPreparation }
  | { kind: "setup"; setup: WorkerSetup }
  /** Other keys for the bucket, for all requests from here on. */
  | { kind: "keys"; keys: BucketKeys }
  | { kind: "request"; id: number; request: WorkerRequest }
  /** Nobody waits for it any more. */
  | { kind: "interrupt"; id: number };
export type FromWorker =
  | { kind: "ready" }
  | { kind: "failed"; error: WireError }
  /** It ends now, as DuckDB is in a state that it should not be in. */
  | { kind: "broken" }
  | { kind: "result"; id: number; result: unknown }
  | { kind: "error"; id: number; error: WireError };
