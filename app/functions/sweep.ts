import type { Context } from "aws-lambda";
import pLimit from "p-limit";
import * as v from "valibot";
import { MillpondError, messageOf } from "../errors.ts";
import { objectMessage, wrapObjectEvent } from "../events/s3-event.ts";
import { type SweepOptions as FindOptions, findStale, type SweepCounts } from "../flow/sweep.ts";
import type { Pond } from "../pond.ts";
import { requestsAtOnce } from "../store/store.ts";
import { createHandler as createIngest, type IngestSummary } from "./ingest.ts";
import { invocation, processPond } from "./invocation.ts";

export interface SweepSummary extends SweepCounts {
  /** Sources that were announced, as their output is not of their newest version. None in a dry run. */
  announced: number;
  /** What became of them, where there is no topic and `ingest` ran at once. */
  ingested?: Partial<IngestSummary>;
}

/** Hands an event to the ingest function. @returns what became of it, where that is known by then */
export type Announce = (event: unknown, context: Context) => Promise<IngestSummary | undefined>;

export interface SweepRunOptions {
  /** Finds, and announces nothing. @default false */
  dryRun?: boolean;
  /** Looks at each source, whatever the listing says. @default false */
  all?: boolean;
  /** Lets rows go though most of the inbox has. @default false */
  force?: boolean;
  /** Called with each key that is found, before it is announced. */
  onStale?: (key: string) => void;
  /** Called now and then. */
  onProgress?: NonNullable<FindOptions["onProgress"]>;
}

/** What may be asked of it; a schedule's own event says nothing. */
const schema = v.object({
  dryRun: v.optional(v.boolean(), false),
  all: v.optional(v.boolean(), false),
  force: v.optional(v.boolean(), false),
});

/**
 * Runs on a schedule: finds sources that no event told of, and announces them, as S3 would.
 * @param announce where there is no topic @default the ingest function, at once
 */
export function createHandler(open: () => Promise<Pond>, announce: Announce = createIngest(open)) {
  return async (event: unknown, context: Context): Promise<SweepSummary> => {
    const pond = await open();
    return await invocation(context, pond.logger, async () => {
      const asked = v.safeParse(schema, event);
      if (!asked.success) {
        const expected = 'expected {}, or any of {"dryRun": true, "all": true, "force": true}';
        throw new MillpondError("event", expected);
      }
      return await sweepPond(pond, announce, () => context, asked.output);
    });
  };
}

/**
 * @param context of whatever ingests a file at once
 * @throws MillpondError `sweep-failed` where some could not be announced, `inbox-gone` where rows were to go with most of the inbox;
 * the others were announced. Its `details` are the summary
 */
export async function sweepPond(
  pond: Pond,
  announce: Announce,
  context: () => Context,
  { dryRun = false, all = false, force = false, onStale, onProgress }: SweepRunOptions = {},
): Promise<SweepSummary> {
  let announced = 0;
  const failures: unknown[] = [];
  const outcomes: Partial<IngestSummary> = {};
  // Whoever ingests at once does so file by file; a topic takes many.
  const limit = pLimit(pond.publish === undefined ? 1 : requestsAtOnce);
  const tell = async (key: string) => {
    const change = [pond.bucket, key, "ObjectCreated:Put", new Date()] as const;
    try {
      if (pond.publish !== undefined) await pond.publish(objectMessage(...change));
      else add(outcomes, await announce(wrapObjectEvent(...change), context()));
      announced += 1;
    } catch (error) {
      // One that can't be announced holds up no other; the next sweep finds it again.
      pond.logger.error("could not announce", { source: key, error });
      failures.push(error);
    }
  };
  const counts = await findStale(pond.sweep, {
    all,
    force,
    onStale: async (key) => {
      onStale?.(key);
      if (!dryRun) await limit(() => tell(key));
    },
    ...(onProgress === undefined ? {} : { onProgress }),
  });
  const { stale, ...rest } = counts;
  pond.logger.info("swept", {
    ...rest,
    ...stale,
    announced,
    failed: failures.length,
    ...outcomes,
    ...(dryRun ? { dry_run: true } : {}),
  });
  const ingested = Object.keys(outcomes).length > 0 ? { ingested: outcomes } : {};
  const summary = { ...counts, announced, ...ingested };
  if (failures.length > 0) {
    throw new MillpondError(
      "sweep-failed",
      `${failures.length} of ${failures.length + announced} sources could not be announced: ${messageOf(failures[0])}`,
      { retryable: true, cause: failures[0], details: summary },
    );
  }
  if (counts.spared > 0 && !dryRun) {
    throw new MillpondError(
      "inbox-gone",
      `the sources of ${counts.spared} of ${counts.outputs} files of the lake are gone, with mirrorDeletes: no rows were deleted; if that is meant, sweep again with --force (inbox-gone)`,
      { details: summary },
    );
  }
  return summary;
}

function add(sum: Partial<IngestSummary>, one: IngestSummary | undefined): void {
  for (const [kind, count] of Object.entries(one ?? {}) as [keyof IngestSummary, number][]) {
    sum[kind] = (sum[kind] ?? 0) + count;
  }
}

export const handler = createHandler(processPond);
