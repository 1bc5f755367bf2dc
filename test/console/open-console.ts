import { existsSync } from "node:fs";
import fs from "node:fs/promises";
import { createRequire } from "node:module";
import os from "node:os";
import path from "node:path";
import puppeteer, { type Page } from "puppeteer-core";
import { environmentNames } from "../../app/contract.ts";
import { readSettings } from "../../app/environment.ts";
import { ingest } from "../../app/flow/ingest.ts";
import { createHandler as createIngest } from "../../app/functions/ingest.ts";
import { readPage } from "../../app/http/page.ts";
import { createLogger } from "../../app/logger.ts";
import { openPond } from "../../app/pond.ts";
import { localContext } from "../../cli/local-context.ts";
import { serveLocal } from "../../cli/local-server.ts";
import { watchInbox } from "../../cli/watch-inbox.ts";
import { buildConsole } from "../../console/build.ts";

const chromium = ["/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"].find(
  existsSync,
);
const axe = createRequire(import.meta.url).resolve("axe-core/axe.min.js");

export const token = "a-token-of-the-console-0123456789";
export const hostile = `<img src=x onerror="window.owned = true"><script>window.owned = true</script>`;

/** What a pond has when a browser first looks at it. */
export interface Start {
  /** By their keys below `inbox/`. */
  files: Readonly<Record<string, string>>;
  /** Saved queries, by their names. */
  queries: Readonly<Record<string, string>>;
  /** Whether it asks for the token. */
  guarded: boolean;
  /** What the tests have the browser meet, so that it tells of it. */
  met: RegExp;
}

const days = Array.from({ length: 12_000 }, (_, i) => {
  const day = new Date(Date.UTC(2000, 0, 1 + (i % 9000))).toISOString().slice(0, 10);
  return `${i},${day},${i % 7 === 0 ? "" : (i * 37) % 101}`;
});

/** A pond with a table of many rows, one of a hostile cell, a file that is rejected and a saved query. */
export const guardedPond: Start = {
  files: {
    "days/a.csv": `id,day,value\n${days.join("\n")}\n`,
    "cells.csv": `text\n"${hostile.replaceAll('"', '""')}"\n`,
    "broken.csv": "a,b\n1\n",
  },
  queries: {
    late: '-- Late days.\n-- @param least integer = "11990" The first id\nSELECT count(*) AS n FROM days WHERE id >= $least\n',
  },
  guarded: true,
  met: /status of (4\d\d|503)|ERR_INTERNET_DISCONNECTED/,
};

/** A pond on this machine, and a browser. */
export interface OpenConsole {
  url: string;
  /** Has the page as it was built, under `console`, and saved queries, under `queries`. */
  folder: string;
  page: Page;
  /** What the policy of a page refused, or a script threw: a fault wherever it is. */
  violations: string[];
  /** Another page, whose faults count, too. */
  newPage(): Promise<Page>;
  /** Puts a file into the inbox, and makes its rows. */
  put(key: string, text: string): Promise<void>;
  close(): Promise<void>;
}

/** @returns undefined where there is no Chromium */
export async function openConsole({
  files,
  queries,
  guarded,
  met,
}: Start): Promise<OpenConsole | undefined> {
  if (chromium === undefined) {
    process.stderr.write("skipped: there is no Chromium: apt-get install chromium\n");
    return undefined;
  }
  const folder = await fs.mkdtemp(path.join(os.tmpdir(), "millpond-test-"));
  const ends: (() => Promise<unknown>)[] = [() => fs.rm(folder, { recursive: true, force: true })];
  const close = async () => {
    for (const end of ends.splice(0)) await end();
  };
  try {
    const violations: string[] = [];
    const built = path.join(folder, "console");
    await buildConsole(built);
    await fs.mkdir(path.join(folder, "queries"));
    for (const [name, text] of Object.entries(queries)) {
      await fs.writeFile(path.join(folder, `queries/${name}.sql`), text);
    }
    const store = path.join(folder, "pond");
    const settings = readSettings({
      [environmentNames.store]: store,
      [environmentNames.queries]: path.join(folder, "queries"),
    });
    const pond = await openPond(settings, createLogger({ environment: { LOG_LEVEL: "fatal" } }), {
      ...(guarded ? { tokens: { tester: token } } : {}),
      page: () => readPage(built),
    });
    ends.unshift(() => pond.close());
    const put = async (key: string, text: string) => {
      const file = path.join(store, "inbox", key);
      await fs.mkdir(path.dirname(file), { recursive: true });
      await fs.writeFile(file, text);
      await ingest(pond.ingest, `inbox/${key}`);
    };
    for (const [key, text] of Object.entries(files)) await put(key, text);
    const take = createIngest(() => Promise.resolve(pond));
    const watcher = await watchInbox(
      store,
      pond.bucket,
      (event) => void take(event, localContext("ingest")),
      (error) => violations.push(String(error)),
    );
    ends.unshift(() => watcher.close());
    const options = { host: "127.0.0.1", port: 0, names: [], stallMs: 60_000 };
    const server = await serveLocal(pond, options);
    ends.splice(1, 0, () => server.close());
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
    ends.unshift(() => browser.close());
    const newPage = async () => {
      const page = await browser.newPage();
      page.on("console", (message) => {
        if (message.type() === "error" && !met.test(message.text())) {
          violations.push(message.text());
        }
      });
      page.on("pageerror", (error) => violations.push(String(error)));
      return page;
    };
    const page = await newPage();
    await page.setViewport({ width: 1280, height: 800 });
    return { url: server.url, folder, page, violations, newPage, put, close };
  } catch (error) {
    await close();
    throw error;
  }
}

/** Gives the page the token that it asks for, and waits until it shows the tables. */
export async function signIn(page: Page): Promise<void> {
  await page.waitForSelector(".token input");
  await page.type(".token input", token);
  await page.keyboard.press("Enter");
  await page.waitForSelector(".tables li");
}

/** A tab of its own, which has no token yet. @param prepare called before the console is there */
export async function openTab(
  { url, newPage }: OpenConsole,
  { prepare, hash = "" }: { prepare?: (tab: Page) => unknown; hash?: string } = {},
): Promise<Page> {
  const tab = await newPage();
  await prepare?.(tab);
  await tab.goto(`${url}/${hash}`);
  await signIn(tab);
  return tab;
}

export async function said(page: Page, selector: string): Promise<string[]> {
  return await page.$$eval(selector, (found) => found.map((one) => one.textContent ?? ""));
}

export async function press(
  page: Page,
  modifier: "Control" | "Shift",
  key: "a" | "Enter" | "End" | "Space" | "Tab",
) {
  await page.keyboard.down(modifier);
  await page.keyboard.press(key);
  await page.keyboard.up(modifier);
}

/** Writes SQL in place of what the editor has. */
export async function write(page: Page, text: string): Promise<void> {
  await page.focus(".cm-content");
  await press(page, "Control", "a");
  await page.keyboard.sendCharacter(text);
}

/** Writes SQL, and runs it. */
export async function sql(page: Page, text: string): Promise<void> {
  await write(page, text);
  await press(page, "Control", "Enter");
}

/** Waits for a text. */
export async function shows(page: Page, selector: string, pattern: string): Promise<void> {
  await page.waitForFunction(
    (where: string, wanted: string) =>
      [...document.querySelectorAll(where)].some((one) =>
        new RegExp(wanted, "s").test(one.textContent ?? ""),
      ),
    {},
    selector,
    pattern,
  );
}

export async function status(page: Page, pattern: string): Promise<void> {
  await shows(page, "[role=status]", pattern);
}

/** Has the page look at the lake again, as for a person who comes back to it. */
export async function look(page: Page): Promise<void> {
  await page.evaluate(() => document.dispatchEvent(new Event("visibilitychange")));
}

/** Gives the page another width, and waits until what is seen has taken its places: the editor loses the focus when it moves. */
export async function resize(page: Page, width: 1280 | 390): Promise<void> {
  await page.setViewport({ width, height: 800 });
  await page.waitForFunction(
    (narrow: boolean) => {
      const [nav, main] = [document.querySelector("nav"), document.querySelector("main")];
      if (nav === null || main === null) return false;
      const [one, other] = [nav.getBoundingClientRect(), main.getBoundingClientRect()];
      const mainFirst =
        (main.compareDocumentPosition(nav) & Node.DOCUMENT_POSITION_FOLLOWING) !== 0;
      return (
        mainFirst === narrow && (narrow ? other.bottom <= one.top + 1 : one.right <= other.left + 1)
      );
    },
    {},
    width === 390,
  );
}

/** As a person drops files on the page: by the browser's own drag. */
export async function drop(page: Page, ...files: { name: string; text: string }[]): Promise<void> {
  await page.evaluate((given) => {
    const dragged = new DataTransfer();
    for (const { name, text } of given) dragged.items.add(new File([text], name));
    const target = document.querySelector(".cm-content") as Element;
    for (const type of ["dragover", "drop"]) {
      target.dispatchEvent(
        new DragEvent(type, { dataTransfer: dragged, bubbles: true, cancelable: true }),
      );
    }
  }, files);
}

/**
 * Waits until a chart is drawn in a colour.
 * @param near how much each of red, green and blue may be beside it
 * @param least pixels of it
 */
export async function drawnIn(
  page: Page,
  colour: readonly [number, number, number],
  { near, least }: { near: number; least: number },
): Promise<void> {
  await page.waitForFunction(
    (wanted: readonly number[], most: number, enough: number) => {
      const canvas = document.querySelector<HTMLCanvasElement>(".plot canvas");
      const { width, height } = canvas ?? { width: 0, height: 0 };
      const { data } = canvas?.getContext("2d")?.getImageData(0, 0, width, height) ?? {};
      if (data === undefined) return false;
      let found = 0;
      for (let i = 0; i < data.length; i += 4) {
        found += Number(wanted.every((part, k) => Math.abs(part - (data[i + k] ?? 0)) <= most));
      }
      return found >= enough;
    },
    {},
    colour,
    near,
    least,
  );
}

/** What axe finds on the page as it is. */
export async function axeFinds(page: Page): Promise<string[]> {
  const client = await page.createCDPSession();
  await client.send("Runtime.evaluate", { expression: await fs.readFile(axe, "utf8") });
  const found = await page.evaluate(async () => {
    const { violations: all } = await (
      window as unknown as {
        axe: { run(): Promise<{ violations: { id: string; nodes: { html: string }[] }[] }> };
      }
    ).axe.run();
    return all.map(({ id, nodes }) => `${id}: ${nodes[0]?.html}`);
  });
  await client.detach();
  return found;
}
