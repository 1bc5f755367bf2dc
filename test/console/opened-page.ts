import fs from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import type { Page } from "puppeteer-core";
import { environmentNames } from "../../app/contract.ts";
import { readSettings } from "../../app/environment.ts";
import { ingest } from "../../app/flow/ingest.ts";
import { readPage } from "../../app/http/page.ts";
import { createLogger } from "../../app/logger.ts";
import { openPond } from "../../app/pond.ts";
import { serveLocal } from "../../cli/local-server.ts";
import { buildConsole } from "../../console/build.ts";
import { hasChromium, launch, said, sql, status } from "./open-console.ts";

export interface OpenedPage {
  page: Page;
  url: string;
  /** Puts a file into the inbox, and makes its rows. */
  put(key: string, text: string): Promise<void>;
  /** The texts of all that a selector finds. */
  said(selector: string): Promise<string[]>;
  /** Puts SQL into the editor, and runs it by Ctrl-Enter. */
  run(sql: string): Promise<void>;
  /** Until the page says so in a status. */
  status(pattern: string): Promise<void>;
  close(): Promise<void>;
}

/**
 * The console of a pond of its own, in Chromium.
 * @param files by their keys below `inbox/`
 * @param queries by their names
 * @returns undefined where there is no Chromium
 */
export async function openPage(
  files: Readonly<Record<string, string>>,
  queries: Readonly<Record<string, string>> = {},
): Promise<OpenedPage | undefined> {
  if (!hasChromium()) return undefined;
  const folder = await fs.mkdtemp(path.join(os.tmpdir(), "millpond-test-"));
  const [built, store] = [path.join(folder, "console"), path.join(folder, "pond")];
  await buildConsole(built);
  await fs.mkdir(path.join(folder, "queries"));
  for (const [name, text] of Object.entries(queries)) {
    await fs.writeFile(path.join(folder, `queries/${name}.sql`), text);
  }
  const settings = readSettings({
    [environmentNames.store]: store,
    [environmentNames.queries]: path.join(folder, "queries"),
  });
  const pond = await openPond(settings, createLogger({ environment: { LOG_LEVEL: "fatal" } }), {
    page: () => readPage(built),
  });
  const put = async (key: string, text: string) => {
    const file = path.join(store, "inbox", key);
    await fs.mkdir(path.dirname(file), { recursive: true });
    await fs.writeFile(file, text);
    await ingest(pond.ingest, `inbox/${key}`);
  };
  for (const [key, text] of Object.entries(files)) await put(key, text);
  const server = await serveLocal(pond, { host: "127.0.0.1", port: 0, names: [], stallMs: 60_000 });
  const { browser, page } = await launch(folder);
  return {
    page,
    url: server.url,
    put,
    said: (selector) => said(page, selector),
    run: (text) => sql(page, text),
    status: (pattern) => status(page, pattern),
    close: async () => {
      await browser.close();
      await server.close();
      await pond.close();
      await fs.rm(folder, { recursive: true, force: true });
    },
  };
}
