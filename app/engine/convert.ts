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
} from "../lake/exact-types.ts";
import { reasonFrom, SourceError } from "../lake/source-error.ts";
import { type Partition, partitionType } from "../lake/source-key.ts";
import { foldName, quoteIdentifier, quoteLiteral } from "../query/quote.ts";
import type { ConvertRequest, ConvertResult } from "./protocol.ts";
import { relateCsv } from "./relate-csv.ts";
import { relateJson } from "./relate-json.ts";
import { relateParquet } from "./relate-parquet.ts";
import { type Column, type Relation, settled } from "./relation.ts";
import { checkPacking } from "./unpack.ts";

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
    const relation = withPartitions(await relate(connection, request), request.partitions ?? []);
    await connection.run(`CREATE OR REPLACE TEMP VIEW source AS FROM ${relation.from}`);
    try {
      const [written, packing] = await Promise.allSettled([
        writeExactly(connection, relation, request.output),
        relation.unpacked ? undefined : checkPacking(request),
      ]);
      // Broken packing explains broken content, not the other way round.
      if (packing.status === "rejected") throw packing.reason;
      if (written.status === "rejected") throw written.reason;
      return { rows: written.value };
    } finally {
      await connection.run("DROP VIEW IF EXISTS source");
    }
  } catch (error) {
    throw asSourceError(error, request);
  }
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

function asSourceError(error: unknown, { format, source }: ConvertRequest): unknown {
  const message = messageOf(error);
  if (error instanceof MillpondError) return error;
  // What can't be quoted is a name of the source.
  if (error instanceof RangeError) {
    return new SourceError(reasonFrom("a column's name holds a NUL character", format, source));
  }
  // A compressed or Parquet file that ends early is an IO error to DuckDB; a full disk is one too.
  const broken = /^IO Error/.test(message) && !ofMachine.test(message);
  if (sourceErrors.test(message) || broken)
    return new SourceError(reasonFrom(message, format, source));
  return error;
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

/**
 * Writes the Parquet file: first with the types that the start of the source proposes, checked value by value; where
 * one would change, with types from all of it.
 */
async function writeExactly(
  connection: DuckDBConnection,
  relation: Relation,
  output: string,
): Promise<number> {
  const { columns } = relation;
  const types = columns.map(({ proposal }) =>
    proposal.kind === "type" ? proposal.type : undefined,
  );
  const unsure = columns.flatMap(({ proposal }, i) => (proposal.kind === "unsure" ? [i] : []));
  await chooseTypes(connection, columns, unsure, types);
  try {
    return await write(connection, columns, types, output);
  } catch (error) {
    if (!messageOf(error).includes(inexactMarker)) throw error;
  }
  const failing = await findInexact(connection, columns, types);
  await chooseTypes(connection, columns, failing, types);
  return await write(connection, columns, types, output);
}

/** The columns, by index, that hold a value which their type would change. */
async function findInexact(
  connection: DuckDBConnection,
  columns: readonly Column[],
  types: readonly (ExactType | undefined)[],
): Promise<number[]> {
  const typed = types.flatMap((type, index) => (type === undefined ? [] : [{ type, index }]));
  const tests = typed.map(({ type, index }) =>
    allSurvive((columns[index] as Column).expression, type),
  );
  const [held] = (
    await connection.runAndReadAll(`SELECT ${tests.join(", ")} FROM source`)
  ).getRowsJS();
  return typed.filter((_, i) => held?.[i] === false).map(({ index }) => index);
}

/** Sets the types of some columns, by index, from all their values. */
async function chooseTypes(
  connection: DuckDBConnection,
  columns: readonly Column[],
  indexes: readonly number[],
  types: (ExactType | undefined)[],
): Promise<void> {
  for (let start = 0; start < indexes.length; start += columnsPerScan) {
    const some = indexes.slice(start, start + columnsPerScan);
    const facts = some.flatMap((index) => {
      const { expression, rungs } = columns[index] as Column;
      return [
        `count(${trimmed(expression)})`,
        ...rungs.map((rung) => allSurvive(expression, rung)),
      ];
    });
    const seen = await connection.runAndReadAll(`SELECT ${facts.join(", ")} FROM source`);
    const values = (seen.getRowsJS()[0] ?? []).values();
    for (const index of some) {
      const { rungs } = columns[index] as Column;
      const count = Number(values.next().value);
      const fits = new Set(rungs.filter(() => values.next().value === true).map((r) => r.name));
      types[index] = chooseType(rungs, fits, count);
    }
  }
}

async function write(
  connection: DuckDBConnection,
  columns: readonly Column[],
  types: readonly (ExactType | undefined)[],
  output: string,
): Promise<number> {
  const select = columns.map((column, index) => {
    const type = types[index];
    const value =
      type === undefined ? column.expression : exactCast(column.expression, type, index);
    return `${value} AS ${quoteIdentifier(column.name)}`;
  });
  // S3's ETags are of the content alone: with a nonce in it no two writes of an output share one.
  const nonce = `KV_METADATA {millpond_nonce: ${quoteLiteral(randomUUID())}}`;
  const written = await connection.runAndReadAll(
    `COPY (SELECT ${select.join(", ")} FROM source) TO ${quoteLiteral(output)} (FORMAT parquet, COMPRESSION zstd, ${nonce})`,
  );
  return Number(written.getRowsJS()[0]?.[0]);
}
