/** The JSON of an answer as it arrives, of which somebody takes the first rows and leaves the rest unread. */
export interface AnswerStart {
  /** JSON by itself: the whole answer, or its `meta` and first rows. */
  text: string;
  rows: number;
}

/**
 * Reads `{"meta": […], "data": [{…}, …], …}` until it has the rows that are wanted, and ends the reading then.
 * @param most rows, and characters of JSON that are taken of a longer answer
 */
export async function readAnswerStart(
  answer: AsyncIterable<Uint8Array>,
  most: { rows: number; characters: number },
): Promise<AnswerStart> {
  const decoder = new TextDecoder();
  const parts: string[] = [];
  const place = new Place();
  let length = 0;
  const take = (part: string) => {
    parts.push(part);
    place.goOn(part, most.rows);
    length += part.length;
  };
  for await (const piece of answer) {
    take(decoder.decode(piece, { stream: true }));
    if (place.rows >= most.rows || length > most.characters) {
      return { text: `${parts.join("").slice(0, place.end)}]}`, rows: place.rows };
    }
  }
  take(decoder.decode());
  return { text: parts.join(""), rows: place.rows };
}

const [quote, backslash, open, close, openList, closeList] = [...'"\\{}[]'].map((one) =>
  one.charCodeAt(0),
);

/** How deep in the JSON the reading is: a row ends where an object does, in the second list. */
class Place {
  rows = 0;
  /** After the last row that is whole, or where the first would begin. */
  end = 0;
  #read = 0;
  #depth = 0;
  #lists = 0;
  #quoted = false;
  #escaped = false;

  goOn(part: string, most: number): void {
    for (let i = 0; i < part.length && this.rows < most; i += 1) {
      const code = part.charCodeAt(i);
      if (this.#quoted) {
        if (this.#escaped) this.#escaped = false;
        else if (code === backslash) this.#escaped = true;
        else if (code === quote) this.#quoted = false;
      } else if (code === quote) {
        this.#quoted = true;
      } else if (code === open || code === openList) {
        this.#depth += 1;
        if (code === openList && this.#depth === 2) {
          this.#lists += 1;
          this.end = this.#read + i + 1;
        }
      } else if (code === close || code === closeList) {
        this.#depth -= 1;
        if (code === close && this.#depth === 2 && this.#lists === 2) {
          this.rows += 1;
          this.end = this.#read + i + 1;
        }
      }
    }
    this.#read += part.length;
  }
}
