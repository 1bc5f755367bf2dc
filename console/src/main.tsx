import "uplot/dist/uPlot.min.css";
import "./style.css";
import { render } from "preact";
import { useCallback, useEffect, useRef, useState } from "preact/hooks";
import type { TableSummary } from "../../app/lake/reports.ts";
import {
  type Asked,
  ask,
  download,
  tables as listTables,
  Problem,
  problemOf,
  type Result,
  type ShownQuery,
  savedQueries,
  token,
} from "./api.ts";
import { Chart } from "./chart.tsx";
import { defaultChart } from "./chart-data.ts";
import { curlOf, linkOf, separated, toClipboard } from "./copy.ts";
import { createEditor, type Editor } from "./editor.ts";
import { count, plural, shown } from "./format.ts";
import { Grid } from "./grid.tsx";
import { type ChartChoice, readLink, writeLink } from "./link.ts";
import { Freshness, Rejected, Tables } from "./tables.tsx";
import { Upload } from "./upload.tsx";

const historyKey = "millpond-history";
const mostHistory = 50;
/** Of the tables, while the page is looked at. */
const lookEveryMs = 30_000;

function readHistory(): string[] {
  const known: unknown = JSON.parse(localStorage.getItem(historyKey) ?? "[]");
  return Array.isArray(known) ? known.filter((one) => typeof one === "string") : [];
}

type Outcome =
  | { kind: "none" }
  | { kind: "running" }
  | { kind: "result"; asked: Asked; result: Result }
  | { kind: "problem"; problem: Problem };

function App() {
  const [asksToken, setAsksToken] = useState(false);
  const [tables, setTables] = useState<TableSummary[] | undefined>();
  const [version, setVersion] = useState(0);
  /** Why the tables are not known, or no longer. */
  const [lost, setLost] = useState<string | undefined>();
  const [saved, setSaved] = useState<ShownQuery[]>([]);
  const [outcome, setOutcome] = useState<Outcome>({ kind: "none" });
  const [chart, setChart] = useState<ChartChoice | undefined>(readLink(location.hash).chart);
  const [past, setPast] = useState(readHistory);
  const running = useRef<AbortController | undefined>(undefined);
  const editor = useRef<Editor | undefined>(undefined);
  const place = useRef<HTMLDivElement>(null);

  const failed = useCallback((error: unknown) => {
    const problem = problemOf(error);
    if (problem.status === 401) {
      token.clear();
      setAsksToken(true);
    }
    setOutcome({ kind: "problem", problem });
    return problem;
  }, []);

  const load = useCallback(async () => {
    try {
      const found = await listTables();
      setTables(found);
      setLost(undefined);
      setVersion((before) => before + 1);
      editor.current?.complete(found);
    } catch (error) {
      // What somebody reads stays: nobody asked for this.
      if (error instanceof Problem && error.status === 401) failed(error);
      else setLost(`the tables can't be listed: ${(error as Error).message}`);
    }
  }, [failed]);

  const run = useCallback(
    async (asked: Asked, keptChart?: ChartChoice) => {
      running.current?.abort();
      const controller = new AbortController();
      running.current = controller;
      editor.current?.mark(undefined);
      setOutcome({ kind: "running" });
      if (asked.saved === undefined) {
        setPast((before) => {
          const next = [asked.sql, ...before.filter((one) => one !== asked.sql)].slice(
            0,
            mostHistory,
          );
          localStorage.setItem(historyKey, JSON.stringify(next));
          return next;
        });
      }
      try {
        const result = await ask(asked, controller.signal);
        const fits =
          keptChart !== undefined &&
          keptChart.x < result.columns.length &&
          keptChart.y < result.columns.length;
        const chosen = fits ? keptChart : undefined;
        setChart(chosen);
        setOutcome({ kind: "result", asked, result });
        if (asked.saved === undefined) remember(asked.sql, chosen);
      } catch (error) {
        if (controller.signal.aborted) return;
        const problem = failed(error);
        if (asked.saved === undefined) editor.current?.mark(problem);
      }
    },
    [failed],
  );

  const runText = useCallback(() => void run({ sql: editor.current?.text() ?? "" }), [run]);
  const insert = useCallback(
    (sql: string) => {
      editor.current?.replace(sql);
      void run({ sql });
    },
    [run],
  );

  /** What there is, and what the link asks for. */
  const begin = () => {
    void load();
    savedQueries().then(setSaved, () => setSaved([]));
    const { sql, chart: linked } = readLink(location.hash);
    if (sql !== undefined) void run({ sql }, linked);
  };

  // The editor is made once, and what it calls is what it was made with.
  useEffect(() => {
    const { sql } = readLink(location.hash);
    const made = createEditor(place.current as HTMLElement, sql ?? readHistory()[0] ?? "", {
      run: runText,
      changed: () => made.mark(undefined),
    });
    editor.current = made;
    begin();
    const look = () => document.hidden || void load();
    const looking = setInterval(look, lookEveryMs);
    // Whoever comes back to the page wants to see what is there now.
    document.addEventListener("visibilitychange", look);
    return () => {
      clearInterval(looking);
      document.removeEventListener("visibilitychange", look);
      made.destroy();
    };
  }, []);

  const choose = (next: ChartChoice | undefined) => {
    setChart(next);
    if (outcome.kind === "result" && outcome.asked.saved === undefined) {
      remember(outcome.asked.sql, next);
    }
  };
  const signIn = (given: string) => {
    token.set(given);
    setAsksToken(false);
    setOutcome({ kind: "none" });
    begin();
  };

  return (
    <>
      <header>
        <h1>Millpond</h1>
        {tables !== undefined && <Freshness tables={tables} />}
        <Rejected version={version} />
        {token.get() !== null && (
          <button
            type="button"
            onClick={() => {
              token.clear();
              location.reload();
            }}
          >
            Forget token
          </button>
        )}
      </header>
      {asksToken && <TokenForm done={signIn} />}
      <nav aria-label="lake">
        <h2>Tables</h2>
        {lost !== undefined && (
          <p class="bad" role="alert">
            {lost}
          </p>
        )}
        {tables === undefined ? (
          <p class="quiet" role="status">
            {lost === undefined && "looking …"}
          </p>
        ) : (
          <Tables tables={tables} insert={insert} />
        )}
        {tables !== undefined && <Upload tables={tables} arrived={() => void load()} />}
        {saved.length > 0 && (
          <>
            <h2>Saved queries</h2>
            {saved.map((query) => (
              <SavedForm key={query.name} query={query} run={(asked) => void run(asked)} />
            ))}
          </>
        )}
        {past.length > 0 && (
          <details class="past">
            <summary>History</summary>
            <ol>
              {past.map((sql) => (
                <li key={sql}>
                  <button type="button" onClick={() => insert(sql)}>
                    {sql}
                  </button>
                </li>
              ))}
            </ol>
          </details>
        )}
      </nav>
      <main>
        <section aria-label="query">
          <div ref={place} class="editor" />
          <div class="bar">
            <button type="button" class="run" onClick={runText}>
              Run <kbd>Ctrl-Enter</kbd>
            </button>
            {outcome.kind === "running" && (
              <button
                type="button"
                onClick={() => {
                  running.current?.abort();
                  setOutcome({ kind: "none" });
                }}
              >
                Stop
              </button>
            )}
            <span role="status" class="quiet">
              {outcome.kind === "running" && "running …"}
              {outcome.kind === "result" && summary(outcome.result)}
            </span>
          </div>
        </section>
        {outcome.kind === "problem" && outcome.problem.status !== 401 && (
          <pre class="problem" role="alert">
            {outcome.problem.message}
          </pre>
        )}
        {outcome.kind === "result" && (
          <Answer {...outcome} chart={chart} choose={choose} failed={failed} />
        )}
      </main>
    </>
  );
}

function remember(sql: string, chart: ChartChoice | undefined): void {
  const link = writeLink({ sql, ...(chart === undefined ? {} : { chart }) });
  window.history.replaceState(null, "", link);
}

function summary({ count: all, rows, seconds }: Result): string {
  const cut = all > rows.length ? `, the first ${count(rows.length)} are shown` : "";
  return `${plural(all, "row")}${cut} in ${seconds.toFixed(3)} s`;
}

const formats = ["csv", "parquet", "json", "ndjson"] as const;

function Answer({
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
    const all = plural(result.count, "row");
    const part = result.count > rows.length ? `the first ${count(rows.length)} of ${all}` : all;
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

function TokenForm({ done }: { done: (token: string) => void }) {
  const input = useRef<HTMLInputElement>(null);
  useEffect(() => input.current?.focus(), []);
  return (
    <form
      class="token"
      onSubmit={(event) => {
        event.preventDefault();
        const given = input.current?.value.trim() ?? "";
        if (given !== "") done(given);
      }}
    >
      <label>
        Token <input ref={input} type="password" autocomplete="off" required />
      </label>
      <button type="submit">Enter</button>
      <small>It is kept until this tab is closed.</small>
    </form>
  );
}

/** What keeps a person from typing what the server would refuse. */
const inputs = {
  // Not a browser's number: that is a double.
  integer: { type: "text", inputMode: "numeric", pattern: "[+\\-]?[0-9]{1,38}" },
  number: { type: "number", step: "any" },
  date: { type: "date" },
} as const;

type Parameter = ShownQuery["parameters"][number];

function Field(parameter: Parameter) {
  return (
    // biome-ignore lint/a11y/noLabelWithoutControl: the value is its control
    <label>
      {parameter.name} <small>{parameter.description}</small>
      <Value {...parameter} />
    </label>
  );
}

function Value({ name, type, default: fallback }: Parameter) {
  if (type === "boolean") {
    return (
      <select name={name} required={fallback === undefined}>
        <option value="">{fallback === undefined ? "" : `${fallback}, the default`}</option>
        <option>true</option>
        <option>false</option>
      </select>
    );
  }
  // An empty text is a value: the default stands there, and can be taken away.
  if (type === "text") return <input name={name} type="text" defaultValue={fallback ?? ""} />;
  return (
    <input
      name={name}
      {...inputs[type]}
      required={fallback === undefined}
      placeholder={shown(fallback)}
    />
  );
}

function SavedForm({ query, run }: { query: ShownQuery; run: (asked: Asked) => void }) {
  const { name, description, parameters } = query;
  return (
    <details class="saved">
      <summary>
        {name} <small>{description}</small>
      </summary>
      <form
        onSubmit={(event) => {
          event.preventDefault();
          const texts = new Set(
            parameters.flatMap(({ name, type }) => (type === "text" ? name : [])),
          );
          const values = Object.fromEntries(
            [...new FormData(event.currentTarget)].filter(
              ([name, value]) => value !== "" || texts.has(name),
            ),
          );
          run({ saved: name, values: values as Record<string, string> });
        }}
      >
        {parameters.map((parameter) => (
          <Field key={parameter.name} {...parameter} />
        ))}
        <button type="submit">Run</button>
      </form>
    </details>
  );
}

render(<App />, document.body);
