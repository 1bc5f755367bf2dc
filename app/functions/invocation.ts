import { fileURLToPath } from "node:url";
import type { Context } from "aws-lambda";
import { readSettings } from "../environment.ts";
import { MillpondError } from "../errors.ts";
import { readPage } from "../http/page.ts";
import { createLogger, type Logger, withInvocationKeys } from "../logger.ts";
import { openPond, type Pond } from "../pond.ts";

export type Handler = (event: unknown, context: Context) => Promise<unknown>;

/** Beside the bundle. */
const pageFolder = fileURLToPath(new URL("console/", import.meta.url));

let logger: Logger | undefined;
let pond: Promise<Pond> | undefined;

/** The logger of this process, from its environment. */
export function processLogger(): Logger {
  logger ??= createLogger({ environment: process.env });
  return logger;
}

/** The pond of this process, from its environment: made at first use, and made anew where that failed. */
export function processPond(): Promise<Pond> {
  pond ??= (async () =>
    openPond(readSettings(process.env), processLogger(), {
      page: () => readPage(pageFolder),
    }))().catch((error: unknown) => {
    pond = undefined;
    throw error;
  });
  return pond;
}

/** Ends what `processPond` made, for a process that invokes and then stops. */
export async function closeProcessPond(): Promise<void> {
  const opened = pond;
  pond = undefined;
  await (await opened)?.close();
}

/** Runs one invocation: its lines carry its keys, and an error is logged once before Lambda hears of it. */
export async function invocation<T>(
  context: Context,
  log: Logger,
  work: () => Promise<T>,
): Promise<T> {
  const trace = /Root=([^;]+)/.exec(process.env["_X_AMZN_TRACE_ID"] ?? "")?.[1];
  const keys = {
    function_name: context.functionName,
    function_request_id: context.awsRequestId,
    ...(trace === undefined ? {} : { xray_trace_id: trace }),
  };
  return await withInvocationKeys(keys, async () => {
    try {
      return await work();
    } catch (error) {
      log.error("invocation failed", { error });
      // Lambda tells the name of an error to whoever asks what failed, and no other word of it but the message.
      if (error instanceof MillpondError) error.name = error.code;
      throw error;
    }
  });
}
