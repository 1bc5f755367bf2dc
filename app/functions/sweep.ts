import type { Context } from "aws-lambda";
import { wrapObjectEvent } from "../events/s3-event.ts";
import { findStale } from "../flow/sweep.ts";
import type { Pond } from "../pond.ts";
import { createHandler as createIngest } from "./ingest.ts";
import { invocation, processPond } from "./invocation.ts";

export interface SweepSummary {
  sources: number;
  /** Sources that were announced, as their output is not of their newest version. */
  announced: number;
}

/** Says that a source changed, as S3 would. */
export type Announce = (event: unknown, context: Context) => Promise<unknown>;

/**
 * Runs on a schedule: finds sources that no event told of, and announces them. A folder has no topic, so there the
 * ingest function hears of them at once.
 */
export function createHandler(open: () => Promise<Pond>, announce: Announce = createIngest(open)) {
  return async (_event: unknown, context: Context): Promise<SweepSummary> => {
    const pond = await open();
    return await invocation(context, pond.logger, async () => {
      const { sources, stale } = await findStale(pond.store);
      for (const key of stale) {
        await announce(wrapObjectEvent(pond.bucket, key, "ObjectCreated:Put", new Date()), context);
      }
      pond.logger.info("swept", { sources, announced: stale.length });
      return { sources, announced: stale.length };
    });
  };
}

export const handler = createHandler(processPond);
