import Table from "cli-table3";
import { isNumeric } from "../app/query/number-type.ts";
import { countText, withoutControls } from "../app/text.ts";
import type { FirstRows } from "./first-rows.ts";

/** What texts, and names of columns, get before another column is left out, with their blanks. */
const leastWidth = 12;

/** Types whose values look like others when they are cut. Lists of them are texts. */
const datesAndTimes = /^(DATE|INTERVAL|TIME[^[\]]*)$/;

/**
 * For people: rows, numbers to the right, and what is left out.
 * @param count of all rows, those that are not here, too
 * @param width of the terminal @default - there is none, and lines are as long as they come
 */
export function answerTable({ meta, data }: FirstRows, count: number, width?: number): string {
  const whole = draw(meta, data);
  const widths =
    width === undefined
      ? undefined
      : fittingWidths(widthsOf(whole), leastWidths({ meta, data }, width), width);
  const columns = widths?.length ?? meta.length;
  const left = [
    ...(columns < meta.length ? [countText(meta.length - columns, "more column")] : []),
    ...(data.length < count ? [countText(count - data.length, "more row")] : []),
  ];
  const table = widths === undefined ? whole : draw(meta.slice(0, columns), data, widths);
  if (left.length === 0) return `${table}\n`;
  return `${table}\n… ${left.join(", ")}: --format csv shows all, --output <file> keeps them\n`;
}

function draw(meta: FirstRows["meta"], rows: FirstRows["data"], colWidths: number[] = []): string {
  const table = new Table({
    head: meta.map(({ name }) => withoutControls(name)),
    colAligns: meta.map(({ type }) => (isNumeric(type) ? "right" : "left")),
    style: { head: [], border: [], compact: true },
    colWidths,
  });
  for (const row of rows) table.push(meta.map(({ name }) => cellOf(row[name])));
  return table.toString();
}

/** As its upper border shows them. */
function widthsOf(table: string): number[] {
  const [border = ""] = table.split("\n");
  return border
    .slice(1, -1)
    .split("┬")
    .map((part) => part.length);
}

/** What each column needs, with its blanks: numbers, dates and times all of theirs, but not for a long name. */
function leastWidths({ meta, data }: FirstRows, width: number): number[] {
  const least = Math.max(3, Math.min(leastWidth, width - 2));
  return meta.map(({ name, type }) => {
    if (!isNumeric(type) && !datesAndTimes.test(type)) return least;
    return data.reduce((most, row) => Math.max(most, cellOf(row[name]).length + 2), least);
  });
}

/**
 * Of as many columns as have room, from the left; the widest ones give way, down to the least. The first one is there in any case:
 * where it has no room, the terminal folds it.
 */
function fittingWidths(natural: readonly number[], least: readonly number[], width: number) {
  let columns = natural.length;
  const widths = (most: number) =>
    natural.slice(0, columns).map((one, i) => Math.min(one, Math.max(most, least[i] ?? 0)));
  const fits = (most: number) => widths(most).reduce((sum, one) => sum + one + 1, 1) <= width;
  while (columns > 1 && !fits(0)) columns -= 1;
  let most = Math.max(...natural);
  while (most > 0 && !fits(most)) most -= 1;
  return widths(most);
}

function cellOf(value: unknown): string {
  if (value === null || value === undefined) return "NULL";
  return withoutControls(typeof value === "object" ? JSON.stringify(value) : String(value));
}
