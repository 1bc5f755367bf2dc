import * as v from "valibot";
import { MillpondError } from "../errors.ts";

/**
 * Events of S3, as they come by way of SNS or straight from S3. Unknown fields are ignored: AWS adds some from time to
 * time. @see https://docs.aws.amazon.com/AmazonS3/latest/userguide/notification-content-structure.html
 */

/** A hint that something about an object changed. */
export interface ObjectEvent {
  bucket: string;
  key: string;
  /** ARN of the topic that it came by, empty where the envelope names none. Undefined for one straight from S3. */
  topic?: string;
}

const s3Record = v.object({
  eventSource: v.literal("aws:s3"),
  eventVersion: v.pipe(v.string(), v.regex(/^2\./, "only version 2 of S3's events is known")),
  s3: v.object({
    bucket: v.object({ name: v.string() }),
    object: v.object({ key: v.string() }),
  }),
});
const s3Event = v.object({ Records: v.array(s3Record) });
/** What S3 sends once when a notification is made. */
const testEvent = v.object({ Event: v.literal("s3:TestEvent"), Bucket: v.string() });
const snsEvent = v.object({
  Records: v.array(
    v.object({
      EventSource: v.literal("aws:sns"),
      Sns: v.object({ Message: v.string(), TopicArn: v.optional(v.string()) }),
    }),
  ),
});

/**
 * The object events in what a function was invoked with.
 * @throws MillpondError `event` for anything that is neither SNS's envelope nor S3's event
 */
export function decodeObjectEvents(event: unknown): ObjectEvent[] {
  const wrapped = v.safeParse(snsEvent, event);
  if (!wrapped.success) return decodeS3Event(event, undefined);
  return wrapped.output.Records.flatMap(({ Sns }) => {
    let message: unknown;
    try {
      message = JSON.parse(Sns.Message);
    } catch (error) {
      throw new MillpondError("event", "the message of the SNS event is not JSON", {
        cause: error,
      });
    }
    return decodeS3Event(message, Sns.TopicArn ?? "");
  });
}

function decodeS3Event(event: unknown, topic: string | undefined): ObjectEvent[] {
  if (v.is(testEvent, event)) return [];
  const parsed = v.safeParse(s3Event, event);
  if (!parsed.success) {
    const where = v.getDotPath(parsed.issues[0]) ?? "the event";
    throw new MillpondError(
      "event",
      `expected an event of S3, or one of SNS around it: ${where}: ${parsed.issues[0].message}`,
    );
  }
  return parsed.output.Records.map(({ s3 }) => ({
    bucket: s3.bucket.name,
    key: decodeKey(s3.object.key),
    ...(topic === undefined ? {} : { topic }),
  }));
}

/**
 * S3 writes keys into events as forms are encoded: `+` is a space, `%2B` a plus.
 * @throws MillpondError `event` for a key that is not encoded so
 */
export function decodeKey(encoded: string): string {
  try {
    return decodeURIComponent(encoded.replaceAll("+", " "));
  } catch (error) {
    throw new MillpondError("event", `the key ${JSON.stringify(encoded)} is not form-encoded`, {
      cause: error,
    });
  }
}

/** The other way, as S3 does it: slashes stay. */
export function encodeKey(key: string): string {
  return encodeURIComponent(key)
    .replaceAll("%20", "+")
    .replaceAll("%2F", "/")
    .replace(/[!'()]/g, (c) => `%${c.charCodeAt(0).toString(16).toUpperCase()}`);
}

/** What happened to an object, in S3's words. */
export type ObjectChange = "ObjectCreated:Put" | "ObjectRemoved:Delete";

/** What S3 says of a change, as it publishes it. */
export function objectMessage(bucket: string, key: string, change: ObjectChange, at: Date): string {
  return JSON.stringify({
    Records: [
      {
        eventVersion: "2.1",
        eventSource: "aws:s3",
        eventTime: at.toISOString(),
        eventName: change,
        s3: { s3SchemaVersion: "1.0", bucket: { name: bucket }, object: { key: encodeKey(key) } },
      },
    ],
  });
}

/** An event as the ingest function gets it on AWS: S3's, in SNS's envelope. */
export function wrapObjectEvent(bucket: string, key: string, change: ObjectChange, at: Date) {
  return {
    Records: [
      {
        EventSource: "aws:sns",
        EventVersion: "1.0",
        Sns: {
          Type: "Notification",
          Subject: "Amazon S3 Notification",
          Timestamp: at.toISOString(),
          Message: objectMessage(bucket, key, change, at),
        },
      },
    ],
  };
}
