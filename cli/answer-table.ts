import Table from "cli-table3";
import { isNumeric } from "../app/query/number-type.ts";
import { countText, withoutControls } from "../app/text.ts";
import type { FirstRows } from "./first-rows.ts";

/** What a column gets before another is left out, with its blanks: a date in full, and most numbers. */
const leastWidth = 12;

/**
 * For people: rows, numbers to the right, and what is left out.
 * @param count of all rows, those that are not here, too
 * @param width of the terminal @default - there is none, and lines are as long as they come
 */
export function answerTable({ meta, data }: FirstRows, count: number, width?: number): string {
  const whole = draw(meta, data);
  const widths = width === undefined ? undefined : fittingWidths(widthsOf(whole), width);
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

/** Of as many columns as have room, from the left; the widest ones give way. */
function fittingWidths(natural: readonly number[], width: number): number[] {
  let columns = natural.length;
  const fits = (most: number) => {
    const widths = natural.slice(0, columns).map((one) => Math.min(one, most));
    return widths.reduce((sum, one) => sum + one + 1, 1) <= width ? widths : undefined;
  };
  while (columns > 1 && fits(leastWidth) === undefined) columns -= 1;
  for (let most = Math.max(...natural); most > 3; most -= 1) {
    const widths = fits(most);
    if (widths !== undefined) return widths;
  }
  return [3];
}

function cellOf(value: unknown): string {
  if (value === null || value === undefined) return "NULL";
  return withoutControls(typeof value === "object" ? JSON.stringify(value) : String(value));
}
