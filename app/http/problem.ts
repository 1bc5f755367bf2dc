import { environmentNames } from "../contract.ts";
import { MillpondError } from "../errors.ts";

/** Which status each code of an error has. A code that stands nowhere here is ours to mend: 500. */
const statuses: Readonly<Record<string, number>> = {
  "sql-invalid": 400,
  "table-unknown": 400,
  "parameters-invalid": 400,
  "body-invalid": 400,
  "format-unknown": 400,
  unauthorized: 401,
  "sql-refused": 403,
  "not-found": 404,
  "method-not-allowed": 405,
  "not-acceptable": 406,
  deadline: 408,
  "body-too-large": 413,
  "media-type": 415,
  "engine-died": 503,
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

/** What to do about an error whose own message, DuckDB's, is not for callers. */
const advice: Readonly<Record<string, string>> = {
  deadline: `the query took longer than it may: ask for less at a time, or let the operator raise ${environmentNames.queryDeadlineSeconds}`,
  "disk-full": "the disk is full: send the query again when there is room",
  "engine-died": "the engine ended under this query and others: send it again",
  "engine-unavailable": "the engine ended before it had this query: send it again",
  "secret-unavailable": "the service that keeps the tokens can't be reached: send it again",
  "store-unavailable": "the bucket can't be reached: send it again",
  "out-of-memory":
    "the query needs more memory than it may use: ask for less at a time, or let the operator give the function more",
  "out-of-disk": `the query needs more disk than it may use: ask for less at a time, or let the operator raise ${environmentNames.diskMiB}`,
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

/** @param request the request's id, by which the log is searched */
export function problemOf(error: unknown, request?: string): Problem {
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
    detail: advice[error.code] ?? error.message,
    ...id,
  };
}

function titleOf(code: string): string {
  const words = code.replaceAll("-", " ").replace(/^sql\b/, "SQL");
  return words.charAt(0).toUpperCase() + words.slice(1);
}
