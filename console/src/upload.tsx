import { useEffect, useRef, useState } from "preact/hooks";
import { prefixes } from "../../app/contract.ts";
import type { SourceOutcome, TableSummary } from "../../app/lake/reports.ts";
import { acceptedEndings, acceptedNames, tableNamePattern } from "../../app/lake/source-key.ts";
import { offer, type Problem, problemOf, send, sourceOutcome } from "./api.ts";
import { bytes, duration, plural } from "./format.ts";

type State =
  | { kind: "queued" }
  | { kind: "sending"; sent: number }
  | { kind: "waiting"; late: boolean }
  | { kind: "rows"; table: string; rows: number; milliseconds: number }
  | { kind: "rejected"; rejection: NonNullable<SourceOutcome["rejection"]> }
  | { kind: "failed"; problem: Problem };

interface Item {
  id: number;
  file: File;
  /** The folder of the inbox. Undefined: the file's own name is the table's. */
  table: string | undefined;
  state: State;
}

/** How often it is asked whether the rows are there: soon at first, as they mostly are. */
const firstLookMs = 200;
const lastLookMs = 5000;
/** After which a person had better hear that something is late. */
const lateMs = 60_000;

/** Uploads, by the button or by a drop anywhere on the page, each until its rows can be queried or are refused. */
export function Upload({ tables, arrived }: { tables: TableSummary[]; arrived: () => void }) {
  const [items, setItems] = useState<Item[]>([]);
  const [table, setTable] = useState("");
  const [over, setOver] = useState(false);
  const [said, setSaid] = useState("");
  const chosenTable = useRef("");
  chosenTable.current = table.trim();
  const ids = useRef(0);
  // One after the other: they share a line.
  const line = useRef<Promise<unknown>>(Promise.resolve());
  const stops = useRef(new Map<number, AbortController>());

  const change = (id: number, next: Partial<Item>) =>
    setItems((before) => before.map((one) => (one.id === id ? { ...one, ...next } : one)));

  const run = async (item: Item) => {
    const { id, file } = item;
    const stop = new AbortController();
    stops.current.set(id, stop);
    try {
      const key = `${prefixes.inbox}${item.table === undefined ? "" : `${item.table}/`}${file.name}`;
      const sent = line.current.then(async () => {
        stop.signal.throwIfAborted();
        const place = await offer(key, stop.signal);
        return await send(
          place,
          file,
          (done) => change(id, { state: { kind: "sending", sent: done } }),
          stop.signal,
        );
      });
      line.current = sent.catch(() => undefined);
      const etag = await sent;
      const since = Date.now();
      change(id, { state: { kind: "waiting", late: false } });
      const late = setTimeout(() => change(id, { state: { kind: "waiting", late: true } }), lateMs);
      change(id, {
        state: await comingOf(key, etag, since, stop.signal).finally(() => clearTimeout(late)),
      });
      arrived();
    } catch (error) {
      if (stop.signal.aborted) setItems((before) => before.filter((one) => one.id !== id));
      else change(id, { state: { kind: "failed", problem: problemOf(error) } });
    } finally {
      stops.current.delete(id);
    }
  };

  const add = (files: Iterable<File>) => {
    const into = chosenTable.current === "" ? undefined : chosenTable.current;
    const added = [...files].map((file): Item => {
      ids.current += 1;
      return { id: ids.current, file, table: into, state: { kind: "queued" } };
    });
    setItems((before) => [...added, ...before]);
    for (const item of added) void run(item);
  };
  const again = (item: Item, into: string) => {
    const next: Item = { ...item, table: into, state: { kind: "queued" } };
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
            <b>{item.file.name}</b> <small>{bytes(item.file.size)}</small>
            <Progress item={item} again={again} />
            {["queued", "sending", "waiting"].includes(item.state.kind) && (
              <button
                type="button"
                aria-label={`stop ${item.file.name}`}
                onClick={() => stops.current.get(item.id)?.abort()}
              >
                {item.state.kind === "waiting" ? "Stop waiting" : "Stop"}
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

function Progress({ item, again }: { item: Item; again: (item: Item, table: string) => void }) {
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
    case "rows":
      return (
        <div class="good">
          {plural(state.rows, "row")} in {state.table}, {duration(state.milliseconds)} after the
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
            {keptRows !== null && `; ${plural(keptRows, "row")} of its last good version stay`}
          </small>
        </div>
      );
    }
    default:
      return (
        <div class="bad" role="alert">
          {state.problem.message}
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

/** Waits until this very version is in its table, or was refused. */
async function comingOf(
  key: string,
  etag: string,
  since: number,
  signal: AbortSignal,
): Promise<State> {
  for (let pause = firstLookMs; ; pause = Math.min(lastLookMs, pause * 1.5)) {
    const found = await sourceOutcome(key, signal).catch((error: unknown) => {
      // A line that is cut for a moment is no answer; whoever may not ask has one.
      if (signal.aborted || problemOf(error).status !== 0) throw error;
      return undefined;
    });
    if (found?.rejection?.final && sameVersion(found.rejection.source.etag, etag)) {
      return { kind: "rejected", rejection: found.rejection };
    }
    if (found?.rows && sameVersion(found.rows.etag, etag)) {
      const { table, rows } = found;
      return { kind: "rows", table, rows: rows.rows, milliseconds: Date.now() - since };
    }
    await new Promise((resolve) => setTimeout(resolve, pause));
    signal.throwIfAborted();
  }
}

/** HTTP's header has quotes around what a folder's ETag has not. */
function sameVersion(one: string, other: string): boolean {
  return one.replaceAll('"', "") === other.replaceAll('"', "");
}
