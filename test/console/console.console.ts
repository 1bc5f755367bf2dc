import { existsSync } from "node:fs";
import fs from "node:fs/promises";
import { createRequire } from "node:module";
import os from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";
import { expect } from "chai";
import puppeteer, { type Browser, type ElementHandle, type Page } from "puppeteer-core";
import { environmentNames } from "../../app/contract.ts";
import { readSettings } from "../../app/environment.ts";
import { ingest } from "../../app/flow/ingest.ts";
import { createHandler as createIngest } from "../../app/functions/ingest.ts";
import { readPage } from "../../app/http/page.ts";
import { createLogger } from "../../app/logger.ts";
import { openPond, type Pond } from "../../app/pond.ts";
import { startLocal } from "../../cli/local.ts";
import { localContext } from "../../cli/local-context.ts";
import { type LocalServer, serveLocal } from "../../cli/local-server.ts";
import { watchInbox } from "../../cli/watch-inbox.ts";
import { buildConsole } from "../../console/build.ts";

const chromium = ["/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"].find(
  existsSync,
);
const axe = createRequire(import.meta.url).resolve("axe-core/axe.min.js");
/** Shown by the documentation. Whoever removes one has it made anew. */
const pictures = fileURLToPath(new URL("../../docs/images/", import.meta.url));
const token = "a-token-of-the-console-0123456789";
const hostile = `<img src=x onerror="window.owned = true"><script>window.owned = true</script>`;

/** A person at a browser, from the first look on. In this order. */
describe("the console, in Chromium", function () {
  this.timeout(60_000);
  let folder: string;
  let pond: Pond;
  let server: LocalServer;
  let watcher: Awaited<ReturnType<typeof watchInbox>>;
  let browser: Browser;
  let page: Page;
  const violations: string[] = [];

  before(async function () {
    if (chromium === undefined) {
      process.stderr.write("skipped: there is no Chromium: apt-get install chromium\n");
      this.skip();
    }
    folder = await fs.mkdtemp(path.join(os.tmpdir(), "millpond-test-"));
    const built = path.join(folder, "console");
    await buildConsole(built);
    const store = path.join(folder, "pond");
    const settings = readSettings({
      [environmentNames.store]: store,
      [environmentNames.queries]: path.join(folder, "queries"),
    });
    pond = await openPond(settings, createLogger({ environment: { LOG_LEVEL: "fatal" } }), {
      tokens: { tester: token },
      page: () => readPage(built),
    });
    await fs.mkdir(path.join(folder, "queries"));
    await fs.writeFile(
      path.join(folder, "queries/late.sql"),
      '-- Late days.\n-- @param least integer = "11990" The first id\nSELECT count(*) AS n FROM days WHERE id >= $least\n',
    );
    const inbox = path.join(store, "inbox");
    await fs.mkdir(path.join(inbox, "days"), { recursive: true });
    const days = Array.from({ length: 12_000 }, (_, i) => {
      const day = new Date(Date.UTC(2000, 0, 1 + (i % 9000))).toISOString().slice(0, 10);
      return `${i},${day},${i % 7 === 0 ? "" : (i * 37) % 101}`;
    });
    await fs.writeFile(path.join(inbox, "days/a.csv"), `id,day,value\n${days.join("\n")}\n`);
    await fs.writeFile(path.join(inbox, "cells.csv"), `text\n"${hostile.replaceAll('"', '""')}"\n`);
    await fs.writeFile(path.join(inbox, "broken.csv"), "a,b\n1\n");
    for (const key of ["days/a.csv", "cells.csv", "broken.csv"]) {
      await ingest(pond.ingest, `inbox/${key}`);
    }
    const open = () => Promise.resolve(pond);
    const take = createIngest(open);
    watcher = await watchInbox(
      store,
      pond.bucket,
      (event) => void take(event, localContext("ingest")),
      (error) => violations.push(String(error)),
    );
    server = await serveLocal(pond, { host: "127.0.0.1", port: 0, names: [], stallMs: 60_000 });
    browser = await puppeteer.launch({
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
    page = await browser.newPage();
    await page.setViewport({ width: 1280, height: 800 });
    // What the page's own policy refuses, or a script throws, is a fault wherever it is.
    page.on("console", (message) => {
      // What a test has it meet, the browser tells, too.
      const expected = /status of 4\d\d|ERR_INTERNET_DISCONNECTED/;
      if (message.type() === "error" && !expected.test(message.text())) {
        violations.push(message.text());
      }
    });
    page.on("pageerror", (error) => violations.push(String(error)));
  });
  after(async () => {
    await browser?.close();
    await watcher?.close();
    await server?.close();
    await pond?.close();
    if (folder !== undefined) await fs.rm(folder, { recursive: true, force: true });
  });

  const said = async (selector: string) =>
    await page.$$eval(selector, (found) => found.map((one) => one.textContent ?? ""));
  const sql = async (text: string) => {
    await page.focus(".cm-content");
    await page.keyboard.down("Control");
    await page.keyboard.press("a");
    await page.keyboard.up("Control");
    await page.keyboard.sendCharacter(text);
    await page.keyboard.down("Control");
    await page.keyboard.press("Enter");
    await page.keyboard.up("Control");
  };
  const status = (pattern: string) =>
    page.waitForFunction(
      (wanted: string) =>
        [...document.querySelectorAll("[role=status]")].some((one) =>
          new RegExp(wanted).test(one.textContent ?? ""),
        ),
      {},
      pattern,
    );

  it("asks for a token once, and keeps it for this tab", async () => {
    await page.goto(server.url);
    await page.waitForSelector(".token input");
    await page.type(".token input", token);
    await page.keyboard.press("Enter");
    await page.waitForSelector(".tables li");

    expect(await page.$(".token")).to.equal(null);
    await page.reload();
    await page.waitForSelector(".tables li");
    expect(await page.evaluate(() => JSON.stringify({ ...localStorage }))).to.not.contain(token);
    expect(page.url()).to.not.contain(token);
  });

  it("shows the tables, and what is in one", async () => {
    const names = await said(".table b");
    expect(names).to.include.members(["cells", "days"]);
    expect((await said(".table")).join()).to.match(/days12,000 rows/);

    const [days] = await page.$$("xpath/.//button[contains(., 'days')]");
    await days?.click();
    await page.waitForSelector(".details .histogram rect");
    expect((await said(".details li")).join("\n")).to.match(/value BIGINT.*14\.3 % NULL/s);
  });

  it("runs SQL by Ctrl-Enter, and scrolls 10,000 rows of which few are in the page", async () => {
    await sql("SELECT * FROM days ORDER BY id");
    await status("12,000 rows, the first 10,000 are shown");

    const within = await page.$$eval(".grid .body .row", (rows) => rows.length);
    expect(within).to.be.within(10, 100);
    await page.$eval(".grid", (grid) => {
      grid.scrollTop = grid.scrollHeight;
    });
    await page.waitForSelector('.grid [aria-rowindex="10001"]');
    expect(await said('.grid [aria-rowindex="10001"] [role=cell]')).to.include("9999");
  });

  it("sorts by a column, NULL last", async () => {
    await sql("SELECT * FROM (VALUES (2), (10), (NULL), (1)) t(n)");
    await status("4 rows");
    await page.click(".grid .head button");
    expect(await said(".grid .body .row")).to.deep.equal(["1", "2", "10", "NULL"]);
    await page.click(".grid .head button");
    expect(await said(".grid .body .row")).to.deep.equal(["10", "2", "1", "NULL"]);
  });

  it("draws a chart that suits the columns, and a link reopens both", async () => {
    await sql("SELECT day, avg(value) AS v FROM days GROUP BY day ORDER BY day");
    await status("9,000 rows");
    await page.click("button[aria-pressed=false]");
    await page.waitForSelector(".plot canvas");
    expect(await page.$eval(".chart select", (one) => one.value)).to.equal("line");

    const link = await page.evaluate(() => location.href);
    const other = await browser.newPage();
    await other.goto(link);
    // Another tab asks for the token, and goes on where the link leads.
    await other.waitForSelector(".token input");
    await other.type(".token input", token);
    await other.keyboard.press("Enter");
    await other.waitForSelector(".plot canvas");
    expect(await other.$eval(".cm-content", (one) => one.textContent)).to.contain("avg(value)");
    await other.close();
    await page.bringToFront();
  });

  it("shows DuckDB's message, and marks its place", async () => {
    await sql("SELECT id,\n  vallue FROM days");
    await page.waitForSelector("[role=alert]");

    expect((await said("[role=alert]")).join()).to.contain('"vallue" not found');
    await page.waitForSelector(".cm-lintRange-error");
    expect(await said(".cm-lintRange-error")).to.deep.equal(["vallue"]);
  });

  it("shows HTML in a cell as text", async () => {
    await sql("FROM cells");
    await status("1 row");

    expect(await said(".grid .body [role=cell]")).to.deep.equal([hostile]);
    expect(await page.evaluate(() => "owned" in window)).to.equal(false);
  });

  it("runs a saved query by its form, with its default and with a value", async () => {
    expect((await said(".saved summary")).join()).to.match(/late\s*Late days/);
    await page.click(".saved summary");
    for (const [value, count] of [
      ["", "10"],
      ["11998", "2"],
    ] as const) {
      await page.type(".saved input", value);
      await page.click(".saved button");
      await page.waitForFunction(
        (wanted: string) =>
          document.querySelector(".grid .body [role=cell]")?.textContent === wanted,
        {},
        count,
      );
    }
  });

  it("says what was rejected", async () => {
    expect((await said(".rejected li")).join()).to.contain("inbox/broken.csv");
  });

  /** As a person drops files on the page: by the browser's own drag. */
  const drop = async (...files: { name: string; text: string }[]) => {
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
  };
  const upload = (pattern: string) =>
    page.waitForFunction(
      (wanted: string) =>
        new RegExp(wanted, "s").test(document.querySelector(".uploads li")?.textContent ?? ""),
      {},
      pattern,
    );

  it("takes a file that is dropped on it, and says when its rows are there", async () => {
    const before = await said(".cm-content");
    await drop({ name: "dropped.csv", text: "id,name\n1,Ann\n2,Bo\n" });
    await upload("dropped.csv.*2 rows in dropped");

    expect(await said(".cm-content"), "the editor took nothing of it").to.deep.equal(before);
    expect(await said(".table b")).to.include("dropped");
    expect((await said(".freshness")).join()).to.match(/newest file just now, lag/);
    await sql("FROM dropped");
    await status("2 rows");
  });

  it("takes one by its button, into a table that is named", async () => {
    const file = path.join(folder, "2024-05.csv");
    await fs.writeFile(file, "id\n1\n2\n3\n");
    await page.type(".upload input[list]", "months");
    const input = (await page.$(".upload input[type=file]")) as ElementHandle<HTMLInputElement>;
    await input.uploadFile(file);

    await upload("2024-05.csv.*3 rows in months");
    await page.$eval(".upload input[list]", (one) => {
      (one as HTMLInputElement).value = "";
      one.dispatchEvent(new Event("input", { bubbles: true }));
    });
  });

  it("says why a file is rejected, and which rows stay", async () => {
    await drop({ name: "dropped.csv", text: "id,name\n1\n" });

    await upload("rejected in line 2:.*2 rows of its last good version stay");
  });

  it("asks for a table where a file names none, and goes on", async () => {
    await drop({ name: "2024-06.csv", text: "id\n1\n" });
    await upload("can't be the name of a table");
    await page.type(".uploads li input", "months");
    await page.click(".uploads li form button");

    await upload("2024-06.csv.*1 row in months");
  });

  it("keeps what somebody reads while the server is away, and says so", async () => {
    await sql("SELECT 42 AS answer");
    await status("1 row");
    await page.setOfflineMode(true);
    try {
      await drop({ name: "later.csv", text: "id\n1\n" });
      await upload("does not answer");
      await page.evaluate(() => document.dispatchEvent(new Event("visibilitychange")));
      await page.waitForSelector("nav > [role=alert]");
      expect((await said("nav > [role=alert]")).join()).to.contain("the tables can't be listed");
      expect(await said(".grid .body [role=cell]")).to.deep.equal(["42"]);
    } finally {
      await page.setOfflineMode(false);
    }
    await page.evaluate(() => document.dispatchEvent(new Event("visibilitychange")));
    await page.waitForFunction(() => document.querySelector("nav > [role=alert]") === null);
  });

  it("completes the tables, their columns, and each function once", async () => {
    await sql("SELECT 1");
    await status("1 row");
    for (const [typed, wanted] of [
      [" FROM day", "days"],
      [", approx_quan", "approx_quantile"],
    ] as const) {
      await page.focus(".cm-content");
      await page.keyboard.down("Control");
      await page.keyboard.press("End");
      await page.keyboard.up("Control");
      await page.keyboard.type(typed);
      await page.waitForSelector(".cm-tooltip-autocomplete li");
      const offered = await said(".cm-tooltip-autocomplete .cm-completionLabel");
      expect(offered.filter((one) => one === wanted)).to.deep.equal([wanted]);
      await page.keyboard.press("Escape");
    }
  });

  it("can be used by the keyboard alone", async () => {
    await page.goto(server.url);
    await page.waitForSelector(".tables li");
    const reached = new Set<string>();
    for (let i = 0; i < 40; i += 1) {
      await page.keyboard.press("Tab");
      reached.add(
        await page.evaluate(
          () =>
            `${document.activeElement?.className} ${document.activeElement?.textContent?.slice(0, 20)}`,
        ),
      );
    }
    const all = [...reached].join("\n");
    // Into the editor, and out of it again.
    expect(all).to.match(/cm-content/);
    expect(all).to.match(/run Run/);
    expect(all).to.match(/table days/);
  });

  for (const scheme of ["light", "dark"]) {
    it(`has nothing that axe finds, in ${scheme}, wide and as on a phone`, async () => {
      await page.emulateMediaFeatures([{ name: "prefers-color-scheme", value: scheme }]);
      await sql("SELECT day, value FROM days LIMIT 20");
      await status("20 rows");
      for (const width of [1280, 390]) {
        await page.setViewport({ width, height: 800 });
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
        expect(found, `${width}`).to.deep.equal([]);
        // Nothing wider than the screen but what scrolls by itself.
        expect(await page.evaluate(() => document.documentElement.scrollWidth)).to.equal(width);
      }
      await page.setViewport({ width: 1280, height: 800 });
    });
  }

  it("draws in its own colours, light and dark, on the sample of npm start", async () => {
    const say = () => {};
    const dir = path.join(folder, "sample");
    const local = await startLocal(
      { dir, port: 0, host: "127.0.0.1", fresh: false, sample: true },
      say,
    );
    try {
      await page.goto(local.url);
      await (await page.waitForSelector("xpath/.//button[contains(., 'weather')]"))?.click();
      await page.waitForSelector(".details .histogram rect");
      await sql(
        "SELECT date_trunc('month', date)::DATE AS month, max(temp_max) AS hottest\nFROM weather GROUP BY month ORDER BY month",
      );
      await status("48 rows");
      await page.click("button[aria-pressed=false]");
      for (const [scheme, accent] of [
        ["light", [0x1f, 0x6a, 0xa5]],
        ["dark", [0x6d, 0xb3, 0xea]],
      ] as const) {
        await page.emulateMediaFeatures([{ name: "prefers-color-scheme", value: scheme }]);
        // Drawn anew for it.
        await page.waitForFunction(
          (wanted: readonly number[]) => {
            const canvas = document.querySelector<HTMLCanvasElement>(".plot canvas");
            const { width, height } = canvas ?? { width: 0, height: 0 };
            const { data } = canvas?.getContext("2d")?.getImageData(0, 0, width, height) ?? {};
            if (data === undefined) return false;
            let found = 0;
            for (let i = 0; i < data.length; i += 4) {
              found += Number(wanted.every((part, k) => Math.abs(part - (data[i + k] ?? 0)) < 25));
            }
            return found > 20;
          },
          {},
          accent,
        );
        await fs.mkdir(pictures, { recursive: true });
        const picture = `${pictures}console-${scheme}.png`;
        const taken = await page.screenshot();
        // No two runs draw the same bytes: one that is there stays, so that tests change nothing.
        if (!existsSync(picture)) await fs.writeFile(picture, taken);
      }
    } finally {
      await local.stop();
    }
  });

  it("is under 400 kB, packed", async () => {
    const { html, files } = await readPage(path.join(folder, "console"));
    const parts = [gzipSync(html), ...[...files.values()].map(({ packed }) => packed)];

    expect(files.size).to.equal(2);
    const bytes = parts.reduce((sum, part) => sum + part.length, 0);
    expect(bytes).to.be.within(50_000, 400_000);
  });

  it("broke no rule of its own, and threw nothing", () => {
    expect(violations).to.deep.equal([]);
  });
});
