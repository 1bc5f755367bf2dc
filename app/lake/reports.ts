import type { RejectionRecord } from "./rejection.ts";

/** What the routes answer about tables and files: the functions write it, the console and the command line read it. Times are ISO 8601. */

/** What `GET /tables` says of a table. */
export interface TableSummary {
  name: string;
  /** Source files whose rows are in the table. */
  files: number;
  rows: number;
  /** Bytes of Parquet. */
  bytes: number;
  /** Null where a file of the table, one that somebody else put there, can't be read. */
  columns: { name: string; type: string }[] | null;
  /** The source that was written last, and when its rows could be queried. Null where no file could be read yet. */
  newestSource: { key: string; modified: string; queryable: string } | null;
  /** Source files whose newest version can't be read. */
  rejected: number;
}

/** What `GET /tables/<name>` says beside. */
export interface TableDetails extends TableSummary {
  /** Each as the version that its rows are of. */
  sources: { key: string; etag: string; modified: string; rows: number; bytes: number }[];
  rejections: RejectionRecord[];
}

/** Bytes that one PUT of S3 takes. @see https://docs.aws.amazon.com/AmazonS3/latest/userguide/upload-objects.html */
export const mostPutBytes = 5 * 1024 ** 3;

/** Where a file may be put. */
export interface Offer {
  key: string;
  /** That its rows will be in. */
  table: string;
  method: "PUT";
  /** Absolute, and good for anybody until it expires; or a path of this server, which asks for the token as any other. */
  url: string;
  /** ISO 8601. Null where it does not expire. */
  expires: string | null;
}

/** What became of a file. Versions are ETags, as the upload answered with one. */
export interface SourceOutcome {
  key: string;
  table: string;
  /** The version whose rows are in the table. Null where there is none. `queryable` is when they could be queried. */
  rows: {
    etag: string;
    modified: string;
    queryable: string;
    rows: number;
    bytes: number;
  } | null;
  /** Why a version can't be read. Null where none was rejected. */
  rejection: RejectionRecord | null;
}
