import { promisify } from "node:util";
import { gunzip } from "node:zlib";
import * as v from "valibot";
import type { Parameters } from "../engine/protocol.ts";
import { MillpondError } from "../errors.ts";
import {
  formatNames,
  isQueryFormat,
  negotiateFormat,
  type QueryFormat,
} from "../query/result-format.ts";

/** Bytes of a request's body that are read. */
export const mostBodyBytes = 1_000_000;

/**
 * The text of a request's body.
 * @param encoding `Content-Encoding`: gzip, or none
 * @throws MillpondError `body-too-large` also where it is unpacked, `body-invalid`, `media-type`
 */
export async function readBody(bytes: Uint8Array, encoding: string | undefined): Promise<string> {
  const name = (encoding ?? "identity").trim().toLowerCase();
  if (!["identity", "gzip", "x-gzip"].includes(name)) {
    throw new MillpondError("media-type", `the body may be packed by gzip, got ${encoding}`);
  }
  const plain = name === "identity" ? bytes : await unpack(bytes);
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(plain);
  } catch (error) {
    throw new MillpondError("body-invalid", "the body must be UTF-8", { cause: error });
  }
}

async function unpack(bytes: Uint8Array): Promise<Uint8Array> {
  try {
    return await promisify(gunzip)(bytes, { maxOutputLength: mostBodyBytes });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ERR_BUFFER_TOO_LARGE") throw bodyTooLarge();
    throw new MillpondError("body-invalid", "the body is no sound gzip", { cause: error });
  }
}

export function bodyTooLarge(): MillpondError {
  return new MillpondError("body-too-large", `the body may have at most ${mostBodyBytes} bytes`);
}

const parameterValue = v.union([v.string(), v.number(), v.bigint(), v.boolean(), v.null()]);
const parameters = v.union(
  [v.array(parameterValue), v.record(v.string(), parameterValue)],
  "params is a list of values, or an object of names and values; a value is a string, a number, true, false or null",
);
function misshapen({ expected, received }: v.StrictObjectIssue): string {
  if (expected === "never") return `there is no key ${received}`;
  return expected === "Object" ? "the body must be an object" : `${expected} is missing`;
}

const body = v.strictObject(
  {
    sql: v.string("sql must be a string"),
    params: v.optional(parameters),
  },
  misshapen,
);

/**
 * Reads the body of `POST /query`: `{"sql": "…", "params": […] or {…}}`.
 * @throws MillpondError `body-invalid`
 */
export function readQuestion(text: string): { sql: string; parameters: Parameters } {
  const parsed = v.safeParse(body, parseJson(text, "the body"));
  if (!parsed.success) throw invalid(parsed.issues);
  return { sql: parsed.output.sql, parameters: parsed.output.params ?? [] };
}

/** Reads the `params` of `GET /query`: JSON, as in the body. Absent: none. */
export function readParameters(text: string | undefined): Parameters {
  if (text === undefined) return [];
  const parsed = v.safeParse(parameters, parseJson(text, "params"));
  if (!parsed.success) throw invalid(parsed.issues);
  return parsed.output;
}

const upload = v.strictObject({ key: v.string("key must be a string") }, misshapen);

/**
 * Reads the body of `POST /inbox`: `{"key": "inbox/…"}`.
 * @throws MillpondError `body-invalid`
 */
export function readUpload(text: string): { key: string } {
  const parsed = v.safeParse(upload, parseJson(text, "the body"));
  if (parsed.success) return parsed.output;
  throw invalid(parsed.issues, '{"key": "inbox/trips/2024-05.csv"}');
}

type Reviver = (this: unknown, key: string, value: unknown) => unknown;

/** JSON whose integers beyond 2^53 stay what they are, as bigint. */
function parseJson(text: string, what: string): unknown {
  try {
    // TypeScript doesn't know yet of the third argument. @see https://tc39.es/ecma262/#sec-json.parse
    const exact = (_key: string, value: unknown, context?: { source?: string }) => {
      const { source = "" } = context ?? {};
      if (typeof value !== "number" || Number.isSafeInteger(value)) return value;
      if (/^-?\d+$/.test(source)) return BigInt(source);
      if (Number.isFinite(value)) return value;
      const message = `${source.slice(0, 20)} is beyond what a double holds: give it as a string`;
      throw new MillpondError("body-invalid", message);
    };
    return JSON.parse(text, exact as Reviver);
  } catch (error) {
    if (error instanceof MillpondError) throw error;
    throw new MillpondError("body-invalid", `${what} must be JSON: ${(error as Error).message}`);
  }
}

const questionShape = '{"sql": "select …", "params": […]}';

function invalid(issues: readonly v.BaseIssue<unknown>[], shape = questionShape): MillpondError {
  const problems = issues.map((issue) => {
    const where = v.getDotPath(issue);
    return where === null || issue.message.startsWith(where)
      ? issue.message
      : `${where}: ${issue.message}`;
  });
  return new MillpondError("body-invalid", `expected ${shape}: ${problems.join("; ")}`);
}

/**
 * What stands behind `?`, by name.
 * @param queries as Hono gives them
 * @param names those that the route takes
 * @throws MillpondError `parameters-invalid` for another one, and for one that is there twice
 */
export function readOptions<Name extends string>(
  queries: Readonly<Record<string, readonly string[]>>,
  names: readonly Name[],
): Partial<Record<Name, string>> {
  const problems = Object.entries(queries).flatMap(([name, { length }]) => {
    if (!(names as readonly string[]).includes(name)) {
      return [`there is no option ${name}; there is ${names.join(", ")}`];
    }
    return length > 1 ? [`${name} is there ${length} times`] : [];
  });
  if (problems.length > 0) throw new MillpondError("parameters-invalid", problems.join("; "));
  return Object.fromEntries(
    Object.entries(queries).map(([name, [value]]) => [name, value]),
  ) as Partial<Record<Name, string>>;
}

/**
 * The format of an answer: `?format=`, else by `Accept`.
 * @throws MillpondError `format-unknown`, `not-acceptable`
 */
export function readFormat(named: string | undefined, accept: string | undefined): QueryFormat {
  if (named !== undefined) {
    if (isQueryFormat(named)) return named;
    throw new MillpondError(
      "format-unknown",
      `format must be one of ${formatNames.join(", ")}, got "${named}"`,
    );
  }
  const format = negotiateFormat(accept);
  if (format === undefined) {
    throw new MillpondError(
      "not-acceptable",
      `none of the media types in Accept can be answered; ?format= takes ${formatNames.join(", ")}`,
    );
  }
  return format;
}
