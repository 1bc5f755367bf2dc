import { quoteIdentifier } from "../query/quote.ts";

/**
 * The type of a column whose files differ in it, chosen so that no value changes. DuckDB's own choice rounds whole
 * numbers beyond 2^53 beside fractions, makes 1 of true beside 7, and fails for a text beside an object.
 */

const signed = ["TINYINT", "SMALLINT", "INTEGER", "BIGINT"];
const unsigned = ["UTINYINT", "USMALLINT", "UINTEGER"];
/** Whole numbers that every double holds. */
const small = ["TINYINT", "SMALLINT", "INTEGER", ...unsigned];
const long = "DECIMAL(38,0)";

/**
 * @param types the column's types in the files that have it, without doubles
 * @param wholeNumbersFit whether all values of the BIGINT files are within ±2^53
 */
export function uniteTypes(types: readonly string[], wholeNumbersFit: boolean): string {
  const [only] = types;
  if (only !== undefined && types.length === 1) return only;
  const all = (...of: string[]) => types.every((type) => of.includes(type));
  if (all(...signed, ...unsigned)) return "BIGINT";
  if (all(...signed, ...unsigned, "UBIGINT", long)) return long;
  if (all("FLOAT", "DOUBLE", ...small)) return "DOUBLE";
  if (all("FLOAT", "DOUBLE", ...small, "BIGINT") && wholeNumbersFit) return "DOUBLE";
  if (all("DATE", "TIMESTAMP")) return "TIMESTAMP";
  return "VARCHAR";
}

export function isNested(type: string): boolean {
  return /^(STRUCT|MAP|UNION)\(|\]$/.test(type);
}

/** SQL of a file's column in the united type; objects and lists beside something else are their JSON text. */
export function unitedColumn(name: string, from: string, to: string): string {
  const id = quoteIdentifier(name);
  if (from === to) return id;
  if (to === "VARCHAR" && isNested(from)) return `to_json(${id})::VARCHAR`;
  return `CAST(${id} AS ${to})`;
}
