import { MillpondError } from "../errors.ts";
import type { Limit } from "../lake/verdict.ts";
import { currentRequestId } from "../logger.ts";

/** Which status each code of an error has. A code that stands nowhere here is ours to mend: 500. */
const statuses: Readonly<Record<string, number>> = {
  "sql-invalid": 400,
  "table-unknown": 400,
  "function-unknown": 400,
  "parameters-invalid": 400,
  "body-invalid": 400,
  "format-unknown": 400,
  "key-invalid": 400,
  unauthorized: 401,
  "sql-refused": 403,
  "ad-hoc-sql-off": 403,
  "uploads-off": 403,
  "host-unknown": 403,
  "cross-site": 403,
  "not-found": 404,
  "method-not-allowed": 405,
  "not-acceptable": 406,
  deadline: 408,
  "body-too-large": 413,
  "answer-too-large": 413,
  // Nobody reads it; the log does.
  "client-left": 499,
  "media-type": 415,
  // The operator's to mend, who may be the one who asks: GET /q says as much.
  "saved-query": 500,
  "saved-query-parameters": 500,
  "engine-died": 422,
  "engine-unavailable": 503,
  "tables-changed": 503,
  "store-unavailable": 503,
  "secret-unavailable": 503,
  "out-of-memory": 507,
  "out-of-disk": 507,
  "disk-full": 507,
};

/** The operator's to mend. What is wrong names what is inside, and goes to the log alone. */
const misconfigurations: ReadonlySet<string> = new Set([
  "environment",
  "extension",
  "secret-denied",
  "secret-invalid",
  "secret-missing",
  "store-credentials",
  "store-denied",
  "store-missing",
]);

/** What callers learn of an error that is not theirs. */
const misconfigured = {
  code: "misconfigured",
  title: "Misconfigured",
  detail: "Millpond is not set up right: its log says what is missing, under this request's id",
};
const internal = {
  code: "internal",
  title: "Internal Server Error",
  detail: "something went wrong inside; the log has the details under this request's id",
};

/** What one query may take, and what raises it: a command, or the name of a variable. */
export interface QueryLimits {
  /** Milliseconds from a request's arrival to its answer. */
  deadlineMs: number;
  memoryMiB: number;
  /** For what is spilled; an answer may have as much beside. */
  diskMiB: number;
  raise: Readonly<Partial<Record<Limit, string>>>;
}

/** What to do about a query that came to a limit. */
function beyond(code: string, { deadlineMs, memoryMiB, diskMiB, raise }: QueryLimits) {
  const ask = (limit: Limit) =>
    raise[limit] === undefined ? "" : `, or let the operator raise it: ${raise[limit]}`;
  switch (code) {
    case "deadline":
      return `the query took longer than the ${deadlineMs / 1000} s that it may: ask for less at a time${ask("time")}`;
    case "out-of-memory":
      return `the query needs more memory than there is with ${memoryMiB} MiB: ask for less at a time${ask("memory")}`;
    case "out-of-disk":
      return `the query needs more than the ${diskMiB} MiB of disk that it may use: ask for less at a time${ask("disk")}`;
    case "answer-too-large":
      return `the answer is larger than the ${diskMiB} MiB that it may be: ask for fewer rows or columns, or for Parquet${ask("disk")}`;
    default:
      return undefined;
  }
}

/** What to do about an error whose own message, DuckDB's, is not for callers. */
const advice: Readonly<Record<string, string>> = {
  "disk-full": "the disk is full: send the query again when there is room",
  "engine-died":
    "the engine ended twice under this query, the second time with no other beside it: ask in another way",
  "engine-unavailable": "the engine ended before it had this query: send it again",
  "saved-query": "the header of this saved query can't be read: GET /q says why",
  "secret-unavailable": "the service that keeps the tokens can't be reached: send it again",
  "store-unavailable": "the bucket can't be reached: send it again",
};

/** An error as RFC 9457 has it. `code` is stable; `type` is the code as a URN. */
export interface Problem {
  type: string;
  title: string;
  status: number;
  code: string;
  detail: string;
  [extension: string]: unknown;
}

/** The answer to a request that failed, with the id by which the log is searched. */
export function problemResponse(
  error: unknown,
  limits: QueryLimits | undefined,
  headers: Record<string, string> = {},
): Response {
  const found = problemOf(error, limits, currentRequestId());
  return new Response(`${JSON.stringify(found)}\n`, {
    status: found.status,
    headers: {
      "content-type": "application/problem+json",
      "cache-control": "no-store",
      ...headers,
    },
  });
}

/**
 * @param limits undefined where no query is asked for
 * @param request the request's id, by which the log is searched
 */
export function problemOf(
  error: unknown,
  limits: QueryLimits | undefined,
  request?: string,
): Problem {
  const id = request === undefined ? {} : { request };
  const known = error instanceof MillpondError ? statuses[error.code] : undefined;
  if (!(error instanceof MillpondError) || known === undefined) {
    const hidden =
      error instanceof MillpondError && misconfigurations.has(error.code)
        ? misconfigured
        : internal;
    return { type: `urn:millpond:problem:${hidden.code}`, status: 500, ...hidden, ...id };
  }
  return {
    // Details of what is the caller's to mend; others might tell of the inside.
    ...(known < 500 ? error.details : {}),
    type: `urn:millpond:problem:${error.code}`,
    title: titleOf(error.code),
    status: known,
    code: error.code,
    detail: (limits && beyond(error.code, limits)) ?? advice[error.code] ?? error.message,
    ...id,
  };
}

function titleOf(code: string): string {
  const words = code.replaceAll("-", " ").replace(/^sql\b/, "SQL");
  return words.charAt(0).toUpperCase() + words.slice(1);
}
