import { createHash, randomUUID } from "node:crypto";
import fs from "node:fs/promises";
import path from "node:path";
import { type DuckDBAppender, type DuckDBConnection, DuckDBInstance } from "@duckdb/node-api";

/** A source as it was listed, and where what is made of it would be. */
export interface ListedSource {
  key: string;
  etag: string;
  lastModified: Date;
  /** Key of its output. Undefined for one whose key can't be read: it has at most a rejection. */
  output: string | undefined;
  /** Key of its rejection record. */
  rejection: string;
}

/** A source that has to be looked at. */
export interface Candidate {
  key: string;
  etag: string;
  hasOutput: boolean;
  hasRejection: boolean;
}

export interface ListingsOptions {
  /** Folder for the database, which is a file as it may be larger than memory. */
  workspace: string;
  /** What DuckDB may plan with. @default 96 */
  memoryMiB?: number;
}

/** Rows until what was added is handed to the database: an appender holds ten times as many, beside DuckDB's own memory. */
const flushEvery = 20_480;

/** Keys that are kept as the first 128 bits of their SHA-256: nobody finds two that share them. */
function idOf(key: string): bigint {
  const digest = createHash("sha256").update(key).digest();
  return (digest.readBigUInt64BE(0) << 64n) | digest.readBigUInt64BE(8);
}

/** Each source, with what is made of it. */
const joined =
  "source LEFT JOIN output ON output.id = source.output LEFT JOIN rejection ON rejection.id = source.rejection";

/** SQL that is true of a candidate. */
function doubtful(clearlyMs: number | undefined): string {
  if (clearlyMs === undefined) return "true";
  return `rejection.id IS NOT NULL OR output.id IS NULL OR output.modified < source.modified + ${Math.round(clearlyMs)}`;
}

function isOrphan(of: "output" | "rejection"): string {
  return `id NOT IN (SELECT ${of} FROM source WHERE ${of} IS NOT NULL)`;
}

/**
 * Listings of a whole store, joined by DuckDB: a million sources in little memory. In the process of whoever sweeps, as all
 * SQL here is our own.
 */
export class Listings {
  readonly #file: string;
  readonly #instance: DuckDBInstance;
  readonly #connection: DuckDBConnection;
  readonly #appenders: Record<"source" | "output" | "rejection", DuckDBAppender>;
  #added = 0;

  private constructor(
    file: string,
    instance: DuckDBInstance,
    connection: DuckDBConnection,
    appenders: Record<"source" | "output" | "rejection", DuckDBAppender>,
  ) {
    this.#file = file;
    this.#instance = instance;
    this.#connection = connection;
    this.#appenders = appenders;
  }

  static async open({ workspace, memoryMiB = 96 }: ListingsOptions): Promise<Listings> {
    const file = path.join(workspace, `listings-${randomUUID()}.duckdb`);
    const instance = await DuckDBInstance.create(file, {
      memory_limit: `${memoryMiB}MiB`,
      threads: "2",
      temp_directory: `${file}.spill`,
    });
    const connection = await instance.connect();
    await connection.run(
      "SET preserve_insertion_order = false; " +
        "CREATE TABLE source (key VARCHAR, etag VARCHAR, modified BIGINT, output UHUGEINT, rejection UHUGEINT); " +
        "CREATE TABLE output (id UHUGEINT, key VARCHAR, modified BIGINT); " +
        "CREATE TABLE rejection (id UHUGEINT, key VARCHAR)",
    );
    return new Listings(file, instance, connection, {
      source: await connection.createAppender("source"),
      output: await connection.createAppender("output"),
      rejection: await connection.createAppender("rejection"),
    });
  }

  addSource({ key, etag, lastModified, output, rejection }: ListedSource): void {
    const { source } = this.#appenders;
    source.appendVarchar(key);
    source.appendVarchar(etag);
    source.appendBigInt(BigInt(lastModified.getTime()));
    if (output === undefined) source.appendNull();
    else source.appendUHugeInt(idOf(output));
    source.appendUHugeInt(idOf(rejection));
    this.#end(source);
  }

  addOutput(key: string, lastModified: Date): void {
    const { output } = this.#appenders;
    output.appendUHugeInt(idOf(key));
    output.appendVarchar(key);
    output.appendBigInt(BigInt(lastModified.getTime()));
    this.#end(output);
  }

  addRejection(key: string): void {
    const { rejection } = this.#appenders;
    rejection.appendUHugeInt(idOf(key));
    rejection.appendVarchar(key);
    this.#end(rejection);
  }

  #end(appender: DuckDBAppender): void {
    appender.endRow();
    this.#added += 1;
    if (this.#added % flushEvery === 0) appender.flushSync();
  }

  /** Ends the adding. */
  listed(): void {
    for (const appender of Object.values(this.#appenders)) appender.closeSync();
  }

  /**
   * The sources whose output may not be of their newest version, in pieces.
   * @param clearlyMs by how much an output that is newer than its source must be so to be of it beyond doubt; undefined where
   * times say nothing
   */
  async *candidates(clearlyMs: number | undefined): AsyncIterable<Candidate[]> {
    yield* this.#sources(`WHERE ${doubtful(clearlyMs)}`);
  }

  /** How many they are. */
  async countCandidates(clearlyMs: number | undefined): Promise<number> {
    return await this.#count(`FROM ${joined} WHERE ${doubtful(clearlyMs)}`);
  }

  /** Some of the other sources, taken by chance, in pieces. None is a candidate. */
  async *others(clearlyMs: number | undefined, most: number): AsyncIterable<Candidate[]> {
    yield* this.#sources(`WHERE NOT (${doubtful(clearlyMs)}) ORDER BY random() LIMIT ${most}`);
  }

  async *#sources(which: string): AsyncIterable<Candidate[]> {
    const rows = this.#pieces(
      `SELECT source.key, source.etag, output.id IS NOT NULL, rejection.id IS NOT NULL FROM ${joined} ${which}`,
    );
    for await (const piece of rows) {
      yield piece.map(([key, etag, hasOutput, hasRejection]) => ({
        key: key as string,
        etag: etag as string,
        hasOutput: hasOutput as boolean,
        hasRejection: hasRejection as boolean,
      }));
    }
  }

  /** Keys of outputs, or of rejections, of which no source is there, in pieces. */
  async *orphans(of: "output" | "rejection"): AsyncIterable<string[]> {
    for await (const piece of this.#pieces(`SELECT key FROM ${of} WHERE ${isOrphan(of)}`)) {
      yield piece.map(([key]) => key as string);
    }
  }

  /** How many of them there are. */
  async countOrphans(of: "output" | "rejection"): Promise<number> {
    return await this.#count(`FROM ${of} WHERE ${isOrphan(of)}`);
  }

  async close(): Promise<void> {
    this.#connection.closeSync();
    this.#instance.closeSync();
    for (const suffix of ["", ".wal", ".spill"]) {
      await fs.rm(`${this.#file}${suffix}`, { recursive: true, force: true });
    }
  }

  async #count(from: string): Promise<number> {
    const counted = await this.#connection.runAndReadAll(`SELECT count(*) ${from}`);
    return Number(counted.getRowsJS()[0]?.[0]);
  }

  async *#pieces(sql: string): AsyncIterable<unknown[][]> {
    const result = await this.#connection.stream(sql);
    for await (const rows of result.yieldRowsJs()) yield rows;
  }
}
