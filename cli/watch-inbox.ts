import type { Dirent, Stats } from "node:fs";
import fs from "node:fs/promises";
import path from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import chokidar from "chokidar";
import { prefixes } from "../app/contract.ts";
import { type ObjectChange, wrapObjectEvent } from "../app/events/s3-event.ts";

/**
 * A file is complete when it hasn't grown for this long. One that pauses for longer is read as far as it came, and
 * again when it goes on: events only hint, and the newest version wins.
 */
const completeAfterMs = 250;
const lookEveryMs = 50;
/** Time after which a folder that was just made is looked at, and again while its files change. */
const lookAgainMs = 500;

export interface InboxWatcher {
  close(): Promise<void>;
}

/** Turns changes of files under `inbox/` into the events that AWS sends. Resolves when it sees what happens from then on. */
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
  const stopped = new AbortController();
  let looks = 0;
  /** Files that were told of while a folder is looked at, each as it was then. */
  const told = new Map<string, string>();
  const tell = (change: ObjectChange) => (file: string, stats?: Stats) => {
    if (looks > 0 && stats !== undefined) told.set(file, stateOf(stats));
    const key = path.relative(root, file).split(path.sep).join("/");
    publish(wrapObjectEvent(bucket, key, change, new Date()));
  };
  watcher.on("add", tell("ObjectCreated:Put"));
  watcher.on("change", tell("ObjectCreated:Put"));
  watcher.on("unlink", tell("ObjectRemoved:Delete"));
  watcher.on("error", onError);
  await new Promise<void>((resolve) => watcher.once("ready", () => resolve()));

  /** What comes into a new folder after the watcher has listed it, and before it watches it, nobody would see. */
  const look = async (folder: string) => {
    looks += 1;
    try {
      for (let before = new Map<string, string>(); ; ) {
        await pause(lookAgainMs, undefined, { signal: stopped.signal, ref: false });
        const found = await filesIn(folder);
        // A folder in it has gone while they were listed: the others are to be seen all the same.
        if (found === undefined) continue;
        const now = new Map(
          [...found].filter(([file, stats]) => told.get(file) !== stateOf(stats)),
        );
        const complete = [...now].filter(([file, stats]) => before.get(file) === stateOf(stats));
        for (const [file, stats] of complete) tell("ObjectCreated:Put")(file, stats);
        if (complete.length === now.size) return;
        before = new Map([...now].map(([file, stats]) => [file, stateOf(stats)]));
      }
    } catch (error) {
      if (!stopped.signal.aborted) onError(error);
    } finally {
      looks -= 1;
      if (looks === 0) told.clear();
    }
  };
  watcher.on("addDir", (folder) => void look(folder));
  return {
    close: async () => {
      stopped.abort();
      await watcher.close();
    },
  };
}

/** What changes when a file does. */
function stateOf({ size, mtimeMs }: Stats): string {
  return `${size} ${mtimeMs}`;
}

/** The files under a folder: none where it is gone. Undefined where a folder in it went meanwhile. */
async function filesIn(folder: string): Promise<Map<string, Stats> | undefined> {
  const gone = (error: NodeJS.ErrnoException) => {
    if (error.code === "ENOENT" || error.code === "ENOTDIR") return undefined;
    throw error;
  };
  const found: Dirent[] | undefined = await fs
    .readdir(folder, { recursive: true, withFileTypes: true })
    .catch(gone);
  if (found === undefined) {
    return (await fs.stat(folder).catch(gone)) === undefined ? new Map() : undefined;
  }
  const files = new Map<string, Stats>();
  for (const entry of found) {
    if (!entry.isFile()) continue;
    const file = path.join(entry.parentPath, entry.name);
    const stat = await fs.stat(file).catch(gone);
    if (stat !== undefined) files.set(file, stat);
  }
  return files;
}
