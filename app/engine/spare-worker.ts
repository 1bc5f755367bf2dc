import { type ChildProcess, fork } from "node:child_process";
import { fileURLToPath } from "node:url";
import type { ToWorker, WorkerPreparation } from "./protocol.ts";

/** Where a spare worker waits: the bundles of index and handlers each have this module, but only one global. */
const shelf = globalThis as { [spareWorker]?: ChildProcess | undefined };
const spareWorker = Symbol.for("millpond.spare-worker");

/** Starts a process for DuckDB, which waits for its set-up. */
export function forkWorker(): ChildProcess {
  // As the image's bundle has it, or as it stands here.
  const file = import.meta.url.endsWith(".ts") ? "./worker.ts" : "./worker.mjs";
  return fork(fileURLToPath(new URL(file, import.meta.url)), [], {
    // DuckDB reads credentials, proxies and its home from the environment: it gets none of it.
    env: {},
    execArgv: [],
    serialization: "advanced",
    stdio: ["ignore", "ignore", "inherit", "ipc"],
  });
}

/**
 * Starts the next worker ahead of its engine, so that Node and DuckDB load while the rest of the parent does.
 * @param preparation for an engine that will read a bucket
 */
export function forkSpareWorker(preparation: WorkerPreparation | undefined): { abandon(): void } {
  const spare = forkWorker();
  // One that could not start is not taken, and the engine hears of the next.
  spare.once("error", () => {});
  if (preparation !== undefined) {
    spare.send({ kind: "prepare", preparation } satisfies ToWorker, () => {
      // One that has died is not taken.
    });
  }
  shelf[spareWorker] = spare;
  return {
    abandon: () => {
      if (shelf[spareWorker] === spare) takeSpareWorker()?.kill("SIGKILL");
    },
  };
}

/** The worker that waits, if there is one and it lives. */
export function takeSpareWorker(): ChildProcess | undefined {
  const taken = shelf[spareWorker];
  shelf[spareWorker] = undefined;
  return taken?.connected ? taken : undefined;
}
