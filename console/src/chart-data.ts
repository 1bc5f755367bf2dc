import { isNumeric } from "../../app/query/number-type.ts";
import { numberText } from "../../app/text.ts";
import type { Column, Row } from "./api.ts";
import { isTemporal, placeOf, shown } from "./format.ts";
import { type ChartChoice, type ChartKind, rowCount } from "./link.ts";

export const isNumber = ({ type }: Column) => isNumeric(type);
/** Whether its values have an order along an axis. */
const isPlace = (column: Column) => isNumber(column) || isTemporal(column.type);

/** A chart that suits the columns: how often each value is there, where they hold no number. */
export function defaultChart(columns: Column[]): ChartChoice | undefined {
  const numbers = columns.flatMap((column, i) => (isNumber(column) ? [i] : []));
  const time = columns.findIndex(({ type }) => isTemporal(type));
  const words = columns.findIndex((column) => !isPlace(column));
  const [first, second] = numbers;
  if (columns.length === 0) return undefined;
  if (first === undefined) return { kind: "bar", x: words >= 0 ? words : time, y: rowCount };
  if (time >= 0) return { kind: "line", x: time, y: first };
  if (words >= 0) return { kind: "bar", x: words, y: first };
  if (second !== undefined) return { kind: "scatter", x: first, y: second };
  return { kind: "histogram", x: first, y: first };
}

/** Which columns may lie across a chart. */
export const across: Record<ChartKind, (column: Column) => boolean> = {
  line: isPlace,
  scatter: isPlace,
  histogram: isNumber,
  bar: () => true,
};

/** The choice with columns of which its kind can be drawn. Undefined where there are none. */
export function fitting(choice: ChartChoice, columns: Column[]): ChartChoice | undefined {
  const { kind } = choice;
  const fits = (i: number, need: (column: Column) => boolean) => {
    const column = columns[i];
    return column !== undefined && need(column);
  };
  const x = fits(choice.x, across[kind]) ? choice.x : columns.findIndex(across[kind]);
  if (x < 0) return undefined;
  if (kind === "histogram") return { ...choice, x };
  const counts = kind === "bar" && choice.y === rowCount;
  if (counts || fits(choice.y, isNumber)) return { ...choice, x };
  const other = columns.findIndex((column, i) => i !== x && isNumber(column));
  const y = other >= 0 ? other : columns.findIndex(isNumber);
  if (y < 0 && kind !== "bar") return undefined;
  return { kind, x, y: y < 0 ? rowCount : y };
}

export interface Drawn {
  xs: number[];
  ys: (number | null)[];
  /** Of bars that stand for words. */
  labels?: string[];
  /** How far a bar goes to either side of its place. */
  half: number;
  /** What a person must know of it beside the picture. */
  note?: string;
}

const mostBars = 60;
const bins = 30;
const nothing: Drawn = { xs: [], ys: [], half: 0 };

export function drawnOf({ kind, x, y }: ChartChoice, columns: Column[], rows: Row[]): Drawn {
  const [lying, standing] = [columns[x], columns[y]];
  if (lying === undefined) return nothing;
  const number = (row: Row, { name, type }: Column) => {
    const place = placeOf(row[name], type);
    return Number.isFinite(place) ? place : null;
  };
  const label = (row: Row) => (row[lying.name] === null ? "NULL" : shown(row[lying.name]));
  if (kind === "histogram") {
    return histogram(rows.map((row) => number(row, lying)).filter((value) => value !== null));
  }
  if (kind === "bar" && y === rowCount) {
    const counts = new Map<string, number>();
    for (const value of rows.map(label)) counts.set(value, (counts.get(value) ?? 0) + 1);
    const sorted = [...counts].sort(([, a], [, b]) => b - a);
    return bars(sorted, (all) => `the ${mostBars} most frequent of ${all} values are drawn`);
  }
  if (standing === undefined) return nothing;
  if (kind === "bar") {
    const pairs = rows.map((row) => [label(row), number(row, standing)] as const);
    return bars(pairs, (all) => `the first ${mostBars} of ${all} rows are drawn`);
  }
  const points = rows
    .map((row) => [number(row, lying), number(row, standing)] as const)
    .filter((point): point is readonly [number, number | null] => point[0] !== null)
    .sort((a, b) => a[0] - b[0]);
  return { xs: points.map(([at]) => at), ys: points.map(([, value]) => value), half: 0 };
}

function bars(
  all: readonly (readonly [string, number | null])[],
  note: (all: string) => string,
): Drawn {
  const drawn = all.slice(0, mostBars);
  return {
    xs: drawn.map((_, i) => i),
    ys: drawn.map(([, value]) => value),
    labels: drawn.map(([label]) => label),
    half: 0.5,
    ...(all.length > mostBars ? { note: note(numberText(all.length)) } : {}),
  };
}

function histogram(values: readonly number[]): Drawn {
  if (values.length === 0) return nothing;
  const least = values.reduce((a, b) => Math.min(a, b), Number.POSITIVE_INFINITY);
  const most = values.reduce((a, b) => Math.max(a, b), Number.NEGATIVE_INFINITY);
  // Each by itself: their difference may be more than a double holds.
  const width = most / bins - least / bins || 1;
  const counts = new Array<number>(bins).fill(0);
  for (const value of values) {
    const bin = Math.min(bins - 1, Math.floor(value / width - least / width));
    counts[bin] = (counts[bin] ?? 0) + 1;
  }
  return {
    xs: counts.map((_, i) => (least / width + i + 0.5) * width),
    ys: counts,
    half: width / 2,
  };
}

/** The range of an axis around its points: never of no width, and with room for the bars at its ends. */
export function rangeAround(
  least: number | null,
  most: number | null,
  half: number,
  alone: number,
): [number, number] {
  if (least === null || most === null) return [0, 1];
  const room = least === most && half === 0 ? alone : half;
  return [least - room, most + room];
}

const mostLabel = 14;
/** A label's, in pixels, as wide as letters of the axis are. */
const letterWidth = 8;

/** Which bars get their labels, and those: as many as there is room for. */
export function labelled(
  labels: readonly string[],
  width: number,
): { at: number[]; text: string[] } {
  const short = labels.map((label) =>
    label.length > mostLabel ? `${label.slice(0, mostLabel - 1)}…` : label,
  );
  const longest = short.reduce((most, label) => Math.max(most, label.length), 1);
  const room = Math.max(1, Math.floor(width / ((longest + 1) * letterWidth)));
  const step = Math.ceil(labels.length / room);
  return { at: labels.flatMap((_, i) => (i % step === 0 ? [i] : [])), text: short };
}
