import leven from "leven";
import pLimit from "p-limit";
import { BoundedMap } from "../bounded-map.ts";
import { prefixes } from "../contract.ts";
import { before } from "../deadline.ts";
import type { Engine, RunOptions } from "../engine/engine.ts";
import type { TableFiles } from "../engine/protocol.ts";
import { MillpondError } from "../errors.ts";
import { rejectedPrefix, tableOf, tablePrefix } from "../lake/derived-key.ts";
import { decodeOutputMetadata, type OutputMetadata } from "../lake/output-metadata.ts";
import { parseRejection, type RejectionRecord } from "../lake/rejection.ts";
import type { TableDetails, TableSummary } from "../lake/reports.ts";
import { tableNamePattern } from "../lake/source-key.ts";
import type { Located, PinnedCopies, Version } from "../store/pinned-copies.ts";
import { requestsAtOnce, type Store } from "../store/store.ts";

/** A table, and the versions of its files that were listed. */
export interface NamedFiles {
  name: string;
  files: Version[];
}

/** Entries that a cache keeps; an entry is a few hundred bytes. */
const cached = 10_000;

/** What tables there are. Lists anew for each question: a table is the files under its prefix, and nothing else. */
export class Catalog {
  readonly #store: Store;
  readonly #engine: Engine;
  readonly #copies: PinnedCopies;
  /** For all tables together. */
  readonly #limit = pLimit(requestsAtOnce);
  // Both are facts of one version of a file, or of some, so they never grow old.
  readonly #metadata = new BoundedMap<string, OutputMetadata | undefined>(cached);
  readonly #columns = new BoundedMap<string, { name: string; type: string }[]>(cached);

  constructor(store: Store, engine: Engine, copies: PinnedCopies) {
    this.#store = store;
    this.#engine = engine;
    this.#copies = copies;
  }

  /** The names of all tables with at least one file. */
  async names(): Promise<string[]> {
    return (await this.#files(prefixes.lake)).map((table) => table.name);
  }

  /** The files of a table, in the order of their keys. Empty where there is no such table. */
  async files(table: string): Promise<NamedFiles> {
    const found = tableNamePattern.test(table) ? await this.#files(tablePrefix(table)) : [];
    return { name: table, files: found[0]?.files ?? [] };
  }

  /**
   * Calls `work` with the files as the engine reads them.
   * @returns undefined where one was replaced since it was listed; `work` was not called then. `pinned`: whether what was
   * read is just what was listed, so that nobody needs to look again.
   */
  async open<T>(
    tables: readonly NamedFiles[],
    work: (tables: TableFiles[]) => Promise<T>,
    { deadline }: RunOptions,
  ): Promise<{ result: T; pinned: boolean } | undefined> {
    const all = tables.flatMap((table) => table.files);
    const run = async (located: Located[]) => {
      const each = located.values();
      const named = tables.map(({ name, files }) => ({
        name,
        files: files.map(({ key, etag }) => {
          const { path, pinned } = each.next().value as Located;
          // What may be replaced while it is read is nothing to remember by its ETag.
          return { path, id: pinned ? `${etag} ${key}` : undefined };
        }),
      }));
      return { result: await work(named), pinned: located.every(({ pinned }) => pinned) };
    };
    return await this.#copies.with(all, run, deadline);
  }

  async summaries(options: RunOptions): Promise<TableSummary[]> {
    const [tables, rejected] = await Promise.all([
      this.#files(prefixes.lake),
      this.#rejectedCounts(),
    ]);
    const readable = new Set(tables.map((table) => table.name));
    const unread = [...rejected.keys()].filter((name) => !readable.has(name));
    const all = [...tables, ...unread.map((name) => ({ name, files: [] }))];
    const summaries = all
      .sort((a, b) => (a.name < b.name ? -1 : 1))
      .map((table) => this.#summarize(table, rejected.get(table.name) ?? 0, options));
    return (await Promise.all(summaries)).map(({ summary }) => summary);
  }

  /** Undefined where there is neither a file nor a rejected one. */
  async details(name: string, options: RunOptions): Promise<TableDetails | undefined> {
    const table = await this.files(name);
    const rejections = await this.rejectionsOf(name, options);
    if (table.files.length === 0 && rejections.length === 0) return undefined;
    const { summary, known } = await this.#summarize(table, rejections.length, options);
    const sources = known.map(({ file, metadata }) => ({
      key: metadata.sourceKey,
      etag: metadata.sourceEtag,
      modified: metadata.sourceModified.toISOString(),
      rows: metadata.rows,
      bytes: file.size,
    }));
    return { ...summary, sources, rejections };
  }

  /** All records of what can't be read, also of sources that name no table. */
  async rejections(options: RunOptions): Promise<RejectionRecord[]> {
    return await this.#records(prefixes.rejected, options);
  }

  /** The records of one table. */
  async rejectionsOf(table: string, options: RunOptions): Promise<RejectionRecord[]> {
    return tableNamePattern.test(table) ? await this.#records(rejectedPrefix(table), options) : [];
  }

  async #records(prefix: string, { deadline }: RunOptions): Promise<RejectionRecord[]> {
    const read = async () => {
      const keys: string[] = [];
      for await (const { key } of this.#store.list(prefix)) keys.push(key);
      const found = await Promise.all(keys.map((key) => this.#limit(() => this.#store.read(key))));
      return found.flatMap((one) => parseRejection(one?.text ?? "") ?? []);
    };
    const records = await before(deadline, read());
    return records.sort((a, b) => (a.source.key < b.source.key ? -1 : 1));
  }

  async #files(prefix: string): Promise<NamedFiles[]> {
    const tables = new Map<string, Version[]>();
    for await (const { key, etag, size, lastModified } of this.#store.list(prefix)) {
      const table = tableOf(key);
      // Whatever else somebody put there is no table.
      if (table === undefined || !key.endsWith(".parquet")) continue;
      const files = tables.get(table);
      if (files === undefined) tables.set(table, [{ key, etag, size, lastModified }]);
      else files.push({ key, etag, size, lastModified });
    }
    return [...tables].map(([name, files]) => ({
      name,
      files: files.sort((a, b) => (a.key < b.key ? -1 : 1)),
    }));
  }

  async #rejectedCounts(): Promise<Map<string, number>> {
    const counts = new Map<string, number>();
    for await (const { key } of this.#store.list(prefixes.rejected)) {
      const table = tableOf(key);
      if (table !== undefined) counts.set(table, (counts.get(table) ?? 0) + 1);
    }
    return counts;
  }

  async #summarize(table: NamedFiles, rejected: number, options: RunOptions) {
    const heads = Promise.all(
      table.files.map((file) =>
        this.#limit(async () => ({ file, metadata: await this.#metadataOf(file) })),
      ),
    );
    const known = (await before(options.deadline, heads)).flatMap(({ file, metadata }) =>
      metadata === undefined ? [] : [{ file, metadata }],
    );
    const newest = known.reduce<(typeof known)[number] | undefined>(
      (best, one) =>
        best === undefined || one.metadata.sourceModified > best.metadata.sourceModified
          ? one
          : best,
      undefined,
    );
    const summary: TableSummary = {
      name: table.name,
      files: table.files.length,
      rows: known.reduce((sum, { metadata }) => sum + metadata.rows, 0),
      bytes: table.files.reduce((sum, file) => sum + file.size, 0),
      columns: await this.#columnsOf(table, options),
      newestSource:
        newest === undefined
          ? null
          : {
              key: newest.metadata.sourceKey,
              modified: newest.metadata.sourceModified.toISOString(),
              queryable: newest.file.lastModified.toISOString(),
            },
      rejected,
    };
    return { summary, known };
  }

  async #metadataOf(file: Version): Promise<OutputMetadata | undefined> {
    const id = `${file.etag} ${file.key}`;
    if (this.#metadata.has(id)) return this.#metadata.get(id);
    const head = await this.#store.head(file.key);
    const metadata = head === undefined ? undefined : decodeOutputMetadata(head.metadata);
    if (head?.etag === file.etag) this.#metadata.set(id, metadata);
    return metadata;
  }

  async #columnsOf(table: NamedFiles, options: RunOptions) {
    if (table.files.length === 0) return [];
    const id = table.files.map((file) => file.etag).join(" ");
    const before = this.#columns.get(id);
    if (before !== undefined) return before;
    const described = await this.open(
      [table],
      (tables) =>
        this.#engine.run(
          { kind: "describe", files: tables.flatMap(({ files }) => files) },
          options,
        ),
      options,
    ).catch((error: unknown) => error as Error);
    // Replaced while we looked: whoever asks again sees the new one.
    if (described === undefined) return null;
    if (described instanceof MillpondError && described.code === "engine") return null;
    if (described instanceof Error) throw described;
    const { columns } = described.result;
    // Files that may be replaced while they are read are looked at again the next time.
    if (described.pinned) this.#columns.set(id, columns);
    return columns;
  }
}

/** The error for a table that SQL names and the lake doesn't have. */
export async function unknownTable(
  catalog: Catalog,
  name: string,
  options: RunOptions,
): Promise<MillpondError> {
  const details = { table: name };
  const rejections = await catalog.rejectionsOf(name, options);
  if (rejections.length > 0) {
    const message = `there is no table ${name}: none of its files can be read; GET /tables/${name} says why`;
    return new MillpondError("table-unknown", message, { details });
  }
  const names = (await catalog.names()).sort();
  const nearest = nearestOf(names, name);
  const some = names.slice(0, 20).join(", ");
  const known = names.length === 0 ? "there is no table yet" : `there is ${some}`;
  const more = names.length > 20 ? ` and ${names.length - 20} more (GET /tables)` : "";
  const found = nearest.length > 0 ? `did you mean ${nearest.join(", ")}?` : `${known}${more}`;
  return new MillpondError("table-unknown", `there is no table ${name}; ${found}`, { details });
}

/** Letters that may be wrong of a name: a third, and three at most. */
function nearestOf(names: readonly string[], name: string): string[] {
  const most = Math.min(3, Math.floor(name.length / 3));
  return names
    .map((one) => ({ one, distance: leven(one.toLowerCase(), name.toLowerCase()) }))
    .filter(({ distance }) => distance <= most)
    .sort((a, b) => a.distance - b.distance)
    .slice(0, 3)
    .map(({ one }) => one);
}
