import type { Context } from "aws-lambda";
import { MillpondError } from "../errors.ts";
import { objectMessage, wrapObjectEvent } from "../events/s3-event.ts";
import { findStale } from "../flow/sweep.ts";
import type { Pond } from "../pond.ts";
import { createHandler as createIngest, type IngestSummary } from "./ingest.ts";
import { invocation, processPond } from "./invocation.ts";

export interface SweepSummary {
  sources: number;
  /** Sources that were announced, as their output is not of their newest version. */
  announced: number;
  /** What became of them, where there is no topic and `ingest` ran at once. */
  ingested?: Partial<IngestSummary>;
}

/** Hands an event to the ingest function. @returns what became of it, where that is known by then */
export type Announce = (event: unknown, context: Context) => Promise<IngestSummary | undefined>;

/**
 * Runs on a schedule: finds sources that no event told of, and announces them, as S3 would.
 * @param announce where there is no topic @default the ingest function, at once
 */
export function createHandler(open: () => Promise<Pond>, announce: Announce = createIngest(open)) {
  return async (_event: unknown, context: Context): Promise<SweepSummary> => {
    const pond = await open();
    return await invocation(context, pond.logger, async () => {
      const { sources, stale } = await findStale(pond.store);
      const failures: unknown[] = [];
      const outcomes: Partial<IngestSummary> = {};
      for (const key of stale) {
        const change = [pond.bucket, key, "ObjectCreated:Put", new Date()] as const;
        try {
          if (pond.publish !== undefined) await pond.publish(objectMessage(...change));
          else add(outcomes, await announce(wrapObjectEvent(...change), context));
        } catch (error) {
          // One that can't be announced holds up no other; the next sweep finds it again.
          pond.logger.error("could not announce", { source: key, error });
          failures.push(error);
        }
      }
      const announced = stale.length - failures.length;
      pond.logger.info("swept", { sources, announced, failed: failures.length, ...outcomes });
      const ingested = Object.keys(outcomes).length > 0 ? { ingested: outcomes } : {};
      if (failures.length === 0) return { sources, announced, ...ingested };
      throw new MillpondError(
        "sweep-failed",
        `${failures.length} of ${stale.length} sources could not be announced`,
        { retryable: true, cause: failures[0] },
      );
    });
  };
}

function add(sum: Partial<IngestSummary>, one: IngestSummary | undefined): void {
  for (const [kind, count] of Object.entries(one ?? {}) as [keyof IngestSummary, number][]) {
    sum[kind] = (sum[kind] ?? 0) + count;
  }
}

export const handler = createHandler(processPond);
