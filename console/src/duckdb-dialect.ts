import { SQLDialect } from "@codemirror/lang-sql";

/** Words of queries, as the server takes them: neither what changes something nor other databases'. */
const keywords = `
  all and anti any array as asc asof between both by case cast collate columns cross cube current desc describe distinct
  else end escape except exclude exists extract fetch filter first following for from full glob group grouping groups
  having ignore ilike in include inner intersect interval into is isnull join lambda last lateral leading left like limit
  materialized name natural no not notnull null nulls offset on only or order ordinality others outer over
  partition percent pivot pivot_longer pivot_wider positional preceding qualify range recursive repeatable replace
  respect right rollup row rows sample select semi sets show similar some struct summarize system table tablesample
  then ties to trailing try_cast unbounded union unpivot using values when where window with within without
`
  .trim()
  .split(/\s+/);

const types = `
  bigint bignum bit blob bool boolean bytea date datetime decimal double enum float hugeint int int1 int2 int4 int8
  integer json numeric real smallint text time timestamp timestamptz timestamp_ms timestamp_ns timestamp_s tinyint
  ubigint uhugeint uinteger usmallint utinyint uuid varchar
`
  .trim()
  .split(/\s+/);

/** How DuckDB's SQL is coloured and read. */
export const duckdb = SQLDialect.define({
  keywords: keywords.join(" "),
  types: types.join(" "),
  builtin: "true false",
  operatorChars: "*+-%<>!=&|^/~@",
  doubleDollarQuotedStrings: true,
  caseInsensitiveIdentifiers: true,
  identifierQuotes: '"',
});

/** What is offered of the language, but for functions. */
export const offeredWords: readonly { label: string; type: string }[] = [
  ...[...keywords, "true", "false"].map((label) => ({ label, type: "keyword" })),
  ...types.map((label) => ({ label, type: "type" })),
];
