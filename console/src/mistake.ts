/** Where a mistake stands in SQL, as far as the server's answer says. */
export interface Place {
  from: number;
  to: number;
}

/**
 * @param sql with `\n` alone at the ends of lines
 * @param details what the server tells beside its message
 * @returns undefined where that names no place
 */
export function placeOfMistake(
  sql: string,
  message: string,
  details: Readonly<Record<string, unknown>>,
): Place | undefined {
  const pointed = placeOfCaret(sql, message);
  if (pointed !== undefined) return pointed;
  if (/syntax error at end of input/.test(message)) return placeOfEnd(sql);
  const name = details["function"] ?? details["table"];
  if (typeof name !== "string") return undefined;
  return placeOfName(sql, name, details["function"] !== undefined);
}

/** DuckDB shows `LINE 2: … text` and a caret below the place; a long line it cuts at both sides. */
function placeOfCaret(sql: string, message: string): Place | undefined {
  const [, number = "", shownLine = "", below = ""] =
    /^LINE (\d+): (.*)\n( *)\^/m.exec(message) ?? [];
  const lines = sql.split("\n");
  const line = lines[Number(number) - 1];
  if (line === undefined) return undefined;
  const cutLeft = shownLine.startsWith("...") && !line.startsWith(shownLine);
  const cutRight = shownLine.endsWith("...") && !line.endsWith(shownLine);
  const part = shownLine.slice(cutLeft ? 3 : 0, cutRight ? -3 : undefined);
  const begin = cutLeft && !cutRight ? line.length - part.length : line.indexOf(part);
  // What stands there more than once says no place.
  const unsure = cutLeft && cutRight && line.indexOf(part, begin + 1) >= 0;
  if (begin < 0 || unsure || !line.startsWith(part, begin)) return undefined;
  const column = below.length - `LINE ${number}: `.length - (cutLeft ? 3 : 0);
  const start = lines.slice(0, Number(number) - 1).reduce((sum, one) => sum + one.length + 1, 0);
  const at = begin + indexAt(part, column);
  const word = /^[\p{L}\p{N}_]+/u.exec(line.slice(at))?.[0].length ?? 1;
  return { from: start + at, to: start + Math.min(line.length, at + word) };
}

const clusters = new Intl.Segmenter("en", { granularity: "grapheme" });
/** What a terminal shows two columns wide, as DuckDB counts it. */
const wide =
  /^(?:(?!\p{Regional_Indicator})\p{Emoji_Presentation}|\p{Script=Han}|\p{Script=Hiragana}|\p{Script=Katakana}|\p{Script=Hangul}|\p{Script=Bopomofo}|\p{Script=Yi}|[\u3000-\u303e\uff01-\uff60\uffe0-\uffe6])/u;

/** Which character stands at a column of a terminal. */
function indexAt(text: string, column: number): number {
  let passed = 0;
  for (const { segment, index } of clusters.segment(text)) {
    // Tabs and their like have no width there.
    const width = /^\p{Cc}/u.test(segment) ? 0 : wide.test(segment) ? 2 : 1;
    if (passed >= column && width > 0) return index;
    passed += width;
  }
  return text.length;
}

/** The last word: after it something is missing. */
function placeOfEnd(sql: string): Place | undefined {
  const words = [...withoutTexts(sql).matchAll(/[\p{L}\p{N}_]+|[^\s\p{L}\p{N}_]/gu)];
  const last = words.at(-1);
  return last === undefined ? undefined : { from: last.index, to: last.index + last[0].length };
}

/** Where a name stands that the server doesn't know, or not there: a function before `(`. */
function placeOfName(sql: string, name: string, called: boolean): Place | undefined {
  const escaped = name.replace(/[.*+?^${}()|[\]\\]/g, "\\$&");
  const plain = `(?<![\\p{L}\\p{N}_."])${escaped}(?![\\p{L}\\p{N}_"])`;
  const quoted = `"${escaped.replaceAll('"', '""')}"`;
  const pattern = new RegExp(
    `(?:${plain}|${quoted})${called ? "(?=\\s*\\()" : "(?!\\s*[.(])"}`,
    "giu",
  );
  const bare = withoutTexts(sql);
  const found = [...bare.matchAll(pattern)];
  // A table may be called like a column: what follows FROM, JOIN or a comma is more likely meant.
  const first = called
    ? found[0]
    : (found.find(({ index }) =>
        /\b(from|join|summarize|describe|table)\s+$/iu.test(bare.slice(0, index)),
      ) ?? found[0]);
  return first === undefined ? undefined : { from: first.index, to: first.index + first[0].length };
}

/** The same text with blanks for what is in quotes and comments. */
function withoutTexts(sql: string): string {
  return sql.replace(/'(?:[^']|'')*'|--[^\n]*|\/\*[\s\S]*?\*\//g, (text) =>
    text.startsWith("'") ? `'${" ".repeat(text.length - 2)}'` : text.replace(/[^\n]/g, " "),
  );
}
