import { readableLine } from "../app/logger.ts";

/** One line of a log, whoever wrote it: a function, Lambda itself, or API Gateway. */
export interface LogLine {
  /** In ms since the epoch. */
  time: number;
  /** Whose log it is in, by the name that `-f` takes. */
  source: string;
  /** As it was written. */
  text: string;
}

/** From the least severe. */
export const logLevelNames = ["debug", "info", "warn", "error"] as const;
export type LogLevelName = (typeof logLevelNames)[number];

export interface LineFilter {
  /** The least severe level that is wanted. */
  level: LogLevelName;
  /** In the line somewhere, in capitals or not. */
  text?: string | undefined;
  /** The id that the answer to a request carries as x-request-id. */
  request?: string | undefined;
}

type Fields = Record<string, unknown>;

/** A line that was read. */
export interface ReadLine extends LogLine {
  level: LogLevelName;
  /** Undefined for one that is no JSON object. */
  fields: Fields | undefined;
}

export function readLine(line: LogLine): ReadLine {
  const fields = parse(line.text);
  return { ...line, fields, level: levelOf(fields) };
}

export function isWanted({ text, fields, level }: ReadLine, filter: LineFilter): boolean {
  if (logLevelNames.indexOf(level) < logLevelNames.indexOf(filter.level)) return false;
  const { text: wanted, request } = filter;
  if (wanted !== undefined && !text.toLowerCase().includes(wanted.toLowerCase())) return false;
  return request === undefined || idsOf(fields).includes(request);
}

/** A line as scripts take it: the object that was written, or one around what was none, with the function's name. */
export function jsonLine({ fields, time, source, text, level }: ReadLine): string {
  const known = fields ?? { timestamp: new Date(time).toISOString(), level, message: text };
  return JSON.stringify("function_name" in known ? known : { ...known, function_name: source });
}

/** A line as people read it. */
export function shownLine({ fields, time, source, text, level }: ReadLine): string {
  const begin = `${new Date(time).toISOString()} ${source.padEnd(6)}`;
  return `${begin} ${readableLine({ ...(fields === undefined ? { message: text } : said(fields)), level })}`;
}

function parse(text: string): Fields | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === "object" && value !== null ? (value as Fields) : undefined;
  } catch {
    // Node's own words, as it has when it dies.
    return undefined;
  }
}

/** @see https://docs.aws.amazon.com/lambda/latest/dg/telemetry-schema-reference.html */
function platformEvent(fields: Fields): { type: string; record: Fields } | undefined {
  const { type, record } = fields;
  const isEvent = typeof type === "string" && type.startsWith("platform.");
  return isEvent && typeof record === "object" && record !== null
    ? { type: type.slice("platform.".length), record: record as Fields }
    : undefined;
}

function levelOf(fields: Fields | undefined): LogLevelName {
  // Nobody writes anything but JSON on purpose.
  if (fields === undefined) return "warn";
  const event = platformEvent(fields);
  if (event !== undefined) {
    const { status = "success" } = event.record;
    return status === "success" ? "debug" : "error";
  }
  const { level, status } = fields;
  if (level === undefined && typeof status === "string") {
    // Of an access log.
    if (Number(status) >= 500) return "error";
    return Number(status) >= 400 ? "warn" : "info";
  }
  const name = String(level).toLowerCase();
  if (name === "trace" || name === "silly" || name === "verbose") return "debug";
  if (name === "fatal") return "error";
  return logLevelNames.find((one) => one === name) ?? "info";
}

function idsOf(fields: Fields | undefined): unknown[] {
  if (fields === undefined) return [];
  const event = platformEvent(fields);
  // Lambda's own errors name it in their way.
  return [fields["function_request_id"], fields["requestId"], event?.record["requestId"]];
}

/** What readableLine shows: of Lambda's and API Gateway's lines what a person wants to know. */
function said(fields: Fields): Fields {
  const event = platformEvent(fields);
  if (event !== undefined) {
    const { requestId: _, metrics, tracing: __, ...record } = event.record;
    const plain = Object.entries(record).filter(([, value]) => typeof value !== "object");
    return {
      message: event.type,
      ...Object.fromEntries(plain),
      ...(typeof metrics === "object" ? (metrics as Fields) : {}),
    };
  }
  const { message, method, path, route, request: _, ...rest } = fields;
  if (message !== undefined || method === undefined) {
    return fields;
  }
  return { message: `${String(method)} ${String(path ?? route)}`, ...rest };
}
