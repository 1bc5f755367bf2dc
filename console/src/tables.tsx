import { useEffect, useState } from "preact/hooks";
import type { RejectionRecord } from "../../app/lake/rejection.ts";
import type { TableSummary } from "../../app/lake/reports.ts";
import { quoteIdentifier } from "../../app/query/quote.ts";
import { ask, type Row } from "./api.ts";
import { age, bytes, count, duration, isNumeric, plural, shown } from "./format.ts";

/** The lake's tables; one of them opened shows its columns and what is in them. */
export function Tables({
  tables,
  insert,
}: {
  tables: TableSummary[];
  insert: (sql: string) => void;
}) {
  const [open, setOpen] = useState<string | undefined>();
  if (tables.length === 0) {
    return <p class="quiet">No table yet: drop a CSV, JSON or Parquet file on this page.</p>;
  }
  return (
    <ul class="tables">
      {tables.map((table) => {
        const opened = open === table.name;
        return (
          <li key={table.name}>
            <button
              type="button"
              class="table"
              aria-expanded={opened}
              onClick={() => setOpen(opened ? undefined : table.name)}
            >
              <b>{table.name}</b>
              <small>
                {plural(table.rows, "row")} · {bytes(table.bytes)}
                {table.newestSource && ` · ${age(table.newestSource.modified)}`}
              </small>
              {table.rejected > 0 && (
                <small class="bad">{plural(table.rejected, "file")} rejected</small>
              )}
            </button>
            {opened && <Details table={table} insert={insert} />}
          </li>
        );
      })}
    </ul>
  );
}

/** What SUMMARIZE says of one column. */
interface Summary {
  least: string;
  most: string;
  nulls: number;
  distinct: number;
}

function Details({ table, insert }: { table: TableSummary; insert: (sql: string) => void }) {
  const [summary, setSummary] = useState<Map<string, Summary> | string>("looking …");
  const name = quoteIdentifier(table.name);
  useEffect(() => {
    const controller = new AbortController();
    ask({ sql: `SUMMARIZE ${name}` }, controller.signal).then(
      ({ rows }) => setSummary(summaryOf(rows)),
      (error: Error) => controller.signal.aborted || setSummary(error.message),
    );
    return () => controller.abort();
  }, [name]);
  return (
    <div class="details">
      <button type="button" onClick={() => insert(`FROM ${name} LIMIT 100`)}>
        Sample
      </button>
      <button type="button" onClick={() => insert(`SUMMARIZE ${name}`)}>
        Summarize
      </button>
      {typeof summary === "string" && (
        <p class="quiet" role="status">
          {summary}
        </p>
      )}
      <ul>
        {(table.columns ?? []).map((column) => {
          const found = typeof summary === "string" ? undefined : summary.get(column.name);
          return (
            <li key={column.name}>
              <div>
                <b>{column.name}</b> <small>{column.type}</small>
              </div>
              {found && (
                <>
                  <small>
                    {found.least} … {found.most} · {count(found.distinct)} different
                    {found.nulls > 0 && ` · ${found.nulls.toFixed(1)} % NULL`}
                  </small>
                  {found.nulls > 0 && (
                    <meter min={0} max={100} value={found.nulls} aria-label="share of NULL" />
                  )}
                  {isNumeric(column.type) && <Histogram table={table.name} column={column.name} />}
                </>
              )}
            </li>
          );
        })}
      </ul>
    </div>
  );
}

function summaryOf(rows: Row[]): Map<string, Summary> {
  return new Map(
    rows.map((row) => [
      String(row["column_name"]),
      {
        least: short(row["min"]),
        most: short(row["max"]),
        nulls: Number(row["null_percentage"]),
        distinct: Number(row["approx_unique"]),
      },
    ]),
  );
}

function short(value: unknown): string {
  const text = shown(value);
  return text.length > 24 ? `${text.slice(0, 23)}…` : text;
}

const bins = 24;

/** The share of each part of a column's range, in a picture as wide as the list. */
function Histogram({ table, column }: { table: string; column: string }) {
  const [counts, setCounts] = useState<number[]>([]);
  useEffect(() => {
    const controller = new AbortController();
    const [from, value] = [quoteIdentifier(table), quoteIdentifier(column)];
    // Equal values are one bin: their range is nothing to divide by.
    const sql = `WITH b AS (SELECT min(${value})::DOUBLE AS lo, max(${value})::DOUBLE AS hi FROM ${from})
      SELECT least(${bins - 1}, floor(coalesce((${value}::DOUBLE - lo) / nullif(hi - lo, 0), 0) * ${bins}))::INTEGER AS bin, count(*) AS n
      FROM ${from}, b WHERE ${value} IS NOT NULL GROUP BY bin`;
    ask({ sql }, controller.signal).then(
      ({ rows }) => {
        const found = new Array<number>(bins).fill(0);
        for (const { bin, n } of rows) found[Number(bin)] = Number(n);
        setCounts(found);
      },
      // The picture is a help: what is wrong with the table is said elsewhere.
      () => setCounts([]),
    );
    return () => controller.abort();
  }, [table, column]);
  const most = Math.max(...counts, 1);
  if (counts.length === 0) return null;
  return (
    <svg
      class="histogram"
      viewBox={`0 0 ${bins} 10`}
      preserveAspectRatio="none"
      role="img"
      aria-label={`values of ${column}`}
    >
      {counts.map((n, i) => {
        const height = (n / most) * 10;
        return <rect key={i} x={i} y={10 - height} width={0.85} height={height} />;
      })}
    </svg>
  );
}

/** What a person calls soon. */
const soonMs = 10 * 60_000;

/**
 * What is known of the newest file whose rows are there. Of one that still waits nothing is known here. Rows that came much later than
 * their file may be late, or made anew, or of an old file that came lately: so there are two times, and no word for what is between.
 */
export function Freshness({ tables }: { tables: TableSummary[] }) {
  const [newest] = tables
    .flatMap(({ newestSource }) => newestSource ?? [])
    .sort((a, b) => Date.parse(b.modified) - Date.parse(a.modified));
  if (newest === undefined) return null;
  const lag = Math.max(0, Date.parse(newest.queryable) - Date.parse(newest.modified));
  const there =
    lag < soonMs ? `its rows ${duration(lag)} later` : `its rows made ${age(newest.queryable)}`;
  return (
    <small
      class="freshness"
      title={`${newest.key}, written ${newest.modified}; its rows are of ${newest.queryable}. Files that wait are not counted.`}
    >
      newest file {age(newest.modified)}, {there}
    </small>
  );
}

/** What could not be read, with what mends it. */
export function Rejected({ found }: { found: RejectionRecord[] }) {
  if (found.length === 0) return null;
  return (
    <details class="rejected">
      <summary>{plural(found.length, "file")} rejected</summary>
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reached by keyboard */}
      <div class="list" tabIndex={0} role="region" aria-label="rejected files">
        <ul>
          {found.map(({ source, code, message }) => (
            <li key={source.key}>
              <b>{source.key}</b> <small>{code}</small>
              <div>{message}</div>
            </li>
          ))}
        </ul>
      </div>
    </details>
  );
}
