import { existsSync } from "node:fs";
import fs from "node:fs/promises";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";
import { expect } from "chai";
import type { ElementHandle, Page } from "puppeteer-core";
import { readPage } from "../../app/http/page.ts";
import { startLocal } from "../../cli/start.ts";
import * as opened from "./open-console.ts";
import { guardedPond, hostile, type OpenConsole, openConsole, token } from "./open-console.ts";

/** Shown by the documentation. Whoever removes one has it made anew. */
const pictures = fileURLToPath(new URL("../../docs/images/", import.meta.url));

/** A person at a browser, from the first look on. In this order. */
describe("the console, in Chromium", function () {
  this.timeout(60_000);
  let started: OpenConsole;
  let folder: string;
  let page: Page;

  before(async function () {
    const found = await openConsole(guardedPond);
    if (found === undefined) this.skip();
    started = found;
    ({ folder, page } = found);
  });
  after(() => started?.close());

  const said = (selector: string) => opened.said(page, selector);
  const sql = (text: string) => opened.sql(page, text);
  const status = (pattern: string) => opened.status(page, pattern);
  const drop = (...files: { name: string; text: string }[]) => opened.drop(page, ...files);
  const upload = (pattern: string) => opened.shows(page, ".uploads li:first-child", pattern);

  it("asks for a token once, and keeps it for this tab", async () => {
    await page.goto(started.url);
    await opened.signIn(page);

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

    // Another tab asks for the token, and whether to go where the link leads.
    const { hash } = new URL(page.url());
    const other = await opened.openTab(started, { hash });
    await other.click(".notice button");
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

  it("takes a file that is dropped on it, and says when its rows are there", async () => {
    const before = await said(".cm-content");
    await drop({ name: "dropped.csv", text: "id,name\n1,Ann\n2,Bo\n" });
    await upload("dropped.csv.*2 rows in dropped");

    expect(await said(".cm-content"), "the editor took nothing of it").to.deep.equal(before);
    expect(await said(".table b")).to.include("dropped");
    expect((await said(".freshness")).join()).to.match(/newest file just now, its rows/);
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
      await opened.look(page);
      await page.waitForSelector("nav > [role=alert]");
      expect((await said("nav > [role=alert]")).join()).to.contain("the tables can't be listed");
      expect(await said(".grid .body [role=cell]")).to.deep.equal(["42"]);
    } finally {
      await page.setOfflineMode(false);
    }
    await opened.look(page);
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
      await opened.press(page, "Control", "End");
      await page.keyboard.type(typed);
      await page.waitForSelector(".cm-tooltip-autocomplete li");
      const offered = await said(".cm-tooltip-autocomplete .cm-completionLabel");
      expect(offered.filter((one) => one === wanted)).to.deep.equal([wanted]);
      await page.keyboard.press("Escape");
    }
  });

  for (const scheme of ["light", "dark"]) {
    it(`has nothing that axe finds, in ${scheme}, wide and as on a phone`, async () => {
      await page.emulateMediaFeatures([{ name: "prefers-color-scheme", value: scheme }]);
      await sql("SELECT day, value FROM days LIMIT 20");
      await status("20 rows");
      for (const width of [1280, 390] as const) {
        await opened.resize(page, width);
        expect(await opened.axeFinds(page), `${width}`).to.deep.equal([]);
        // Nothing wider than the screen but what scrolls by itself.
        expect(await page.evaluate(() => document.documentElement.scrollWidth)).to.equal(width);
      }
      await opened.resize(page, 1280);
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
        await opened.drawnIn(page, accent, { near: 24, least: 21 });
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
    expect(started.violations).to.deep.equal([]);
  });
});
