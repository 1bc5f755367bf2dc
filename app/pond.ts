import fs from "node:fs";
import path from "node:path";
import type { Hono } from "hono";
import { environmentNames, prefixes, secretNames } from "./contract.ts";
import { before } from "./deadline.ts";
import { Engine, type EngineBucket, type EngineEvent } from "./engine/engine.ts";
import type { Settings, StoreLocation } from "./environment.ts";
import { MillpondError } from "./errors.ts";
import { Catalog } from "./flow/catalog.ts";
import type { IngestParts } from "./flow/ingest.ts";
import { LargeAnswers } from "./flow/large-answers.ts";
import { linkTo } from "./flow/link.ts";
import { SavedQueries } from "./flow/saved-queries.ts";
import type { SweepParts } from "./flow/sweep.ts";
import { type Door, Uploads } from "./flow/uploads.ts";
import { createHttpApp, type Guard } from "./http/app.ts";
import type { Page } from "./http/page.ts";
import { parseTokens, type Tokens } from "./http/tokens.ts";
import type { Logger } from "./logger.ts";
import { PinnedCopies } from "./store/pinned-copies.ts";
import type { Store } from "./store/store.ts";
import { makeFolder, openWorkspace } from "./workspace.ts";

/** Everything that the functions are wired from: one a process. */
export interface Pond {
  logger: Logger;
  store: Store;
  /** What events name the store by; those of another one are refused. */
  bucket: string;
  ingest: IngestParts;
  sweep: SweepParts;
  /** ARNs of the topics whose events count. Undefined: any topic's. */
  eventTopics: readonly string[] | undefined;
  catalog: Catalog;
  http: Hono;
  /** Tells the stage's topic of something. Undefined where there is none. */
  publish: ((message: string) => Promise<void>) | undefined;
  /** Does ahead of the first event what its function would wait for. What fails, the event hears of. */
  warm: Readonly<Record<"ingest" | "query", () => Promise<void>>>;
  close(): Promise<void>;
}

/** A folder has no bucket's name; its events carry this one. */
const folderBucket = "pond";

export interface PondOptions {
  /** Those who may ask, in place of the stage's. @default undefined, and then the settings say */
  tokens?: Tokens | undefined;
  /** Reads the page for people. @default - there is none */
  page?: (() => Promise<Page>) | undefined;
}

const mebibyte = 1024 * 1024;
/** One GET of this size takes about as long as the three requests of a remote reader. */
const largestCopyBytes = mebibyte;
/** What each of the two processes has beside DuckDB's buffers, in MiB. */
const aroundMiB = 128;
/** What DuckDB takes of the memory that it plans with, when it sorts and spills what is far larger: 1.4 to 1.7, measured. */
const queryExcess = 1.7;
/** How long an initialisation may wait: Lambda ends one after 10 s, and begins again. */
const warmMs = 5000;

/**
 * Puts a pond together. Nothing runs yet: the engines start with their first request.
 * @throws MillpondError `folder` where the store, or the disk, can't be written
 */
export async function openPond(
  settings: Settings,
  logger: Logger,
  { tokens: given, page }: PondOptions = {},
): Promise<Pond> {
  const workspace = openWorkspace(settings.scratch);
  const folders = makeFolders(workspace.path);
  const { store, bucket, remote, large, door } = await openStore(settings, workspace.path);
  const engines = enginesOf(settings, logger, {
    folders,
    lake: store.locatePrefix(prefixes.lake),
    remote,
  });

  // In a folder they are second names, whatever the size: only what was replaced since takes room.
  const copies = new PinnedCopies(store, folders.copies, {
    objectBytes: remote === undefined ? Number.POSITIVE_INFINITY : largestCopyBytes,
    totalBytes: copiesMiB(settings) * mebibyte,
  });
  const catalog = new Catalog(store, engines.query, copies);
  const guard = await guardFrom(settings, given);

  return {
    logger,
    store,
    bucket,
    ingest: {
      store,
      engine: engines.ingest,
      workspace: folders.ingest,
      mirrorDeletes: settings.mirrorDeletes,
      limits: {
        memoryMiB: settings.memoryMiB,
        diskMiB: settings.diskMiB,
        raise: settings.raise.ingest,
      },
    },
    sweep: {
      store,
      workspace: folders.sweep,
      mirrorDeletes: settings.mirrorDeletes,
      ownTimes: settings.store.kind === "bucket",
    },
    eventTopics: settings.eventTopics,
    catalog,
    http: createHttpApp({
      catalog,
      engine: engines.query,
      saved: new SavedQueries(settings.queries),
      workspace: folders.answers,
      logger,
      limits: {
        deadlineMs: settings.queryDeadlineMs,
        memoryMiB: settings.memoryMiB,
        diskMiB: settings.diskMiB,
        raise: settings.raise.query,
      },
      large,
      guard,
      adHocSql: settings.adHocSql,
      uploads: new Uploads(store, settings.uploads ? door : undefined),
      page,
    }),
    publish:
      settings.topic === undefined
        ? undefined
        : (await import("./events/sns-topic.ts")).topicPublisher(settings.topic),
    warm: {
      ingest: async () => {
        await Promise.allSettled([before(Date.now() + warmMs, engines.ingest.start())]);
      },
      query: async () => {
        const parts: Promise<unknown>[] = [engines.query.start()];
        if (guard.kind === "token") parts.push(guard.tokens());
        await Promise.allSettled(parts.map((part) => before(Date.now() + warmMs, part)));
      },
    },
    close: async () => {
      await Promise.all([engines.ingest.close(), engines.query.close()]);
      await store.close();
      workspace.remove();
    },
  };
}

type Folders = Readonly<Record<(typeof folderNames)[number], string>>;
const folderNames = ["ingest", "sweep", "answers", "copies", "spill"] as const;

function makeFolders(root: string): Folders {
  const made = folderNames.map((name) => {
    const folder = path.join(root, name);
    fs.mkdirSync(folder);
    return [name, `${folder}/`];
  });
  return Object.fromEntries(made) as Record<(typeof folderNames)[number], string>;
}

/** Of the disk, what copies of a bucket's objects may have. */
function copiesMiB({ diskMiB }: Settings): number {
  return Math.floor(diskMiB / 4);
}

/**
 * Two engines, so that neither may touch what the other needs: the one that reads strangers' files sees no table, and no
 * network; the one that runs strangers' SQL no inbox.
 */
function enginesOf(
  settings: Settings,
  logger: Logger,
  { folders, lake, remote }: { folders: Folders; lake: string; remote: EngineBucket | undefined },
): Readonly<Record<"ingest" | "query", Engine>> {
  const { memoryMiB, diskMiB, threads } = settings;
  const common = (name: string) => ({
    temporaryDirectory: path.join(folders.spill, name),
    threads,
    onEvent: ({ kind, ...facts }: EngineEvent) =>
      logger.log(kind === "started" ? "debug" : "warn", `engine ${kind}`, {
        engine: name,
        ...facts,
      }),
  });
  return {
    ingest: new Engine({
      ...common("ingest"),
      allowedDirectories: [folders.ingest],
      memoryMiB: Math.max(64, Math.floor(memoryMiB * 0.75) - aroundMiB),
      diskMiB,
    }),
    query: new Engine({
      ...common("query"),
      allowedDirectories: [lake, folders.answers, folders.copies],
      memoryMiB: Math.max(64, Math.floor((memoryMiB - 2 * aroundMiB) / queryExcess)),
      // What it spills and the copies are on one disk.
      diskMiB: diskMiB - (remote === undefined ? 0 : copiesMiB(settings)),
      bucket: remote,
      // Strangers' SQL can build what DuckDB does not count.
      processMiB: memoryMiB,
    }),
  };
}

interface OpenStore {
  store: Store;
  bucket: string;
  /** How the engine reads the lake where that is not on this machine. */
  remote: EngineBucket | undefined;
  /** Where answers go that a function can't return. A pond on this machine streams them. */
  large: LargeAnswers | undefined;
  /** How callers put files into the inbox. */
  door: Door;
}

async function openStore(settings: Settings, scratch: string): Promise<OpenStore> {
  const location: StoreLocation = settings.store;
  // Each kind of store starts without what the other one needs.
  if (location.kind === "folder") {
    const { FolderStore } = await import("./store/folder-store.ts");
    const store = FolderStore.open(location.path, scratch);
    makeFolder(path.resolve(store.locatePrefix(prefixes.inbox)));
    const door: Door = {
      kind: "folder",
      receive: (key, content) => store.receive(key, content),
    };
    return { store, bucket: folderBucket, remote: undefined, large: undefined, door };
  }
  const { S3Store } = await import("./store/s3-store.ts");
  const store = new S3Store(location);
  const remote: EngineBucket = {
    scope: store.locatePrefix(prefixes.lake),
    extensions: settings.extensions,
    access: () => store.access(),
    keys: () => store.keys(),
  };
  const door: Door = { kind: "bucket", link: (key) => linkTo(store, "PUT", key) };
  return { store, bucket: location.bucket, remote, large: new LargeAnswers(store), door };
}

async function guardFrom(settings: Settings, given: Tokens | undefined): Promise<Guard> {
  if (given !== undefined) return { kind: "token", tokens: () => Promise.resolve(given) };
  if (settings.auth !== "token") return { kind: settings.auth };
  const { secrets: prefix } = settings;
  if (prefix === undefined) {
    const problem = `${environmentNames.secrets} is not set: give the prefix of the stage's secrets, or ${environmentNames.auth}=none`;
    const error = new MillpondError("environment", problem);
    return { kind: "token", tokens: () => Promise.reject(error) };
  }
  const { Secrets } = await import("./secrets.ts");
  const secrets = new Secrets({ prefix });
  const tokens = async () => parseTokens(await secrets.get(secretNames.tokens));
  return { kind: "token", tokens };
}
