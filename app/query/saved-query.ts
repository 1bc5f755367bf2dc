import { MillpondError } from "../errors.ts";

/** Types that a parameter of a saved query may have, and how its text in a URL is read. */
const readers = {
  text: (text: string) => text,
  integer: (text: string) => (/^[+-]?\d{1,38}$/.test(text) ? BigInt(text) : undefined),
  number: (text: string) => {
    const value = text.trim() === "" ? Number.NaN : Number(text);
    return Number.isFinite(value) ? value : undefined;
  },
  boolean: (text: string) => (text === "true" ? true : text === "false" ? false : undefined),
  date: (text: string) => (isDay(text) ? { date: text } : undefined),
} as const;

/** Whether there is such a day: JavaScript takes February's 30th for March's 1st. */
function isDay(text: string): boolean {
  if (!/^\d{4}-\d{2}-\d{2}$/.test(text)) return false;
  const day = new Date(`${text}T00:00:00Z`);
  return !Number.isNaN(day.getTime()) && day.toISOString().startsWith(text);
}

export type SavedParameterType = keyof typeof readers;
export type SavedParameterValue = string | bigint | number | boolean | { date: string };

export interface SavedParameter {
  name: string;
  type: SavedParameterType;
  /** As it would stand in the URL. Undefined where a value must be given. */
  default: string | undefined;
  description: string;
}

export interface SavedQuery {
  name: string;
  description: string;
  parameters: SavedParameter[];
  sql: string;
}

export const savedNamePattern = /^[a-z0-9][a-z0-9_-]{0,62}$/;
export const savedParameterPattern = /^[a-z][a-z0-9_]*$/;
const parameterPattern = /^@param\s+([a-z][a-z0-9_]*)\s+(\w+)(?:\s*=\s*"([^"]*)")?(?!\s*=)\s*(.*)$/;
/** Names of the URL that are no parameters of a query. */
const takenNames = ["format"];

/**
 * Reads a saved query: SQL under a header of `--` comments. A line of it is a part of the description, or
 * `-- @param name type = "default" description`, of which the default may be missing.
 * @throws MillpondError `saved-query` for a header that can't be read
 */
export function parseSavedQuery(name: string, text: string): SavedQuery {
  const description: string[] = [];
  const parameters: SavedParameter[] = [];
  for (const line of text.split(/\r?\n/)) {
    const comment = /^--\s?(.*)$/.exec(line)?.[1]?.trim();
    if (comment === undefined) break;
    if (!comment.startsWith("@param")) {
      if (comment !== "") description.push(comment);
      continue;
    }
    const [, parameter = "", type = "", fallback, rest = ""] = parameterPattern.exec(comment) ?? [];
    if (!Object.hasOwn(readers, type) || takenNames.includes(parameter)) {
      const types = Object.keys(readers).join(", ");
      throw new MillpondError(
        "saved-query",
        `${name}.sql: expected "-- @param name type = "default" description" with a type of ${types}, got "-- ${comment}"`,
      );
    }
    parameters.push({
      name: parameter,
      type: type as SavedParameterType,
      default: fallback,
      description: rest,
    });
  }
  return { name, description: description.join(" "), parameters, sql: text };
}

/**
 * The values of a saved query's parameters, from the texts of a URL.
 * @param given all that the URL gives under a name
 * @throws MillpondError `parameters-invalid`, naming each that is missing, malformed, unknown or there twice
 */
export function readSavedParameters(
  query: SavedQuery,
  given: Readonly<Record<string, readonly string[]>>,
): Record<string, SavedParameterValue> {
  const problems: string[] = [];
  const values: Record<string, SavedParameterValue> = {};
  for (const { name, type, default: fallback } of query.parameters) {
    const [text = fallback, ...more] = Object.hasOwn(given, name) ? (given[name] ?? []) : [];
    if (more.length > 0) problems.push(`${name} is there ${more.length + 1} times`);
    if (text === undefined) {
      problems.push(`${name} is missing: give ?${name}=<${type}>`);
      continue;
    }
    const value = readers[type](text);
    if (value === undefined) problems.push(`${name} must be of type ${type}, got "${text}"`);
    else values[name] = value;
  }
  for (const name of Object.keys(given)) {
    if (query.parameters.every((parameter) => parameter.name !== name)) {
      const known = query.parameters.map((parameter) => parameter.name).join(", ") || "none";
      problems.push(`there is no parameter ${name}; there is ${known}`);
    }
  }
  if (problems.length > 0) throw new MillpondError("parameters-invalid", problems.join("; "));
  return values;
}
