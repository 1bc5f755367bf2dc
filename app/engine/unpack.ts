import fs from "node:fs";
import path from "node:path";
import { Transform, Writable } from "node:stream";
import { pipeline } from "node:stream/promises";
import zlib from "node:zlib";
import { messageOf } from "../errors.ts";
import { otherThanText } from "../lake/other-kind.ts";
import { emptyFile, SourceError, sourceAdvice } from "../lake/source-error.ts";
import type { Compression } from "../lake/source-key.ts";
import type { ConvertRequest } from "./protocol.ts";

/** Whether a source lies there as it is, and has so many bytes or fewer. */
export function hasAtMost({ source, compression }: ConvertRequest, bytes: number): boolean {
  return compression === "none" && fs.statSync(source).size <= bytes;
}

/** Bytes that the separator is read from. */
const headBytes = 65_536;

function unpacker(compression: Compression) {
  return compression === "gzip" ? zlib.createGunzip() : zlib.createZstdDecompress();
}

/**
 * Unpacks the source and looks at nothing but whether it ends well. DuckDB takes gzip and zstd data that was cut off,
 * or whose checksum is wrong, for the end of the file, and the rows behind would be lost without a word.
 */
export async function checkPacking(request: ConvertRequest): Promise<void> {
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
 * @throws SourceError for a file with nothing in it, or one that is plainly no UTF-8, or no text.
 */
export async function readHead(request: ConvertRequest): Promise<string> {
  const { source, compression } = request;
  const head =
    compression === "none" ? readFirstBytes(source) : await unpackFirstBytes(source, compression);
  const other = otherThanText(head, request);
  if (other !== undefined) throw new SourceError(other);
  const mark = head.subarray(0, 2).toString("hex");
  if (mark === "fffe" || mark === "feff") {
    throw new SourceError({
      code: "not-utf8",
      message: "the file begins with a mark of UTF-16",
      expected: sourceAdvice.utf16,
      line: 1,
    });
  }
  const text = head.toString("utf8");
  // trim() counts the mark as space.
  if (head.length < headBytes && text.trim() === "") throw emptyFile("the file is empty");
  return text;
}

/** At once: of a small file, turns of a stream would take longer than all the rest of its reading. */
function readFirstBytes(file: string): Buffer {
  const descriptor = fs.openSync(file, "r");
  try {
    const buffer = Buffer.alloc(headBytes);
    return buffer.subarray(0, fs.readSync(descriptor, buffer, 0, headBytes, 0));
  } finally {
    fs.closeSync(descriptor);
  }
}

async function unpackFirstBytes(file: string, compression: Compression): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let length = 0;
  for await (const chunk of unpacked(file, compression)) {
    chunks.push(chunk);
    length += chunk.length;
    if (length >= headBytes) break;
  }
  return Buffer.concat(chunks);
}

/** A source's bytes, as far as somebody reads them. @throws SourceError where they can't be unpacked */
async function* unpacked(file: string, compression: Compression): AsyncGenerator<Buffer> {
  const raw = fs.createReadStream(file);
  const chunks = compression === "none" ? raw : raw.pipe(unpacker(compression));
  raw.on("error", (error) => chunks.destroy(error));
  try {
    for await (const chunk of chunks) yield chunk as Buffer;
  } catch (error) {
    throw unpackError(error, compression);
  } finally {
    raw.destroy();
  }
}

const newline = 0x0a;
/** What DuckDB takes for blank: tab, vertical tab, form feed, carriage return, and the blank itself. */
const blanks = new Set([0x09, 0x0b, 0x0c, 0x0d, 0x20]);

/**
 * The line of a source that is its nth one with anything in it, both from 1: DuckDB's JSON reader counts no blank ones.
 * @returns `nth` itself where there are fewer
 * @throws SourceError where it can't be unpacked
 */
export async function lineOfNth(
  { source, compression }: ConvertRequest,
  nth: number,
): Promise<number> {
  const mark = Buffer.from(byteOrderMark);
  let line = 1;
  let full = 0;
  let blank = true;
  let begun = false;
  for await (const chunk of unpacked(source, compression)) {
    const marked = !begun && chunk.subarray(0, mark.length).equals(mark);
    begun = true;
    for (let at = marked ? mark.length : 0; at < chunk.length; at += 1) {
      // Of a line that has something in it only the end counts.
      if (!blank) at = chunk.indexOf(newline, at);
      if (at === -1) break;
      const byte = chunk[at] as number;
      if (byte === newline) {
        line += 1;
        blank = true;
      } else if (!blanks.has(byte)) {
        blank = false;
        full += 1;
        if (full === nth) return line;
      }
    }
  }
  return nth;
}

export const byteOrderMark = "\uFEFF";

/** A copy of a source, unpacked and without the mark at its start, which DuckDB's JSON reader takes for an error. */
export async function withoutMark(request: ConvertRequest): Promise<string> {
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
export async function unpackTo(
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
