import "uplot/dist/uPlot.min.css";
import "./style.css";
import { render } from "preact";
import { useCallback, useEffect, useRef, useState } from "preact/hooks";
import type { TableSummary } from "../../app/lake/reports.ts";
import { countText, numberText } from "../../app/text.ts";
import { Answer } from "./answer.tsx";
import {
  type Asked,
  ask,
  tables as listTables,
  type Problem,
  problemOf,
  type Result,
  token,
} from "./api.ts";
import { createEditor, type Editor } from "./editor.ts";
import { Lake } from "./lake.tsx";
import { type ChartChoice, readLink, sameAsked, writeLink } from "./link.ts";
import { useMedia } from "./media.ts";
import { browser, tab } from "./stored.ts";
import { Freshness, Rejected } from "./tables.tsx";
import { TokenForm } from "./token-form.tsx";
import { useLake } from "./use-lake.ts";

const historyKey = "millpond-history";
/** What this tab has run, as links. */
const ranKey = "millpond-ran";
/** Of the tables, while the page is looked at. */
const lookEveryMs = 30_000;

type Outcome =
  | { kind: "none" }
  | { kind: "running" }
  | { kind: "result"; asked: Asked; result: Result }
  | { kind: "problem"; problem: Problem };

function App() {
  const [asksToken, setAsksToken] = useState(false);
  const [outcome, setOutcome] = useState<Outcome>({ kind: "none" });
  /** What the last link asked for, and the same for as long as nobody has run it. */
  const [followed, setFollowed] = useState<Asked | undefined>();
  const [linked, setLinked] = useState<Asked | undefined>();
  const [chart, setChart] = useState<ChartChoice | undefined>();
  const [past, setPast] = useState(() => browser.texts(historyKey));
  const running = useRef<AbortController | undefined>(undefined);
  const editor = useRef<Editor | undefined>(undefined);
  const place = useRef<HTMLDivElement>(null);
  // What is above the other is before it, too: by Tab, and for who listens.
  const narrow = useMedia("(max-width: 50rem)");

  const askToken = useCallback(() => {
    token.clear();
    setAsksToken(true);
  }, []);
  const complete = useCallback((found: TableSummary[]) => editor.current?.complete(found), []);
  const known = useLake(askToken, complete);
  const { tables, rejected, load } = known;

  const failed = useCallback(
    (error: unknown) => {
      const problem = problemOf(error);
      if (problem.status === 401) askToken();
      setOutcome({ kind: "problem", problem });
      return problem;
    },
    [askToken],
  );

  const run = useCallback(
    async (asked: Asked) => {
      running.current?.abort();
      const controller = new AbortController();
      running.current = controller;
      editor.current?.mark(undefined);
      setLinked(undefined);
      setOutcome({ kind: "running" });
      // The chart belongs to the question: who asks the same again wants the same picture.
      const before = readLink(location.hash);
      const keptChart = sameAsked(before.asked, asked) ? before.chart : undefined;
      remember(asked, keptChart);
      tab.addText(ranKey, writeLink({ asked }));
      if (asked.saved === undefined) setPast(browser.addText(historyKey, asked.sql));
      try {
        const result = await ask(asked, controller.signal);
        controller.signal.throwIfAborted();
        const fits =
          keptChart !== undefined &&
          keptChart.x < result.columns.length &&
          keptChart.y < result.columns.length;
        const chosen = fits ? keptChart : undefined;
        setChart(chosen);
        setOutcome({ kind: "result", asked, result });
        remember(asked, chosen);
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

  /** Any page can lead a browser to a link: what it asks for is shown, and run at once only if this tab has run it before. */
  const follow = useCallback(() => {
    const { asked } = readLink(location.hash);
    if (asked === undefined) return;
    setFollowed(asked);
    if (asked.saved === undefined && editor.current?.text() !== asked.sql) {
      editor.current?.replace(asked.sql);
    }
    if (tab.texts(ranKey).includes(writeLink({ asked }))) {
      void run(asked);
      return;
    }
    running.current?.abort();
    setOutcome({ kind: "none" });
    setLinked(asked);
  }, [run]);

  // The editor is made once, and what it calls is what it was made with.
  useEffect(() => {
    const text = browser.texts(historyKey)[0] ?? "";
    const made = createEditor(place.current as HTMLElement, text, runText);
    editor.current = made;
    void load();
    follow();
    const look = () => document.hidden || void load();
    const looking = setInterval(look, lookEveryMs);
    // Whoever comes back to the page wants to see what is there now.
    document.addEventListener("visibilitychange", look);
    // A link that is pasted over this page's own, and the browser's way back.
    window.addEventListener("hashchange", follow);
    const changed = ({ key }: StorageEvent) => {
      if (key === historyKey) setPast(browser.texts(historyKey));
    };
    window.addEventListener("storage", changed);
    return () => {
      clearInterval(looking);
      document.removeEventListener("visibilitychange", look);
      window.removeEventListener("hashchange", follow);
      window.removeEventListener("storage", changed);
      made.destroy();
    };
  }, []);

  const choose = (next: ChartChoice | undefined) => {
    setChart(next);
    if (outcome.kind === "result") remember(outcome.asked, next);
  };
  /** @returns why it is not the one */
  const signIn = async (given: string): Promise<string | undefined> => {
    token.set(given);
    try {
      await listTables();
    } catch (error) {
      token.clear();
      const { status, message } = problemOf(error);
      return status === 401 ? "the server does not know this token" : message;
    }
    setAsksToken(false);
    setOutcome((now) =>
      now.kind === "problem" && now.problem.status === 401 ? { kind: "none" } : now,
    );
    place.current?.querySelector<HTMLElement>(".cm-content")?.focus();
    void load();
    follow();
    return undefined;
  };

  const lake = (
    <Lake
      key="lake"
      known={known}
      closed={asksToken}
      followed={followed}
      past={past}
      insert={insert}
      run={run}
      askToken={askToken}
    />
  );
  const asking = (
    <main key="asking">
      {linked !== undefined && (
        <section aria-label="link" class="notice">
          <p role="status">
            {linked.saved === undefined
              ? "A link asks for the query below. It has not been run: read it first."
              : `A link asks for the saved query ${linked.saved}${valuesText(linked.values)}. It has not been run.`}
          </p>
          <button
            type="button"
            onClick={() => (linked.saved === undefined ? runText() : void run(linked))}
          >
            Run this query
          </button>
        </section>
      )}
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
  );

  return (
    <>
      <header>
        <h1>Millpond</h1>
        {tables !== undefined && <Freshness tables={tables} />}
        <Rejected found={rejected} />
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
      {asksToken && <TokenForm signIn={signIn} />}
      {narrow ? [asking, lake] : [lake, asking]}
    </>
  );
}

function valuesText(values: Record<string, string>): string {
  const texts = Object.entries(values).map(([name, value]) => `${name} = ${value}`);
  return texts.length === 0 ? "" : ` with ${texts.join(", ")}`;
}

/** Longer than any program passes on; a browser may refuse it. */
const mostLink = 100_000;

function remember(asked: Asked, chart: ChartChoice | undefined): void {
  const link = writeLink({ asked, ...(chart === undefined ? {} : { chart }) });
  window.history.replaceState(null, "", link.length > mostLink ? location.pathname : link);
}

function summary({ count: all, rows, seconds }: Result): string {
  const cut = all > rows.length ? `, the first ${numberText(rows.length)} are shown` : "";
  return `${countText(all, "row")}${cut} in ${seconds.toFixed(3)} s`;
}

render(<App />, document.body);
