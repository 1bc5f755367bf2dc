import fs from "node:fs";
import {
  BIGINT,
  BOOLEAN,
  DATE,
  DOUBLE,
  DuckDBArrayType,
  type DuckDBConnection,
  DuckDBDateValue,
  DuckDBDecimalType,
  DuckDBListType,
  DuckDBMapType,
  type DuckDBPreparedStatement,
  type DuckDBResult,
  DuckDBStructType,
  type DuckDBType,
  DuckDBUnionType,
  type DuckDBValue,
  HUGEINT,
  listValue,
  SQLNULL,
  VARCHAR,
} from "@duckdb/node-api";
import { BoundedMap } from "../bounded-map.ts";
import { MillpondError, messageOf } from "../errors.ts";
import { allowed, type CalledFor } from "../query/functions.ts";
import { quoteLiteral } from "../query/quote.ts";
import { reservedWords } from "../query/reserved-words.ts";
import {
  type ColumnType,
  type FormMode,
  resultSelect,
  unhopefulMarker,
} from "../query/result-form.ts";
import { type QueryFormat, queryFormats } from "../query/result-format.ts";
import { reviewSql } from "../query/sql-policy.ts";
import { columnsOf } from "./columns-of.ts";
import { nameTables } from "./name-tables.ts";
import type {
  DescribeResult,
  Parameters,
  ParameterValue,
  QueryRequest,
  QueryResult,
  ReviewResult,
  TableFile,
} from "./protocol.ts";
import { readTable } from "./read-table.ts";
import { identityOf } from "./table-identity.ts";

/** Parses a caller's SQL and holds it against the policy. Runs nothing of it. */
export async function review(connection: DuckDBConnection, sql: string): Promise<ReviewResult> {
  return (await reviewed(connection, sql)).result;
}

/** SQL that the policy lets pass. */
interface Reviewed {
  result: ReviewResult;
  /** The SQL as it fits into another. */
  query: string;
}

/** What passed, by its text: it says the same each time, and most callers ask the same again. */
const passed = new BoundedMap<string, Reviewed>(200);
/** Characters of the longest SQL that is kept. */
const longestKept = 4096;

async function reviewed(connection: DuckDBConnection, sql: string): Promise<Reviewed> {
  const before = passed.get(sql);
  if (before !== undefined) return before;
  const tree = await parse(connection, sql);
  try {
    const result = reviewSql(tree);
    const one = { result, query: await withoutSemicolons(connection, sql, tree) };
    if (sql.length <= longestKept) passed.set(sql, one);
    return one;
  } catch (error) {
    if (!(error instanceof MillpondError) || error.code !== "function-unknown") throw error;
    throw await withNearest(connection, error);
  }
}

/** Who mistypes a function is told of those with nearly its name. */
async function withNearest(connection: DuckDBConnection, error: MillpondError) {
  const { function: name, calledFor } = error.details as { function: string; calledFor: CalledFor };
  const found = await connection.runAndReadAll(
    `SELECT name FROM (SELECT unnest($1::VARCHAR[]) AS name)
     WHERE jaro_winkler_similarity(name, lower($2)) > 0.85
     ORDER BY jaro_winkler_similarity(name, lower($2)) DESC, name LIMIT 3`,
    [listValue([...allowed[calledFor]].filter((one) => /^[a-z]/.test(one))), name],
  );
  const nearest = found.getRowsJS().map(([one]) => String(one));
  const hint = nearest.length === 0 ? "" : `: did you mean ${nearest.join(", ")}?`;
  return new MillpondError(error.code, `${error.message}${hint}`, {
    details: { function: name, nearest },
  });
}

async function parse(connection: DuckDBConnection, sql: string): Promise<unknown> {
  // A NUL would end the text early somewhere below, and what is reviewed must be what runs.
  if (sql.includes("\0")) throw new MillpondError("sql-invalid", "the SQL holds a NUL character");
  if (sql.trim() === "") throw new MillpondError("sql-invalid", "the SQL is empty");
  const serialized = await connection.runAndReadAll("SELECT json_serialize_sql($1::VARCHAR)", [
    sql,
  ]);
  const tree = JSON.parse(String(serialized.getRowsJS()[0]?.[0])) as {
    error: boolean;
    error_type?: string;
    error_message?: string;
    statements?: unknown[];
  };
  if (!tree.error) {
    if (tree.statements?.length === 0) throw new MillpondError("sql-invalid", "the SQL is empty");
    return tree;
  }
  if (tree.error_type === "parser") {
    throw new MillpondError("sql-invalid", await syntaxError(connection, sql, tree.error_message));
  }
  const pivot = /^\s*(with\b.*\)\s*)?pivot\b/is.test(sql);
  throw new MillpondError(
    "sql-refused",
    pivot
      ? "PIVOT needs the values of its columns: FROM (PIVOT … ON x IN ('a', 'b') USING …)"
      : "a query is one statement of the SELECT family: SELECT, WITH, VALUES, FROM, SUMMARIZE, DESCRIBE, UNPIVOT",
  );
}

/** The same error with the line and a caret under the place: only parsing makes it, nothing is bound or run. */
async function syntaxError(connection: DuckDBConnection, sql: string, plain = "syntax error") {
  try {
    await connection.extractStatements(sql);
    return `Parser Error: ${plain}`;
  } catch (error) {
    return withQuotes(messageOf(error).replace(/^Failed to extract statements: /, ""), sql);
  }
}

/** Where a word of SQL stands as a table: how such a table is written, before DuckDB's picture of the line. */
function withQuotes(message: string, sql: string): string {
  const [, near = ""] = /at or near "(.*)"/.exec(message) ?? [];
  for (const { 1: word = "", index, 0: found } of sql.matchAll(afterFrom)) {
    const next = sql.slice(index + found.length).trimStart();
    const isThere = word === near || (near === "" ? /^;?$/.test(next) : next.startsWith(near));
    if (!isThere || !reservedWords.has(word.toLowerCase())) continue;
    return message.replace(
      /(?=\n\nLINE )|$/,
      `; a table of this name is written "${word}", in double quotes`,
    );
  }
  return message;
}

/** A word where a table's name may stand; IS DISTINCT FROM has values behind it. */
const afterFrom = /(?<!\bdistinct\s+)\b(?:from|join|summarize|describe)\s+([a-z_]\w*)/gi;

/** Semicolons that are looked at from the end on: those behind the last statement, and such as its last comments hold. */
const mostCuts = 100;

/**
 * The SQL without semicolons around it, which can't stand inside parentheses. A semicolon may also be part of a text
 * or a comment: what is cut must leave the same tree.
 * @param tree what the whole SQL is parsed to
 */
async function withoutSemicolons(
  connection: DuckDBConnection,
  sql: string,
  tree: unknown,
): Promise<string> {
  // Blanks in their place, as errors name places.
  const query = sql.replace(/^[\s;]+/, (first) => first.replaceAll(";", " "));
  if (!query.includes(";") || (await fitsParentheses(connection, query))) return query;
  const whole = JSON.stringify(tree);
  let end = query.length;
  for (let cut = 0; cut < mostCuts; cut += 1) {
    end = query.lastIndexOf(";", end - 1);
    if (end <= 0) return query;
    const shorter = query.slice(0, end);
    if (!(await fitsParentheses(connection, shorter))) continue;
    return JSON.stringify(await parse(connection, shorter)) === whole ? shorter : query;
  }
  throw new MillpondError(
    "sql-invalid",
    `more than ${mostCuts} semicolons stand in its last comments: leave them out`,
  );
}

async function fitsParentheses(connection: DuckDBConnection, query: string): Promise<boolean> {
  const inside = `SELECT * FROM ${sourceOf(query)}`;
  const read = await connection.runAndReadAll(
    "SELECT json_serialize_sql($1::VARCHAR)::JSON ->> 'error'",
    [inside],
  );
  return read.getRowsJS()[0]?.[0] === "false";
}

/** A query as a table. The line break ends a comment at the end of it. */
function sourceOf(query: string): string {
  return `(FROM (${query}\n))`;
}

/**
 * Runs one reviewed query and writes its answer to a file; a small one comes back whole, and its file goes.
 * @param connection one with no names, or with just those of these tables, which it has afterwards
 * @param named whether it has the tables' names already
 * @returns its result, and whether another time it may have another: then the connection's random numbers may be used up in part
 * @throws MillpondError `sql-invalid` with DuckDB's message, line and caret for a mistake in the SQL
 */
export async function answer(
  connection: DuckDBConnection,
  request: QueryRequest,
  named = false,
): Promise<{ result: QueryResult; volatile: boolean }> {
  // Once more, and first of all: whatever asked, nothing runs that was not reviewed, over any other table.
  const { result: review, query } = await reviewed(connection, request.sql);
  const { tables, volatile } = review;
  const said = (result: QueryResult) => ({ result, volatile });
  const unnamed = tables.find((name) => request.tables.every((table) => table.name !== name));
  if (unnamed !== undefined) {
    throw new MillpondError("table-unknown", `there is no table ${unnamed}`);
  }
  // Of a worker that ended while it wrote this answer. Files are asked about without a promise: each is a thread's work
  // of microseconds, which a small query would wait for longer than for DuckDB.
  fs.rmSync(request.output, { force: true });
  if (!named) await nameTables(connection, request.tables);
  try {
    const source = sourceOf(query);
    const known = await knownResult(connection, source, request);
    const columns = known.columns.map(({ name, type }) => ({
      name,
      type: type.alias ?? type.toString(),
    }));
    const small = await readAnswer(connection, source, known, request);
    if (small !== undefined) return said({ ...small, bytes: small.content.length, columns });
    const begun = performance.now();
    const { rows, bytes } = await writeAnswer(connection, source, known, request);
    if (bytes > (request.inlineBytes ?? -1)) return said({ rows, bytes, columns });
    if (!volatile && performance.now() - begun < soonMs) known.small.add(request.format);
    const content = fs.readFileSync(request.output);
    fs.rmSync(request.output);
    return said({ rows, bytes, columns, content });
  } catch (error) {
    throw await asCallersError(connection, error, request);
  }
}

interface ResultColumn {
  name: string;
  type: DuckDBType;
}

/** What is known of a query's result before it runs. */
interface KnownResult {
  columns: ResultColumn[];
  /** Formats of text in which its rows were hoped for in vain: the next time they are written exactly at once. */
  unhopeful: Set<QueryFormat>;
  /** Formats in which it was small, and soon there. */
  small: Set<QueryFormat>;
}

/** Milliseconds of a query that may as well run twice, as the way to its answer by a file would be most of the rest. */
const soonMs = 100;

/** What is known of the results of queries, by what they follow from. */
const knownResults = new BoundedMap<string, KnownResult>(500);

/**
 * What the result of a query follows from: its SQL, what is in the files of its tables, and its parameters, as types may hang on
 * values, too. Undefined where that is too long to keep, or may change as it is read.
 */
function resultKey({ sql, parameters, tables }: QueryRequest): string | undefined {
  const identity = sql.length > longestKept ? undefined : identityOf(tables);
  if (identity === undefined) return undefined;
  const asked = JSON.stringify([sql, parameters], (_, value: unknown) =>
    typeof value === "bigint" || (typeof value === "number" && !Number.isFinite(value))
      ? { [typeof value]: String(value) }
      : value,
  );
  return asked.length > longestKept ? undefined : `${identity} ${asked}`;
}

async function knownResult(
  connection: DuckDBConnection,
  source: string,
  request: QueryRequest,
): Promise<KnownResult> {
  const key = resultKey(request);
  const before = key === undefined ? undefined : knownResults.get(key);
  if (before !== undefined) return before;
  const columns = await resultColumns(connection, source, request);
  const known: KnownResult = { columns, unhopeful: new Set(), small: new Set() };
  if (key !== undefined) knownResults.set(key, known);
  return known;
}

async function resultColumns(
  connection: DuckDBConnection,
  source: string,
  { parameters }: QueryRequest,
): Promise<ResultColumn[]> {
  const query = `SELECT * FROM ${source}`;
  const statement = await prepare(connection, query, parameters);
  try {
    if (statement.parameterCount === 0) {
      return Array.from({ length: statement.columnCount }, (_, index) => {
        const name = statement.columnName(index);
        return { name, type: typeAt(statement, index, name) };
      });
    }
  } finally {
    statement.destroySync();
  }
  // What types it has may hang on what its parameters are.
  const empty = await runWith(connection, `${query} LIMIT 0`, parameters);
  return empty.columnNames().map((name, index) => ({ name, type: typeAt(empty, index, name) }));
}

function typeAt(
  source: DuckDBResult | DuckDBPreparedStatement,
  index: number,
  name: string,
): DuckDBType {
  try {
    return source.columnType(index);
  } catch (error) {
    // TYPE has no place in DuckDB's interface for programs.
    const message = `the column ${name} is of a type that no answer can have: ${messageOf(error)}; cast it, as in x::VARCHAR`;
    throw new MillpondError("sql-invalid", message, { cause: error });
  }
}

/** Writes an answer to its file. */
async function writeAnswer(
  connection: DuckDBConnection,
  source: string,
  known: KnownResult,
  request: QueryRequest,
): Promise<{ rows: number; bytes: number }> {
  const to = `${quoteLiteral(request.output)} (${queryFormats[request.format].copy}, USE_TMP_FILE false)`;
  return await inItsForm(source, known, request, "hopeful", async (select) => {
    const { result, bytes } = await notBeyond(request, connection, () =>
      runWith(connection, `COPY (${select}) TO ${to}`, request.parameters),
    );
    return { rows: result.rowsChanged, bytes };
  });
}

/**
 * An answer whose rows are texts, without a file: a file takes DuckDB as long as planning the query. Undefined where it is not
 * known to be small, or is not.
 */
async function readAnswer(
  connection: DuckDBConnection,
  source: string,
  known: KnownResult,
  request: QueryRequest,
): Promise<{ rows: number; content: Buffer } | undefined> {
  const { format, parameters, inlineBytes = -1, mostBytes = inlineBytes } = request;
  const { join } = queryFormats[format];
  if (join === undefined || !known.small.delete(format)) return undefined;
  // Where it fails, it is exact the next time: that is soon over.
  return await inItsForm(source, known, request, "plain", async (select) => {
    const result = await runWith(connection, select, parameters);
    // It may have grown: which of its rows a query takes may be DuckDB's choice.
    const most = Math.min(inlineBytes, mostBytes);
    const rows: string[] = [];
    let length = 0;
    for (let chunk = 0; chunk < result.chunkCount; chunk += 1) {
      const values = result.getChunk(chunk).getColumnValues(0) as string[];
      for (const value of values) length += value.length;
      if (length > most) return undefined;
      rows.push(...values);
    }
    const content = Buffer.from(join(rows));
    if (content.length > most) return undefined;
    known.small.add(format);
    return { rows: rows.length, content };
  });
}

/** Runs a query for rows in the form of its format, and once more where they were hoped for in vain. */
async function inItsForm<T>(
  source: string,
  { columns, unhopeful }: KnownResult,
  { format }: QueryRequest,
  first: FormMode,
  run: (select: string) => Promise<T>,
): Promise<T> {
  const write = async (mode: FormMode) => {
    const formed = columns.map(({ name, type }) => ({ name, type: columnType(type) }));
    return await run(`SELECT ${resultSelect(formed, format, mode)} FROM ${source}`);
  };
  if (unhopeful.has(format)) return await write("exact");
  try {
    return await write(first);
  } catch (error) {
    if (!messageOf(error).includes(unhopefulMarker)) throw error;
    // In Parquet it is another type of column, which is for these rows alone to decide.
    if (format !== "parquet") unhopeful.add(format);
    return await write("exact");
  }
}

/** What is written from one look at an answer's size to the next is more than the disk should miss, and little enough. */
const lookEveryMs = 20;

/** Stops what writes an answer that is larger than it may be: DuckDB has no limit for that. @returns what it is, and its size */
async function notBeyond<T>(
  { output, mostBytes = Number.POSITIVE_INFINITY }: QueryRequest,
  connection: DuckDBConnection,
  write: () => Promise<T>,
): Promise<{ result: T; bytes: number }> {
  let beyond = false;
  const look = () => {
    const bytes = fs.statSync(output, { throwIfNoEntry: false })?.size ?? 0;
    beyond ||= bytes > mostBytes;
    if (beyond) connection.interrupt();
    return bytes;
  };
  const timer = setInterval(look, lookEveryMs);
  try {
    const result = await write();
    const bytes = look();
    if (!beyond) return { result, bytes };
  } catch (error) {
    if (!beyond) throw error;
  } finally {
    clearInterval(timer);
  }
  throw new MillpondError("answer-too-large", `the answer has more than ${mostBytes} bytes`);
}

function columnType(type: DuckDBType): ColumnType {
  if (type instanceof DuckDBListType || type instanceof DuckDBArrayType) {
    return { kind: "list", child: columnType(type.valueType) };
  }
  if (type instanceof DuckDBMapType) return { kind: "map", value: columnType(type.valueType) };
  if (type instanceof DuckDBStructType) {
    const fields = type.entryNames.map((name, index) => ({
      name,
      type: columnType(type.entryTypes[index] as DuckDBType),
    }));
    return { kind: "struct", fields };
  }
  if (type instanceof DuckDBDecimalType) {
    return { kind: "plain", name: "DECIMAL", width: type.width };
  }
  if (type instanceof DuckDBUnionType) return { kind: "plain", name: "UNION" };
  // JSON is an alias of VARCHAR.
  return { kind: "plain", name: type.alias ?? type.toString() };
}

/** Prepares what the parameters must fit. */
async function prepare(
  connection: DuckDBConnection,
  sql: string,
  parameters: Parameters,
): Promise<DuckDBPreparedStatement> {
  const statement = await connection.prepare(sql);
  try {
    checkParameters(statement.parameterCount, (i) => statement.parameterName(i), parameters);
    return statement;
  } catch (error) {
    statement.destroySync();
    throw error;
  }
}

/** Binds and runs what was prepared before for its columns, so that the parameters are known to fit. */
async function runWith(connection: DuckDBConnection, sql: string, parameters: Parameters) {
  const entries = Object.entries(parameters).map(
    ([name, value]) => [name, boundValue(value)] as const,
  );
  // DuckDB would plan it twice.
  if (entries.length === 0) return await connection.run(sql);
  const statement = await prepare(connection, sql, parameters);
  try {
    if (Array.isArray(parameters)) {
      statement.bind(
        entries.map(([, { value }]) => value),
        entries.map(([, { type }]) => type),
      );
    } else {
      statement.bind(
        Object.fromEntries(entries.map(([name, { value }]) => [name, value])),
        Object.fromEntries(entries.map(([name, { type }]) => [name, type])),
      );
    }
    return await statement.run();
  } finally {
    statement.destroySync();
  }
}

/** Says in the caller's words what is missing, or too much. */
function checkParameters(
  count: number,
  nameAt: (index: number) => string,
  parameters: Parameters,
): void {
  const wanted = Array.from({ length: count }, (_, index) => nameAt(index + 1));
  const positional = wanted.every((name) => /^\d+$/.test(name));
  const given = Array.isArray(parameters)
    ? parameters.map((_, index) => String(index + 1))
    : Object.keys(parameters);
  const missing = wanted.filter((name) => !given.includes(name));
  const unknown = given.filter((name) => !wanted.includes(name));
  if (missing.length === 0 && unknown.length === 0) return;
  const list = (names: string[]) => names.map((name) => `$${name}`).join(", ");
  const problems = [
    ...(missing.length === 0 ? [] : [`no value for ${list(missing)}`]),
    ...(unknown.length === 0 ? [] : [`the SQL has no ${list(unknown)}`]),
  ];
  const hint = positional
    ? 'a list, such as "params": [1]'
    : 'an object, such as "params": {"name": 1}';
  throw new MillpondError("parameters-invalid", `${problems.join("; ")}; give ${hint}`, {
    details: { missing, unknown },
  });
}

/** A whole number is bound as an integer, so that LIMIT $1 takes it. */
function boundValue(value: ParameterValue): { value: DuckDBValue; type: DuckDBType } {
  switch (typeof value) {
    case "string":
      return { value, type: VARCHAR };
    case "boolean":
      return { value, type: BOOLEAN };
    case "number":
      return Number.isSafeInteger(value) ? boundValue(BigInt(value)) : { value, type: DOUBLE };
    case "bigint": {
      if (value >= 2n ** 127n || value < -(2n ** 127n)) {
        const message = `a parameter of more than 128 bits: give ${String(value).slice(0, 20)}… as a string`;
        throw new MillpondError("parameters-invalid", message);
      }
      const small = value >= -(2n ** 63n) && value < 2n ** 63n;
      return { value, type: small ? BIGINT : HUGEINT };
    }
    case "object":
      if (value === null) return { value, type: SQLNULL };
      return { value: dayOf(value.date), type: DATE };
  }
}

function dayOf(date: string): DuckDBDateValue {
  const [year = 0, month = 0, day = 0] = date.split("-").map(Number);
  return DuckDBDateValue.fromParts({ year, month, day });
}

/** Errors of DuckDB that a caller can mend; the others are ours. */
const callersErrors =
  /^(Parser|Binder|Catalog|Conversion|Invalid Input|Out of Range|Constraint|Not implemented|Syntax|Mismatch Type|Invalid type|Parameter Not .*|Divide by Zero|Sequence|Invalid) ?(Error|Exception)?:/i;

/**
 * DuckDB's message as the caller needs it. Ours runs inside a COPY, so line and caret would show text that the caller
 * never wrote: the caller's own text is prepared, not run, for an error with its own lines.
 */
async function asCallersError(
  connection: DuckDBConnection,
  error: unknown,
  { sql, tables }: QueryRequest,
) {
  const message = messageOf(error);
  if (error instanceof MillpondError || !callersErrors.test(message)) return error;
  // A broken file of the lake is no fault of the caller, and its path no business of theirs.
  if (tables.some(({ files }) => files.some(({ path }) => message.includes(path)))) return error;
  const own = await connection.prepare(sql).then(
    (statement) => {
      statement.destroySync();
      return undefined;
    },
    (thrown: unknown) => messageOf(thrown),
  );
  const shown = own ?? message.split("\n\nLINE ")[0];
  return new MillpondError("sql-invalid", shown as string, { cause: error });
}

/** The united columns of some Parquet files, in the order in which they first appear. */
export async function describe(
  connection: DuckDBConnection,
  files: readonly TableFile[],
): Promise<DescribeResult> {
  return { columns: await columnsOf(connection, await readTable(connection, files)) };
}
