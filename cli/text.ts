/** Text for a terminal. */

export function secondsText(milliseconds: number): string {
  return `${(milliseconds / 1000).toFixed(2)} s`;
}

/** Rows of cells in columns: text to the left, everything from the second column on to the right. */
export function columnsText(rows: readonly (readonly string[])[]): string {
  const widths = (rows[0] ?? []).map((_, i) => Math.max(...rows.map((row) => row[i]?.length ?? 0)));
  return rows
    .map((row) =>
      row
        .map((cell, i) => (i === 0 ? cell.padEnd(widths[i] ?? 0) : cell.padStart(widths[i] ?? 0)))
        .join("  ")
        .trimEnd(),
    )
    .join("\n");
}

/**
 * Sentences for a terminal, whose own way is to cut words: a line that is too long ends behind a mark. What stands between two marks
 * stays whole, as a command must to be copied; and so does DuckDB's picture of a line of SQL.
 */
export function foldedText(text: string, width: number): string {
  const [, sentences = "", picture = ""] = /^(.*?)((?:\n\nLINE \d+: .*)?)$/s.exec(text) ?? [];
  const lines = sentences.split("\n").map((line) => {
    const indent = `${/^ */.exec(line)?.[0]}  `;
    let room = width;
    return line
      .split(/(?<=[:;,]) /)
      .map((part, at) => {
        const fits = at === 0 || part.length + 1 <= room;
        room = fits ? room - part.length - (at === 0 ? 0 : 1) : width - indent.length - part.length;
        return at === 0 ? part : `${fits ? " " : `\n${indent}`}${part}`;
      })
      .join("");
  });
  return `${lines.join("\n")}${picture}`;
}

/** The same where a stream is a terminal; scripts get their lines whole. */
export function fittedTo(stream: NodeJS.WriteStream, text: string): string {
  // Some terminals don't say how wide they are.
  return stream.isTTY ? foldedText(text, stream.columns || 80) : text;
}
