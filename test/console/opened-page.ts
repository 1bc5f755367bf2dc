import { existsSync } from "node:fs";
import fs from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import puppeteer, { type Page } from "puppeteer-core";
import { environmentNames } from "../../app/contract.ts";
import { readSettings } from "../../app/environment.ts";
import { ingest } from "../../app/flow/ingest.ts";
import { readPage } from "../../app/http/page.ts";
import { createLogger } from "../../app/logger.ts";
import { openPond } from "../../app/pond.ts";
import { serveLocal } from "../../cli/local-server.ts";
import { buildConsole } from "../../console/build.ts";

const chromium = ["/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"].find(
  existsSync,
);

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
  if (chromium === undefined) {
    process.stderr.write("skipped: there is no Chromium: apt-get install chromium\n");
    return undefined;
  }
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
  const browser = await puppeteer.launch({
    executablePath: chromium,
    userDataDir: path.join(folder, "profile"),
    args: [
      "--no-sandbox",
      "--disable-gpu",
      "--disable-quic",
      "--disable-background-networking",
      "--disable-component-update",
      "--disable-sync",
      "--no-first-run",
    ],
  });
  const page = await browser.newPage();
  await page.setViewport({ width: 1280, height: 800 });
  return {
    page,
    url: server.url,
    put,
    said: async (selector) =>
      await page.$$eval(selector, (found) => found.map((one) => one.textContent ?? "")),
    run: async (sql) => {
      await page.focus(".cm-content");
      await page.keyboard.down("Control");
      await page.keyboard.press("a");
      await page.keyboard.up("Control");
      await page.keyboard.sendCharacter(sql);
      await page.keyboard.down("Control");
      await page.keyboard.press("Enter");
      await page.keyboard.up("Control");
    },
    status: async (pattern) => {
      await page.waitForFunction(
        (wanted: string) =>
          [...document.querySelectorAll("[role=status]")].some((one) =>
            new RegExp(wanted).test(one.textContent ?? ""),
          ),
        {},
        pattern,
      );
    },
    close: async () => {
      await browser.close();
      await server.close();
      await pond.close();
      await fs.rm(folder, { recursive: true, force: true });
    },
  };
}
