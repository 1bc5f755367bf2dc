import { randomBytes } from "node:crypto";
import fs from "node:fs";
import path from "node:path";
import { MillpondError, messageOf } from "./errors.ts";

/** Those of this process: an earlier one may have had its number, as each container counts from one. */
const own = new Set<string>();

/** A folder of this process alone, for files that nobody should find later. */
export interface Workspace {
  path: string;
  remove(): void;
}

/**
 * Makes a folder, and those that it is in. Node's own way does not end where a file system has none to be made, as /proc.
 * @throws Error of Node's where it can't
 */
export function makeFolder(folder: string): void {
  const isThere = () => fs.statSync(folder, { throwIfNoEntry: false })?.isDirectory() === true;
  if (isThere()) return;
  const parent = path.dirname(folder);
  if (parent !== folder) makeFolder(parent);
  try {
    fs.mkdirSync(folder);
  } catch (error) {
    // Somebody else's, meanwhile.
    if (!isThere()) throw error;
  }
}

/**
 * Makes a workspace, and removes those of processes that ended without removing theirs: killed ones leave files that
 * may be large.
 * @throws MillpondError `folder` where `base` can't be written
 */
export function openWorkspace(base: string): Workspace {
  try {
    makeFolder(base);
    for (const { name, owner } of workspacesIn(base)) {
      const left = owner === process.pid ? !own.has(path.join(base, name)) : !isAlive(owner);
      if (left) fs.rmSync(path.join(base, name), { recursive: true, force: true });
    }
    const folder = path.join(base, `${process.pid}-${randomBytes(4).toString("hex")}`);
    fs.mkdirSync(folder);
    own.add(folder);
    return { path: folder, remove: () => fs.rmSync(folder, { recursive: true, force: true }) };
  } catch (error) {
    const message = `can't write to the folder ${base}: ${messageOf(error)}`;
    throw new MillpondError("folder", message, { cause: error });
  }
}

function workspacesIn(base: string): { name: string; owner: number }[] {
  return fs.readdirSync(base).flatMap((name) => {
    const owner = /^(\d+)-[0-9a-f]{8}$/.exec(name)?.[1];
    return owner === undefined ? [] : [{ name, owner: Number(owner) }];
  });
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    // EPERM: alive, and somebody else's.
    return (error as NodeJS.ErrnoException).code === "EPERM";
  }
}
