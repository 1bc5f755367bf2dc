import { randomUUID } from "node:crypto";
import type { DuckDBConnection } from "@duckdb/node-api";
import { MillpondError, messageOf } from "../errors.ts";
import {
  allSurvive,
  chooseType,
  type ExactType,
  exactCast,
  inexactMarker,
  trimmed,
  usualCast,
} from "../lake/exact-types.ts";
import type { RejectionReason } from "../lake/rejection.ts";
import { reasonFrom, SourceError } from "../lake/source-error.ts";
import { type Partition, partitionType } from "../lake/source-key.ts";
import { foldName, quoteIdentifier, quoteLiteral } from "../query/quote.ts";
import type { ConvertRequest, ConvertResult } from "./protocol.ts";
import { relateCsv } from "./relate-csv.ts";
import { relateJson } from "./relate-json.ts";
import { relateParquet } from "./relate-parquet.ts";
import { type Column, type Relation, sampleRows, settled } from "./relation.ts";
import { checkPacking, hasAtMost, lineOfNth } from "./unpack.ts";

/** Columns whose types one scan tries: DuckDB plans longer than it scans where there are many more. */
const columnsPerScan = 8;

/**
 * Converts one source file to ZSTD Parquet, row for row.
 * @throws SourceError where the file can't be read, with the place as far as known.
 */
export async function convert(
  connection: DuckDBConnection,
  request: ConvertRequest,
): Promise<ConvertResult> {
  try {
    const relation = await relate(connection, request);
    const [written, packing] = await Promise.allSettled([
      writeRelation(connection, relation, request),
      relation.unpacked ? undefined : checkPacking(request),
    ]);
    // Broken packing explains broken content, not the other way round.
    if (packing.status === "rejected") throw packing.reason;
    if (written.status === "rejected") throw written.reason;
    return { rows: written.value };
  } catch (error) {
    throw await asSourceError(error, request);
  }
}

/** Writes a source as it was read, or in the other way that there is where this one does not hold. */
async function writeRelation(
  connection: DuckDBConnection,
  relation: Relation,
  request: ConvertRequest,
): Promise<number> {
  const whole = withPartitions(relation, request.partitions ?? []);
  const { otherwise } = whole;
  try {
    return await writeExactly(connection, whole, request);
  } catch (error) {
    if (otherwise === undefined || !messageOf(error).includes(inexactMarker)) throw error;
  }
  return await writeRelation(connection, await otherwise(), request);
}

/** The columns of the file, and after them those that its folders give. */
function withPartitions(relation: Relation, partitions: readonly Partition[]): Relation {
  const own = new Set(relation.columns.map(({ name }) => foldName(name)));
  const given = partitions
    .filter(({ column }) => !own.has(foldName(column)))
    .map(
      ({ column, value }): Column => ({
        name: column,
        expression: `${value === null ? "NULL" : quoteLiteral(value)}::${partitionType(value ?? "")}`,
        rungs: [],
        proposal: settled,
      }),
    );
  return { ...relation, columns: [...relation.columns, ...given] };
}

/** Errors of DuckDB that say something of the file, not of the machine. */
const sourceErrors =
  /^(Invalid Input|Conversion|Binder|Out of Range|Serialization|Parser|Not implemented|Invalid) /;

/** Of errors that DuckDB has with files: those that are not the source's, but of the disk, or of what DuckDB has spilled. */
const ofMachine = /No space left|Could not write|disk|duckdb_temp_/i;

async function asSourceError(error: unknown, request: ConvertRequest): Promise<unknown> {
  const { format, source } = request;
  if (error instanceof MillpondError) return error;
  const message = ofSource(messageOf(error), request);
  // What can't be quoted is a name of the source.
  if (error instanceof RangeError) {
    return new SourceError(reasonFrom("a column's name holds a NUL character", format, source));
  }
  // A compressed or Parquet file that ends early is an IO error to DuckDB; a full disk is one too.
  const broken = /^IO Error/.test(message) && !ofMachine.test(message);
  if (sourceErrors.test(message) || broken)
    return new SourceError(await withLine(reasonFrom(message, format, source), request));
  return error;
}

/** What DuckDB says of a copy that it read in the source's place. */
function ofSource(message: string, { source, scratch }: ConvertRequest): string {
  const [first = "", ...others] = message.split(scratch);
  return [first, ...others.map((rest) => rest.replace(/^[^"'\n]*/, ""))].join(source);
}

/** Of JSON, with the line as an editor counts it. */
async function withLine(
  reason: RejectionReason,
  request: ConvertRequest,
): Promise<RejectionReason> {
  const { line } = reason;
  if (line === undefined || (request.format !== "json" && request.format !== "ndjson"))
    return reason;
  return { ...reason, line: await lineOfNth(request, line) };
}

function relate(connection: DuckDBConnection, request: ConvertRequest): Promise<Relation> {
  switch (request.format) {
    case "csv":
    case "tsv":
      return relateCsv(connection, request);
    case "json":
    case "ndjson":
      return relateJson(connection, request);
    case "parquet":
      return relateParquet(connection, request);
  }
}

/** Bytes of a source that is written in hope first: to write it again takes less than to plan the checks of each value. */
const hopefulBytes = 1024 * 1024;

/**
 * Writes the Parquet file: first with the types that the start of the source proposes, checked value by value; where
 * one would change, with types from all of it, or, where there is another way to read it, fails with the marker.
 */
async function writeExactly(
  connection: DuckDBConnection,
  { from, columns, otherwise }: Relation,
  request: ConvertRequest,
): Promise<number> {
  const types = columns.map(({ proposal }) =>
    proposal.kind === "type" ? proposal.type : undefined,
  );
  const unsure = columns.flatMap(({ proposal }, i) => (proposal.kind === "unsure" ? [i] : []));
  await chooseTypes(connection, { from, columns }, unsure, types, "the first rows");
  const attempt = async (cast: typeof exactCast) => {
    try {
      return await write(connection, { from, columns }, types, request.output, cast);
    } catch (error) {
      if (!messageOf(error).includes(inexactMarker)) throw error;
      return error as Error;
    }
  };
  const hoped = hasAtMost(request, hopefulBytes) ? await attempt(usualCast) : undefined;
  if (typeof hoped === "number") return hoped;
  const checked = await attempt(exactCast);
  if (typeof checked === "number") return checked;
  if (otherwise !== undefined) throw checked;
  const failing = await findInexact(connection, { from, columns }, types);
  await chooseTypes(connection, { from, columns }, failing, types, "all rows");
  return await write(connection, { from, columns }, types, request.output, exactCast);
}

/** The columns, by index, that hold a value which their type would change. */
async function findInexact(
  connection: DuckDBConnection,
  { from, columns }: Relation,
  types: readonly (ExactType | undefined)[],
): Promise<number[]> {
  const typed = types.flatMap((type, index) => (type === undefined ? [] : [{ type, index }]));
  const tests = typed.map(({ type, index }) =>
    allSurvive((columns[index] as Column).expression, type),
  );
  const [held] = (
    await connection.runAndReadAll(`SELECT ${tests.join(", ")} FROM ${from}`)
  ).getRowsJS();
  return typed.filter((_, i) => held?.[i] === false).map(({ index }) => index);
}

/**
 * Sets the types of some columns, by index.
 * @param rows where a column's values in the first rows choose, they do, and the others are checked as they are written;
 * or all are asked
 */
async function chooseTypes(
  connection: DuckDBConnection,
  { from, columns }: Relation,
  indexes: readonly number[],
  types: (ExactType | undefined)[],
  rows: "the first rows" | "all rows",
): Promise<void> {
  for (let start = 0; start < indexes.length; start += columnsPerScan) {
    const some = indexes.slice(start, start + columnsPerScan).map((index) => ({
      index,
      column: columns[index] as Column,
    }));
    const first = await tryTypes(
      connection,
      `(FROM ${from} LIMIT ${sampleRows})`,
      some.map(({ column }) => column),
    );
    const open = some.flatMap(({ index, column }, i) => {
      const { fits, values } = first.columns[i] as Tried;
      const choice = chooseType(column.rungs, fits, values);
      types[index] = choice.type;
      // What falls at the first rows, as most types do, need not be tried on all the others.
      const rungs = column.rungs.filter(({ name }) => fits.has(name));
      const settled = rungs.length === 0 || (rows === "the first rows" && !choice.open);
      return settled ? [] : [{ index, column: { ...column, rungs } }];
    });
    if (open.length === 0 || first.rows < sampleRows) continue;
    const last = await tryTypes(
      connection,
      from,
      open.map(({ column }) => column),
    );
    for (const [i, { index, column }] of open.entries()) {
      const { fits, values } = last.columns[i] as Tried;
      types[index] = chooseType(column.rungs, fits, values).type;
    }
  }
}

/** What was tried of a column. */
interface Tried {
  /** Neither NULL nor empty. */
  values: number;
  /** The names of the rungs that hold for all. */
  fits: Set<string>;
}

/** Which rungs hold for all values in `from`. */
async function tryTypes(
  connection: DuckDBConnection,
  from: string,
  columns: readonly Column[],
): Promise<{ rows: number; columns: Tried[] }> {
  const facts = columns.flatMap(({ expression, rungs }) => [
    `count(${trimmed(expression)})`,
    ...rungs.map((rung) => allSurvive(expression, rung)),
  ]);
  const seen = await connection.runAndReadAll(`SELECT count(*), ${facts.join(", ")} FROM ${from}`);
  const values = (seen.getRowsJS()[0] ?? []).values();
  const next = () => values.next().value;
  return {
    rows: Number(next()),
    columns: columns.map(({ rungs }) => ({
      values: Number(next()),
      // Of no value at all nothing is false.
      fits: new Set(rungs.filter(() => next() !== false).map(({ name }) => name)),
    })),
  };
}

async function write(
  connection: DuckDBConnection,
  { from, columns }: Relation,
  types: readonly (ExactType | undefined)[],
  output: string,
  cast: typeof exactCast,
): Promise<number> {
  const select = columns.map((column, index) => {
    const type = types[index];
    const value = type === undefined ? column.expression : cast(column.expression, type, index);
    return `${value} AS ${quoteIdentifier(column.name)}`;
  });
  // S3's ETags are of the content alone: with a nonce in it no two writes of an output share one.
  const nonce = `KV_METADATA {millpond_nonce: ${quoteLiteral(randomUUID())}}`;
  const written = await connection.runAndReadAll(
    `COPY (SELECT ${select.join(", ")} FROM ${from}) TO ${quoteLiteral(output)} (FORMAT parquet, COMPRESSION zstd, ${nonce})`,
  );
  return Number(written.getRowsJS()[0]?.[0]);
}
