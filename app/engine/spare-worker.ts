import { type ChildProcess, fork } from "node:child_process";
import { fileURLToPath } from "node:url";

let spare: ChildProcess | undefined;

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

/** Starts the next worker ahead of its engine, so that Node and DuckDB load while the rest of the parent does. */
export function forkSpareWorker(): void {
  spare = forkWorker();
}

/** The worker that waits, if there is one and it lives. */
export function takeSpareWorker(): ChildProcess | undefined {
  const taken = spare;
  spare = undefined;
  return taken?.connected ? taken : undefined;
}
