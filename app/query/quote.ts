/**
 * The one place where text becomes SQL. Values are bound instead, wherever DuckDB takes a parameter; it takes none for
 * identifiers, file lists and COPY targets.
 */

export function quoteIdentifier(name: string): string {
  return `"${name.replaceAll('"', '""')}"`;
}

export function quoteLiteral(text: string): string {
  // A NUL would end the statement's text early inside DuckDB's C API.
  if (text.includes("\0")) throw new RangeError("a NUL can't stand in a SQL literal");
  return `'${text.replaceAll("'", "''")}'`;
}

export function quoteList(texts: readonly string[]): string {
  return `[${texts.map(quoteLiteral).join(", ")}]`;
}

/** A name as DuckDB compares it: without regard to the case of the letters that ASCII has, and of no others. */
export function foldName(name: string): string {
  return name.replace(/[A-Z]/g, (letter) => letter.toLowerCase());
}
