import { useEffect, useRef, useState } from "preact/hooks";
import { prefixes } from "../../app/contract.ts";
import type { SourceOutcome, TableSummary } from "../../app/lake/reports.ts";
import { acceptedEndings, acceptedNames, tableNamePattern } from "../../app/lake/source-key.ts";
import { bytesText, countText } from "../../app/text.ts";
import { offer, type Problem, problemOf, send, sourceOutcome } from "./api.ts";
import { duration } from "./format.ts";

type State =
  | { kind: "queued" }
  | { kind: "sending"; sent: number }
  | { kind: "waiting"; late: boolean }
  | { kind: "rows"; table: string; rows: number; milliseconds: number }
  | { kind: "rejected"; rejection: NonNullable<SourceOutcome["rejection"]> }
  | { kind: "replaced" }
  | { kind: "failed"; problem: Problem };

interface Item {
  id: number;
  file: File;
  /** The folder of the inbox. Undefined: the file's own name is the table's. */
  table: string | undefined;
  /** Whether a file of that name went there from this page before. */
  replaces: boolean;
  state: State;
}

function keyOf({ file, table }: Pick<Item, "file" | "table">): string {
  return `${prefixes.inbox}${table === undefined ? "" : `${table}/`}${file.name}`;
}

/** How often it is asked whether the rows are there: soon at first, as they mostly are. */
const firstLookMs = 200;
const lastLookMs = 5000;
/** After which a person had better hear that something is late. */
const lateMs = 60_000;

/** Uploads, by the button or by a drop anywhere on the page, each until its rows can be queried or are refused. */
export function Upload({
  tables,
  arrived,
  closed,
  askToken,
}: {
  tables: TableSummary[];
  arrived: () => void;
  /** Whether a token is asked for: nothing is sent without. */
  closed: boolean;
  askToken: () => void;
}) {
  const [items, setItems] = useState<Item[]>([]);
  const [table, setTable] = useState("");
  const [over, setOver] = useState(false);
  const [said, setSaid] = useState("");
  const chosenTable = useRef("");
  chosenTable.current = table.trim();
  const nowClosed = useRef(closed);
  nowClosed.current = closed;
  useEffect(() => {
    if (!closed) setSaid("");
  }, [closed]);
  const ids = useRef(0);
  /** Keys of what this page was given. */
  const given = useRef(new Set<string>());
  /** By keys: what was sent last, and the wait for it. */
  const newest = useRef(new Map<string, { id: number; etags: Set<string> }>());
  // One after the other: they share a line.
  const line = useRef<Promise<unknown>>(Promise.resolve());
  const stops = useRef(new Map<number, AbortController>());

  const change = (id: number, next: Partial<Item>) =>
    setItems((before) => before.map((one) => (one.id === id ? { ...one, ...next } : one)));

  const run = async (item: Item) => {
    const { id, file } = item;
    const key = keyOf(item);
    const stop = new AbortController();
    stops.current.set(id, stop);
    try {
      const sent = line.current.then(async () => {
        stop.signal.throwIfAborted();
        const before = await sourceOutcome(key, stop.signal);
        const place = await offer(key, stop.signal);
        const etag = await send(
          place,
          file,
          (done) => change(id, { state: { kind: "sending", sent: done } }),
          stop.signal,
        );
        return { etag, before };
      });
      line.current = sent.catch(() => undefined);
      const { etag, before } = await sent;
      const since = Date.now();
      const known = newest.current.get(key);
      newest.current.set(key, { id, etags: new Set([...(known?.etags ?? []), bare(etag)]) });
      change(id, { state: { kind: "waiting", late: false } });
      const late = setTimeout(() => change(id, { state: { kind: "waiting", late: true } }), lateMs);
      const superseded = () => newest.current.get(key)?.id !== id;
      const older = new Set(known?.etags);
      for (const { etag: one } of versionsOf(before.outcome)) older.add(bare(one));
      const coming = comingOf(
        { key, etag, since, older, begun: before.at, superseded },
        stop.signal,
      );
      change(id, { state: await coming.finally(() => clearTimeout(late)) });
      arrived();
    } catch (error) {
      if (stop.signal.aborted) setItems((before) => before.filter((one) => one.id !== id));
      else {
        const problem = problemOf(error);
        if (problem.status === 401) askToken();
        change(id, { state: { kind: "failed", problem } });
      }
    } finally {
      stops.current.delete(id);
    }
  };

  const add = (files: Iterable<File>) => {
    if (nowClosed.current) {
      setSaid("Enter the token first, then give the files again: none was sent.");
      return;
    }
    const table = chosenTable.current === "" ? undefined : chosenTable.current;
    const added = [...files].map((file): Item => {
      ids.current += 1;
      const key = keyOf({ file, table });
      const replaces = given.current.has(key);
      given.current.add(key);
      return { id: ids.current, file, table, replaces, state: { kind: "queued" } };
    });
    setItems((before) => [...added, ...before]);
    for (const item of added) void run(item);
  };
  const again = (item: Item, table: string | undefined) => {
    const next: Item = { ...item, table, state: { kind: "queued" } };
    given.current.add(keyOf(next));
    change(item.id, next);
    void run(next);
  };

  // Before anything on the page sees them: the editor would put the file's text into the query.
  useEffect(() => {
    const hold = (event: DragEvent) => {
      if (!event.dataTransfer?.types.includes("Files")) return;
      event.preventDefault();
      event.stopPropagation();
      setOver(event.type === "dragover");
      if (event.type !== "drop") return;
      const dropped = [...event.dataTransfer.items].map((one) => ({
        folder: one.webkitGetAsEntry()?.isDirectory ?? false,
        file: one.getAsFile(),
      }));
      setSaid(
        dropped.some(({ folder }) => folder) ? "A folder was passed over: drop its files." : "",
      );
      add(dropped.flatMap(({ folder, file }) => (folder || file === null ? [] : [file])));
    };
    const leave = (event: DragEvent) => {
      if (event.relatedTarget === null) setOver(false);
    };
    const ways = ["dragover", "drop"] as const;
    for (const way of ways) document.addEventListener(way, hold, true);
    document.addEventListener("dragleave", leave, true);
    return () => {
      for (const way of ways) document.removeEventListener(way, hold, true);
      document.removeEventListener("dragleave", leave, true);
      for (const stop of stops.current.values()) stop.abort();
    };
  }, []);

  return (
    <section aria-label="upload">
      <h2>Upload</h2>
      <div class="upload">
        <label>
          Files <small>or drop them anywhere</small>
          <input
            type="file"
            multiple
            accept={acceptedEndings.join()}
            title={acceptedNames}
            onChange={(event) => {
              add(event.currentTarget.files ?? []);
              event.currentTarget.value = "";
            }}
          />
        </label>
        <label>
          Table
          <input
            list="tables"
            value={table}
            placeholder="named by the file"
            onInput={(event) => setTable(event.currentTarget.value)}
          />
        </label>
        <datalist id="tables">
          {tables.map(({ name }) => (
            <option key={name} value={name} />
          ))}
        </datalist>
      </div>
      <p role="status" class="quiet">
        {said}
      </p>
      <ul class="uploads" aria-live="polite">
        {items.map((item) => (
          <li key={item.id}>
            <b>{item.file.name}</b> <small>{bytesText(item.file.size)}</small>
            {item.replaces && <small class="replaces">in place of the one given before</small>}
            <Progress item={item} again={again} />
            {["queued", "sending", "waiting"].includes(item.state.kind) && (
              <button
                type="button"
                // What is seen comes first: whoever speaks to the computer says that.
                aria-label={`${stopText(item.state)} for ${item.file.name}`}
                onClick={() => stops.current.get(item.id)?.abort()}
              >
                {stopText(item.state)}
              </button>
            )}
          </li>
        ))}
      </ul>
      {over && (
        <div class="over">
          <p>{`Drop: it goes to ${table.trim() === "" ? "the table that it is named by" : table.trim()}`}</p>
        </div>
      )}
    </section>
  );
}

function stopText({ kind }: State): string {
  return kind === "waiting" ? "Stop waiting" : "Stop";
}

function Progress({
  item,
  again,
}: {
  item: Item;
  again: (item: Item, table: string | undefined) => void;
}) {
  const { state, file } = item;
  switch (state.kind) {
    case "queued":
      return <div class="quiet">waits</div>;
    case "sending":
      return (
        <progress
          max={Math.max(1, file.size)}
          value={state.sent}
          aria-label={`sent of ${file.name}`}
        />
      );
    case "waiting":
      return (
        <div class="quiet">
          sent, its rows are on their way
          {state.late && " and late: the next sweep finds what no event told of"}
        </div>
      );
    case "replaced":
      return <div class="quiet">replaced by a newer upload of the same name</div>;
    case "rows":
      return (
        <div class="good">
          {countText(state.rows, "row")} in {state.table}, {duration(state.milliseconds)} after the
          upload
        </div>
      );
    case "rejected": {
      const { message, expected, line, keptRows } = state.rejection;
      return (
        <div class="bad" role="alert">
          rejected{line === undefined ? "" : ` in line ${line}`}: {message}
          <small>
            expected: {expected}
            {keptRows !== null && `; ${countText(keptRows, "row")} of its last good version stay`}
          </small>
        </div>
      );
    }
    default:
      return (
        <div class="bad" role="alert">
          {state.problem.message}
          {state.problem.code !== "key-invalid" && state.problem.code !== "too-large" && (
            <button
              type="button"
              aria-label={`Try again with ${file.name}`}
              onClick={() => again(item, item.table)}
            >
              Try again
            </button>
          )}
          {state.problem.code === "key-invalid" && (
            <form
              onSubmit={(event) => {
                event.preventDefault();
                const given = new FormData(event.currentTarget).get("table");
                if (typeof given === "string") again(item, given.trim());
              }}
            >
              <label>
                Table <input name="table" required pattern={tableNamePattern.source} />
              </label>
              <button type="submit">Upload</button>
            </form>
          )}
        </div>
      );
  }
}

interface Awaited {
  key: string;
  etag: string;
  /** When it was sent, by the clock of this machine. */
  since: number;
  /** ETags, without quotes, of versions that were there before. */
  older: ReadonlySet<string>;
  /** When the upload began, by the server's clock. */
  begun: number;
  /** Whether this page has sent another since. */
  superseded: () => boolean;
}

/** Waits until this very version is in its table, was refused, or will never be looked at. */
async function comingOf(awaited: Awaited, signal: AbortSignal): Promise<State> {
  const { key, etag, since, older, begun, superseded } = awaited;
  for (let pause = firstLookMs; ; pause = Math.min(lastLookMs, pause * 1.5)) {
    const found = await sourceOutcome(key, signal).catch((error: unknown) => {
      if (signal.aborted || !passes(problemOf(error))) throw error;
      return undefined;
    });
    const { table, rows, rejection } = found?.outcome ?? {};
    if (rejection?.final && bare(rejection.source.etag) === bare(etag)) {
      return { kind: "rejected", rejection };
    }
    if (table !== undefined && rows && bare(rows.etag) === bare(etag)) {
      return { kind: "rows", table, rows: rows.rows, milliseconds: Date.now() - since };
    }
    // Buckets keep whole seconds.
    const newer =
      found &&
      versionsOf(found.outcome).some(
        ({ etag: one, modified }) =>
          bare(one) !== bare(etag) && !older.has(bare(one)) && Date.parse(modified) >= begun - 1000,
      );
    if (newer || superseded()) return { kind: "replaced" };
    await new Promise((resolve) => setTimeout(resolve, pause));
    signal.throwIfAborted();
  }
}

/** Whether to ask again: a line that is cut, or a server that has no time, is no answer. Whoever may not ask has one. */
function passes({ status }: Problem): boolean {
  return status === 0 || status === 408 || status === 429 || status >= 500;
}

/** The versions that a pond says something of. */
function versionsOf({ rows, rejection }: SourceOutcome): { etag: string; modified: string }[] {
  return [...(rows === null ? [] : [rows]), ...(rejection === null ? [] : [rejection.source])];
}

/** HTTP's header has quotes around what a folder's ETag has not. */
function bare(etag: string): string {
  return etag.replaceAll('"', "");
}
