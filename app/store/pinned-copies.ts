import fs from "node:fs";
import pLimit from "p-limit";
import { before } from "../deadline.ts";
import { MillpondError } from "../errors.ts";
import type { ObjectSummary, Store } from "./store.ts";

export interface PinnedCopiesLimits {
  /** Bytes of the largest object that is copied. */
  objectBytes: number;
  /** Bytes of all copies together. */
  totalBytes: number;
}

/** Enough to hide the latency of each: as many as the store keeps connections. */
const fetchesAtOnce = 64;

export type Version = Pick<ObjectSummary, "key" | "etag" | "size" | "lastModified">;

/** What a version is read by. */
export interface Located {
  path: string;
  /** Whether it is that version, whatever happens to the object. What lies in the store may be replaced. */
  pinned: boolean;
}

interface Copy {
  size: number;
  /** Absolute path; why there is none, else: the store no longer has that version, or the disk no room. */
  path: Promise<string | "gone" | "no-room">;
  /** Readers under way: it stays while there is one. */
  users: number;
}

/**
 * Local copies of small objects, each of one version; in a folder second names, of any size. One GET is as quick as the HEAD that a remote reader begins with;
 * asked again, it costs nothing; and what is read is just the version that was listed.
 */
export class PinnedCopies {
  readonly #store: Store;
  readonly #folder: string;
  readonly #limits: PinnedCopiesLimits;
  /** In the order of their last use. */
  readonly #copies = new Map<string, Copy>();
  readonly #limit = pLimit(fetchesAtOnce);
  #bytes = 0;

  /** @param folder for the copies alone; whoever made it removes it */
  constructor(store: Store, folder: string, limits: PinnedCopiesLimits) {
    this.#store = store;
    this.#folder = folder;
    this.#limits = limits;
  }

  /**
   * Calls `work` with where each version is read: its copy, or where it lies, for what is too large or for which there
   * is no room.
   * @param deadline by which the copies must be there, in ms since the epoch; undefined for none
   * @returns undefined where one of them is no longer in the store; `work` was not called then
   */
  async with<T>(
    versions: readonly Version[],
    work: (located: Located[]) => Promise<T>,
    deadline?: number,
  ): Promise<T | undefined> {
    const taken = versions.map((version) => this.#take(version));
    try {
      const all = Promise.allSettled(taken.map((copy) => copy?.path));
      const settled = await before(deadline, all);
      const failed = settled.find((one) => one.status === "rejected");
      if (failed !== undefined) throw failed.reason;
      const located: Located[] = [];
      for (const [index, one] of settled.entries()) {
        const { key } = versions[index] as Version;
        const found = one.status === "fulfilled" ? one.value : undefined;
        if (found === "gone") return undefined;
        located.push(
          found === undefined || found === "no-room"
            ? { path: this.#store.locate(key), pinned: false }
            : { path: found, pinned: true },
        );
      }
      return await work(located);
    } finally {
      for (const copy of taken) if (copy !== undefined) copy.users -= 1;
    }
  }

  #take({ key, etag, size }: Version): Copy | undefined {
    if (size > this.#limits.objectBytes) return undefined;
    const id = `${etag} ${key}`;
    const before = this.#copies.get(id);
    if (before !== undefined) {
      this.#copies.delete(id);
      this.#copies.set(id, before);
      before.users += 1;
      return before;
    }
    if (!this.#makeRoom(size)) return undefined;
    const path = this.#limit(() => this.#store.checkOut(key, etag, this.#folder)).then(
      (found) => found?.path ?? "gone",
      (error: unknown) => {
        // It can still be read where it lies.
        if (error instanceof MillpondError && /^(disk-full|out-of-disk)$/.test(error.code)) {
          return "no-room";
        }
        throw error;
      },
    );
    const copy: Copy = { size, path, users: 1 };
    this.#copies.set(id, copy);
    this.#bytes += size;
    // What could not be had is no copy: the next one who asks tries again.
    path.then(
      (found) => {
        if (found === "gone" || found === "no-room") this.#forget(id, copy);
      },
      () => this.#forget(id, copy),
    );
    return copy;
  }

  #makeRoom(size: number): boolean {
    for (const [id, copy] of this.#copies) {
      if (this.#bytes + size <= this.#limits.totalBytes) break;
      if (copy.users === 0) this.#forget(id, copy);
    }
    return this.#bytes + size <= this.#limits.totalBytes;
  }

  #forget(id: string, copy: Copy): void {
    if (this.#copies.get(id) !== copy) return;
    this.#copies.delete(id);
    this.#bytes -= copy.size;
    copy.path.then(
      (path) => {
        if (path === "gone" || path === "no-room") return;
        try {
          // At once: the room is given to somebody else.
          fs.rmSync(path, { force: true });
        } catch {
          // It goes with the folder, when the process ends.
        }
      },
      () => {},
    );
  }
}
