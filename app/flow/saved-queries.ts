import fs from "node:fs/promises";
import path from "node:path";
import { parseSavedQuery, type SavedQuery, savedNamePattern } from "../query/saved-query.ts";

/** The folder of saved queries. Read for each request, so that an edit counts at once. */
export class SavedQueries {
  readonly #folder: string;

  constructor(folder: string) {
    this.#folder = folder;
  }

  /** Undefined where there is no query of that name. */
  async find(name: string): Promise<SavedQuery | undefined> {
    if (!savedNamePattern.test(name)) return undefined;
    const text = await fs.readFile(path.join(this.#folder, `${name}.sql`), "utf8").catch(missing);
    return text === undefined ? undefined : parseSavedQuery(name, text);
  }

  /** All of them, by name. */
  async all(): Promise<SavedQuery[]> {
    const files = (await fs.readdir(this.#folder).catch(missing)) ?? [];
    const names = files.filter((file) => file.endsWith(".sql")).map((file) => file.slice(0, -4));
    const found = await Promise.all(names.sort().map((name) => this.find(name)));
    return found.filter((query) => query !== undefined);
  }
}

function missing(error: NodeJS.ErrnoException): undefined {
  if (error.code === "ENOENT") return undefined;
  throw error;
}
