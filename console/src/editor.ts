import { autocompletion, closeCompletion, completionKeymap } from "@codemirror/autocomplete";
import { defaultKeymap, history, historyKeymap } from "@codemirror/commands";
import { PostgreSQL, sql } from "@codemirror/lang-sql";
import { bracketMatching, syntaxHighlighting } from "@codemirror/language";
import { type Diagnostic, setDiagnostics } from "@codemirror/lint";
import { Compartment, EditorState } from "@codemirror/state";
import { EditorView, keymap, lineNumbers } from "@codemirror/view";
import { classHighlighter } from "@lezer/highlight";
import type { TableSummary } from "../../app/lake/reports.ts";
import { allowed } from "../../app/query/functions.ts";
import type { Problem } from "./api.ts";

/** Those that a query may call, but for operators. */
const functions = [...allowed.value].filter((name) => /^[a-z]/.test(name));

export interface Editor {
  text(): string;
  replace(text: string): void;
  complete(tables: readonly TableSummary[]): void;
  /** Marks the place that DuckDB's message names. */
  mark(problem: Problem | undefined): void;
  destroy(): void;
}

export function createEditor(
  parent: HTMLElement,
  text: string,
  { run, changed }: { run: () => void; changed: () => void },
): Editor {
  const language = new Compartment();
  const sqlOf = (tables: readonly TableSummary[]) => {
    const schema = Object.fromEntries(
      tables.map(({ name, columns }) => [name, (columns ?? []).map((column) => column.name)]),
    );
    return [
      sql({ dialect: PostgreSQL, schema }),
      PostgreSQL.language.data.of({
        autocomplete: (context: { matchBefore(pattern: RegExp): { from: number } | null }) => {
          const word = context.matchBefore(/\w+/);
          if (word === null) return null;
          const options = functions.map((label) => ({
            label,
            type: "function",
            apply: `${label}(`,
          }));
          return { from: word.from, options };
        },
      }),
    ];
  };
  const runs = (asking: EditorView) => {
    closeCompletion(asking);
    run();
    return true;
  };
  const view = new EditorView({
    parent,
    state: EditorState.create({
      doc: text,
      extensions: [
        EditorView.cspNonce.of(
          document.querySelector<HTMLMetaElement>("meta[name=nonce]")?.content ?? "",
        ),
        lineNumbers(),
        history(),
        bracketMatching(),
        // As many as are seen at once: style.css.
        autocompletion({ maxRenderedOptions: 10 }),
        // By classes, so that style.css has the colours of both schemes.
        syntaxHighlighting(classHighlighter),
        // Tab goes on to the next control, as everywhere: whoever has no mouse must get out.
        keymap.of([
          // On a Mac both of them: the button names the first.
          { key: "Ctrl-Enter", run: runs },
          { key: "Mod-Enter", run: runs },
          ...completionKeymap,
          ...historyKeymap,
          ...defaultKeymap,
        ]),
        EditorView.lineWrapping,
        EditorView.contentAttributes.of({ "aria-label": "SQL", spellcheck: "false" }),
        EditorView.updateListener.of((update) => {
          if (update.docChanged) changed();
        }),
        language.of(sqlOf([])),
      ],
    }),
  });
  return {
    text: () => view.state.doc.toString(),
    replace: (next) =>
      view.dispatch({ changes: { from: 0, to: view.state.doc.length, insert: next } }),
    complete: (tables) => view.dispatch({ effects: language.reconfigure(sqlOf(tables)) }),
    mark: (problem) => {
      const message = problem?.message;
      const at = message === undefined ? undefined : placeIn(message, view.state);
      const found: Diagnostic[] =
        at === undefined ? [] : [{ ...at, severity: "error", message: message ?? "" }];
      view.dispatch(setDiagnostics(view.state, found));
    },
    destroy: () => view.destroy(),
  };
}

/** DuckDB shows `LINE 2: … text` and a caret below the place; a long line it cuts on the left. */
function placeIn(message: string, state: EditorState): { from: number; to: number } | undefined {
  const [, number = "", shownLine = "", below = ""] =
    /^LINE (\d+): (.*)\n(\s*)\^/m.exec(message) ?? [];
  if (number === "" || Number(number) > state.doc.lines) return undefined;
  const line = state.doc.line(Number(number));
  const before = `LINE ${number}: `.length;
  const part = shownLine.replace(/^\.\.\./, "").replace(/\.\.\.$/, "");
  const cut = shownLine.startsWith("...") ? 3 : 0;
  const begin = Math.max(0, line.text.indexOf(part));
  const from = Math.min(line.to, line.from + begin + Math.max(0, below.length - before - cut));
  const word = /^\w+/.exec(line.text.slice(from - line.from))?.[0].length ?? 1;
  return { from, to: Math.min(line.to, from + word) };
}
