import { isNumeric } from "../../app/query/number-type.ts";
import { type Asked, type Column, pathOf, type Row } from "./api.ts";
import { shown } from "./format.ts";

/**
 * Rows as spreadsheets take them from the clipboard: a cell in quotes may hold tabs, lines and quotes.
 *
 * A spreadsheet runs what begins with `=`, `+`, `-` or `@` as a formula, whoever wrote the cell. Such a text gets a `'` before it,
 * by which spreadsheets know a text; numbers, also those in columns of text, stay as they are. The exports change nothing.
 */
export function separated(columns: readonly Column[], rows: readonly Row[]): string {
  const head = columns.map(({ name }) => cellOf(name));
  const lines = rows.map((row) =>
    columns.map(({ name, type }) => {
      const text = shown(row[name], type);
      return isNumeric(type) ? text : cellOf(text);
    }),
  );
  return [head, ...lines].map((line) => line.join("\t")).join("\n");
}

const number = /^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i;

function cellOf(text: string): string {
  const safe = /^[=+\-@\t\r\n]/.test(text) && !number.test(text) ? `'${text}` : text;
  return /^"|[\t\r\n]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
}

/** Longer URLs are refused on the way: API Gateway takes 10,240 bytes of a request's line and headers. */
const longestLink = 8000;

/** Where the answer is as JSON. Undefined where its SQL is too long for a URL. */
export function linkOf(asked: Asked, origin: string): string | undefined {
  const link = `${origin}${pathOf(asked, "json")}`;
  return link.length > longestLink ? undefined : link;
}

/**
 * A line for a shell. SQL goes in the body, as a URL has no room for long SQL. Never with the token: what is copied ends up anywhere.
 * @param guarded whether the server asks for a token
 */
export function curlOf(asked: Asked, origin: string, guarded: boolean): string {
  const quoted = (text: string) => `'${text.replaceAll("'", "'\\''")}'`;
  const authorization = guarded ? ' -H "Authorization: Bearer $TOKEN"' : "";
  if (asked.saved !== undefined) {
    return `curl -L${authorization} ${quoted(`${origin}${pathOf(asked, "csv")}`)}`;
  }
  const body = quoted(JSON.stringify({ sql: asked.sql }));
  return `curl -L${authorization} -H 'Content-Type: application/json' --data-raw ${body} ${quoted(`${origin}/query?format=csv`)}`;
}

/**
 * Puts a text on the clipboard. Browsers have one for pages of https and of this machine alone; elsewhere, as by --host, the older way is left.
 * @returns whether it is there
 */
export async function toClipboard(text: string): Promise<boolean> {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    const holder = document.createElement("textarea");
    const focused = document.activeElement;
    holder.value = text;
    document.body.append(holder);
    holder.select();
    const done = document.execCommand("copy");
    holder.remove();
    if (focused instanceof HTMLElement) focused.focus();
    return done;
  }
}
