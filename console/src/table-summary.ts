import { isNumeric } from "../../app/query/number-type.ts";
import { quoteIdentifier } from "../../app/query/quote.ts";
import type { Column, Row } from "./api.ts";
import { isTemporal, shown } from "./format.ts";

/**
 * What is in a table, in two passes over it however many columns there are. `SUMMARIZE` has it in one, but fails altogether where one
 * column holds one NaN or infinity ("STDDEV_SAMP is out of range").
 */

export interface ColumnSummary {
  /** Undefined for columns that have no order. */
  range: [least: string, most: string] | undefined;
  /** In percent. */
  nulls: number;
  /** About: it is DuckDB's estimate. Undefined where nobody asked. */
  distinct: number | undefined;
  /** NaN and infinities, which the range and the picture leave out. */
  odd: number;
  /** Between which numbers the picture lies: of the values, seconds, or lengths. */
  span: [number, number] | undefined;
}

export interface Picture {
  column: string;
  /** Whether it is of the lengths of texts, not of what they say. */
  lengths: boolean;
  bars: { label: string; rows: number }[];
}

const mostBins = 24;

/** Columns of which DuckDB knows the least and the most. */
function isOrdered(type: string): boolean {
  return (
    isNumeric(type) || isTemporal(type) || /^(VARCHAR|BOOLEAN|TIME|UUID|INTERVAL|ENUM)\b/.test(type)
  );
}

/** The one form of moments of which DuckDB tells the seconds. */
function momentOf(value: string, type: string): string {
  return /^TIMESTAMP_/.test(type) ? `${value}::TIMESTAMP` : value;
}

/** Which values count for the range. */
function finite({ name, type }: Column): string | undefined {
  const value = quoteIdentifier(name);
  if (isTemporal(type)) return `isfinite(${momentOf(value, type)})`;
  return /^(FLOAT|DOUBLE)$/.test(type) ? `isfinite(${value})` : undefined;
}

/** The number that the picture lies along. Undefined where it has none. */
function measure({ name, type }: Column): string | undefined {
  const value = quoteIdentifier(name);
  if (isTemporal(type)) return `epoch(${momentOf(value, type)})`;
  if (isNumeric(type)) return `${value}::DOUBLE`;
  return type === "VARCHAR" ? `length(${value})::DOUBLE` : undefined;
}

export function summarySql(table: string, columns: readonly Column[]): string {
  const asked = columns.flatMap((column, i) => {
    const value = quoteIdentifier(column.name);
    const parts = [`count(${value}) AS n${i}`];
    if (!isOrdered(column.type)) return parts;
    const [within, along] = [finite(column), measure(column)];
    const only = within === undefined ? "" : ` FILTER (${within})`;
    for (const end of ["min", "max"]) {
      parts.push(`left((${end}(${value})${only})::VARCHAR, 60) AS ${end}${i}`);
      if (along !== undefined) parts.push(`${end}(${along})${only} AS ${end}_along${i}`);
    }
    if (within !== undefined) parts.push(`count(*) FILTER (NOT ${within}) AS odd${i}`);
    return [...parts, `approx_count_distinct(${value}) AS distinct${i}`];
  });
  return `SELECT ${["count(*) AS n", ...asked].join(", ")} FROM ${quoteIdentifier(table)}`;
}

export function readSummary([row = {}]: Row[], columns: readonly Column[]): ColumnSummary[] {
  const all = Number(row["n"]);
  return columns.map((_, i) => {
    const given = Number(row[`n${i}`]);
    const [least, most] = [row[`min${i}`], row[`max${i}`]];
    const span = [row[`min_along${i}`], row[`max_along${i}`]];
    const distinct = row[`distinct${i}`];
    return {
      range: typeof least === "string" && typeof most === "string" ? [least, most] : undefined,
      nulls: all === 0 ? 0 : ((all - given) / all) * 100,
      distinct: distinct === undefined ? undefined : Math.min(given, Number(distinct)),
      odd: Number(row[`odd${i}`] ?? 0),
      span: span.every((end) => typeof end === "number") ? (span as [number, number]) : undefined,
    };
  });
}

/** Whether each value is a bar of its own: texts of which there are few. */
function isListed({ type }: Column, { distinct = 0 }: ColumnSummary): boolean {
  return /^(BOOLEAN|ENUM)\b/.test(type) || (type === "VARCHAR" && distinct <= mostBins);
}

/** Asks for the pictures. Undefined where no column has one. */
export function picturesSql(
  table: string,
  columns: readonly Column[],
  summaries: readonly ColumnSummary[],
): string | undefined {
  const asked = columns.flatMap((column, i) => {
    const summary = summaries[i];
    if (summary === undefined) return [];
    const value = quoteIdentifier(column.name);
    if (isListed(column, summary)) return [`histogram(left(${value}::VARCHAR, 60)) AS h${i}`];
    const along = measure(column);
    if (along === undefined || summary.span === undefined) return [];
    const [least, most] = summary.span;
    // By halves: the whole range may be more than a double holds. Rows that came meanwhile may lie beyond it.
    const share = `(${along} / 2 - ${literal(least / 2)}) / ${literal(most / 2 - least / 2)}`;
    const bin =
      least === most ? "0" : `greatest(0, least(${mostBins - 1}, floor(${share} * ${mostBins})))`;
    const within = finite(column) ?? `${value} IS NOT NULL`;
    return [`histogram(${bin}::INTEGER) FILTER (${within}) AS h${i}`];
  });
  if (asked.length === 0) return undefined;
  return `SELECT ${asked.join(", ")} FROM ${quoteIdentifier(table)}`;
}

function literal(value: number): string {
  return `'${value}'::DOUBLE`;
}

export function readPictures(
  [row = {}]: Row[],
  columns: readonly Column[],
  summaries: readonly ColumnSummary[],
): (Picture | undefined)[] {
  return columns.map((column, i) => {
    const [found, summary] = [row[`h${i}`], summaries[i]];
    if (typeof found !== "object" || found === null || summary === undefined) return undefined;
    const counts = Object.entries(found).map(([key, n]) => [key, Number(n)] as const);
    if (isListed(column, summary)) {
      const bars = counts
        .map(([label, rows]) => ({ label, rows }))
        .sort((a, b) => b.rows - a.rows)
        .slice(0, mostBins);
      return { column: column.name, lengths: false, bars };
    }
    const bars = Array.from({ length: mostBins }, () => ({ label: "", rows: 0 }));
    for (const [bin, rows] of counts) bars[Number(bin)] = { label: "", rows };
    return { column: column.name, lengths: column.type === "VARCHAR", bars };
  });
}

/** What a picture shows, for whoever doesn't see it. */
export function told({ column, lengths, bars }: Picture): string {
  const of = lengths ? `lengths of ${column}` : `values of ${column}`;
  const named = bars.filter(({ label }) => label !== "").slice(0, 5);
  const list = named.map(({ label, rows }) => `${short(label)} ${rows}`).join(", ");
  return list === "" ? of : `${of}: ${list}`;
}

export function short(value: unknown, type?: string): string {
  const text = shown(value, type);
  return text.length > 24 ? `${text.slice(0, 23)}…` : text;
}
