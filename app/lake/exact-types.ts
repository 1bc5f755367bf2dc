import { quoteLiteral } from "../query/quote.ts";

/**
 * Types for columns that arrive as text, chosen so that no value changes: a column gets a type only if each of its
 * values can be written back as it was, but for padding, an empty text and how a number of the same value is spelt.
 *
 * DuckDB's own inference reads the start of a file, and a later value that doesn't fit changes silently where it can be
 * cast: 1.5 in a BIGINT column becomes 2, 00501 becomes 501, a timestamp in a DATE column loses its time. Reading the
 * whole file first takes 2.5 to 3 times as long. Here the start of the file only proposes, and the conversion itself checks
 * every value as it goes (1.1 times as long); see docs/decisions/0003-exact-types.md.
 */

/** A type that a column of text may get. */
export interface ExactType {
  /** Unique among the rungs; `type` is not, as there are several ways to write a date. */
  name: string;
  /** DuckDB's type. */
  type: string;
  /** SQL that is true where the value of the SQL expression `x` (text, trimmed, not empty) survives. */
  survives: (x: string) => string;
  /** SQL that is true only where it does, for text as it comes: quick, and true for what computers print. */
  usually: (text: string) => string;
  /** SQL of the value. */
  value: (x: string) => string;
}

const plainCast = (type: string) => (x: string) => `TRY_CAST(${x} AS ${type})`;
const roundTrip = (type: string) => (x: string) => `TRY_CAST(${x} AS ${type})::VARCHAR = ${x}`;

/** A day with a four-digit year at its end; strptime alone takes 90 for a year, too. */
const day = (format: string, separator: string): ExactType => {
  const parsed = (x: string) => `TRY_STRPTIME(${x}, ${quoteLiteral(format)})`;
  return {
    name: `DATE ${format}`,
    type: "DATE",
    survives: (x) =>
      `(${parsed(x)} IS NOT NULL AND strlen(${x}) <= 10 AND ${x}[-5] = ${quoteLiteral(separator)})`,
    usually: () => "false",
    value: (x) => `CAST(${parsed(x)} AS DATE)`,
  };
};

const bigint: ExactType = {
  name: "BIGINT",
  type: "BIGINT",
  survives: roundTrip("BIGINT"),
  usually: roundTrip("BIGINT"),
  value: plainCast("BIGINT"),
};

/** Whole numbers of up to 38 digits. Not HUGEINT: Parquet has no such type, and DuckDB would write it as DOUBLE. */
const decimal38: ExactType = {
  name: "DECIMAL(38,0)",
  type: "DECIMAL(38,0)",
  survives: roundTrip("DECIMAL(38,0)"),
  usually: roundTrip("DECIMAL(38,0)"),
  value: plainCast("DECIMAL(38,0)"),
};

/** As programs print fractions: no exponent leads out of a double's range. */
const usualNumber = "-?(0|[1-9][0-9]*)(\\.[0-9]+)?([eE][+-]?[0-9]{1,2})?";
/** The significant digits of a number's text, without its sign, point, exponent and leading zeros. */
const digitsOf = (x: string) =>
  `ltrim(replace(split_part(lower(ltrim(${x}, '-')), 'e', 1), '.', ''), '0')`;

const double: ExactType = {
  name: "DOUBLE",
  type: "DOUBLE",
  survives: (x) => {
    const value = `TRY_CAST(${x} AS DOUBLE)`;
    const unsigned = `ltrim(${x}, '-')`;
    const digits = digitsOf(x);
    const printed = `printf('%.' || (strlen(${digits}) - 1)::VARCHAR || 'e', ${value})`;
    const number = [
      `isfinite(${value})`,
      // No plus sign, and no zero before another digit: ':' follows '9'.
      `${unsigned} >= '.'`,
      `${unsigned} NOT BETWEEN '00' AND '0:'`,
      `NOT contains(${x}, '_')`,
    ];
    // Any 15 digits come back from a double that is not next to zero. More must be those that it prints itself.
    const kept =
      `CASE WHEN ${digits} = '' THEN true WHEN strlen(${digits}) <= 15 THEN abs(${value}) >= 2.2250738585072014e-308 ` +
      `WHEN strlen(${digits}) > 25 OR NOT (contains(${x}, '.') OR contains(lower(${x}), 'e')) THEN false ` +
      `ELSE ${digitsOf(printed)} = ${digits} END`;
    return (
      `CASE WHEN lower(${unsigned}) IN ('nan', 'inf', 'infinity') THEN true ` +
      `WHEN coalesce(${number.join(" AND ")}, false) THEN ${kept} ELSE false END`
    );
  },
  usually: (text) =>
    `(strlen(${text}) <= 15 AND regexp_full_match(${text}, ${quoteLiteral(usualNumber)}))`,
  value: plainCast("DOUBLE"),
};

const boolean: ExactType = {
  name: "BOOLEAN",
  type: "BOOLEAN",
  survives: (x) => `lower(${x}) IN ('true', 'false')`,
  usually: (text) => `${text} IN ('true', 'false')`,
  value: plainCast("BOOLEAN"),
};

const date: ExactType = {
  name: "DATE",
  type: "DATE",
  // Year first, with hyphens or slashes.
  survives: (x) => `TRY_CAST(${x} AS DATE)::VARCHAR = replace(${x}, '/', '-')`,
  usually: roundTrip("DATE"),
  value: plainCast("DATE"),
};

const timestamp: ExactType = {
  name: "TIMESTAMP",
  type: "TIMESTAMP",
  // Written out to the microsecond, it must begin with the text. A zone, a seventh decimal or 24:00 fails; a day alone
  // is its midnight.
  survives: (x) =>
    `starts_with(strftime(TRY_CAST(${x} AS TIMESTAMP), '%Y-%m-%d %H:%M:%S.%f'), replace(${x}, 'T', ' '))`,
  usually: roundTrip("TIMESTAMP"),
  value: plainCast("TIMESTAMP"),
};

const zoned =
  "\\d{4}-\\d{2}-\\d{2}[ T]([01]\\d|2[0-3]):\\d{2}(:\\d{2}(\\.\\d{1,6})?)? ?(Z|[+-]\\d{2}(:?\\d{2})?)";
const timestamptz: ExactType = {
  name: "TIMESTAMP WITH TIME ZONE",
  type: "TIMESTAMP WITH TIME ZONE",
  survives: (x) =>
    `(regexp_full_match(${x}, ${quoteLiteral(zoned)}) AND TRY_CAST(${x} AS TIMESTAMP WITH TIME ZONE) IS NOT NULL)`,
  usually: () => "false",
  value: plainCast("TIMESTAMP WITH TIME ZONE"),
};

const time: ExactType = {
  name: "TIME",
  type: "TIME",
  survives: roundTrip("TIME"),
  usually: roundTrip("TIME"),
  value: plainCast("TIME"),
};

const monthFirst = day("%m/%d/%Y", "/");
const dayFirst = day("%d/%m/%Y", "/");

/** For text whose file says nothing of types: CSV. From narrow to wide; the first that fits all values is taken. */
export const textRungs: readonly ExactType[] = [
  boolean,
  bigint,
  decimal38,
  double,
  date,
  day("%d.%m.%Y", "."),
  monthFirst,
  dayFirst,
  timestamp,
  timestamptz,
  time,
];

/** For JSON strings, which say that they are not numbers. */
export const stringRungs: readonly ExactType[] = [date, timestamp, timestamptz, time];

/** For JSON numbers, some of which have a fraction or an exponent, or are too long for an integer. */
export const numberRungs: readonly ExactType[] = [bigint, decimal38, double];

/** For JSON values of several kinds: text without the quotes around a string, unless an object or a list is among them. */
export const mixedRungs: readonly ExactType[] = [
  {
    name: "VARCHAR",
    type: "VARCHAR",
    survives: (x) => `json_type(${x}) NOT IN ('OBJECT', 'ARRAY')`,
    usually: () => "false",
    value: (x) => `${x}->>'$'`,
  },
];

const noBracketFirst = (text: string) => `ascii(${text}) NOT IN (ascii('['), ascii('{'))`;

/**
 * JSON strings that are read as such. The readers of DuckDB make text of a list or an object where a string is asked
 * for, which text that looks like one can't be told from.
 */
export const plainText: ExactType = {
  name: "plain text",
  type: "VARCHAR",
  survives: noBracketFirst,
  usually: noBracketFirst,
  value: (text) => text,
};

/** For JSON numbers and truths as they are written. */
export const valueRungs: readonly ExactType[] = [boolean, bigint, double];

/** For JSON values as they are written: strings in quotes, numbers without. */
export const jsonRungs: readonly ExactType[] = [boolean, bigint, decimal38, double, ...mixedRungs];

/** What the start of a file says of a column. */
export type Proposal = { kind: "type"; type: ExactType | undefined } | { kind: "unsure" };

/** The whole file has to be asked. */
export const unsure: Proposal = { kind: "unsure" };

/**
 * The rung to try first for a column that DuckDB, from the start of the file, takes for `type`.
 * Unsure for days whose order DuckDB may have guessed.
 * @param dateFormat how DuckDB would read the file's days, as strptime writes it
 */
export function proposedRung(type: string, dateFormat: string | null): Proposal {
  if (type === "DATE" && dateFormat !== null && !dateFormat.startsWith("%Y")) return unsure;
  return { kind: "type", type: textRungs.find((rung) => rung.name === type) };
}

/** What values say of a column's type. */
export interface Choice {
  /** The type, if there are no other values. Undefined means text. */
  type: ExactType | undefined;
  /** Whether more values may lead to a type where these do not: none is there, or 03/04/2024 may be March or April. */
  open: boolean;
}

/**
 * Chooses from what held for all values: the first rung that fits.
 * @param fits the names of the rungs that every value survives
 * @param values how many values there were, NULL and empty ones left out
 */
export function chooseType(
  rungs: readonly ExactType[],
  fits: ReadonlySet<string>,
  values: number,
): Choice {
  if (values === 0) return { type: rungs.find((rung) => rung.type === "VARCHAR"), open: true };
  if (fits.has(monthFirst.name) && fits.has(dayFirst.name)) return { type: undefined, open: true };
  return { type: rungs.find((rung) => fits.has(rung.name)), open: false };
}

/** The message that a conversion ends with when a value would change; the number is the column's, from 0. */
export const inexactMarker = "millpond: a value would change in column ";

/** SQL of a typed column over the text expression `text`: each value is checked as it is read. */
export function exactCast(text: string, type: ExactType, column: number): string {
  const x = trimmed(text);
  const marker = quoteLiteral(inexactMarker + column);
  // CASE evaluates a branch only for the rows that come to it, which AND and OR don't promise.
  return (
    `CASE WHEN ${type.usually(text)} THEN ${type.value(text)} WHEN ${x} IS NULL THEN NULL ` +
    `WHEN ${type.survives(x)} THEN ${type.value(x)} ELSE error(${marker}) END`
  );
}

/**
 * The same for text as programs mostly print it, in a fraction of the time that DuckDB plans for: whatever else survives ends
 * with the marker, too, and is for `exactCast`.
 */
export function usualCast(text: string, type: ExactType, column: number): string {
  const usually = type.usually(text);
  // A type that has no such form.
  if (usually === "false") return exactCast(text, type, column);
  const marker = quoteLiteral(inexactMarker + column);
  return `CASE WHEN ${usually} THEN ${type.value(text)} WHEN ${text} IS NULL THEN NULL ELSE error(${marker}) END`;
}

/** SQL of one BOOLEAN: whether all values of the text expression survive. */
export function allSurvive(text: string, type: ExactType): string {
  const x = trimmed(text);
  return `bool_and(coalesce(${type.survives(x)}, ${x} IS NULL))`;
}

/** SQL of the text that types are read from. */
export function trimmed(text: string): string {
  return `nullif(trim(${text}), '')`;
}
