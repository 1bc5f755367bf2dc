import type { DuckDBConnection } from "@duckdb/node-api";
import { proposedRung, textRungs, unsure } from "../lake/exact-types.ts";
import { otherThanCsv } from "../lake/other-kind.ts";
import { SourceError } from "../lake/source-error.ts";
import { quoteIdentifier, quoteLiteral } from "../query/quote.ts";
import type { NamedType } from "./columns-of.ts";
import { detectDelimiter, fieldsOfFirstRecord } from "./delimiter.ts";
import type { ConvertRequest } from "./protocol.ts";
import { type Relation, sampleRows, settled } from "./relation.ts";
import { hasAtMost, readHead } from "./unpack.ts";

/** A file of more columns than this keeps them as text, as planning takes time by the square of their number. */
const mostTypedColumns = 1000;

/** CSV and TSV: every column is read as text, and gets a type that none of its values suffers by. */
export async function relateCsv(
  connection: DuckDBConnection,
  request: ConvertRequest,
): Promise<Relation> {
  const head = await readHead(request);
  const other = otherThanCsv(head, request);
  if (other !== undefined) throw new SourceError(other);
  const delimiter = request.format === "tsv" ? "\t" : detectDelimiter(head);
  // Nothing that would skip lines is left to detection: not the first lines, not comments, not ragged ones.
  // Detection passes over blank lines at the start, reading takes them for the header: both are told.
  const blank = /^\uFEFF?((?:\r\n|\n|\r)*)/.exec(head)?.[1]?.match(/\r\n|\n|\r/g)?.length ?? 0;
  const dialect =
    `delim=${quoteLiteral(delimiter)}, quote='"', escape='"', skip=${blank}, comment='', nullstr='', strict_mode=true, ` +
    `ignore_errors=false, null_padding=false, compression='${request.compression}'`;
  const reader = (header: boolean, names: readonly string[]) => {
    const struct = names.map((name) => `${quoteLiteral(name)}: 'VARCHAR'`).join(", ");
    return `read_csv(${quoteLiteral(request.source)}, auto_detect=false, allow_quoted_nulls=false, header=${header}, ${dialect}, columns={${struct}})`;
  };
  let header: boolean;
  let found: NamedType[];
  let dateFormat: string | null;
  try {
    const sniffed = await connection.runAndReadAll(
      `SELECT HasHeader, Columns, DateFormat FROM sniff_csv(${quoteLiteral(request.source)}, ${dialect})`,
    );
    [header, found, dateFormat] = sniffed.getRowsJS()[0] as [boolean, NamedType[], string | null];
  } catch (error) {
    // Detection says that something is wrong, but not in which line: reading with the columns of the first line does.
    const width = fieldsOfFirstRecord(head, delimiter);
    const columns = Array.from({ length: width }, (_, index) => `column${index}`);
    await connection.runAndReadAll(`SELECT count(COLUMNS(*)) FROM ${reader(true, columns)}`);
    throw error;
  }
  const from = reader(
    header,
    found.map(({ name }) => name),
  );
  const typed = found.length <= mostTypedColumns;
  // Its rows, of two bytes at least, are then all among those that detection reads.
  const whole = hasAtMost(request, 2 * sampleRows) ? head : undefined;
  const open =
    typed && mayBeOpen(found, delimiter, whole)
      ? await openColumns(connection, from, found)
      : new Set();
  const propose = (name: string, type: string) =>
    open.has(name) ? unsure : proposedRung(type, dateFormat);
  const columns = found.map(({ name, type }) => ({
    name,
    expression: quoteIdentifier(name),
    rungs: typed ? textRungs : [],
    proposal: typed ? propose(name, type) : settled,
  }));
  return { from, columns };
}

function hasTemporal(found: readonly NamedType[]): boolean {
  return found.some(({ type }) => /^(DATE|TIMESTAMP)/.test(type));
}

/**
 * Whether `openColumns` may find one. Of a source that detection has seen whole, a column that holds nothing is text, as it was
 * found to be; and days that are all written as 2024-02-29 were found by it as what they are.
 * @param whole all of the source, where detection has seen that
 */
function mayBeOpen(
  found: readonly NamedType[],
  delimiter: string,
  whole: string | undefined,
): boolean {
  if (whole === undefined) return true;
  if (!hasTemporal(found)) return false;
  if (found.some(({ type }) => type.startsWith("TIMESTAMP"))) return true;
  const isEdge = (character: string | undefined) =>
    character === undefined || character === delimiter || /[\s"]/.test(character);
  for (const { 0: text, index } of whole.matchAll(new RegExp(day, "g"))) {
    const isField = isEdge(whole[index - 1]) && isEdge(whole[index + text.length]);
    if (isField && !/^\d{4}-\d{2}-\d{2}$/.test(text)) return true;
  }
  return false;
}

/** A day, in any order. */
const day = "\\d{1,4}[-/.]\\d{1,2}[-/.]\\d{1,4}";

/**
 * The columns of whose type the start of a source says nothing: those that hold nothing there, and those of days,
 * once there is one, as detection reads all days of a file in the way of the first.
 */
async function openColumns(
  connection: DuckDBConnection,
  from: string,
  found: readonly NamedType[],
): Promise<Set<string>> {
  const temporal = hasTemporal(found);
  const facts = found.flatMap(({ name, type }) => {
    const id = quoteIdentifier(name);
    // Those it found to be days hold up to the check of each value.
    const days = temporal && ["VARCHAR", "TIMESTAMP"].includes(type);
    return [
      `count(${id})`,
      days ? `bool_and(regexp_full_match(${id}, ${quoteLiteral(`\\s*${day}\\s*`)}))` : "false",
    ];
  });
  const seen = await connection.runAndReadAll(
    `SELECT ${facts.join(", ")} FROM (FROM ${from} LIMIT ${sampleRows})`,
  );
  const [row] = seen.getRowsJS();
  const isOpen = (index: number) => row?.[2 * index] === 0n || row?.[2 * index + 1] === true;
  return new Set(found.filter((_, index) => isOpen(index)).map(({ name }) => name));
}
