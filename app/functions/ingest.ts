import type { Context } from "aws-lambda";
import { prefixes, smokeTable } from "../contract.ts";
import { MillpondError, messageOf } from "../errors.ts";
import { decodeObjectEvents, type ObjectEvent } from "../events/s3-event.ts";
import { type IngestOptions, ingest, type Outcome } from "../flow/ingest.ts";
import type { Measures } from "../logger.ts";
import type { Pond } from "../pond.ts";
import { invocation, processPond } from "./invocation.ts";

/** How many sources of one invocation ended how. */
export type IngestSummary = Record<Outcome["kind"] | "refused", number>;

/** Time that is left for the answer when the engine is stopped. */
const spareMs = 3000;

/** Takes events of S3, raw or from SNS, and makes the lake hold the newest version of each source they name. */
export function createHandler(open: () => Promise<Pond>) {
  // Several events in turn may share what one invocation has: a sweep's, where there is no topic.
  let wholeMs = 0;
  return async (event: unknown, context: Context): Promise<IngestSummary> => {
    const pond = await open();
    const leftMs = context.getRemainingTimeInMillis() - spareMs;
    wholeMs = Math.max(wholeMs, leftMs);
    const time = { deadline: Date.now() + leftMs, timeMs: wholeMs };
    return await invocation(context, pond.logger, () => ingestEvents(pond, event, time));
  };
}

async function ingestEvents(
  pond: Pond,
  event: unknown,
  time: Required<IngestOptions>,
): Promise<IngestSummary> {
  const { logger } = pond;
  const summary: IngestSummary = {
    converted: 0,
    unchanged: 0,
    gone: 0,
    deleted: 0,
    rejected: 0,
    ignored: 0,
    refused: 0,
  };
  const events = decodeObjectEvents(event);
  if (events.length === 0) logger.info("an event without objects: nothing to do");
  const failures: unknown[] = [];
  for (const one of events) {
    const { key } = one;
    const refused = refusal(pond, one);
    if (refused !== undefined) {
      summary.refused += 1;
      logger.warn("refused an event", refused);
      continue;
    }
    try {
      const begun = performance.now();
      const outcome = await ingest(pond.ingest, key, time);
      summary[outcome.kind] += 1;
      const milliseconds = Math.round(performance.now() - begun);
      logger.log(outcome.kind === "rejected" ? "warn" : "info", outcome.kind, {
        source: key,
        ...facts(outcome),
        milliseconds,
        metrics: measures(outcome),
      });
    } catch (error) {
      // The other files go on; this one is tried again with the event.
      logger.error("could not ingest", { source: key, error });
      failures.push(error);
    }
  }
  if (failures.length === 0) return summary;
  // By the code of the first: whoever finds the event in a queue sees it there.
  const [first] = failures;
  throw new MillpondError(
    first instanceof MillpondError ? first.code : "internal",
    `${failures.length} of ${events.length} sources could not be ingested: ${messageOf(first)}`,
    { retryable: true, cause: first },
  );
}

/** Why an event is none of this pond's, with what it came by. What is refused is not touched, and never looked at. */
function refusal(
  { bucket, eventTopics }: Pond,
  event: ObjectEvent,
): Record<string, unknown> | undefined {
  if (event.topic !== undefined && eventTopics?.includes(event.topic) === false) {
    return { why: "another topic", topic: event.topic, expected: eventTopics };
  }
  if (event.bucket !== bucket) {
    return { why: "another bucket", bucket: event.bucket, expected: bucket };
  }
  // What the functions write themselves above all: an event of it must lead to no other.
  if (!event.key.startsWith(prefixes.inbox)) {
    return { why: "another prefix", source: event.key, expected: prefixes.inbox };
  }
  return undefined;
}

function measures(outcome: Outcome): Measures | undefined {
  switch (outcome.kind) {
    case "converted": {
      const { rows, sourceBytes, outputBytes, lagMs } = outcome;
      return {
        FilesConverted: 1,
        RowsConverted: rows,
        SourceBytes: sourceBytes,
        ParquetBytes: outputBytes,
        ...(lagMs === undefined ? {} : { IngestLag: lagMs }),
      };
    }
    case "rejected":
      // A duplicate of its event is no other file, and who tries a stage out knows of theirs: an alarm is raised by each.
      return outcome.again || outcome.table === smokeTable ? undefined : { FilesRejected: 1 };
    default:
      return undefined;
  }
}

function facts(outcome: Outcome): Record<string, unknown> {
  const { kind: _, ...rest } = outcome;
  if (outcome.kind !== "rejected") return rest;
  const { code, message, line, column } = outcome.reason;
  return {
    table: outcome.table,
    code,
    reason: message,
    line,
    column,
    record: outcome.rejectionKey,
  };
}

export const handler = createHandler(processPond);
