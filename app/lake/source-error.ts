import { MillpondError } from "../errors.ts";
import type { RejectionReason } from "./rejection.ts";
import type { SourceFormat } from "./source-key.ts";

/** A source that can't be read as it is: no other try of the same version would end otherwise. */
export class SourceError extends MillpondError {
  readonly reason: RejectionReason;

  constructor(reason: RejectionReason) {
    super(reason.code, reason.message);
    this.name = "SourceError";
    this.reason = reason;
  }
}

export const sourceAdvice = {
  empty: "at least a header line, or one record",
  utf8: "text in UTF-8, which `iconv -f LATIN1 -t UTF-8 old.csv > new.csv` writes from Latin-1",
  utf16: "text in UTF-8, which `iconv -f UTF-16 -t UTF-8 old.csv > new.csv` writes from UTF-16",
  csv: "the same number of fields on each line, a header line first, fields with line breaks or separators in double quotes",
  json: "a JSON array of objects, or one JSON object after the other",
  parquet: "a whole Parquet file",
  packed: "a whole file, packed as its name says",
} as const;

/** What a line with more fields than the first one has most often come from. */
const moreFields =
  "lines before the header, such as a title or a comment, are not skipped: delete them; a decimal comma needs quotes, or a point instead";

export function emptyFile(message: string): SourceError {
  return new SourceError({ code: "empty-file", message, expected: sourceAdvice.empty });
}

/** Which of DuckDB's readers reads such a file. */
function kindOf(format: SourceFormat): "csv" | "json" | "parquet" {
  return format === "tsv" ? "csv" : format === "ndjson" ? "json" : format;
}

/** The code of a file whose content is not what its name says. */
export function malformedCode(format: SourceFormat): string {
  return `malformed-${kindOf(format)}`;
}

const linePattern = /CSV Error on Line: (\d+)/;
const columnPattern = /when converting column "(.*)"\. Could not/;
const jsonPattern = /(at byte \d+ )?in (line|record\/value) (\d+)/;

/** DuckDB's advice names options, and a path, that mean nothing to the person who dropped the file. */
function firstSentences(message: string, file: string): string {
  const sentences = message
    .replaceAll(`"${file}"`, "")
    .replaceAll(`'${file}'`, "")
    .replace(/^[A-Z][A-Za-z ]*Error: /, "")
    .replace(/CSV Error on Line: \d+\n/, "")
    // The line itself may be long, and may hold line breaks: the place says enough.
    .replace(/Original Line: [\s\S]*?\n(?=[A-Z])/, "")
    .replace(/ (in|of) file *,? /, " ")
    .split(/\n\n|\n ?Possible |[\n.]\s*Try [a-z]+ing |, try ignore_errors|\nLINE /)[0] as string;
  return sentences
    .replace(/\s*\n\s*/g, "; ")
    .replace(/ {2,}/g, " ")
    .trim()
    .slice(0, 500);
}

function hasMoreFields(message: string): boolean {
  const [, wanted, found] = /Expected Number of Columns: (\d+) Found: (\d+)/.exec(message) ?? [];
  return Number(found) > Number(wanted);
}

/** What DuckDB says of its own workings, in words of the file. */
function plainWords(text: string): string {
  if (/state machine reached an invalid state/.test(text)) {
    return "some lines end in CRLF and others in LF, or a double quote stands where none may";
  }
  if (/^Error when sniffing|not possible to automatically detect/.test(text)) {
    return "the lines don't have the same fields";
  }
  return text;
}

/**
 * Where DuckDB finds a JSON source wrong. What it can't parse it has counted already when it says so: the number is that of the line,
 * or the record, behind it. What it can't turn into a type has its own.
 */
function placeInJson(message: string): { line?: string; record?: string; words: string } {
  const [, parsing, kind, number] = jsonPattern.exec(message) ?? [];
  if (number === undefined) return { words: "" };
  const own = String(Math.max(1, Number(number) - (parsing === undefined ? 0 : 1)));
  return { [kind === "line" ? kind : "record"]: own, words: ` in ${kind} ${number}` };
}

/**
 * Reads what DuckDB says of a source into a reason that names the place.
 * @param file the path under which DuckDB read it
 */
export function reasonFrom(message: string, format: SourceFormat, file: string): RejectionReason {
  const json = placeInJson(message);
  const line = linePattern.exec(message)?.[1] ?? json.line;
  const column = columnPattern.exec(message)?.[1];
  const { record } = json;
  const place = {
    ...(line === undefined ? {} : { line: Number(line) }),
    ...(column === undefined ? {} : { column }),
  };
  if (/not utf-8 encoded|invalid UTF-8|Invalid unicode/i.test(message)) {
    return {
      code: "not-utf8",
      message: "the file holds bytes that are not UTF-8",
      expected: sourceAdvice.utf8,
      ...place,
    };
  }
  // Where it is stands beside the message.
  const text = plainWords(firstSentences(message, file)).replace(json.words, "");
  const advice = sourceAdvice[kindOf(format)];
  return {
    code: malformedCode(format),
    message: record === undefined || text.includes("record") ? text : `${text} (record ${record})`,
    expected: hasMoreFields(message) ? `${advice}; ${moreFields}` : advice,
    ...place,
  };
}
