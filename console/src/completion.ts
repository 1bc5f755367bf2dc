import {
  type Completion,
  type CompletionContext,
  type CompletionResult,
  ifNotIn,
} from "@codemirror/autocomplete";
import { schemaCompletionSource } from "@codemirror/lang-sql";
import { syntaxTree } from "@codemirror/language";
import type { EditorState } from "@codemirror/state";
import type { TableSummary } from "../../app/lake/reports.ts";
import { allowed } from "../../app/query/functions.ts";
import { quoteIdentifier } from "../../app/query/quote.ts";
import { duckdb, offeredWords } from "./duckdb-dialect.ts";

/** What a query may call, but for operators. */
const functions: readonly Completion[] = [...allowed.value]
  .filter((name) => /^[a-z]/.test(name))
  .map((label) => ({ label, type: "function", apply: `${label}(` }));

const callable = new Set(functions.map(({ label }) => label));
/** Each word once: what is a function, too, is offered as that. */
const words: readonly Completion[] = offeredWords.filter(({ label }) => !callable.has(label));
const reserved = new Set(offeredWords.map(({ label }) => label));

/** Where nothing is to be completed: nobody writes SQL there. */
const texts = new Set(["String", "QuotedIdentifier", "LineComment", "BlockComment"]);

type Source = (context: CompletionContext) => CompletionResult | null;

/** Completes tables, columns, functions and keywords. After `table.` or an alias, its columns alone. */
export function completionOf(tables: readonly TableSummary[]): readonly unknown[] {
  const schema = Object.fromEntries(
    tables.map(({ name, columns }) => [name, (columns ?? []).map((column) => column.name)]),
  );
  const own: Source = (context) => {
    const { state, pos } = context;
    const word = context.matchBefore(/[\p{L}_][\p{L}\p{N}_]*/u);
    if (word === null || state.sliceDoc(word.from - 1, word.from) === ".") return null;
    if (texts.has(syntaxTree(state).resolveInner(pos, -1).name)) return null;
    return { from: word.from, options: [...columnsOf(state, tables), ...functions, ...words] };
  };
  return [
    ifNotIn(
      ["String", "LineComment", "BlockComment"],
      schemaCompletionSource({ dialect: duckdb, schema }),
    ),
    own,
  ];
}

/** Columns of the tables that the text names; of all where it names none yet. */
function columnsOf(state: EditorState, tables: readonly TableSummary[]): Completion[] {
  const names = new Set<string>();
  syntaxTree(state).iterate({
    enter: ({ name, from, to }) => {
      const text = state.sliceDoc(from, to);
      if (name === "Identifier") names.add(text.toLowerCase());
      if (name === "QuotedIdentifier") names.add(text.slice(1, -1).replaceAll('""', '"'));
    },
  });
  const named = tables.filter(({ name }) => names.has(name));
  const found = new Map<string, Completion>();
  for (const table of named.length === 0 ? tables : named) {
    for (const { name, type } of table.columns ?? []) {
      const before = found.get(name);
      found.set(name, {
        label: name,
        type: "property",
        apply: applied(name),
        detail: before === undefined ? `${table.name} ${type}` : "of several tables",
        // Before functions and words of nearly the same name.
        boost: 1,
      });
    }
  }
  return [...found.values()];
}

function applied(name: string): string {
  return /^[a-z_][a-z\d_]*$/i.test(name) && !reserved.has(name.toLowerCase())
    ? name
    : quoteIdentifier(name);
}
