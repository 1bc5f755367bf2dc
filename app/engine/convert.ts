import fs from "node:fs";
import fsp from "node:fs/promises";
import path from "node:path";
import { Transform, Writable } from "node:stream";
import { pipeline } from "node:stream/promises";
import zlib from "node:zlib";
import type { DuckDBConnection } from "@duckdb/node-api";
import { MillpondError, messageOf } from "../errors.ts";
import {
  allSurvive,
  chooseType,
  type ExactType,
  exactCast,
  inexactMarker,
  mixedRungs,
  numberRungs,
  type Proposal,
  proposedRung,
  stringRungs,
  textRungs,
  trimmed,
} from "../lake/exact-types.ts";
import { reasonFrom, SourceError, sourceAdvice } from "../lake/source-error.ts";
import type { Compression } from "../lake/source-key.ts";
import { quoteIdentifier, quoteLiteral } from "../query/quote.ts";
import { detectDelimiter, fieldsOfFirstRecord } from "./delimiter.ts";
import type { ConvertRequest, ConvertResult } from "./protocol.ts";

/** Columns whose types one scan tries: DuckDB plans longer than it scans where there are many more. */
const columnsPerScan = 8;
/** A file of more columns than this keeps them as text, as planning takes time by the square of their number. */
const mostTypedColumns = 1000;
/** Bytes that the separator is read from. */
const headBytes = 65_536;

/** A source as a DuckDB relation, and how each column of it becomes a column of the table. */
interface Relation {
  /** SQL that stands after FROM. */
  from: string;
  columns: Column[];
  /** The source was unpacked as a whole, so its packing is known to be sound. @default false */
  unpacked?: boolean;
}

interface Column {
  name: string;
  /** SQL of the value that types are read from, or of the value itself where there is nothing to choose. */
  expression: string;
  /** Types that the column may get, narrow ones first. Empty where its type is settled. */
  rungs: readonly ExactType[];
  /** What the start of the source proposes. */
  proposal: Proposal;
}

const settled: Proposal = { kind: "type", type: undefined };

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
    await connection.run(`CREATE OR REPLACE TEMP VIEW source AS FROM ${relation.from}`);
    try {
      const [rows] = await Promise.all([
        writeExactly(connection, relation, request.output),
        relation.unpacked ? undefined : checkPacking(request),
      ]);
      const described = await connection.runAndReadAll(
        `SELECT column_name, column_type FROM (DESCRIBE FROM read_parquet(${quoteLiteral(request.output)}))`,
      );
      const columns = described.getRowsJS().map(([name, type]) => ({
        name: String(name),
        type: String(type),
      }));
      return { rows, columns };
    } finally {
      await connection.run("DROP VIEW IF EXISTS source");
    }
  } catch (error) {
    throw asSourceError(error, request);
  }
}

/** Errors of DuckDB that say something of the file, not of the machine. */
const sourceErrors =
  /^(Invalid Input|Conversion|Binder|Out of Range|Serialization|Parser|Invalid) /;

function asSourceError(error: unknown, { format, source }: ConvertRequest): unknown {
  const message = messageOf(error);
  if (error instanceof MillpondError) return error;
  // A compressed or Parquet file that ends early is an IO error to DuckDB; a full disk is one too.
  const broken = /^IO Error/.test(message) && !/No space left|Could not write|disk/i.test(message);
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

async function relateCsv(connection: DuckDBConnection, request: ConvertRequest): Promise<Relation> {
  const head = await readHead(request.source, request.compression);
  const delimiter = request.format === "tsv" ? "\t" : detectDelimiter(head);
  // Nothing that would skip lines is left to detection: not the first lines, not comments, not ragged ones.
  const dialect =
    `delim=${quoteLiteral(delimiter)}, quote='"', escape='"', skip=0, comment='', nullstr='', strict_mode=true, ` +
    `ignore_errors=false, null_padding=false, compression='${request.compression}'`;
  const reader = (header: boolean, names: readonly string[]) => {
    const struct = names.map((name) => `${quoteLiteral(name)}: 'VARCHAR'`).join(", ");
    return `read_csv(${quoteLiteral(request.source)}, auto_detect=false, allow_quoted_nulls=false, header=${header}, ${dialect}, columns={${struct}})`;
  };
  let header: boolean;
  let found: { name: string; type: string }[];
  let dateFormat: string | null;
  try {
    const sniffed = await connection.runAndReadAll(
      `SELECT HasHeader, Columns, DateFormat FROM sniff_csv(${quoteLiteral(request.source)}, ${dialect})`,
    );
    [header, found, dateFormat] = sniffed.getRowsJS()[0] as [boolean, typeof found, string | null];
  } catch (error) {
    // Detection says that something is wrong, but not in which line: reading with the columns of the first line does.
    const width = fieldsOfFirstRecord(head, delimiter);
    const columns = Array.from({ length: width }, (_, index) => `column${index}`);
    await connection.runAndReadAll(`SELECT count(COLUMNS(*)) FROM ${reader(true, columns)}`);
    throw error;
  }
  const typed = found.length <= mostTypedColumns;
  return {
    from: reader(
      header,
      found.map((column) => column.name),
    ),
    columns: found.map(({ name, type }) => ({
      name,
      expression: quoteIdentifier(name),
      rungs: typed ? textRungs : [],
      proposal: typed ? proposedRung(type, dateFormat) : settled,
    })),
  };
}

async function relateJson(
  connection: DuckDBConnection,
  request: ConvertRequest,
): Promise<Relation> {
  const head = await readHead(request.source, request.compression);
  const marked = head.startsWith(byteOrderMark);
  const source = quoteLiteral(marked ? await withoutMark(request) : request.source);
  const shape = request.format === "ndjson" ? "newline_delimited" : "auto";
  const packed = !marked && request.compression !== "none";
  const packing = packed ? request.compression : "uncompressed";
  // From a sample, a key that first stands after it would be dropped without a word: read all of it.
  const read = `compression='${packing}', format='${shape}'`;
  const whole = `${read}, sample_size=-1`;
  const described = await connection.runAndReadAll(
    `SELECT column_name, column_type FROM (DESCRIBE FROM read_json(${source}, ${whole}))`,
  );
  const found = described.getRowsJS() as [string, string][];
  if (found.length === 1 && found[0]?.[1] === "JSON" && found[0][0] === "json") {
    const any = await connection.runAndReadAll(`FROM read_json(${source}, ${whole}) LIMIT 1`);
    if (any.currentRowCount === 0) throw emptyFile("the file holds no record");
  }
  const named = await namesAreKeys(
    connection,
    found.map(([name]) => name),
    `read_json_objects(${source}, ${read})`,
  );
  const columns = found.map(([name, type]) => jsonColumn(name, type, named));
  const struct = columns.map((c) => `${quoteLiteral(c.column.name)}: ${quoteLiteral(c.readAs)}`);
  return {
    from: `read_json(${source}, ${named ? `${read}, columns={${struct.join(", ")}}` : whole})`,
    columns: columns.map((c) => c.column),
    unpacked: marked,
  };
}

/**
 * Whether the columns' names are the records' keys. Keys that differ only in case get names of DuckDB's making (`a`,
 * `A_1`); a column asked for by such a name would be empty.
 */
async function namesAreKeys(
  connection: DuckDBConnection,
  names: readonly string[],
  objects: string,
): Promise<boolean> {
  const known = new Set(names.map((name) => name.toLowerCase()));
  const suspects = names.filter((name) => {
    const original = name.replace(/_\d+$/, "");
    return original !== name && known.has(original.toLowerCase());
  });
  if (suspects.length === 0) return true;
  const tests = suspects.map(
    (name) => `bool_or(list_contains(json_keys(json), ${quoteLiteral(name)}))`,
  );
  const [row] = (
    await connection.runAndReadAll(`SELECT ${tests.join(", ")} FROM ${objects}`)
  ).getRowsJS();
  return row?.every((isKey) => isKey === true) ?? false;
}

/** How one key of a JSON source becomes a column. */
function jsonColumn(name: string, type: string, named: boolean) {
  const id = quoteIdentifier(name);
  const column = (
    readAs: string,
    expression: string,
    rungs: readonly ExactType[],
    proposal: Proposal = settled,
  ) => ({ readAs, column: { name, expression, rungs, proposal } });
  switch (type) {
    // DuckDB would drop the zone of "…+02:00", and how a UUID is spelt.
    case "DATE":
    case "TIME":
      return column("VARCHAR", `${id}::VARCHAR`, stringRungs, proposedRung(type, null));
    case "TIMESTAMP":
      return column("VARCHAR", `${id}::VARCHAR`, stringRungs, { kind: "unsure" });
    case "UUID":
      return column("VARCHAR", `${id}::VARCHAR`, []);
    case "DOUBLE":
      return column("VARCHAR", `${id}::VARCHAR`, numberRungs, proposedRung(type, null));
    case "HUGEINT":
      return column("VARCHAR", `${id}::VARCHAR`, numberRungs, { kind: "unsure" });
    case "JSON":
      return column("JSON", `${id}::VARCHAR`, mixedRungs, { kind: "unsure" });
    default:
      return column(named ? exactInside(type) : type, id, []);
  }
}

/**
 * The type of a list or an object, with text in place of what would change inside it: HUGEINT, which is DOUBLE in
 * Parquet, and TIMESTAMP, which drops the zone.
 */
function exactInside(type: string): string {
  // A field's name is quoted, or a space follows it; what follows a type is never a space.
  return type.replace(/"(?:[^"]|"")*"|\b(?:U?HUGEINT|TIMESTAMP)(?=[,)[]|$)/g, (found) =>
    found.startsWith('"') ? found : "VARCHAR",
  );
}

async function relateParquet(
  connection: DuckDBConnection,
  request: ConvertRequest,
): Promise<Relation> {
  let file = request.source;
  if (request.compression !== "none") {
    // Parquet is read from its end, so it can't be unpacked on the way.
    file = path.join(request.scratch, "unpacked.parquet");
    await unpackTo(request, file);
  }
  if ((await fsp.stat(file)).size === 0) throw emptyFile("the file is empty");
  const from = `read_parquet(${quoteLiteral(file)}, hive_partitioning=false)`;
  const described = await connection.runAndReadAll(
    `SELECT column_name FROM (DESCRIBE FROM ${from})`,
  );
  const columns = described.getRowsJS().map(([name]) => ({
    name: String(name),
    expression: quoteIdentifier(String(name)),
    rungs: [],
    proposal: settled,
  }));
  return { from, columns, unpacked: request.compression !== "none" };
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
  const written = await connection.runAndReadAll(
    `COPY (SELECT ${select.join(", ")} FROM source) TO ${quoteLiteral(output)} (FORMAT parquet, COMPRESSION zstd)`,
  );
  return Number(written.getRowsJS()[0]?.[0]);
}

function emptyFile(message: string): SourceError {
  return new SourceError({ code: "empty-file", message, expected: sourceAdvice.empty });
}

function unpacker(compression: Compression) {
  return compression === "gzip" ? zlib.createGunzip() : zlib.createZstdDecompress();
}

/**
 * Unpacks the source and looks at nothing but whether it ends well. DuckDB takes gzip and zstd data that was cut off,
 * or whose checksum is wrong, for the end of the file, and the rows behind would be lost without a word.
 */
async function checkPacking(request: ConvertRequest): Promise<void> {
  if (request.compression === "none") return;
  const nowhere = new Writable({ write: (_chunk, _encoding, done) => done() });
  try {
    await pipeline(fs.createReadStream(request.source), unpacker(request.compression), nowhere);
  } catch (error) {
    throw unpackError(error, request.compression);
  }
}

function unpackError(error: unknown, compression: Compression): unknown {
  const code = (error as NodeJS.ErrnoException).code ?? "";
  if (!code.startsWith("Z_") && !code.startsWith("ZSTD_") && code !== "ERR_STREAM_PREMATURE_CLOSE")
    return error;
  return new SourceError({
    code: "malformed-compression",
    message: `the ${compression} data is broken: ${messageOf(error)}`,
    expected: sourceAdvice.packed,
  });
}

/**
 * The first bytes of a text source, unpacked.
 * @throws SourceError for a file with nothing in it, or one that is plainly no UTF-8.
 */
async function readHead(file: string, compression: Compression): Promise<string> {
  const chunks: Buffer[] = [];
  let length = 0;
  const raw = fs.createReadStream(file);
  const unpacked = compression === "none" ? raw : raw.pipe(unpacker(compression));
  raw.on("error", (error) => unpacked.destroy(error));
  try {
    for await (const chunk of unpacked) {
      chunks.push(chunk as Buffer);
      length += (chunk as Buffer).length;
      if (length >= headBytes) break;
    }
  } catch (error) {
    throw unpackError(error, compression);
  } finally {
    raw.destroy();
  }
  const head = Buffer.concat(chunks);
  const mark = head.subarray(0, 2).toString("hex");
  if (mark === "fffe" || mark === "feff") {
    throw new SourceError({
      code: "not-utf8",
      message: "the file begins with a mark of UTF-16",
      expected: sourceAdvice.utf8,
      line: 1,
    });
  }
  const text = head.toString("utf8");
  // trim() counts the mark as space.
  if (length < headBytes && text.trim() === "") throw emptyFile("the file is empty");
  return text;
}

const byteOrderMark = "\uFEFF";

/** A copy of a source, unpacked and without the mark at its start, which DuckDB's JSON reader takes for an error. */
async function withoutMark(request: ConvertRequest): Promise<string> {
  const file = path.join(request.scratch, "unmarked.json");
  let begun = false;
  const skip = new Transform({
    transform(chunk: Buffer, _encoding, done) {
      // The mark has three bytes, and no stream begins with a smaller chunk.
      done(null, begun ? chunk : chunk.subarray(Buffer.byteLength(byteOrderMark)));
      begun = true;
    },
  });
  await unpackTo(request, file, [skip]);
  return file;
}

/** Unpacks a source into a file. */
async function unpackTo(
  { source, compression }: ConvertRequest,
  file: string,
  through: Transform[] = [],
): Promise<void> {
  const unpack = compression === "none" ? [] : [unpacker(compression)];
  try {
    await pipeline([
      fs.createReadStream(source),
      ...unpack,
      ...through,
      fs.createWriteStream(file),
    ]);
  } catch (error) {
    throw unpackError(error, compression);
  }
}
