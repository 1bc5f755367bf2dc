import { quoteIdentifier, quoteLiteral } from "./quote.ts";
import type { QueryFormat } from "./result-format.ts";

/**
 * The form in which each type stands in an answer, so that nothing is lost on the way; docs/architecture.md has the
 * table for readers. The forms are SQL around the columns of the caller's query, so DuckDB writes the answer itself.
 */

/** A DuckDB type, as far as the forms differ by it. */
export type ColumnType =
  | PlainType
  | { kind: "list"; child: ColumnType }
  | { kind: "map"; value: ColumnType }
  /** Fields without names are those of `row(…)`. */
  | { kind: "struct"; fields: { name: string; type: ColumnType }[] };

interface PlainType {
  kind: "plain";
  name: string;
  width?: number;
}

/**
 * Integers and floating-point numbers mostly have a value that JSON readers take as it is; one that has not is written as a string.
 * `hopeful` checks a row at a time, and looks at each value only of one that needs it. Inside lists, for one, it can't: there such
 * a value ends the query with `unhopefulMarker`, and `exact`, which looks at every value, must write it. `plain` is what DuckDB plans
 * soonest: any such value ends the query.
 */
export type FormMode = "plain" | "hopeful" | "exact";

export const unhopefulMarker = "millpond: a number needs its exact form";

/** Beyond it a JSON number is not the same number to everyone: RFC 8259, section 6. */
const safeInteger = String(Number.MAX_SAFE_INTEGER);
/** SQL that tells whether a number is no plain one; of the greatest and the least of several, whether one of them is. */
type Check = (most: string, least: string) => string;

const tooLarge: Check = (most) => `${most} > ${safeInteger}`;
const tooLong: Check = (most, least) => `${tooLarge(most, least)} OR ${least} < -${safeInteger}`;
// The greatest of all is NaN, to DuckDB.
const notFinite: Check = (most, least) =>
  [...new Set([most, least])].map((e) => `NOT isfinite(${e})`).join(" OR ");

/** The types of numbers that may not be plain ones. */
const checks: ReadonlyMap<string, Check> = new Map([
  ["BIGINT", tooLong],
  ["HUGEINT", tooLong],
  ["UBIGINT", tooLarge],
  ["UHUGEINT", tooLarge],
  ["FLOAT", notFinite],
  ["DOUBLE", notFinite],
]);
/** Decimals of more digits than this don't come back from a double. */
const safeDigits = 15;
const fail = `error(${quoteLiteral(unhopefulMarker)})`;

/** A column of a query's result. */
interface FormedColumn {
  name: string;
  type: ColumnType;
}

/** What a SELECT needs for all columns of a result to be in their forms for `format`. */
export function resultSelect(
  columns: readonly FormedColumn[],
  format: QueryFormat,
  mode: FormMode,
): string {
  if (format === "json" || format === "ndjson") return jsonRow(columns, mode);
  const formed = columns.map(({ name, type }) => {
    const id = quoteIdentifier(name);
    return `${resultForm(id, type, format, mode)} AS ${id}`;
  });
  return formed.join(", ");
}

/** Values with a check up to which a row has both its forms in the SQL: each takes DuckDB 0.1 ms to plan, and saves the second run. */
const mostInBothForms = 16;

/** Of a column's values, those inside it, too, how many have a check. */
function checksIn(type: ColumnType): number {
  switch (type.kind) {
    case "plain":
      return checks.has(type.name) || type.name === "JSON" ? 1 : 0;
    case "list":
      return checksIn(type.child);
    case "map":
      return checksIn(type.value);
    case "struct":
      return type.fields.reduce((sum, field) => sum + checksIn(field.type), 0);
  }
}

/** A row as a JSON object. In hope, one check of its numbers decides for all of them. */
function jsonRow(columns: readonly FormedColumn[], mode: FormMode): string {
  const object = (form: (id: string, column: FormedColumn) => string) => {
    const fields = columns.map((column) => {
      const id = quoteIdentifier(column.name);
      return `${id} := ${form(id, column)}`;
    });
    return `to_json(struct_pack(${fields.join(", ")}))`;
  };
  const exact = () => object((id, { type }) => resultForm(id, type, "json", "exact"));
  if (mode === "exact") return exact();
  const plain = object((id, { type }) =>
    isChecked(type) ? id : resultForm(id, type, "json", "hopeful"),
  );
  const unsafe = isUnsafe(columns);
  if (unsafe === "") return plain;
  const all = columns.reduce((sum, { type }) => sum + checksIn(type), 0);
  const otherwise = mode === "hopeful" && all <= mostInBothForms ? exact() : fail;
  return `CASE WHEN ${unsafe} THEN ${otherwise} ELSE ${plain} END`;
}

function isChecked(type: ColumnType): boolean {
  return type.kind === "plain" && checks.has(type.name);
}

/** SQL that tells whether one of a row's numbers is no plain one; empty where it has none with a check. Those of a type share a check: planning one takes longer than making it. */
function isUnsafe(columns: readonly FormedColumn[]): string {
  const all = [...checks].flatMap(([type, check]) => {
    const same = columns.filter(
      (column) => column.type.kind === "plain" && column.type.name === type,
    );
    const ids = same.map(({ name }) => quoteIdentifier(name));
    const [first, ...others] = ids;
    if (first === undefined) return [];
    return others.length === 0
      ? check(first, first)
      : check(`greatest(${ids.join(", ")})`, `least(${ids.join(", ")})`);
  });
  return all.join(" OR ");
}

function orFail(condition: string, expression: string): string {
  return `CASE WHEN ${condition} THEN ${fail} ELSE ${expression} END`;
}

/** SQL of a column in its form for `format`; `expression` itself where it already has it. */
function resultForm(
  expression: string,
  type: ColumnType,
  format: QueryFormat,
  mode: FormMode,
): string {
  switch (format) {
    case "json":
    case "ndjson":
      return nested(expression, type, (e, name, width) => jsonForm(e, name, width, mode));
    case "csv": {
      if (type.kind === "plain")
        return type.name === "BLOB" ? `to_base64(${expression})` : expression;
      const inside = nested(expression, type, (e, name, width) =>
        jsonForm(e, name, width, "exact"),
      );
      return `to_json(${inside})::VARCHAR`;
    }
    case "parquet":
      return nested(expression, type, (e, name) => parquetForm(e, name, mode), false);
  }
}

function jsonForm(e: string, type: string, width: number | undefined, mode: FormMode): string {
  const check = checks.get(type);
  if (check !== undefined) {
    const unsafe = check(e, e);
    if (mode !== "exact") return orFail(unsafe, e);
    return `CASE WHEN ${unsafe} THEN to_json(${check === notFinite ? nameOf(e) : `${e}::VARCHAR`}) ELSE to_json(${e}) END`;
  }
  switch (type) {
    case "DECIMAL":
      return (width ?? 38) > safeDigits ? `${e}::VARCHAR` : e;
    case "BLOB":
      return `to_base64(${e})`;
    case "JSON": {
      // to_json('nan'::DOUBLE) makes a JSON value that is none.
      // Texts inside it may say so, too.
      const bare = `regexp_replace(${e}::VARCHAR, '"(\\\\.|[^"\\\\])*"', '""', 'g')`;
      const broken = `regexp_matches(${bare}, '(^|[:,\\[])\\s*-?(NaN|Infinity|inf|nan)')`;
      return mode !== "exact"
        ? orFail(broken, e)
        : `CASE WHEN ${broken} THEN to_json(${e}::VARCHAR) ELSE ${e} END`;
    }
    case "BIGNUM":
    case "VARIANT":
    case "GEOMETRY":
    case "UNION":
      return `${e}::VARCHAR`;
    default:
      return e;
  }
}

/** Of a number that is not finite. */
function nameOf(e: string): string {
  return `CASE WHEN isnan(${e}) THEN 'NaN' WHEN ${e} > 0 THEN 'Infinity' ELSE '-Infinity' END`;
}

/** Parquet has no type for these; DuckDB would write a DOUBLE, other hours, or milliseconds. */
function parquetForm(e: string, type: string, mode: FormMode): string {
  switch (type) {
    case "HUGEINT":
    case "UHUGEINT": {
      const decimal = `TRY_CAST(${e} AS DECIMAL(38,0))`;
      return mode !== "exact"
        ? orFail(`${e} IS NOT NULL AND ${decimal} IS NULL`, decimal)
        : `${e}::VARCHAR`;
    }
    case "TIME WITH TIME ZONE":
    case "INTERVAL":
    case "UNION":
      return `${e}::VARCHAR`;
    default:
      return e;
  }
}

/** Applies `form` to the leaves of a type, and leaves what has none to change as it is. */
function nested(
  e: string,
  type: ColumnType,
  form: (e: string, name: string, width: number | undefined) => string,
  rowsToLists = true,
  depth = 0,
): string {
  const inner = (expression: string, child: ColumnType) =>
    nested(expression, child, form, rowsToLists, depth + 1);
  const variable = `millpond_${depth}`;
  switch (type.kind) {
    case "plain":
      return form(e, type.name, type.width);
    case "list": {
      const element = inner(variable, type.child);
      return element === variable ? e : `list_transform(${e}, lambda ${variable}: ${element})`;
    }
    case "map": {
      // Not by a dot, which would find a column of the variable's name first.
      const before = `struct_extract(${variable}, 'value')`;
      const value = inner(before, type.value);
      if (value === before) return e;
      const entry = `{key: struct_extract(${variable}, 'key'), value: ${value}}`;
      return `map_from_entries(list_transform(map_entries(${e}), lambda ${variable}: ${entry}))`;
    }
    case "struct": {
      const unnamed = type.fields.every((field) => field.name === "");
      const fields = type.fields.map((field, index) => {
        const part = unnamed
          ? `struct_extract_at(${e}, ${index + 1})`
          : `struct_extract(${e}, ${quoteLiteral(field.name)})`;
        return { name: field.name, part, formed: inner(part, field.type) };
      });
      if (unnamed && rowsToLists) {
        // An object would have the key "" several times.
        const parts = fields.map((field) => field.formed).join(", ");
        return `CASE WHEN ${e} IS NOT NULL THEN json_array(${parts}) END`;
      }
      if (unnamed || fields.every((field) => field.formed === field.part)) return e;
      const parts = fields.map((field) => `${quoteIdentifier(field.name)} := ${field.formed}`);
      return `CASE WHEN ${e} IS NOT NULL THEN struct_pack(${parts.join(", ")}) END`;
    }
  }
}
