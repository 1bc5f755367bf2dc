import type { RejectionReason } from "./rejection.ts";
import { malformedCode } from "./source-error.ts";
import { type Compression, endingOf, type SourceFormat } from "./source-key.ts";

/** What a source's name says of it. */
interface Named {
  format: SourceFormat;
  compression: Compression;
}

/** No text in UTF-8 begins so. */
const packings = [
  { magic: "1f8b", packing: "gzip" },
  { magic: "28b52ffd", packing: "zstd" },
] as const;

/** `PAR1`, with which a header line may begin, and the first byte of what each Parquet file has next, with which none goes on. */
const parquetStart = "5041523115";

/**
 * Why a source that is to be text is none, where its first bytes say what it is instead.
 * @param bytes the start of the source, unpacked as its name says
 */
export function otherThanText(
  bytes: Buffer,
  { format, compression }: Named,
): RejectionReason | undefined {
  const code = malformedCode(format);
  const start = bytes.subarray(0, 5).toString("hex");
  if (start === parquetStart) {
    return { code, message: "the file is Parquet", expected: nameFor("parquet", compression) };
  }
  const packing = packings.find(({ magic }) => start.startsWith(magic))?.packing;
  if (packing === undefined) return undefined;
  if (compression !== "none") {
    const message = `the file is packed twice: it is ${packing} inside as well`;
    return { code, message, expected: "a file that is packed once" };
  }
  const expected = `${nameFor(format, packing)}, or the file unpacked`;
  return { code, message: `the file is packed with ${packing}`, expected };
}

function nameFor(format: SourceFormat, compression: Compression): string {
  return `a name that ends in ${endingOf(format, compression)}`;
}

/** As far as the first key and its colon: `[` and `{` alone may be the first fields of a file of one column. */
const startOfRecords = /^\s*\[\s*\{\s*"(?:[^"\\\r\n]|\\.)*"\s*:/;
const startOfPage = /^\s*<(?:!doctype\s+html|html)(?=[\s>])/i;

/**
 * Why a source that is to be CSV is none, where it begins as JSON or HTML does. DuckDB would take its first line for a
 * header. So may a person's be, `{id},name` or `<b>,c`: what is not plainly the other is CSV.
 * @param head the start of the source
 */
export function otherThanCsv(
  head: string,
  { format, compression }: Named,
): RejectionReason | undefined {
  const code = malformedCode(format);
  // trim() and \s count a byte order mark as space.
  if (startOfPage.test(head)) {
    return {
      code,
      message: "the file looks like HTML, as a page that came in place of a download",
      expected: `the ${format.toUpperCase()} itself: look at the file, and fetch it anew`,
    };
  }
  const first = head.trimStart().split(/[\r\n]/, 1)[0] as string;
  const records = startOfRecords.test(head) ? "array" : recordsIn(first);
  if (records === undefined) return undefined;
  const [message, name] = {
    array: ["the file looks like JSON, an array of objects", nameFor("json", compression)],
    object: ["the file looks like JSON, an object a line", nameFor("ndjson", compression)],
  }[records] as [string, string];
  return { code, message, expected: `${name}, or ${format.toUpperCase()}` };
}

/** What a whole line of JSON is. Undefined for any other line, and for JSON that holds no key. */
function recordsIn(line: string): "array" | "object" | undefined {
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch {
    return undefined;
  }
  if (Array.isArray(value)) return value.length > 0 && value.every(isRecord) ? "array" : undefined;
  return isRecord(value) ? "object" : undefined;
}

function isRecord(value: unknown): boolean {
  return (
    typeof value === "object" &&
    value !== null &&
    !Array.isArray(value) &&
    Object.keys(value).length > 0
  );
}
