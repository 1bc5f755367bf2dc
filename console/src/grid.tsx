import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import { isNumeric } from "../../app/query/number-type.ts";
import type { Column, Row } from "./api.ts";
import { Cell, mostCharacters } from "./cell.tsx";
import { shown } from "./format.ts";
import { inOrder, type Sorting } from "./order.ts";

/** Pixels; style.css says the same. */
const rowHeight = 28;
/** Beside the text of a cell, in characters. */
const padding = 3;
/** Rows that are there beyond what is seen, so that scrolling finds them. */
const margin = 10;

/** Rows that scroll, however many there are: those in sight are in the page, and no others. */
export function Grid({
  columns,
  rows,
  order,
}: {
  columns: Column[];
  rows: Row[];
  /** Gets the rows as they are sorted. */
  order: { current: Row[] };
}) {
  const [sorting, setSorting] = useState<Sorting | undefined>();
  const [top, setTop] = useState(0);
  const [height, setHeight] = useState(400);
  const box = useRef<HTMLDivElement>(null);
  const sorted = useMemo(() => inOrder(rows, columns, sorting), [rows, columns, sorting]);
  order.current = sorted;
  // Another answer begins at its beginning.
  useEffect(() => {
    setSorting(undefined);
    box.current?.scrollTo(0, 0);
  }, [rows]);
  useEffect(() => {
    const element = box.current;
    if (element === null) return;
    const watch = new ResizeObserver(() => setHeight(element.clientHeight));
    watch.observe(element);
    return () => watch.disconnect();
  }, []);

  const first = Math.max(0, Math.floor(top / rowHeight) - margin);
  const last = Math.min(sorted.length, Math.ceil((top + height) / rowHeight) + margin);
  const widths = useMemo(() => widthsOf(columns, rows), [columns, rows]);
  const template = widths.map((width) => `${width}ch`).join(" ");
  const toggle = (column: number) =>
    setSorting((now) =>
      now?.column !== column
        ? { column, descending: false }
        : now.descending
          ? undefined
          : { column, descending: true },
    );

  return (
    <div
      class="grid"
      role="table"
      aria-label="result"
      aria-rowcount={rows.length + 1}
      aria-colcount={columns.length}
      ref={box}
      // biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reached by keyboard
      tabIndex={0}
      onScroll={(event) => setTop(event.currentTarget.scrollTop)}
    >
      <div class="row head" role="row" aria-rowindex={1} style={{ gridTemplateColumns: template }}>
        {columns.map(({ name, type }, i) => (
          <div
            key={i}
            role="columnheader"
            class={isNumeric(type) ? "number" : ""}
            aria-sort={
              sorting?.column === i ? (sorting.descending ? "descending" : "ascending") : "none"
            }
          >
            <button type="button" onClick={() => toggle(i)} title={`${name} ${type}: sort`}>
              <b>{name}</b> <small>{type}</small>
              {sorting?.column === i && (
                <span aria-hidden="true">{sorting.descending ? " ↓" : " ↑"}</span>
              )}
            </button>
          </div>
        ))}
      </div>
      <div role="rowgroup" class="body" style={{ height: `${sorted.length * rowHeight}px` }}>
        {sorted.slice(first, last).map((row, i) => (
          <div
            class="row"
            role="row"
            aria-rowindex={first + i + 2}
            key={first + i}
            style={{ gridTemplateColumns: template, top: `${(first + i) * rowHeight}px` }}
          >
            {columns.map(({ name, type }, j) => (
              <div
                role="cell"
                key={j}
                class={[isNumeric(type) && "number", row[name] === null && "null"]
                  .filter(Boolean)
                  .join(" ")}
                title={shown(row[name], type)}
              >
                {row[name] === null ? "NULL" : <Cell text={shown(row[name], type)} />}
              </div>
            ))}
          </div>
        ))}
      </div>
    </div>
  );
}

/** In characters, by the first rows. */
function widthsOf(columns: Column[], rows: Row[]): number[] {
  return columns.map(({ name, type }) => {
    const longest = rows.slice(0, 100).reduce(
      (most, row) => Math.max(most, shown(row[name], type).length),
      // Between them a blank, after them the arrow of what is sorted.
      name.length + type.length + 3,
    );
    return Math.min(mostCharacters, longest) + padding;
  });
}
