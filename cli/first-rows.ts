import { MillpondError } from "../app/errors.ts";

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
  const decoder = new TextDecoder();
  const scan = new RowScan();
  let text = "";
  for await (const chunk of answer) {
    const begin = text.length;
    text += decoder.decode(chunk, { stream: true });
    scan.read(text, begin, rows);
    if (scan.found === rows || text.length > most) return parsed(`${text.slice(0, scan.end)}]}`);
  }
  return parsed(text);
}

/** Where in an answer its rows end, while it comes. */
class RowScan {
  found = 0;
  /** Of the last whole row; where there is none, of what stands before the first. */
  end = 0;
  #depth = 0;
  #quoted = false;
  #escaped = false;
  #inRows = false;

  /** @param begin what was read before ends here */
  read(text: string, begin: number, most: number): void {
    for (let i = begin; i < text.length && this.found < most; i += 1) {
      const sign = text[i];
      if (this.#quoted) {
        if (this.#escaped) this.#escaped = false;
        else if (sign === "\\") this.#escaped = true;
        else if (sign === '"') this.#quoted = false;
      } else if (sign === '"') this.#quoted = true;
      else if (sign === "{" || sign === "[") {
        this.#depth += 1;
        if (sign === "[" && this.#depth === 2 && /"data"\s*:\s*$/.test(text.slice(0, i))) {
          this.#inRows = true;
          this.end = i + 1;
        }
      } else if (sign === "}" || sign === "]") {
        this.#depth -= 1;
        if (this.#depth === 1) this.#inRows = false;
        if (this.#depth !== 2 || !this.#inRows) continue;
        this.found += 1;
        this.end = i + 1;
      }
    }
  }
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
