import pLimit from "p-limit";
import { prefixes } from "../contract.ts";
import type { Candidate } from "../engine/listings.ts";
import { decide } from "../lake/decide.ts";
import { outputKey, rejectionKey } from "../lake/derived-key.ts";
import { decodeOutputMetadata } from "../lake/output-metadata.ts";
import { parseRejection } from "../lake/rejection.ts";
import { parseSourceKey } from "../lake/source-key.ts";
import { requestsAtOnce, type Store } from "../store/store.ts";
import { sourceState } from "./source-state.ts";

export interface SweepParts {
  store: Store;
  /** A folder for what is listed. */
  workspace: string;
  /** Whether the rows of a source go with it. */
  mirrorDeletes: boolean;
  /** Whether listed times are the store's own, as S3's are. Those of files are whatever somebody gave them. */
  ownTimes: boolean;
}

/** What a sweep found, in numbers of objects. */
export interface SweepCounts {
  /** Sources under `inbox/`. */
  sources: number;
  /** Files under `lake/`. */
  outputs: number;
  /** Records under `rejected/`. */
  rejections: number;
  /** Sources at which a request was spent; the listing says enough of the others. */
  looked: number;
  /** What has to be announced, by why. */
  stale: {
    /** Neither output nor record. */
    missing: number;
    /** The output, or the record, is of another version. */
    outdated: number;
    /** The source is gone, but a record, or with `mirrorDeletes` an output, is not. */
    gone: number;
  };
  /**
   * Outputs whose source is gone, and that stay all the same, as so many have lost theirs. Not all are looked at then: without those
   * that were found to be of no source.
   */
  spared: number;
}

/** How many of the objects that it has to look at a sweep is done with. */
export interface SweepProgress {
  done: number;
  /** Of so many. Undefined while they are listed. */
  of: number | undefined;
}

export interface SweepOptions {
  /** Whether each source is looked at, whatever the listing says. @default false */
  all?: boolean;
  /** Whether rows may go though most of the inbox has. @default false */
  force?: boolean;
  /** Sources that are looked at though the listing leaves no doubt, at most. @default 1000 */
  spotChecks?: number;
  /** Called with the key of each stale source as it is found; the sweep goes on when it has resolved. */
  onStale?: (key: string) => Promise<void> | void;
  /** Called now and then. */
  onProgress?: (counts: SweepCounts, sources: SweepProgress) => void;
}

/**
 * An output that is so much newer than its source is of it, and costs no request. Less says nothing: an upload in parts bears the time
 * at which it began, and the bucket's lifecycle gives it a day, others up to a week.
 */
const clearlyNewerMs = 8 * 24 * 60 * 60 * 1000;

/**
 * Beyond doubt is not beyond all: a source whose newest version was deleted is an older one again, with that one's time, and rules by
 * which outputs are made may change. At 1,000 requests a sweep, each source of a small store is looked at each time; of a million it
 * is one in a thousand, and `all` is there for whoever can't wait.
 */
const spotChecksByDefault = 1000;

/**
 * Outputs that may have lost their sources, as a share of all that were made of one: of more it is likelier that the inbox is not
 * what it should be.
 */
const mostGone = 0.5;
/** So few may have, whatever their share, while the inbox holds anything at all. */
const fewGone = 10;

/** Listed objects from one call of `onProgress` to the next. */
const progressEvery = 1000;

/**
 * Finds sources that no event told of: those dropped while nothing listened, and those whose event got lost. It only
 * finds; what is stale is then announced like any other change.
 */
export async function findStale(
  { store, workspace, mirrorDeletes, ownTimes }: SweepParts,
  {
    all = false,
    force = false,
    spotChecks = spotChecksByDefault,
    onStale,
    onProgress,
  }: SweepOptions = {},
): Promise<SweepCounts> {
  // DuckDB is not what a process of another function waits for at its start.
  const { Listings } = await import("../engine/listings.ts");
  const counts: SweepCounts = {
    sources: 0,
    outputs: 0,
    rejections: 0,
    looked: 0,
    stale: { missing: 0, outdated: 0, gone: 0 },
    spared: 0,
  };
  const count = (what: "sources" | "outputs" | "rejections") => {
    counts[what] += 1;
    if (counts[what] % progressEvery === 0) onProgress?.(counts, progress);
  };
  const progress: SweepProgress = { done: 0, of: undefined };
  const limit = pLimit(requestsAtOnce);
  const tell = async (why: keyof SweepCounts["stale"], key: string) => {
    counts.stale[why] += 1;
    await onStale?.(key);
  };

  const look = async ({ key, etag, hasOutput, hasRejection }: Candidate) => {
    if (!hasOutput && !hasRejection) return await tell("missing", key);
    counts.looked += 1;
    const parsed = parseSourceKey(key);
    if (parsed.kind === "ignored") return;
    const [output, rejection] = await Promise.all([
      hasOutput && parsed.kind === "source" ? store.head(outputKey(key, parsed.table)) : undefined,
      hasRejection ? store.read(rejectionKey(key, parsed.table)) : undefined,
    ]);
    const decision = decide(
      sourceState({ key: parsed, source: { etag }, output, rejection, mirrorDeletes }),
    );
    const stale = decision.kind !== "done" || decision.clearRejection;
    if (stale) await tell("outdated", key);
  };
  /** Undefined for what somebody moved or put there themselves: it has no source that could be gone. */
  const sourceOf = async (made: string) => {
    counts.looked += 1;
    const key = decodeOutputMetadata((await store.head(made))?.metadata ?? {})?.sourceKey;
    const parsed = parseSourceKey(key ?? "");
    return parsed.kind === "source" && outputKey(key as string, parsed.table) === made
      ? key
      : undefined;
  };
  const each = async <T>(pieces: AsyncIterable<T[]>, work: (one: T) => Promise<void>) => {
    for await (const piece of pieces) {
      const done = async (one: T) => {
        await work(one);
        progress.done += 1;
        onProgress?.(counts, progress);
      };
      await Promise.all(piece.map((one) => limit(() => done(one))));
    }
  };

  const listings = await Listings.open({ workspace });
  try {
    // Sources last: an output that is made meanwhile is looked for once more, and none is missed.
    for await (const { key } of store.list(prefixes.rejected)) {
      listings.addRejection(key);
      count("rejections");
    }
    for await (const { key, lastModified } of store.list(prefixes.lake)) {
      listings.addOutput(key, lastModified);
      count("outputs");
    }
    for await (const source of store.list(prefixes.inbox)) {
      const parsed = parseSourceKey(source.key);
      if (parsed.kind === "ignored") continue;
      listings.addSource({
        ...source,
        output: parsed.kind === "source" ? outputKey(source.key, parsed.table) : undefined,
        rejection: rejectionKey(source.key, parsed.table),
      });
      count("sources");
    }
    listings.listed();

    const clearlyMs = ownTimes && !all ? clearlyNewerMs : undefined;
    const candidates = await listings.countCandidates(clearlyMs);
    const orphans = {
      output: mirrorDeletes ? await listings.countOrphans("output") : 0,
      rejection: await listings.countOrphans("rejection"),
    };
    const checks = Math.min(spotChecks, counts.sources - candidates);
    progress.of = candidates + checks + orphans.output + orphans.rejection;
    await each(listings.candidates(clearlyMs), look);
    await each(listings.others(clearlyMs, spotChecks), look);

    // Before anything is said of what is gone: whoever hears of a record deletes the rows beside it.
    const most = force
      ? Number.POSITIVE_INFINITY
      : mostThatMayGo(counts.sources, counts.outputs - orphans.output);
    /** Whether so many may be gone: then nothing is said of any until that is known. */
    const doubtful = orphans.output > most;
    const gone: string[] = [];
    if (mirrorDeletes) {
      let foreign = 0;
      await each(listings.orphans("output"), async (made) => {
        if (gone.length > most) return;
        const key = await sourceOf(made);
        if (key === undefined) foreign += 1;
        else if (doubtful) gone.push(key);
        else await tell("gone", key);
      });
      if (gone.length > most) counts.spared = orphans.output - foreign;
      else await Promise.all(gone.map((key) => limit(() => tell("gone", key))));
    }
    await each(listings.orphans("rejection"), async (rejected) => {
      counts.looked += 1;
      const key = parseRejection((await store.read(rejected))?.text ?? "")?.source.key;
      if (key === undefined) return;
      const parsed = parseSourceKey(key);
      // A record that somebody moved would be told of for ever: nobody finds it where it lies.
      if (parsed.kind === "ignored" || rejectionKey(key, parsed.table) !== rejected) return;
      const spared = counts.spared > 0 && parsed.kind === "source";
      if (spared && (await store.head(outputKey(key, parsed.table))) !== undefined) return;
      await tell("gone", key);
    });
  } finally {
    await listings.close();
  }
  return counts;
}

/** Outputs whose source may be gone, at most, for their rows to go, too. @param joined outputs whose source is there */
function mostThatMayGo(sources: number, joined: number): number {
  return sources === 0 ? 0 : Math.max(fewGone, (joined * mostGone) / (1 - mostGone));
}

/** Sources that have to be announced. */
export function staleOf({ stale }: SweepCounts): number {
  return stale.missing + stale.outdated + stale.gone;
}
