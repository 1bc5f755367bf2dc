import { useRef, useState } from "preact/hooks";
import { countText, numberText } from "../../app/text.ts";
import { type Asked, download, type Result, token } from "./api.ts";
import { Chart } from "./chart.tsx";
import { defaultChart } from "./chart-data.ts";
import { curlOf, linkOf, separated, toClipboard } from "./copy.ts";
import { Grid } from "./grid.tsx";
import type { ChartChoice } from "./link.ts";

const formats = ["csv", "parquet", "json", "ndjson"] as const;

/** Rows, a chart of them, and the ways to take them along. */
export function Answer({
  asked,
  result,
  chart,
  choose,
  failed,
}: {
  asked: Asked;
  result: Result;
  chart: ChartChoice | undefined;
  choose: (chart: ChartChoice | undefined) => void;
  failed: (error: unknown) => void;
}) {
  const { columns, rows } = result;
  const possible = defaultChart(columns);
  const [said, setSaid] = useState("");
  const save = async (format: string) => {
    try {
      const { url, free } = await download(asked, format);
      const link = document.createElement("a");
      link.href = url;
      link.download = `${asked.saved ?? "answer"}.${format}`;
      link.click();
      // The browser has begun to read it by then.
      setTimeout(free, 60_000);
    } catch (error) {
      failed(error);
    }
  };
  const order = useRef(rows);
  const copy = async (text: string, what: string) =>
    setSaid(
      (await toClipboard(text)) ? `${what} copied` : "this browser lets no page of plain http copy",
    );
  const copyRows = () => {
    const all = countText(result.count, "row");
    const part =
      result.count > rows.length ? `the first ${numberText(rows.length)} of ${all}` : all;
    void copy(separated(columns, order.current), part);
  };
  const copyLink = () => {
    const link = linkOf(asked, location.origin);
    if (link === undefined) setSaid("this SQL is too long for a link: take the curl line");
    else void copy(link, token.get() === null ? "JSON link" : "JSON link, which asks for a token,");
  };
  const curl = () => curlOf(asked, location.origin, token.get() !== null);
  return (
    <section aria-label="answer">
      <div class="bar">
        {possible !== undefined && rows.length > 0 && (
          <button
            type="button"
            aria-pressed={chart !== undefined}
            onClick={() => choose(chart === undefined ? possible : undefined)}
          >
            Chart
          </button>
        )}
        <button type="button" onClick={copyRows}>
          Copy
        </button>
        {formats.map((format) => (
          <button type="button" key={format} onClick={() => void save(format)}>
            {format}
          </button>
        ))}
        <button type="button" onClick={copyLink}>
          JSON link
        </button>
        <button type="button" onClick={() => void copy(curl(), "curl line")}>
          curl
        </button>
        <span role="status" class="quiet">
          {said}
        </span>
      </div>
      {chart !== undefined && possible !== undefined && (
        <Chart columns={columns} rows={rows} choice={chart} choose={choose} />
      )}
      <Grid columns={columns} rows={rows} order={order} />
    </section>
  );
}
