/** Small requests at once to a store: enough to hide their latency, few enough for one small function. */
export const requestsAtOnce = 32;

/** What is known of an object without reading it. */
export interface ObjectSummary {
  key: string;
  /** Changes with each write that changes the content; opaque. */
  etag: string;
  /** Bytes. */
  size: number;
  lastModified: Date;
}

export interface ObjectHead extends ObjectSummary {
  /** User metadata: names in lower case, ASCII values. Empty where the object was not written by Millpond. */
  metadata: Readonly<Record<string, string>>;
}

/** When a write may happen. */
export type WriteCondition =
  /** There is no such object yet: S3's `If-None-Match: *`. */
  | { ifAbsent: true }
  /** The object is still that version: S3's `If-Match`. */
  | { ifMatch: string };

export interface PutOptions {
  condition: WriteCondition;
  metadata?: Readonly<Record<string, string>>;
  contentType: string;
}

/** A lost race is an answer, not an error: the caller looks again and decides anew. */
export type PutResult = { kind: "stored"; etag: string } | { kind: "conflict" };

/** One version of an object as a local file. */
export interface LocalCopy {
  /** Absolute, and free of characters that DuckDB reads as a pattern. */
  path: string;
  /** Whether the file still held that version to its last byte when this was asked; ask after reading. */
  intact(): Promise<boolean>;
}

/** Where a pond's objects live: a folder, or a bucket. Keys are S3 keys: slashes, no leading one. */
export interface Store {
  /** Undefined where there is no such object. */
  head(key: string): Promise<ObjectHead | undefined>;
  /** Objects under a prefix, in no promised order. Metadata is not listed, as S3 doesn't. */
  list(prefix: string): AsyncIterable<ObjectSummary>;
  /** A small object as text, with the version it was. */
  read(key: string): Promise<{ etag: string; text: string } | undefined>;
  /**
   * Gives exactly that version as a file in `directory`, which the caller removes.
   * Undefined where the object is gone or another version by now.
   */
  checkOut(key: string, etag: string, directory: string): Promise<LocalCopy | undefined>;
  /** Moves a local file into the store. The file is gone afterwards unless it conflicts. */
  putFile(key: string, file: string, options: PutOptions): Promise<PutResult>;
  putText(key: string, text: string, options: PutOptions): Promise<PutResult>;
  /** Deletes that version; does nothing where it is another one, or gone. */
  delete(key: string, etag: string): Promise<void>;
  /** What DuckDB reads an object by. */
  locate(key: string): string;
  /** Where DuckDB may read tables: the prefix as `locate` gives its keys. */
  locatePrefix(prefix: string): string;
  close(): Promise<void>;
}
