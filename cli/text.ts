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

/** A command in as few lines as it takes, which a shell reads as one. @param parts none of which is parted */
export function foldedCommand(parts: readonly string[], width: number): string {
  const lines: string[] = [];
  for (const [at, part] of parts.entries()) {
    const last = lines.at(-1);
    // The backslash has room, too, where something follows.
    const length = (last?.length ?? 0) + 1 + part.length + (at < parts.length - 1 ? 2 : 0);
    if (last !== undefined && length <= width) lines[lines.length - 1] = `${last} ${part}`;
    else lines.push(`${last === undefined ? "" : "  "}${part}`);
  }
  return lines.join(" \\\n");
}

/** Sentences, folded where a stream is a terminal; scripts get their lines whole. */
export function fittedTo(stream: NodeJS.WriteStream, text: string): string {
  return foldedText(text, widthOf(stream));
}

/** How long a line of it may be. */
export function widthOf(stream: NodeJS.WriteStream): number {
  // Some terminals don't say how wide they are.
  return stream.isTTY ? stream.columns || 80 : Number.POSITIVE_INFINITY;
}
