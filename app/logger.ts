import { AsyncLocalStorage } from "node:async_hooks";
import winston from "winston";
import {
  type Environment,
  environmentNames,
  type MetricName,
  metricsNamespace,
  metricUnits,
  serviceName,
} from "./contract.ts";
import { MillpondError } from "./errors.ts";
import { withoutControls } from "./text.ts";

export type Logger = winston.Logger;

/** Keys that every line of one invocation carries; the names are those of Powertools for AWS Lambda. */
export interface InvocationKeys {
  function_request_id?: string;
  function_name?: string;
  xray_trace_id?: string;
}

/** Lambda's names of levels, and winston's own, to winston's. */
const levels: ReadonlyMap<string, string> = new Map([
  ["fatal", "error"],
  ["error", "error"],
  ["warn", "warn"],
  ["info", "info"],
  ["debug", "debug"],
  ["trace", "silly"],
]);

const invocation = new AsyncLocalStorage<InvocationKeys>();
let coldStartPending = true;

/** What a line measures: CloudWatch reads it from the log in Lambda, elsewhere it is left out. */
export type Measures = Partial<Record<MetricName, number>>;

/** The id of the invocation, or of the request, that this code runs for. */
export function currentRequestId(): string | undefined {
  return invocation.getStore()?.function_request_id;
}

/** Runs `work` so that each line it logs carries `keys`, beside those that it carries already. */
export function withInvocationKeys<T>(keys: InvocationKeys, work: () => T): T {
  return invocation.run({ ...invocation.getStore(), ...keys }, work);
}

/**
 * The level to log at: LOG_LEVEL, else AWS_LAMBDA_LOG_LEVEL (which Lambda sets when the log format is JSON), else info.
 * @throws MillpondError `environment` for a name that is not a level.
 */
export function levelFrom(environment: Environment): string {
  const own = environment[environmentNames.logLevel];
  const name = own === undefined || own === "" ? "AWS_LAMBDA_LOG_LEVEL" : environmentNames.logLevel;
  const wanted = environment[name];
  if (wanted === undefined || wanted === "") return "info";
  const level = levels.get(wanted.toLowerCase());
  if (level === undefined) {
    const known = [...levels.keys()].join(", ");
    throw new MillpondError("environment", `${name} must be one of ${known}, got "${wanted}"`);
  }
  return level;
}

/** An error as `plainErrors` spells it out. */
interface PlainError {
  /** Of errors that are thrown on purpose. */
  code?: string;
  message: string;
  stack?: string;
  cause?: PlainError;
}

/** An Error has no enumerable keys, so JSON would show `{}`: spell out what a reader needs. */
function plainErrors(value: unknown): unknown {
  if (!(value instanceof Error)) return value;
  return {
    name: value.name,
    ...(value instanceof MillpondError ? { code: value.code } : {}),
    message: value.message,
    ...(value.cause === undefined ? {} : { cause: plainErrors(value.cause) }),
    stack: value.stack,
  };
}

const keys = winston.format((line) => {
  if (line["error"] !== undefined) line["error"] = plainErrors(line["error"]);
  Object.assign(line, { service: serviceName, ...invocation.getStore() });
  return line;
});

/**
 * Measures in CloudWatch's embedded metric format: metrics that cost no call, as CloudWatch reads them from the log.
 * @see https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html
 */
const embeddedMetrics = winston.format(({ metrics, ...line }) => {
  if (metrics === undefined) return line;
  const measured = metrics as Measures;
  const Metrics = Object.keys(measured).map((Name) => ({
    Name,
    Unit: metricUnits[Name as MetricName],
  }));
  return {
    ...line,
    ...measured,
    _aws: {
      Timestamp: Date.parse(String(line["timestamp"])),
      CloudWatchMetrics: [
        { Namespace: metricsNamespace, Dimensions: [["function_name"]], Metrics },
      ],
    },
  };
});

const withoutMetrics = winston.format(({ metrics, ...line }) => line);

// A person who reads raw lines finds what happened at their beginning, and stacks at their end.
const inOrder = winston.format(({ timestamp, level, message, error, ...rest }) => ({
  timestamp,
  level,
  message,
  ...rest,
  ...(error === undefined ? {} : { error }),
}));

// The first line that is written says true, and no other: an alarm can count cold starts by counting lines.
const coldStart = winston.format((line) => {
  line["cold_start"] = coldStartPending;
  coldStartPending = false;
  return line;
});

/** What of a line is not for a person who reads it. */
const forMachines = new Set([
  ...["service", "cold_start", "function_name", "function_request_id", "xray_trace_id"],
  // Where a line with metrics comes from CloudWatch.
  ...["_aws", ...Object.keys(metricUnits)],
]);

/** Of what is thrown on purpose, the sentences; of what nobody thought of, where it came from. */
function readableError(error: PlainError): string {
  if (error.code === undefined) return error.stack ?? String(error);
  const { cause } = error;
  // Other causes are said in the sentence itself.
  const because = cause?.code === undefined ? "" : `\n    because: ${readableError(cause)}`;
  return `${error.code}: ${error.message}${because}`;
}

function readableValue(value: unknown): string {
  return withoutControls(typeof value === "string" ? value : JSON.stringify(value));
}

/** A line for a person: its level, what happened, and what more is known, as ` key=value`. */
export function readableLine({ level, message, timestamp, ...rest }: Record<string, unknown>) {
  const extra = Object.entries(rest)
    .filter(([key, value]) => value !== undefined && !forMachines.has(key))
    .map(([key, value]) =>
      key === "error"
        ? `\n    ${readableError(value as PlainError)}`
        : ` ${key}=${readableValue(value)}`,
    );
  return `${level} ${readableValue(message)}${extra.join("")}`;
}

const readable = winston.format.printf(
  (line) => `${String(line["timestamp"]).slice(11, 23)} ${readableLine(line)}`,
);

const { combine, json, timestamp, colorize } = winston.format;
const oneJsonLine = json({ deterministic: false });

/**
 * One logger for a process. In Lambda: one JSON object a line on standard output. Elsewhere: readable lines on
 * standard error, in colours on a terminal, so that standard output stays free for answers.
 */
export function createLogger({ environment }: { environment: Environment }): Logger {
  const inLambda = environment["AWS_LAMBDA_FUNCTION_NAME"] !== undefined;
  // Written straight to the stream: the Lambda runtime patches console.*, which would wrap each line once more.
  const stream = inLambda ? process.stdout : process.stderr;
  const colours = !inLambda && stream.isTTY && environment["NO_COLOR"] === undefined;
  // At the transport, not the logger: there only what is logged reaches the formats.
  const format = combine(
    timestamp(),
    keys(),
    coldStart(),
    ...(inLambda
      ? [inOrder(), embeddedMetrics(), oneJsonLine]
      : [withoutMetrics(), ...(colours ? [colorize()] : []), readable]),
  );
  return winston.createLogger({
    level: levelFrom(environment),
    transports: [new winston.transports.Stream({ stream, eol: "\n", format })],
  });
}

/** Bytes of one file of a local log, and how many of them are kept: about a week of a pond that is used. */
const logFile = { maxsize: 10_000_000, maxFiles: 5 };

/** Writes the same lines to a file as well, as Lambda would, and begins another when it is full. */
export function alsoLogTo(logger: Logger, filename: string): void {
  const format = combine(timestamp(), keys(), inOrder(), withoutMetrics(), oneJsonLine);
  // The newest lines are always in the file of that name.
  const file = new winston.transports.File({ filename, format, tailable: true, ...logFile });
  logger.add(file);
  // A disk that is full, most likely: the pond goes on, and its terminal says what happens.
  logger.once("error", (error: Error) => {
    logger.remove(file);
    logger.on("error", () => {});
    logger.warn("could not write the log's file: it ends here", { file: filename, error });
  });
}
