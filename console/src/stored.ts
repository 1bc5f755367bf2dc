/**
 * What a browser keeps of this page: for the tab (session), or for all of them (local). A browser may refuse it, as its user or its
 * quota says, and what is there may be anything: the page then goes on with what it knows itself.
 */
class Stored {
  readonly #area: () => Storage;
  readonly #own = new Map<string, string>();

  /** @param area called anew each time, as even to name it throws where it is refused */
  constructor(area: () => Storage) {
    this.#area = area;
  }

  get(key: string): string | null {
    const own = this.#own.get(key);
    if (own !== undefined) return own;
    try {
      return this.#area().getItem(key);
    } catch {
      return null;
    }
  }

  set(key: string, value: string): void {
    try {
      this.#area().setItem(key, value);
      this.#own.delete(key);
    } catch {
      this.#own.set(key, value);
    }
  }

  clear(key: string): void {
    this.#own.delete(key);
    try {
      this.#area().removeItem(key);
    } catch {
      // There is nothing, then.
    }
  }

  texts(key: string): string[] {
    try {
      const known: unknown = JSON.parse(this.get(key) ?? "[]");
      return Array.isArray(known) ? known.filter((one) => typeof one === "string") : [];
    } catch {
      return [];
    }
  }

  /** Puts a text before all others, each once. They are read anew: another tab may have added some. */
  addText(key: string, text: string): string[] {
    const texts = [text, ...this.texts(key).filter((one) => one !== text)].slice(0, mostTexts);
    let room = mostCharacters;
    const kept = texts.filter((one) => {
      room -= one.length;
      return room >= 0;
    });
    this.set(key, JSON.stringify(kept));
    return texts;
  }
}

const mostTexts = 50;
/** Of all texts of a key: a browser keeps about five million for all of a page. */
const mostCharacters = 500_000;

export const tab = new Stored(() => sessionStorage);
export const browser = new Stored(() => localStorage);
