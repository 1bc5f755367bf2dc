import type { DuckDBConnection } from "@duckdb/node-api";
import { proposedRung, textRungs, unsure } from "../lake/exact-types.ts";
import { quoteIdentifier, quoteLiteral } from "../query/quote.ts";
import { detectDelimiter, fieldsOfFirstRecord } from "./delimiter.ts";
import type { ConvertRequest } from "./protocol.ts";
import { type Relation, settled } from "./relation.ts";
import { readHead } from "./unpack.ts";

/** A file of more columns than this keeps them as text, as planning takes time by the square of their number. */
const mostTypedColumns = 1000;
/** Rows that a type is proposed from; as many as DuckDB's detection reads. */
const sampleRows = 20_480;

/** CSV and TSV: every column is read as text, and gets a type that none of its values suffers by. */
export async function relateCsv(
  connection: DuckDBConnection,
  request: ConvertRequest,
): Promise<Relation> {
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
  const names = found.map((column) => column.name);
  const from = reader(header, names);
  if (names.length > mostTypedColumns) {
    const column = (name: string) => ({ name, expression: quoteIdentifier(name), rungs: [] });
    return { from, columns: names.map((name) => ({ ...column(name), proposal: settled })) };
  }
  const blank = await blankColumns(connection, from, names);
  const columns = found.map(({ name, type }) => ({
    name,
    expression: quoteIdentifier(name),
    rungs: textRungs,
    proposal: blank.has(name) ? unsure : proposedRung(type, dateFormat),
  }));
  return { from, columns };
}

/** The columns that hold nothing at the start of a source, which says nothing of their type. */
async function blankColumns(
  connection: DuckDBConnection,
  from: string,
  names: readonly string[],
): Promise<Set<string>> {
  const counts = names.map((name) => `count(${quoteIdentifier(name)})`).join(", ");
  const seen = await connection.runAndReadAll(
    `SELECT ${counts} FROM (FROM ${from} LIMIT ${sampleRows})`,
  );
  const [row] = seen.getRowsJS();
  return new Set(names.filter((_, index) => row?.[index] === 0n));
}
