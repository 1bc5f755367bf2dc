import { autocompletion, closeCompletion, completionKeymap } from "@codemirror/autocomplete";
import { defaultKeymap, history, historyKeymap } from "@codemirror/commands";
import { bracketMatching, syntaxHighlighting } from "@codemirror/language";
import { type Diagnostic, setDiagnostics } from "@codemirror/lint";
import { Compartment, EditorState } from "@codemirror/state";
import { EditorView, keymap, lineNumbers } from "@codemirror/view";
import { classHighlighter } from "@lezer/highlight";
import type { TableSummary } from "../../app/lake/reports.ts";
import type { Problem } from "./api.ts";
import { completionOf } from "./completion.ts";
import { duckdb } from "./duckdb-dialect.ts";
import { placeOfMistake } from "./mistake.ts";

export interface Editor {
  text(): string;
  replace(text: string): void;
  complete(tables: readonly TableSummary[]): void;
  /** Marks the place that the server's answer names, until the text changes. */
  mark(problem: Problem | undefined): void;
  destroy(): void;
}

export function createEditor(parent: HTMLElement, text: string, run: () => void): Editor {
  const language = new Compartment();
  const sqlOf = (tables: readonly TableSummary[]) => [
    duckdb.language,
    ...completionOf(tables).map((autocomplete) => duckdb.language.data.of({ autocomplete })),
  ];
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
        // As many as are seen at once: style.css. Enter ends a line, but for whoever went to one of the list by an arrow key.
        autocompletion({ maxRenderedOptions: 10, selectOnOpen: false }),
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
          if (update.docChanged) mark(undefined);
        }),
        language.of(sqlOf([])),
      ],
    }),
  });
  const mark = (problem: Problem | undefined) => {
    const at =
      problem && placeOfMistake(view.state.doc.toString(), problem.message, problem.details);
    const found: Diagnostic[] =
      problem && at ? [{ ...at, severity: "error", message: problem.message }] : [];
    view.dispatch(setDiagnostics(view.state, found));
  };
  return {
    text: () => view.state.doc.toString(),
    replace: (next) =>
      view.dispatch({ changes: { from: 0, to: view.state.doc.length, insert: next } }),
    complete: (tables) => view.dispatch({ effects: language.reconfigure(sqlOf(tables)) }),
    mark,
    destroy: () => view.destroy(),
  };
}
