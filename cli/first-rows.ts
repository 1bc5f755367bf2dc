import { MillpondError } from "../app/errors.ts";
import { readAnswerStart } from "../app/query/answer-start.ts";

/** An answer in JSON, as far as it is shown. */
export interface FirstRows {
  meta: { name: string; type: string }[];
  data: Record<string, unknown>[];
}

/** Characters of an answer that are held at most. */
const mostCharacters = 8 * 1024 * 1024;

/**
 * The first rows of an answer in JSON. What comes after them is not read, however much it is; where they are longer than
 * `most` characters, there are fewer.
 * @throws MillpondError `no-answer` for what no pond would say
 */
export async function firstRows(
  answer: AsyncIterable<Uint8Array>,
  rows: number,
  most = mostCharacters,
): Promise<FirstRows> {
  const { text } = await readAnswerStart(answer, { rows, characters: most });
  return parsed(text);
}

function parsed(text: string): FirstRows {
  try {
    const { meta, data } = JSON.parse(text) as FirstRows;
    if (Array.isArray(meta) && Array.isArray(data)) return { meta, data };
  } catch {
    // Said below.
  }
  throw new MillpondError("no-answer", "what came is not what a pond answers: is it its URL?");
}
