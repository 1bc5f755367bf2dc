import fs from "node:fs/promises";
import path from "node:path";
import { MillpondError } from "../errors.ts";
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

  /** All of them, by name; `broken` names those whose header can't be read. */
  async all(): Promise<{ queries: SavedQuery[]; broken: { name: string; problem: string }[] }> {
    const files = (await fs.readdir(this.#folder).catch(missing)) ?? [];
    const names = files.filter((file) => file.endsWith(".sql")).map((file) => file.slice(0, -4));
    const queries: SavedQuery[] = [];
    const broken: { name: string; problem: string }[] = [];
    for (const name of names.sort()) {
      if (!savedNamePattern.test(name)) {
        const problem = "a saved query is named by lower-case letters, digits, - and _";
        broken.push({ name, problem });
        continue;
      }
      try {
        const query = await this.find(name);
        if (query !== undefined) queries.push(query);
      } catch (error) {
        if (!(error instanceof MillpondError)) throw error;
        broken.push({ name, problem: error.message });
      }
    }
    return { queries, broken };
  }
}

function missing(error: NodeJS.ErrnoException): undefined {
  if (error.code === "ENOENT" || error.code === "EISDIR") return undefined;
  throw error;
}
