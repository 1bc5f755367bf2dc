import { createHash, type Hash, randomUUID } from "node:crypto";
import fs from "node:fs";
import fsp from "node:fs/promises";
import path from "node:path";
import { DatabaseSync, type StatementSync } from "node:sqlite";
import type { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { setImmediate as turn } from "node:timers/promises";
import { privateFolder } from "../contract.ts";
import { MillpondError } from "../errors.ts";
import { makeFolder } from "../workspace.ts";
import type {
  LocalCopy,
  ObjectHead,
  ObjectSummary,
  PutOptions,
  PutResult,
  Store,
  WriteCondition,
} from "./store.ts";

/** Another name for another layout: the old one is then made anew from the files. */
const sidecarFile = "objects-1.sqlite";
/** How long a write waits for another process in its critical section, which is one rename long. */
const lockWaitMs = 10_000;
/** SQLite's code of a lock that another process has. @see https://www.sqlite.org/rescode.html#busy */
const busy = 5;
const busyPauseMs = 5;
/**
 * A file may be written to within the tick of the clock in which it was last looked at, and then its times don't show
 * it. What is younger than this is looked at again. @see https://git-scm.com/docs/racy-git
 */
const racyMs = 50;
/** Files of a listing that are looked at in one turn of the event loop: some milliseconds. */
const looksAtOnce = 64;

/** What tells one state of a file from another. Archives unpack files with old times, but at a time of their own. */
interface Identity {
  inode: bigint;
  size: bigint;
  modifiedNs: bigint;
  bornNs: bigint;
}

/** What the sidecar knows of a file, true as long as the file's identity is the same. */
interface SidecarRow extends Identity {
  etag: string;
  metadata: string;
}

/**
 * SQLite waits for locks by itself, but not for the one that it takes to change the kind of journal: of processes that open a new sidecar
 * at the same time all but one fail at once.
 */
function openSidecar(file: string): DatabaseSync {
  const end = performance.now() + lockWaitMs;
  for (;;) {
    const database = new DatabaseSync(file, { timeout: lockWaitMs });
    try {
      database.exec(
        "PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; " +
          "CREATE TABLE IF NOT EXISTS object (key TEXT PRIMARY KEY, inode INTEGER, size INTEGER, " +
          "modified_ns INTEGER, born_ns INTEGER, etag TEXT NOT NULL, metadata TEXT NOT NULL) STRICT, WITHOUT ROWID",
      );
      return database;
    } catch (error) {
      database.close();
      if ((error as { errcode?: number }).errcode !== busy || performance.now() > end) throw error;
      // Nothing else runs here before a store is open.
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, busyPauseMs);
    }
  }
}

/**
 * A folder as a store. Objects are plain files, so that people drop and read them with any tool. ETags and metadata are
 * in a sidecar, an SQLite database beside them, each row checked against its file: a file that somebody else wrote has
 * its content's SHA-256 as ETag, and no metadata. The database also is the lock that makes conditional writes atomic
 * between processes. Losing it loses no data: outputs are then made anew.
 */
export class FolderStore implements Store {
  readonly root: string;
  readonly #scratch: string;
  readonly #database: DatabaseSync;
  readonly #select: StatementSync;
  readonly #upsert: StatementSync;
  readonly #remove: StatementSync;

  private constructor(root: string, scratch: string, database: DatabaseSync) {
    this.root = root;
    this.#scratch = scratch;
    this.#database = database;
    this.#select = database.prepare(
      "SELECT inode, size, modified_ns AS modifiedNs, born_ns AS bornNs, etag, metadata FROM object WHERE key = ?",
    );
    this.#select.setReadBigInts(true);
    this.#upsert = database.prepare("INSERT OR REPLACE INTO object VALUES (?, ?, ?, ?, ?, ?, ?)");
    this.#remove = database.prepare("DELETE FROM object WHERE key = ?");
  }

  /**
   * Opens the store in a folder, which is made where it is missing.
   * @param scratch a folder on the same file system, for files on their way in
   * @throws MillpondError `folder` where the folder can't be written
   */
  static open(folder: string, scratch: string): FolderStore {
    let root = path.resolve(folder);
    try {
      makeFolder(path.join(root, privateFolder));
      root = fs.realpathSync.native(root);
      return new FolderStore(
        root,
        scratch,
        openSidecar(path.join(root, privateFolder, sidecarFile)),
      );
    } catch (error) {
      const reason = (error as Error).message;
      throw new MillpondError("folder", `can't write to the folder ${root}: ${reason}`, {
        cause: error,
      });
    }
  }

  async head(key: string): Promise<ObjectHead | undefined> {
    const file = this.#fileOf(key);
    const stat = file === undefined ? undefined : statFile(file);
    if (file === undefined || stat === undefined) return undefined;
    const known = this.#known(key, stat);
    const etag = known?.etag ?? (await this.#hash(key, file));
    if (etag === undefined) return undefined;
    return {
      ...summary(key, etag, stat),
      metadata: known === undefined ? {} : (JSON.parse(known.metadata) as Record<string, string>),
    };
  }

  async *list(prefix: string): AsyncIterable<ObjectSummary> {
    // A prefix need not end at a folder.
    const folder = prefix.slice(0, prefix.lastIndexOf("/") + 1);
    const start = this.#fileOf(folder.replace(/\/$/, ""), true);
    if (start === undefined) return;
    const entries = (await fsp.readdir(start, { withFileTypes: true }).catch(orMissing)) ?? [];
    for (const [at, entry] of entries.entries()) {
      const key = `${folder}${entry.name}`;
      if (key === privateFolder) continue;
      // A long list leaves room for whatever else this process does.
      if (at % looksAtOnce === looksAtOnce - 1) await turn();
      if (entry.isDirectory()) {
        if (`${key}/`.startsWith(prefix) || prefix.startsWith(`${key}/`)) {
          yield* this.list(prefix.startsWith(`${key}/`) ? prefix : `${key}/`);
        }
      } else if (entry.isFile() && key.startsWith(prefix)) {
        const found = await this.head(key).catch((error) => this.#unreadable(key, error));
        if (found !== undefined) {
          const { metadata: _, ...rest } = found;
          yield rest;
        }
      }
    }
  }

  async read(key: string): Promise<{ etag: string; text: string } | undefined> {
    for (;;) {
      const before = await this.head(key);
      if (before === undefined) return undefined;
      const text = await fsp.readFile(this.#fileOf(key) as string, "utf8").catch(orMissing);
      const after = await this.head(key);
      if (text !== undefined && after?.etag === before.etag) return { etag: before.etag, text };
    }
  }

  async checkOut(key: string, etag: string, directory: string): Promise<LocalCopy | undefined> {
    const file = this.#fileOf(key);
    if (file === undefined) return undefined;
    const copy = path.join(directory, `source-${randomUUID()}`);
    // A second name for the same bytes: one that holds no pattern, and that stays when the first is replaced.
    const linked = await fsp.link(file, copy).then(
      () => true,
      async (error: NodeJS.ErrnoException) => {
        if (error.code === "ENOENT") return false;
        // Some file systems have no links.
        await fsp.copyFile(file, copy, fs.constants.COPYFILE_FICLONE);
        return true;
      },
    );
    if (!linked) return undefined;
    // What is linked may already be another file than the caller saw.
    const before = statFile(copy);
    if (before === undefined) return undefined;
    const found = this.#known(key, before)?.etag ?? (await hashFile(copy));
    if (found !== etag) return undefined;
    return {
      path: copy,
      intact: async () => {
        const after = statFile(copy);
        if (after === undefined || !same(after, identity(before))) return false;
        return !isRacy(after) || (await hashFile(copy)) === etag;
      },
    };
  }

  async putFile(key: string, file: string, options: PutOptions): Promise<PutResult> {
    const target = this.#fileOf(key);
    if (target === undefined) throw badKey(key);
    await fsp.mkdir(path.dirname(target), { recursive: true });
    // The content is somebody's file until a write replaces it: its ETag may have to be read first.
    const current = await this.head(key);
    return this.#exclusively(() => {
      if (!this.#holds(key, target, options.condition, current)) return { kind: "conflict" };
      const etag = randomUUID();
      const stat = fs.statSync(file, { bigint: true });
      this.#note(key, stat, etag, options.metadata ?? {});
      // Last, so that a process that is killed between the two leaves a row that describes no file, and is passed over.
      fs.renameSync(file, target);
      return { kind: "stored", etag };
    });
  }

  /**
   * Takes what somebody drops, as if it were copied here, over what is there: nothing has that name before all of it is here.
   * @throws MillpondError `key-invalid` where something is in its way
   */
  async receive(key: string, content: Readable): Promise<{ etag: string }> {
    const target = this.#fileOf(key);
    const temporary = path.join(this.#scratch, `drop-${randomUUID()}`);
    const hash = createHash("sha256");
    try {
      if (target === undefined) throw badKey(key);
      await pipeline(
        content,
        async function* (chunks: AsyncIterable<Buffer>) {
          for await (const chunk of chunks) {
            hash.update(chunk);
            yield chunk;
          }
        },
        fs.createWriteStream(temporary),
      );
      await fsp.mkdir(path.dirname(target), { recursive: true });
      await fsp.rename(temporary, target);
    } catch (error) {
      await fsp.rm(temporary, { force: true });
      throw inTheWay(key, error as NodeJS.ErrnoException);
    } finally {
      content.destroy();
    }
    return { etag: etagOf(hash) };
  }

  async putText(key: string, text: string, options: PutOptions): Promise<PutResult> {
    const temporary = path.join(this.#scratch, `put-${randomUUID()}`);
    await fsp.writeFile(temporary, text);
    try {
      return await this.putFile(key, temporary, options);
    } finally {
      await fsp.rm(temporary, { force: true });
    }
  }

  async delete(key: string, etag: string): Promise<void> {
    const file = this.#fileOf(key);
    if (file === undefined) return;
    const current = await this.head(key);
    if (current?.etag !== etag) return;
    this.#exclusively(() => {
      if (!this.#holds(key, file, { ifMatch: etag }, current)) return;
      fs.rmSync(file, { force: true });
      this.#remove.run(key);
    });
  }

  locate(key: string): string {
    const file = this.#fileOf(key);
    if (file === undefined) throw badKey(key);
    return file;
  }

  locatePrefix(prefix: string): string {
    return `${path.join(this.root, prefix).replace(/\/$/, "")}/`;
  }

  async close(): Promise<void> {
    this.#database.close();
  }

  /**
   * The file that holds a key. Undefined for a key that no file of this folder can hold: with `.`, `..` or an empty
   * part, with a NUL, or longer than the file system takes. Such an object does not exist.
   */
  #fileOf(key: string, folder = false): string | undefined {
    if (folder && key === "") return this.root;
    const parts = key.split("/");
    const impossible = parts.some(
      (part) => part === "" || part === "." || part === ".." || Buffer.byteLength(part) > 255,
    );
    if (impossible || key.includes("\0") || parts[0] === privateFolder) return undefined;
    const file = path.join(this.root, ...parts);
    return isBelowLink(path.dirname(file)) ? undefined : file;
  }

  /** A file that may not be read is there all the same: whoever reads it hears why it can't. */
  async #unreadable(key: string, error: NodeJS.ErrnoException): Promise<ObjectHead | undefined> {
    const file = this.#fileOf(key);
    if (!["EACCES", "EPERM"].includes(error.code ?? "") || file === undefined) throw error;
    const stat = statFile(file);
    return stat === undefined ? undefined : { ...summary(key, "unreadable", stat), metadata: {} };
  }

  #known(key: string, stat: fs.BigIntStats): SidecarRow | undefined {
    const row = this.#select.get(key) as unknown as SidecarRow | undefined;
    return row !== undefined && same(stat, row) ? row : undefined;
  }

  /** Writes down what is known of a file. */
  #note(
    key: string,
    stat: fs.BigIntStats,
    etag: string,
    metadata: Readonly<Record<string, string>>,
  ): void {
    const { inode, size, modifiedNs, bornNs } = identity(stat);
    this.#upsert.run(key, inode, size, modifiedNs, bornNs, etag, JSON.stringify(metadata));
  }

  /** Reads the ETag of a file that the sidecar doesn't know, and remembers it if the file stood still. */
  async #hash(key: string, file: string): Promise<string | undefined> {
    for (;;) {
      const before = statFile(file);
      if (before === undefined) return undefined;
      const etag = await hashFile(file).catch(orMissing);
      const after = statFile(file);
      if (etag === undefined || after === undefined || !same(after, identity(before))) continue;
      if (!isRacy(after)) {
        this.#exclusively(() => this.#note(key, after, etag, {}));
      }
      return etag;
    }
  }

  /** Whether a condition holds, asked inside the critical section; `seen` is what it was just before. */
  #holds(
    key: string,
    file: string,
    condition: WriteCondition,
    seen: ObjectHead | undefined,
  ): boolean {
    const stat = fs.statSync(file, { bigint: true, throwIfNoEntry: false });
    if ("ifAbsent" in condition) return stat === undefined;
    if (stat === undefined) return false;
    const known = this.#known(key, stat);
    if (known !== undefined) return known.etag === condition.ifMatch;
    // Somebody else's file: still the one whose content was read.
    return (
      seen?.etag === condition.ifMatch &&
      BigInt(seen.size) === stat.size &&
      seen.lastModified.getTime() === modified(stat).getTime()
    );
  }

  /** Runs a critical section of all processes that have this folder open. Synchronous, and short. */
  #exclusively<T>(section: () => T): T {
    this.#database.exec("BEGIN IMMEDIATE");
    try {
      const result = section();
      this.#database.exec("COMMIT");
      return result;
    } catch (error) {
      this.#database.exec("ROLLBACK");
      throw error;
    }
  }
}

/** What of a key is the caller's to mend: a folder of that name, a file where a folder has to be, a name that is too long. */
function inTheWay(key: string, error: NodeJS.ErrnoException): Error {
  if (error.code === "ENOSPC") {
    return new MillpondError("disk-full", `no space is left for ${key}`, { cause: error });
  }
  if (
    !["key", "EEXIST", "EISDIR", "ENOTDIR", "ENOTEMPTY", "ENAMETOOLONG"].includes(error.code ?? "")
  )
    return error;
  return new MillpondError("key-invalid", `no file can be put at ${key}: ${error.message}`, {
    cause: error,
  });
}

function badKey(key: string): MillpondError {
  return new MillpondError("key", `no file of a folder can hold the key ${JSON.stringify(key)}`);
}

function orMissing(error: NodeJS.ErrnoException): undefined {
  if (error.code === "ENOENT" || error.code === "ENOTDIR") return undefined;
  throw error;
}

/** Whether a folder is reached through a link, which may lead out of the store. One that isn't there is none. */
function isBelowLink(folder: string): boolean {
  try {
    return fs.realpathSync.native(folder) !== folder;
  } catch (error) {
    orMissing(error as NodeJS.ErrnoException);
    return false;
  }
}

/**
 * Undefined for anything but a plain file: a link may lead out of the folder. At once, as SQLite is asked: a look takes
 * microseconds, and a turn of the event loop ten times as long.
 */
function statFile(file: string): fs.BigIntStats | undefined {
  try {
    const stat = fs.lstatSync(file, { bigint: true, throwIfNoEntry: false });
    return stat?.isFile() ? stat : undefined;
  } catch (error) {
    return orMissing(error as NodeJS.ErrnoException);
  }
}

function identity(stat: fs.BigIntStats): Identity {
  return {
    inode: stat.ino,
    size: stat.size,
    modifiedNs: stat.mtimeNs,
    bornNs: stat.birthtimeNs,
  };
}

function same(stat: fs.BigIntStats, known: Identity): boolean {
  const now = identity(stat);
  return (
    now.inode === known.inode &&
    now.size === known.size &&
    now.modifiedNs === known.modifiedNs &&
    now.bornNs === known.bornNs
  );
}

/** When the bytes got here: a file that was moved keeps the time of its content. */
function modified(stat: fs.BigIntStats): Date {
  return new Date(Math.max(Number(stat.mtimeMs), Number(stat.birthtimeMs)));
}

function isRacy(stat: fs.BigIntStats): boolean {
  return Date.now() - Number(stat.mtimeMs) < racyMs;
}

function summary(key: string, etag: string, stat: fs.BigIntStats): ObjectSummary {
  return { key, etag, size: Number(stat.size), lastModified: modified(stat) };
}

/** Bytes of a file that is hashed at once: a stream would take longer for its turns. */
const smallBytes = 256 * 1024;

async function hashFile(file: string): Promise<string> {
  const hash = createHash("sha256");
  if (fs.statSync(file).size <= smallBytes) return etagOf(hash.update(fs.readFileSync(file)));
  for await (const chunk of fs.createReadStream(file, { highWaterMark: 1 << 20 })) {
    hash.update(chunk as Buffer);
  }
  return etagOf(hash);
}

function etagOf(hash: Hash): string {
  return hash.digest("hex").slice(0, 32);
}
