import type { ChildProcess } from "node:child_process";
import { randomUUID } from "node:crypto";
import { readFileSync } from "node:fs";
import fs from "node:fs/promises";
import path from "node:path";
import type { BucketAccess, BucketKeys } from "../bucket-access.ts";
import { MillpondError } from "../errors.ts";
import type { Extensions } from "../extensions.ts";
import { SourceError } from "../lake/source-error.ts";
import type {
  FromWorker,
  ResultOf,
  ToWorker,
  WireError,
  WorkerRequest,
  WorkerSetup,
} from "./protocol.ts";
import { forkWorker, takeSpareWorker } from "./spare-worker.ts";

/** A part of a bucket that the engine may read, and who knows how. */
export interface EngineBucket {
  /** `s3://<bucket>/<prefix>/` */
  scope: string;
  extensions: Extensions;
  access(): Promise<BucketAccess>;
  /** The keys to use now. Asked before each request: they expire while a function is frozen, when no timer runs. */
  keys(): Promise<BucketKeys>;
}

export interface EngineOptions extends Omit<WorkerSetup, "bucket"> {
  /**
   * MiB that a worker and this process may have together. What functions build beside DuckDB's own buffers is in no limit of
   * DuckDB's. Watched where there is /proc, which is Linux. @default - any number
   */
  processMiB?: number;
  /** @default undefined, for an engine without a network */
  bucket?: EngineBucket | undefined;
  /** Told when a worker starts, and when one ends that was not asked to. */
  onEvent?: (event: EngineEvent) => void;
}

export type EngineEvent =
  | { kind: "started"; pid: number; milliseconds: number }
  | { kind: "ended"; pid: number; why: string };

export interface RunOptions {
  /** Time after which the worker is killed, in ms since the epoch. @default - none */
  deadline?: number;
  /** Aborted when nobody waits for the answer any more: as at a deadline. @default - never */
  signal?: AbortSignal;
}

/** Work under way, kept until its answer is there, so that another worker can take it over. */
interface Pending {
  request: WorkerRequest;
  /** Which worker has it now. */
  worker: Worker | undefined;
  /** Whether the worker was told of it. */
  sent: boolean;
  /** Answered, failed or given up: whoever still holds it lets it go. */
  settled: boolean;
  /** Workers that have ended under it. */
  deaths: number;
  /** Workers that have ended before they were told of it. */
  misses: number;
  /** Workers that were stopped under it for the sake of others. */
  stops: number;
  /** Resolves when it is answered, failed or given up. */
  over: PromiseWithResolvers<void>;
  resolve: (result: never) => void;
  reject: (error: Error) => void;
}

interface Worker {
  process: ChildProcess;
  ready: Promise<void>;
  pending: Map<number, Pending>;
  /** Whether it was asked to end. */
  stopped: boolean;
  /** Whether it had more memory than there is. */
  tooLarge: boolean;
  /** Requests that nobody waits for, and what stops the worker if they don't end. */
  left: Map<number, NodeJS.Timeout>;
  /** Those that it was told last. */
  keys: BucketKeys | undefined;
  /** Resolves when it has ended, and what it spilled is gone. */
  gone: Promise<void>;
}

/** How often a request is given to another worker after the one that had it has ended. */
const takeovers = 1;

/** How often a worker may be stopped under a request for the sake of others, before it gets one of its own. */
const mostStops = 2;

/** Milliseconds in which a query that nobody waits for may end by itself, beside others. */
const leavingMs = 1000;

/** Milliseconds from one look at a worker's memory to the next. */
const lookEveryMs = 50;

/**
 * DuckDB in a child process: started with the first request (or `start`), kept warm, started anew when it dies, killed
 * at a deadline, as that alone stops every query. Requests that were with a worker that died run again, each in a worker
 * of its own: so the one that killed it ends alone, and the others end well.
 */
export class Engine {
  readonly #options: EngineOptions;
  #worker: Worker | undefined;
  /** Those that run one request each, apart from all others. */
  readonly #apart = new Set<Worker>();
  /** All that have not gone. */
  readonly #all = new Set<Worker>();
  /** One at a time. */
  #suspects: Promise<void> = Promise.resolve();
  /** When the worker's memory was last looked at between requests. */
  #looked = 0;
  #nextId = 1;
  #closed = false;

  constructor(options: EngineOptions) {
    this.#options = options;
  }

  /** Starts the worker ahead of the first request. */
  async start(): Promise<void> {
    await this.#current().ready;
  }

  /**
   * Runs one request.
   * @throws MillpondError `deadline` when time is up, `engine-died` when the worker dies under it twice, `engine-unavailable`
   * when workers die before they have it, or what the worker says; SourceError where a source can't be read
   */
  async run<R extends WorkerRequest>(request: R, options: RunOptions = {}): Promise<ResultOf<R>> {
    const id = this.#nextId++;
    const { promise, resolve, reject } = Promise.withResolvers<ResultOf<R>>();
    const pending: Pending = {
      request,
      worker: undefined,
      sent: false,
      settled: false,
      deaths: 0,
      misses: 0,
      stops: 0,
      over: Promise.withResolvers(),
      resolve,
      reject,
    };
    const giveUp = (code: "deadline" | "client-left", message: string) => {
      const { worker } = pending;
      pending.settled = true;
      reject(new MillpondError(code, message));
      // One that was never told of it is not what is late.
      if (!worker?.pending.delete(id) || !pending.sent) return;
      // Whoever leaves takes nothing from others: most queries end by an interrupt.
      if (code === "client-left" && worker.pending.size > 0) this.#leave(worker, id);
      else this.#kill(worker);
    };
    const { deadline, signal } = options;
    let timer: NodeJS.Timeout | undefined;
    if (deadline !== undefined) {
      const late = () => giveUp("deadline", "time is up: the engine was stopped");
      timer = setTimeout(late, Math.max(0, deadline - Date.now()));
    }
    const left = () => giveUp("client-left", "nobody waits for the answer");
    signal?.addEventListener("abort", left);
    try {
      if (signal?.aborted) left();
      else this.#send(id, pending);
      return await promise;
    } finally {
      clearTimeout(timer);
      signal?.removeEventListener("abort", left);
      pending.settled = true;
      pending.worker?.pending.delete(id);
      pending.over.resolve();
    }
  }

  /** The process id of the worker at work, for tests and for the person who looks. */
  get pid(): number | undefined {
    return this.#worker?.process.pid;
  }

  /** Stops the workers; what is under way fails. */
  async close(): Promise<void> {
    this.#closed = true;
    await Promise.all(
      [...this.#all].map(async (worker) => {
        this.#kill(worker);
        await worker.gone;
      }),
    );
  }

  #send(id: number, pending: Pending): void {
    if (this.#closed) {
      pending.reject(new MillpondError("engine-closed", "the engine was closed"));
      return;
    }
    this.#give(id, pending, this.#current());
  }

  #give(id: number, pending: Pending, worker: Worker): void {
    pending.worker = worker;
    pending.sent = false;
    worker.pending.set(id, pending);
    this.#hand(worker, id, pending).catch((error: Error) => {
      if (worker.pending.delete(id)) pending.reject(error);
    });
  }

  async #hand(worker: Worker, id: number, pending: Pending): Promise<void> {
    await worker.ready;
    const keys = await this.#options.bucket?.keys();
    // Gone meanwhile: answered by a deadline, or taken over.
    if (!worker.pending.has(id) || !worker.process.connected) return;
    if (keys !== undefined && !sameKeys(keys, worker.keys)) {
      worker.keys = keys;
      tell(worker.process, { kind: "keys", keys });
    }
    pending.sent = true;
    tell(worker.process, { kind: "request", id, request: pending.request });
  }

  #isTooLarge({ process: { pid } }: Worker): boolean {
    const { processMiB } = this.#options;
    if (processMiB === undefined) return false;
    return residentBytes(pid) + process.memoryUsage.rss() > processMiB * 1024 * 1024;
  }

  #current(): Worker {
    // What it had, and did not give back, is not the next one's doing. Small queries end faster than that is worth a look.
    const worker = this.#worker;
    const now = performance.now();
    if (worker?.pending.size === 0 && now - this.#looked >= lookEveryMs) {
      this.#looked = now;
      if (this.#isTooLarge(worker)) this.#kill(worker);
    }
    this.#worker ??= this.#spawn();
    return this.#worker;
  }

  #spawn(): Worker {
    const begun = performance.now();
    const { onEvent, bucket, processMiB, ...setup } = this.#options;
    const child = takeSpareWorker() ?? forkWorker();
    const { promise: ready, resolve, reject } = Promise.withResolvers<void>();
    // Whoever waits hears of it; nobody waiting is no reason to end the parent.
    ready.catch(() => {});
    const gone = Promise.withResolvers<void>();
    const worker: Worker = {
      process: child,
      ready,
      pending: new Map(),
      stopped: false,
      tooLarge: false,
      left: new Map(),
      keys: undefined,
      gone: gone.promise,
    };
    this.#all.add(worker);
    // DuckDB calls what it spills the same in every process: two in one folder read each other's.
    const temporaryDirectory = path.join(setup.temporaryDirectory, randomUUID());
    const making = fs.mkdir(temporaryDirectory, { recursive: true });

    child.on("message", (message: FromWorker) => {
      switch (message.kind) {
        case "ready":
          onEvent?.({
            kind: "started",
            pid: child.pid ?? 0,
            milliseconds: Math.round(performance.now() - begun),
          });
          resolve();
          return;
        case "failed":
          reject(fromWire(message.error));
          this.#kill(worker);
          return;
        case "result":
          this.#hasLeft(worker, message.id);
          worker.pending.get(message.id)?.resolve(message.result as never);
          return;
        case "error":
          this.#hasLeft(worker, message.id);
          worker.pending.get(message.id)?.reject(fromWire(message.error));
          return;
      }
    });
    const ended = (why: string) => {
      clearInterval(watch);
      for (const timer of worker.left.values()) clearTimeout(timer);
      this.#forget(worker);
      if (!worker.stopped) onEvent?.({ kind: "ended", pid: child.pid ?? 0, why });
      reject(new MillpondError("engine-died", `the engine ended as it started: ${why}`));
      const orphans = [...worker.pending];
      worker.pending.clear();
      for (const [id, pending] of orphans) {
        // The first time it may be what others left: then it runs again, in a worker of its own.
        if (worker.tooLarge && pending.deaths > 0) {
          const message = `the engine had more than ${processMiB} MiB`;
          pending.reject(new MillpondError("out-of-memory", message, { retryable: true }));
        } else {
          this.#takeOver(id, pending, why, worker.stopped);
        }
      }
      void tidyUp();
    };
    const tidyUp = async () => {
      // It may have died of a full disk: the next one needs what this one has spilled. What can't be removed here goes
      // with the whole folder.
      await making.catch(() => {});
      await fs.rm(temporaryDirectory, { recursive: true, force: true }).catch(() => {});
      this.#all.delete(worker);
      gone.resolve();
    };
    const look = () => {
      if (worker.pending.size === 0 || !this.#isTooLarge(worker)) return;
      // Not as one that was asked to: what it did is one of its requests' doing.
      worker.tooLarge = true;
      child.kill("SIGKILL");
    };
    const watch = processMiB === undefined ? undefined : setInterval(look, lookEveryMs).unref();
    child.once("exit", (code, signal) => ended(signal ?? `exit code ${code}`));
    child.once("error", (error) => {
      if (child.pid === undefined) ended(error.message);
    });

    const prepare = async () => {
      await making;
      if (bucket === undefined) return undefined;
      const [access, keys] = await Promise.all([bucket.access(), bucket.keys()]);
      worker.keys = keys;
      return { scope: bucket.scope, extensions: bucket.extensions, access, keys };
    };
    prepare().then(
      (remote) =>
        tell(child, { kind: "setup", setup: { ...setup, temporaryDirectory, bucket: remote } }),
      (error: Error) => {
        reject(error);
        this.#kill(worker);
      },
    );
    return worker;
  }

  #takeOver(id: number, pending: Pending, why: string, stopped: boolean): void {
    if (pending.settled) return;
    // Killed at the deadline of another one.
    if (stopped) {
      pending.stops += 1;
      if (pending.stops <= mostStops) this.#send(id, pending);
      else this.#suspects = this.#suspects.then(() => this.#runApart(id, pending));
      return;
    }
    // One that was never told of it died of something else.
    if (!pending.sent) {
      pending.misses += 1;
      if (pending.misses > takeovers) {
        pending.reject(ended("engine-unavailable", "before it had this request", why));
      } else if (pending.deaths > 0) {
        // It may be the one that kills: it goes to no worker that others share. It is its turn still.
        this.#giveApart(id, pending);
      } else {
        this.#send(id, pending);
      }
      return;
    }
    pending.deaths += 1;
    if (pending.deaths > takeovers) {
      pending.reject(ended("engine-died", "under this request", why));
      return;
    }
    this.#suspects = this.#suspects.then(() => this.#runApart(id, pending));
  }

  #giveApart(id: number, pending: Pending): void {
    if (this.#closed) {
      this.#send(id, pending);
      return;
    }
    const worker = this.#spawn();
    this.#apart.add(worker);
    this.#give(id, pending, worker);
  }

  /** Resolves when the request is over, whatever became of it. */
  async #runApart(id: number, pending: Pending): Promise<void> {
    if (pending.settled) return;
    this.#giveApart(id, pending);
    await pending.over.promise;
    const { worker } = pending;
    if (worker === undefined || !this.#apart.delete(worker)) return;
    // It is as good as a new one.
    if (this.#worker === undefined && !this.#closed) this.#worker = worker;
    else this.#kill(worker);
  }

  /** Ends a request that nobody waits for, and the worker only where that does not. */
  #leave(worker: Worker, id: number): void {
    tell(worker.process, { kind: "interrupt", id });
    worker.left.set(
      id,
      setTimeout(() => this.#kill(worker), leavingMs),
    );
  }

  #hasLeft(worker: Worker, id: number): void {
    clearTimeout(worker.left.get(id));
    worker.left.delete(id);
  }

  #forget(worker: Worker): void {
    if (this.#worker === worker) this.#worker = undefined;
    this.#apart.delete(worker);
  }

  #kill(worker: Worker): void {
    this.#forget(worker);
    worker.stopped = true;
    worker.process.kill("SIGKILL");
    // Its exit hands over what was with it.
  }
}

/** Bytes of a process that are in memory. 0 where nobody says, as on a Mac, or of one that has ended. */
function residentBytes(pid: number | undefined): number {
  try {
    // In pages of 4 KiB: all that Lambda and Docker run on. @see proc_pid_statm(5)
    return Number(readFileSync(`/proc/${pid}/statm`, "utf8").split(" ")[1]) * 4096;
  } catch {
    return 0;
  }
}

function ended(code: string, when: string, why: string): MillpondError {
  return new MillpondError(code, `the engine ended twice ${when}: ${why}`, { retryable: true });
}

/** A worker that has just died is heard of by its exit; the message that misses it is sent anew by then. */
function tell(child: ChildProcess, message: ToWorker): void {
  child.send(message, (error) => {
    if (error !== null && child.connected) child.kill("SIGKILL");
  });
}

function sameKeys(one: BucketKeys, other: BucketKeys | undefined): boolean {
  return (
    one.accessKeyId === other?.accessKeyId &&
    one.secretAccessKey === other.secretAccessKey &&
    one.sessionToken === other.sessionToken
  );
}

function fromWire(error: WireError): MillpondError {
  if (error.rejection !== undefined) return new SourceError(error.rejection);
  const { code, message, retryable, details } = error;
  return new MillpondError(code, message, { retryable, details });
}
