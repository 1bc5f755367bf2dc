import * as v from "valibot";
import { parseSourceKey } from "../lake/source-key.ts";
import { decodeObjectEvents } from "./s3-event.ts";

/** An event that failed for good, as it waits in a queue. */
export interface FailedEvent {
  /** What the function is to be invoked with again. */
  event: unknown;
  /** ARN of the function that failed, with its version. Undefined where the event never reached one. */
  functionArn: string | undefined;
  /** What went wrong: the code of Millpond's error, or Lambda's or SNS's word. */
  code: string;
  /** What was said of it, for people. Empty where nothing was. */
  message: string;
}

/** @see https://docs.aws.amazon.com/lambda/latest/dg/invocation-async-retain-records.html */
const lambdaRecord = v.object({
  requestContext: v.object({ functionArn: v.string(), condition: v.string() }),
  requestPayload: v.unknown(),
  responsePayload: v.optional(v.unknown()),
});
/** What a runtime says of an error. A function that answers otherwise has failed all the same. */
const errorPayload = v.object({
  errorType: v.optional(v.string()),
  errorMessage: v.optional(v.string()),
});

/** What SNS would have handed over. @see https://docs.aws.amazon.com/sns/latest/dg/sns-message-and-json-formats.html */
const snsNotification = v.looseObject({
  Type: v.literal("Notification"),
  TopicArn: v.string(),
  Message: v.string(),
});

/**
 * Reads the body of a message of a failure queue: Lambda's record of an event that its function failed at, or a notification
 * that SNS could not deliver.
 * @param attributes of the message; SNS says there why it could not
 * @returns undefined for anything else
 */
export function decodeFailedEvent(
  body: string,
  attributes: Readonly<Record<string, string | undefined>> = {},
): FailedEvent | undefined {
  let value: unknown;
  try {
    value = JSON.parse(body);
  } catch {
    return undefined;
  }
  const failed = v.safeParse(lambdaRecord, value);
  if (failed.success) {
    const { requestContext, requestPayload, responsePayload } = failed.output;
    if (requestPayload === undefined) return undefined;
    const error = v.safeParse(errorPayload, responsePayload);
    const { errorType, errorMessage } = error.success ? error.output : {};
    return {
      event: requestPayload,
      functionArn: requestContext.functionArn,
      code: errorType ?? requestContext.condition,
      message: errorMessage ?? "",
    };
  }
  const undelivered = v.safeParse(snsNotification, value);
  if (!undelivered.success) return undefined;
  return {
    event: {
      Records: [{ EventSource: "aws:sns", EventVersion: "1.0", Sns: undelivered.output }],
    },
    functionArn: undefined,
    code: attributes["ErrorCode"] ?? "undelivered",
    message: attributes["ErrorMessage"] ?? "",
  };
}

/** The tables that an event is about, without doubles. Empty for one that names no object, or can't be read. */
export function tablesOf(event: unknown): string[] {
  try {
    const tables = decodeObjectEvents(event).flatMap(({ key }) => {
      const source = parseSourceKey(key);
      return source.kind === "ignored" || source.table === undefined ? [] : [source.table];
    });
    return [...new Set(tables)];
  } catch {
    // What made it fail, most likely: then its code says so.
    return [];
  }
}
