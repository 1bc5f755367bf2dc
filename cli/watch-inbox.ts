import type { Dirent } from "node:fs";
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
  /** Files that were told of while a folder is looked at. */
  const told = new Set<string>();
  const tell = (change: ObjectChange) => (file: string) => {
    if (looks > 0) told.add(file);
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
        const now = new Map([...(await filesIn(folder))].filter(([file]) => !told.has(file)));
        const complete = [...now].filter(([file, state]) => before.get(file) === state);
        for (const [file] of complete) tell("ObjectCreated:Put")(file);
        if (complete.length === now.size) return;
        before = now;
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

/** The files under a folder, each with what changes when it does. Those that go meanwhile are not there. */
async function filesIn(folder: string): Promise<Map<string, string>> {
  const gone = (error: NodeJS.ErrnoException) => {
    if (error.code === "ENOENT" || error.code === "ENOTDIR") return undefined;
    throw error;
  };
  const found: Dirent[] | undefined = await fs
    .readdir(folder, { recursive: true, withFileTypes: true })
    .catch(gone);
  const files = new Map<string, string>();
  for (const entry of found ?? []) {
    if (!entry.isFile()) continue;
    const file = path.join(entry.parentPath, entry.name);
    const stat = await fs.stat(file).catch(gone);
    if (stat !== undefined) files.set(file, `${stat.size} ${stat.mtimeMs}`);
  }
  return files;
}
