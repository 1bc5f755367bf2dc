import pLimit from "p-limit";
import { prefixes } from "../contract.ts";
import type { Candidate, Listings } from "../engine/listings.ts";
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
  parts: SweepParts,
  options: SweepOptions = {},
): Promise<SweepCounts> {
  // DuckDB is not what a process of another function waits for at its start.
  const { Listings } = await import("../engine/listings.ts");
  const listings = await Listings.open({ workspace: parts.workspace });
  try {
    const sweep = new Sweep(parts, options, listings);
    await sweep.list();
    await sweep.look();
    return sweep.counts;
  } finally {
    await listings.close();
  }
}

type Why = keyof SweepCounts["stale"];

/** One sweep: first everything is listed, then what the lists leave in doubt is looked at. */
class Sweep {
  readonly counts: SweepCounts = {
    sources: 0,
    outputs: 0,
    rejections: 0,
    looked: 0,
    stale: { missing: 0, outdated: 0, gone: 0 },
    spared: 0,
  };
  readonly #parts: SweepParts;
  readonly #options: SweepOptions;
  readonly #listings: Listings;
  readonly #progress: SweepProgress = { done: 0, of: undefined };
  readonly #limit = pLimit(requestsAtOnce);

  constructor(parts: SweepParts, options: SweepOptions, listings: Listings) {
    this.#parts = parts;
    this.#options = options;
    this.#listings = listings;
  }

  /** Sources last: an output that is made meanwhile is looked for once more, and none is missed. */
  async list(): Promise<void> {
    const { store } = this.#parts;
    for await (const { key } of store.list(prefixes.rejected)) {
      this.#listings.addRejection(key);
      this.#count("rejections");
    }
    for await (const { key, lastModified } of store.list(prefixes.lake)) {
      this.#listings.addOutput(key, lastModified);
      this.#count("outputs");
    }
    for await (const source of store.list(prefixes.inbox)) {
      const parsed = parseSourceKey(source.key);
      if (parsed.kind === "ignored") continue;
      this.#listings.addSource({
        ...source,
        output: parsed.kind === "source" ? outputKey(source.key, parsed.table) : undefined,
        rejection: rejectionKey(source.key, parsed.table),
      });
      this.#count("sources");
    }
    this.#listings.listed();
  }

  async look(): Promise<void> {
    const { all = false, spotChecks = spotChecksByDefault } = this.#options;
    const clearlyMs = this.#parts.ownTimes && !all ? clearlyNewerMs : undefined;
    const candidates = await this.#listings.countCandidates(clearlyMs);
    const outputs = this.#parts.mirrorDeletes ? await this.#listings.countOrphans("output") : 0;
    const rejections = await this.#listings.countOrphans("rejection");
    const checks = Math.min(spotChecks, this.counts.sources - candidates);
    this.#progress.of = candidates + checks + outputs + rejections;
    await this.#each(this.#listings.candidates(clearlyMs), (one) => this.#lookAtSource(one));
    await this.#each(this.#listings.others(clearlyMs, spotChecks), (one) =>
      this.#lookAtSource(one),
    );
    // Before anything is said of what is gone: whoever hears of a record deletes the rows beside it.
    if (this.#parts.mirrorDeletes) await this.#lookAtLostOutputs(outputs);
    await this.#each(this.#listings.orphans("rejection"), (one) => this.#lookAtLostRecord(one));
  }

  async #lookAtSource({ key, etag, hasOutput, hasRejection }: Candidate): Promise<void> {
    if (!hasOutput && !hasRejection) return await this.#tell("missing", key);
    this.counts.looked += 1;
    const parsed = parseSourceKey(key);
    if (parsed.kind === "ignored") return;
    const { store, mirrorDeletes } = this.#parts;
    const [output, rejection] = await Promise.all([
      hasOutput && parsed.kind === "source" ? store.head(outputKey(key, parsed.table)) : undefined,
      hasRejection ? store.read(rejectionKey(key, parsed.table)) : undefined,
    ]);
    const decision = decide(
      sourceState({ key: parsed, source: { etag }, output, rejection, mirrorDeletes }),
    );
    const stale = decision.kind !== "done" || decision.clearRejection;
    if (stale) await this.#tell("outdated", key);
  }

  /** @param lost outputs that may have lost their sources */
  async #lookAtLostOutputs(lost: number): Promise<void> {
    const most = this.#options.force
      ? Number.POSITIVE_INFINITY
      : mostThatMayGo(this.counts.sources, this.counts.outputs - lost);
    /** Whether so many may be gone: then nothing is said of any until that is known. */
    const doubtful = lost > most;
    const gone: string[] = [];
    let foreign = 0;
    await this.#each(this.#listings.orphans("output"), async (made) => {
      if (gone.length > most) return;
      const key = await this.#sourceOf(made);
      if (key === undefined) foreign += 1;
      else if (doubtful) gone.push(key);
      else await this.#tell("gone", key);
    });
    if (gone.length > most) this.counts.spared = lost - foreign;
    else await Promise.all(gone.map((key) => this.#limit(() => this.#tell("gone", key))));
  }

  /** Undefined for what somebody moved or put there themselves: it has no source that could be gone. */
  async #sourceOf(made: string): Promise<string | undefined> {
    this.counts.looked += 1;
    const head = await this.#parts.store.head(made);
    const key = decodeOutputMetadata(head?.metadata ?? {})?.sourceKey;
    const parsed = parseSourceKey(key ?? "");
    return parsed.kind === "source" && outputKey(key as string, parsed.table) === made
      ? key
      : undefined;
  }

  async #lookAtLostRecord(rejected: string): Promise<void> {
    const { store } = this.#parts;
    this.counts.looked += 1;
    const key = parseRejection((await store.read(rejected))?.text ?? "")?.source.key;
    if (key === undefined) return;
    const parsed = parseSourceKey(key);
    // A record that somebody moved would be told of for ever: nobody finds it where it lies.
    if (parsed.kind === "ignored" || rejectionKey(key, parsed.table) !== rejected) return;
    const spared = this.counts.spared > 0 && parsed.kind === "source";
    if (spared && (await store.head(outputKey(key, parsed.table))) !== undefined) return;
    await this.#tell("gone", key);
  }

  #count(what: "sources" | "outputs" | "rejections"): void {
    this.counts[what] += 1;
    if (this.counts[what] % progressEvery === 0) this.#report();
  }

  #report(): void {
    this.#options.onProgress?.(this.counts, this.#progress);
  }

  async #tell(why: Why, key: string): Promise<void> {
    this.counts.stale[why] += 1;
    await this.#options.onStale?.(key);
  }

  async #each<T>(pieces: AsyncIterable<T[]>, work: (one: T) => Promise<void>): Promise<void> {
    const done = async (one: T) => {
      await work(one);
      this.#progress.done += 1;
      this.#report();
    };
    for await (const piece of pieces) {
      await Promise.all(piece.map((one) => this.#limit(() => done(one))));
    }
  }
}

/** Outputs whose source may be gone, at most, for their rows to go, too. @param joined outputs whose source is there */
function mostThatMayGo(sources: number, joined: number): number {
  return sources === 0 ? 0 : Math.max(fewGone, (joined * mostGone) / (1 - mostGone));
}

/** Sources that have to be announced. */
export function staleOf({ stale }: SweepCounts): number {
  return stale.missing + stale.outdated + stale.gone;
}
