import { useEffect, useState } from "preact/hooks";
import type { RejectionRecord } from "../../app/lake/rejection.ts";
import type { TableSummary } from "../../app/lake/reports.ts";
import { isNumeric } from "../../app/query/number-type.ts";
import { quoteIdentifier } from "../../app/query/quote.ts";
import { bytesText, countText, numberText } from "../../app/text.ts";
import { ask, type Column, type Result } from "./api.ts";
import { age, duration, shown } from "./format.ts";
import {
  type ColumnSummary,
  type Picture,
  picturesSql,
  readPictures,
  readSummary,
  short,
  summarySql,
  told,
} from "./table-summary.ts";

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
                {countText(table.rows, "row")} · {bytesText(table.bytes)}
                {table.newestSource && ` · ${age(table.newestSource.modified)}`}
              </small>
              {table.rejected > 0 && (
                <small class="bad">{countText(table.rejected, "file")} rejected</small>
              )}
            </button>
            {opened && <Details table={table} insert={insert} />}
          </li>
        );
      })}
    </ul>
  );
}

const sampleRows = 5;

/** A few rows, and what is in each column, until the table is closed. */
function Details({ table, insert }: { table: TableSummary; insert: (sql: string) => void }) {
  const [sample, setSample] = useState<Result | undefined>();
  const [found, setFound] = useState<Found | undefined>();
  const [said, setSaid] = useState("looking …");
  const { name, columns, rows, bytes: size, newestSource } = table;
  const from = quoteIdentifier(name);
  // Another version of the table is looked at anew; what was found stays until then.
  const version = JSON.stringify([name, columns, rows, size, newestSource]);
  useEffect(() => {
    const controller = new AbortController();
    const { signal } = controller;
    const look = async () => {
      const [sampled, looked] = await Promise.all([
        ask({ sql: `FROM ${from} LIMIT ${sampleRows}` }, signal),
        columns === null ? undefined : lookInto(name, columns, signal),
      ]);
      setSample(sampled);
      setFound(looked);
      setSaid("");
    };
    look().catch((error: Error) => signal.aborted || setSaid(error.message));
    return () => controller.abort();
  }, [version]);
  return (
    <div class="details">
      <button type="button" onClick={() => insert(`FROM ${from} LIMIT 100`)}>
        Query
      </button>
      <button type="button" onClick={() => insert(`SUMMARIZE ${from}`)}>
        Summarize
      </button>
      {said !== "" && (
        <p class="quiet" role="status">
          {said}
        </p>
      )}
      {sample !== undefined && <Sample name={name} sample={sample} />}
      <ul>
        {(found?.columns ?? columns ?? []).map((column, i) => (
          <li key={column.name}>
            <div>
              <b>{column.name}</b> <small>{column.type}</small>
            </div>
            <Contents summary={found?.summaries[i]} />
            <Histogram picture={found?.pictures[i]} />
          </li>
        ))}
      </ul>
    </div>
  );
}

interface Found {
  columns: Column[];
  summaries: ColumnSummary[];
  pictures: (Picture | undefined)[];
}

async function lookInto(name: string, columns: Column[], signal: AbortSignal): Promise<Found> {
  const { rows } = await ask({ sql: summarySql(name, columns) }, signal);
  const summaries = readSummary(rows, columns);
  const sql = picturesSql(name, columns, summaries);
  const drawn = sql === undefined ? [] : (await ask({ sql }, signal)).rows;
  return { columns, summaries, pictures: readPictures(drawn, columns, summaries) };
}

function Sample({ name, sample: { columns, rows } }: { name: string; sample: Result }) {
  return (
    <section
      class="sample"
      aria-label={`sample of ${name}`}
      // biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reached by keyboard
      tabIndex={0}
    >
      <table>
        <thead>
          <tr>
            {columns.map((column) => (
              <th key={column.name} scope="col">
                {column.name}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {rows.map((row, i) => (
            <tr key={i}>
              {columns.map((column) => (
                <td
                  key={column.name}
                  class={isNumeric(column.type) ? "number" : ""}
                  title={shown(row[column.name], column.type)}
                >
                  {row[column.name] === null ? "NULL" : short(row[column.name], column.type)}
                </td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
    </section>
  );
}

function Contents({ summary }: { summary: ColumnSummary | undefined }) {
  if (summary === undefined) return null;
  const { range, distinct, nulls, odd } = summary;
  const said = [
    range?.map((end) => short(end)).join(" … "),
    distinct !== undefined && `about ${numberText(distinct)} different`,
    nulls > 0 && `${nulls.toFixed(1)} % NULL`,
    odd > 0 && `${numberText(odd)} NaN or infinite`,
  ];
  return (
    <>
      <small>{said.filter(Boolean).join(" · ")}</small>
      {nulls > 0 && <meter min={0} max={100} value={nulls} aria-label="share of NULL" />}
    </>
  );
}

/** How a column's values are spread, in a picture as wide as the list. */
function Histogram({ picture }: { picture: Picture | undefined }) {
  if (picture === undefined || picture.bars.length === 0) return null;
  const { bars } = picture;
  const most = Math.max(...bars.map(({ rows }) => rows), 1);
  return (
    <>
      {picture.lengths && <small>lengths:</small>}
      <svg
        class="histogram"
        viewBox={`0 0 ${Math.max(bars.length, 6)} 10`}
        preserveAspectRatio="none"
        role="img"
        aria-label={told(picture)}
      >
        {bars.map(({ label, rows }, i) => {
          const height = (rows / most) * 10;
          return (
            <rect key={i} x={i} y={10 - height} width={0.85} height={height}>
              {label !== "" && <title>{`${label}: ${numberText(rows)}`}</title>}
            </rect>
          );
        })}
      </svg>
    </>
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
      <summary>{countText(found.length, "file")} rejected</summary>
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reached by keyboard */}
      <div class="list" tabIndex={0} role="region" aria-label="rejected files">
        <ul>
          {found.map(({ source, code, message, line }) => (
            <li key={source.key}>
              <b>{source.key}</b> <small>{code}</small>
              <div>
                {line !== undefined && `line ${line}: `}
                {message}
              </div>
            </li>
          ))}
        </ul>
      </div>
    </details>
  );
}
