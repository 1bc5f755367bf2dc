import path from "node:path";
import chokidar from "chokidar";
import { prefixes } from "../app/contract.ts";
import { type ObjectChange, wrapObjectEvent } from "../app/events/s3-event.ts";

/**
 * A file is complete when it hasn't grown for this long. One that pauses for longer is read as far as it came, and
 * again when it goes on: events only hint, and the newest version wins.
 */
const completeAfterMs = 250;
const lookEveryMs = 50;

export interface InboxWatcher {
  close(): Promise<void>;
}

/** Turns changes of files under `inbox/` into the events that AWS sends. Resolves when nothing can be missed any more. */
export async function watchInbox(
  root: string,
  bucket: string,
  publish: (event: unknown) => void,
  onError: (error: unknown) => void,
): Promise<InboxWatcher> {
  const watcher = chokidar.watch(path.join(root, prefixes.inbox), {
    ignoreInitial: true,
    followSymlinks: false,
    awaitWriteFinish: { stabilityThreshold: completeAfterMs, pollInterval: lookEveryMs },
  });
  const tell = (change: ObjectChange) => (file: string) => {
    const key = path.relative(root, file).split(path.sep).join("/");
    publish(wrapObjectEvent(bucket, key, change, new Date()));
  };
  watcher.on("add", tell("ObjectCreated:Put"));
  watcher.on("change", tell("ObjectCreated:Put"));
  watcher.on("unlink", tell("ObjectRemoved:Delete"));
  watcher.on("error", onError);
  await new Promise<void>((resolve) => watcher.once("ready", () => resolve()));
  return watcher;
}
