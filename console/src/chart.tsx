import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import uPlot from "uplot";
import type { Column, Row } from "./api.ts";
import { isNumeric, isTemporal, placeOf, shown } from "./format.ts";
import { type ChartChoice, type ChartKind, chartKinds } from "./link.ts";

/** A chart that suits the columns. Undefined where none does. */
export function defaultChart(columns: Column[]): ChartChoice | undefined {
  const numbers = columns.flatMap(({ type }, i) => (isNumeric(type) ? [i] : []));
  const time = columns.findIndex(({ type }) => isTemporal(type));
  const words = columns.findIndex(({ type }) => !isNumeric(type) && !isTemporal(type));
  const [first, second] = numbers;
  if (first === undefined) return undefined;
  if (time >= 0) return { kind: "line", x: time, y: first };
  if (words >= 0) return { kind: "bar", x: words, y: first };
  if (second !== undefined) return { kind: "scatter", x: first, y: second };
  return { kind: "histogram", x: first, y: first };
}

interface Drawn {
  xs: number[];
  ys: (number | null)[];
  /** Of bars that stand for words. */
  labels?: string[];
}

const mostBars = 60;
const bins = 30;

function drawnOf({ kind, x, y }: ChartChoice, columns: Column[], rows: Row[]): Drawn {
  const [across, up] = [columns[x], columns[y]];
  if (across === undefined || up === undefined) return { xs: [], ys: [] };
  const number = (value: unknown, { type }: Column) => {
    const place = placeOf(value, type);
    return Number.isFinite(place) ? place : null;
  };
  if (kind === "histogram") {
    const values = rows
      .map((row) => number(row[across.name], across))
      .filter((value) => value !== null);
    return histogram(values);
  }
  if (kind === "bar") {
    const shownRows = rows.slice(0, mostBars);
    return {
      xs: shownRows.map((_, i) => i),
      ys: shownRows.map((row) => number(row[up.name], up)),
      labels: shownRows.map((row) => shown(row[across.name])),
    };
  }
  const points = rows
    .map((row) => [number(row[across.name], across), number(row[up.name], up)] as const)
    .filter((point): point is readonly [number, number | null] => point[0] !== null)
    .sort((a, b) => a[0] - b[0]);
  return { xs: points.map(([at]) => at), ys: points.map(([, value]) => value) };
}

function histogram(values: readonly number[]): Drawn {
  const least = values.reduce((a, b) => Math.min(a, b), Number.POSITIVE_INFINITY);
  const most = values.reduce((a, b) => Math.max(a, b), Number.NEGATIVE_INFINITY);
  if (values.length === 0) return { xs: [], ys: [] };
  const width = (most - least) / bins || 1;
  const counts = new Array<number>(bins).fill(0);
  for (const value of values) {
    const bin = Math.min(bins - 1, Math.floor((value - least) / width));
    counts[bin] = (counts[bin] ?? 0) + 1;
  }
  return { xs: counts.map((_, i) => least + (i + 0.5) * width), ys: counts };
}

const needs: Record<ChartKind, (column: Column) => boolean> = {
  line: ({ type }) => isNumeric(type) || isTemporal(type),
  scatter: ({ type }) => isNumeric(type) || isTemporal(type),
  histogram: ({ type }) => isNumeric(type),
  bar: () => true,
};

/** Whether the page is dark, now and when that changes. */
function useDark(): boolean {
  const [query] = useState(() => matchMedia("(prefers-color-scheme: dark)"));
  const [dark, setDark] = useState(query.matches);
  useEffect(() => {
    const changed = () => setDark(query.matches);
    query.addEventListener("change", changed);
    // It may have changed before this was told to listen.
    changed();
    return () => query.removeEventListener("change", changed);
  }, [query]);
  return dark;
}

export function Chart({
  columns,
  rows,
  choice,
  choose,
}: {
  columns: Column[];
  rows: Row[];
  choice: ChartChoice;
  choose: (choice: ChartChoice) => void;
}) {
  const place = useRef<HTMLDivElement>(null);
  const drawn = useMemo(() => drawnOf(choice, columns, rows), [choice, columns, rows]);
  const { kind, x, y } = choice;
  const dark = useDark();
  useEffect(() => {
    const element = place.current;
    if (element === null || drawn.xs.length === 0) return;
    // A canvas takes colours, and knows no variables of a style.
    const { color: ink, outlineColor: accent, borderTopColor: line } = getComputedStyle(element);
    const bars =
      kind === "bar" || kind === "histogram" ? uPlot.paths.bars?.({ size: [0.8, 100] }) : undefined;
    const { labels } = drawn;
    const axis = {
      stroke: ink,
      grid: { stroke: line, width: 1 },
      ticks: { stroke: line, width: 1 },
    };
    const plot = new uPlot(
      {
        width: element.clientWidth,
        height: 280,
        scales: { x: { time: kind !== "bar" && isTemporal(columns[x]?.type ?? "") } },
        legend: { show: false },
        axes: [
          {
            ...axis,
            label: columns[x]?.name ?? "",
            ...(labels === undefined
              ? {}
              : { values: (_: uPlot, splits: number[]) => splits.map((at) => labels[at] ?? "") }),
          },
          { ...axis, size: 70, label: kind === "histogram" ? "rows" : (columns[y]?.name ?? "") },
        ],
        series: [
          {},
          {
            stroke: kind === "scatter" ? "transparent" : accent,
            ...(bars === undefined ? {} : { paths: bars, fill: accent }),
            points: { show: kind === "scatter", fill: accent, stroke: accent, size: 5 },
          },
        ],
      },
      [drawn.xs, drawn.ys],
      element,
    );
    const watch = new ResizeObserver(() =>
      plot.setSize({ width: element.clientWidth, height: 280 }),
    );
    watch.observe(element);
    return () => {
      watch.disconnect();
      plot.destroy();
    };
  }, [drawn, kind, columns, x, y, dark]);

  const option = (fits: (column: Column) => boolean) =>
    columns.map(
      (column, i) =>
        fits(column) && (
          <option value={i} key={column.name}>
            {column.name}
          </option>
        ),
    );
  const said = `${kind} chart of ${columns[y]?.name} by ${columns[x]?.name}, ${drawn.xs.length} points; the table has the values`;
  return (
    <section class="chart" aria-label="chart">
      <div class="bar">
        <label>
          Chart{" "}
          <select
            value={kind}
            onChange={(event) =>
              choose({ ...choice, kind: event.currentTarget.value as ChartKind })
            }
          >
            {chartKinds.map((one) => (
              <option key={one}>{one}</option>
            ))}
          </select>
        </label>
        <label>
          {kind === "histogram" ? "of" : "x"}{" "}
          <select
            value={x}
            onChange={(event) => choose({ ...choice, x: Number(event.currentTarget.value) })}
          >
            {option(needs[kind])}
          </select>
        </label>
        {kind !== "histogram" && (
          <label>
            y{" "}
            <select
              value={y}
              onChange={(event) => choose({ ...choice, y: Number(event.currentTarget.value) })}
            >
              {option(({ type }) => isNumeric(type))}
            </select>
          </label>
        )}
      </div>
      <div ref={place} role="img" aria-label={said} class="plot" />
    </section>
  );
}
