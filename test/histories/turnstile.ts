import type { Engine } from "../../app/engine/engine.ts";
import { MillpondError } from "../../app/errors.ts";
import type { ObjectSummary, PutResult, Store } from "../../app/store/store.ts";

/** What may go wrong with one step of a handler. */
export const faults = [
  "none",
  /** 503, SlowDown, a connection that broke off: nothing happened. */
  "unavailable",
  /** It happened, and the answer got lost. */
  "answer lost",
  /** Somebody else was first, or 409; nothing happened. Of writes alone. */
  "conflict",
  /** It happened, the answer got lost, and the client that tried again was told that somebody else was first. */
  "conflict with itself",
  /** No space is left for a copy. */
  "disk full",
  /** Of the engine alone: what a file that asks too much looks like. */
  "out of memory",
  "engine died",
  "time is up",
] as const;
export type Fault = (typeof faults)[number];

/** Those by which a file is judged. */
export const blamed: readonly Fault[] = ["out of memory", "engine died", "time is up"];

/** One step that a handler waits to take. */
export interface Parked {
  what: string;
  /** Which object it is about, or which source is converted. */
  about: string;
  go(fault: Fault): void;
}

/** Where the steps of one handler wait until they may be taken. */
export class Turnstile {
  readonly parked: Parked[] = [];
  finished = false;
  killed = false;
  readonly #changed: () => void;

  constructor(changed: () => void) {
    this.#changed = changed;
  }

  /** Whether nothing happens until a step is let through. */
  get still(): boolean {
    return this.finished || this.killed || this.parked.length > 0;
  }

  async step<T>(what: string, about: string, work: () => Promise<T>, write = false): Promise<T> {
    const fault = await new Promise<Fault>((resolve) => {
      // A process that was killed takes no step any more.
      if (this.killed) return;
      const parked: Parked = {
        what,
        about,
        go: (found) => {
          this.parked.splice(this.parked.indexOf(parked), 1);
          resolve(found);
        },
      };
      this.parked.push(parked);
      this.#changed();
    });
    switch (applicable(fault, what, write)) {
      case "none":
        return await work();
      case "unavailable":
        throw new MillpondError("store-unavailable", "injected: 503", { retryable: true });
      case "answer lost":
        await work();
        throw new MillpondError("store-unavailable", "injected: reset", { retryable: true });
      case "conflict":
        return { kind: "conflict" } satisfies PutResult as T;
      case "conflict with itself":
        await work();
        return { kind: "conflict" } satisfies PutResult as T;
      case "disk full":
        throw new MillpondError("disk-full", "injected: ENOSPC", { retryable: true });
      case "out of memory":
        throw new MillpondError("out-of-memory", "injected");
      case "engine died":
        throw new MillpondError("engine-died", "injected", { retryable: true });
      case "time is up":
        throw new MillpondError("deadline", "injected");
    }
  }

  /** A store whose calls wait here. */
  guard(store: Store): Store {
    return {
      head: (key) => this.step("head", key, () => store.head(key)),
      read: (key) => this.step("read", key, () => store.read(key)),
      list: (prefix) => this.#list(store, prefix),
      checkOut: (key, etag, directory) =>
        this.step("checkOut", key, () => store.checkOut(key, etag, directory)),
      putFile: (key, file, options) =>
        this.step("putFile", key, () => store.putFile(key, file, options), true),
      putText: (key, text, options) =>
        this.step("putText", key, () => store.putText(key, text, options), true),
      delete: (key, etag) => this.step("delete", key, () => store.delete(key, etag)),
      locate: (key) => store.locate(key),
      locatePrefix: (prefix) => store.locatePrefix(prefix),
      close: () => store.close(),
    };
  }

  /** The engine, likewise. @param converting which source it is about */
  guardEngine(engine: Engine, converting: () => string): Engine {
    const run: Engine["run"] = (request, options) =>
      this.step("convert", converting(), () => engine.run(request, options));
    return { run } as unknown as Engine;
  }

  async *#list(store: Store, prefix: string) {
    // One page, at one moment.
    const page = await this.step("list", prefix, async () => {
      const all: ObjectSummary[] = [];
      for await (const one of store.list(prefix)) all.push(one);
      return all;
    });
    yield* page;
  }
}

/** The fault that can hit such a step; none for one that can't. */
export function applicable(fault: Fault, what: string, write: boolean): Fault {
  if (what === "convert") return [...blamed, "none", "disk full"].includes(fault) ? fault : "none";
  if (blamed.includes(fault)) return "none";
  if (fault === "disk full") return what === "checkOut" ? fault : "none";
  if (fault.startsWith("conflict")) return write ? fault : "none";
  return fault;
}
