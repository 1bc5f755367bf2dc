import fs from "node:fs";
import path from "node:path";
import type { Hono } from "hono";
import { prefixes } from "./contract.ts";
import { Engine } from "./engine/engine.ts";
import type { Settings } from "./environment.ts";
import { Catalog } from "./flow/catalog.ts";
import type { IngestParts } from "./flow/ingest.ts";
import { SavedQueries } from "./flow/saved-queries.ts";
import { createHttpApp } from "./http/app.ts";
import type { Tokens } from "./http/tokens.ts";
import type { Logger } from "./logger.ts";
import { FolderStore, privateFolder } from "./store/folder-store.ts";
import type { Store } from "./store/store.ts";
import { openWorkspace } from "./workspace.ts";

/** Everything that the functions are wired from: one a process. */
export interface Pond {
  logger: Logger;
  store: Store;
  /** What events name the store by; those of another one are refused. */
  bucket: string;
  ingest: IngestParts;
  catalog: Catalog;
  http: Hono;
  close(): Promise<void>;
}

/** A folder has no bucket's name; its events carry this one. */
export const folderBucket = "pond";

export interface PondOptions {
  /** @default undefined, which asks nobody for a token */
  tokens?: Tokens | undefined;
}

/**
 * Puts a pond together. Nothing runs yet: the engines start with their first request.
 * @throws MillpondError `folder` where the store can't be written
 */
export async function openPond(
  settings: Settings,
  logger: Logger,
  { tokens }: PondOptions = {},
): Promise<Pond> {
  const workspace = openWorkspace(path.join(settings.store, privateFolder, "work"));
  const store = FolderStore.open(settings.store, workspace.path);
  const folders = Object.fromEntries(
    (["ingest", "answers", "spill"] as const).map((name) => {
      const folder = path.join(workspace.path, name);
      fs.mkdirSync(folder);
      return [name, `${folder}/`];
    }),
  ) as Record<"ingest" | "answers" | "spill", string>;
  fs.mkdirSync(store.locatePrefix(prefixes.inbox), { recursive: true });

  // Two engines, so that neither may touch what the other needs: the one that reads strangers' files sees no table,
  // the one that runs strangers' SQL no inbox.
  const engine = (name: string, allowedDirectories: string[]) =>
    new Engine({
      allowedDirectories,
      temporaryDirectory: path.join(folders.spill, name),
      memoryMiB: engineMemory(settings.memoryMiB),
      diskMiB: settings.diskMiB,
      threads: settings.threads,
      onEvent: ({ kind, ...facts }) =>
        logger.log(kind === "started" ? "debug" : "warn", `engine ${kind}`, {
          engine: name,
          ...facts,
        }),
    });
  const ingestEngine = engine("ingest", [folders.ingest]);
  const queryEngine = engine("query", [store.locatePrefix(prefixes.lake), folders.answers]);

  const catalog = new Catalog(store, queryEngine);

  return {
    logger,
    store,
    bucket: folderBucket,
    ingest: { store, engine: ingestEngine, workspace: folders.ingest },
    catalog,
    http: createHttpApp({
      catalog,
      engine: queryEngine,
      saved: new SavedQueries(settings.queries),
      workspace: folders.answers,
      logger,
      deadlineMs: settings.queryDeadlineMs,
      tokens,
    }),
    close: async () => {
      await Promise.all([ingestEngine.close(), queryEngine.close()]);
      await store.close();
      workspace.remove();
    },
  };
}

/** What DuckDB may plan with: the rest is for the two processes around it, and for what it doesn't count. */
function engineMemory(memoryMiB: number): number {
  return Math.max(64, Math.floor(memoryMiB * 0.75) - 128);
}
