import { useEffect, useMemo, useRef } from "preact/hooks";
import uPlot from "uplot";
import type { Column, Row } from "./api.ts";
import { across, drawnOf, fitting, isNumber, labelled, rangeAround } from "./chart-data.ts";
import { isTemporal } from "./format.ts";
import { type ChartChoice, type ChartKind, chartKinds, rowCount } from "./link.ts";
import { useMedia } from "./media.ts";

/** Of seconds, to either side of a moment that is alone. */
const halfADay = 43_200;
/** Pixels; style.css says the same. */
const height = 280;
/** Pixels, of the numbers beside the picture and what they are. */
const sideWidth = 70;
/** Bars begin at zero, upwards and downwards. */
const fromZero = { pad: 0.1, soft: 0, mode: 1 as const };

export function Chart({
  columns,
  rows,
  choice: given,
  choose,
}: {
  columns: Column[];
  rows: Row[];
  choice: ChartChoice;
  choose: (choice: ChartChoice) => void;
}) {
  const place = useRef<HTMLDivElement>(null);
  const fitted = useMemo(() => fitting(given, columns), [given, columns]);
  const choice = fitted ?? given;
  const drawn = useMemo(
    () => (fitted === undefined ? undefined : drawnOf(fitted, columns, rows)),
    [fitted, columns, rows],
  );
  const { kind, x, y } = choice;
  const upright = kind === "histogram" || y === rowCount ? "rows" : (columns[y]?.name ?? "");
  const dark = useMedia("(prefers-color-scheme: dark)");
  useEffect(() => {
    const element = place.current;
    if (element === null || drawn === undefined || drawn.xs.length === 0) return;
    // A canvas takes colours, and knows no variables of a style.
    const { color: ink, outlineColor: accent, borderTopColor: line } = getComputedStyle(element);
    const bars =
      kind === "bar" || kind === "histogram" ? uPlot.paths.bars?.({ size: [0.8, 100] }) : undefined;
    const { labels, half } = drawn;
    const time = kind !== "bar" && isTemporal(columns[x]?.type ?? "");
    const shownLabels = labels && labelled(labels, element.clientWidth - sideWidth);
    const axis = {
      stroke: ink,
      grid: { stroke: line, width: 1 },
      ticks: { stroke: line, width: 1 },
    };
    const plot = new uPlot(
      {
        width: element.clientWidth,
        height,
        // A day is the same day wherever the page is looked at, and the server's moments are in UTC.
        tzDate: (seconds) => uPlot.tzDate(new Date(seconds * 1000), "UTC"),
        scales: {
          x: {
            time,
            range: (_, least, most) => rangeAround(least, most, half, time ? halfADay : 1),
          },
          ...(bars === undefined ? {} : { y: { range: { min: fromZero, max: fromZero } } }),
        },
        legend: { show: false },
        axes: [
          {
            ...axis,
            label: columns[x]?.name ?? "",
            ...(shownLabels === undefined
              ? {}
              : {
                  splits: () => shownLabels.at,
                  values: (_: uPlot, splits: number[]) =>
                    splits.map((at) => shownLabels.text[at] ?? ""),
                }),
          },
          { ...axis, size: sideWidth, label: upright },
        ],
        series: [
          {},
          {
            stroke: kind === "scatter" ? "transparent" : accent,
            ...(bars === undefined ? {} : { paths: bars, fill: accent }),
            // Of a line those that would not be seen, as none is beside them.
            points: {
              ...(kind === "line" ? {} : { show: kind === "scatter" }),
              fill: accent,
              stroke: accent,
              size: 5,
            },
          },
        ],
      },
      [drawn.xs, drawn.ys],
      element,
    );
    const watch = new ResizeObserver(() => plot.setSize({ width: element.clientWidth, height }));
    watch.observe(element);
    return () => {
      watch.disconnect();
      plot.destroy();
    };
  }, [drawn, kind, columns, x, upright, dark]);

  const option = (fits: (column: Column) => boolean) =>
    columns.map(
      (column, i) =>
        fits(column) && (
          <option value={i} key={column.name}>
            {column.name}
          </option>
        ),
    );
  const points = drawn?.xs.length ?? 0;
  const said = `${kind} chart of ${upright} by ${columns[x]?.name}, ${points} points; the table has the values`;
  const note =
    drawn === undefined
      ? `a ${kind} needs columns that this answer has not: numbers, or days beside numbers`
      : points === 0
        ? "there is no value to draw in these columns"
        : drawn.note;
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
            {option(across[kind])}
          </select>
        </label>
        {kind !== "histogram" && (
          <label>
            y{" "}
            <select
              value={y}
              onChange={(event) => choose({ ...choice, y: Number(event.currentTarget.value) })}
            >
              {kind === "bar" && <option value={rowCount}>rows</option>}
              {option(isNumber)}
            </select>
          </label>
        )}
        {note !== undefined && (
          <span role="status" class="quiet">
            {note}
          </span>
        )}
      </div>
      <div ref={place} role="img" aria-label={said} class="plot" />
    </section>
  );
}
