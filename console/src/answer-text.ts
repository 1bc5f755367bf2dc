import { type AnswerStart, readAnswerStart } from "../../app/query/answer-start.ts";

/**
 * The first rows of an answer in JSON, and no more of it.
 * @param most rows, and characters of JSON that are taken of a longer answer
 */
export async function readBeginning(
  body: ReadableStream<Uint8Array>,
  most: { rows: number; characters: number },
): Promise<AnswerStart> {
  return await readAnswerStart(piecesOf(body), most);
}

/** For browsers in which a stream is no iterable yet. */
async function* piecesOf(body: ReadableStream<Uint8Array>): AsyncIterable<Uint8Array> {
  const reader = body.getReader();
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      yield value;
    }
  } finally {
    await reader.cancel();
  }
}

/** Where a number stood in the text. @see https://tc39.es/proposal-json-parse-with-source/ */
type Reviver = (
  this: unknown,
  key: string,
  value: unknown,
  context?: { source: string },
) => unknown;
const { rawJSON } = JSON as { rawJSON?: (text: string) => object };

/** Numbers that a double would change stay as they are written, in browsers that know how (since 2023 to 2025). */
export function parseExactly(text: string): unknown {
  const reviver: Reviver = (_, value, context) =>
    typeof value === "number" &&
    rawJSON !== undefined &&
    context !== undefined &&
    context.source !== String(value)
      ? rawJSON(context.source)
      : value;
  return JSON.parse(text, reviver as (this: unknown, key: string, value: unknown) => unknown);
}

/** Types whose values hold JSON's numbers as somebody wrote them. */
export function holdsNumbers(type: string): boolean {
  return /^(JSON|STRUCT|MAP|VARIANT)\b|\]$/.test(type);
}
