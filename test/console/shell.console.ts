import fs from "node:fs/promises";
import path from "node:path";
import { expect } from "chai";
import type { HTTPRequest, Page } from "puppeteer-core";
import {
  axeFinds,
  drop,
  guardedPond,
  look,
  type OpenConsole,
  openConsole,
  openTab,
  press,
  resize,
  said,
  shows,
  signIn,
  sql,
  status,
  write,
} from "./open-console.ts";

/** What is around questions and answers: who may ask, links, what a browser keeps, uploads, keyboard, phone. In this order. */
describe("the console around its answers, in Chromium", function () {
  this.timeout(60_000);
  let started: OpenConsole;
  let page: Page;

  before(async function () {
    const found = await openConsole(guardedPond);
    if (found === undefined) this.skip();
    started = found;
    page = found.page;
  });
  after(() => started?.close());

  /** What a page asks for by POST /query, or a saved query. */
  const questionsOf = (tab: Page) => {
    const asked: string[] = [];
    tab.on("request", (request) => {
      const { pathname } = new URL(request.url());
      if (pathname === "/query" || pathname.startsWith("/q/")) asked.push(pathname);
    });
    return asked;
  };
  /** Answers in place of the server, for as long as `work` runs. @param answer false where the server itself is to */
  const instead = async (
    answer: (request: HTTPRequest) => { status: number; body: unknown } | false,
    work: () => Promise<void>,
  ) => {
    const listen = (request: HTTPRequest) => {
      const given = answer(request);
      void (given === false
        ? request.continue()
        : request.respond({
            status: given.status,
            contentType: "application/json",
            body: JSON.stringify(given.body),
          }));
    };
    page.on("request", listen);
    await page.setRequestInterception(true);
    try {
      await work();
    } finally {
      await page.setRequestInterception(false);
      page.off("request", listen);
    }
  };
  const isOutcome = (request: HTTPRequest) =>
    request.method() === "GET" && new URL(request.url()).pathname === "/inbox";
  const columns = async () => (await said(page, ".grid .head [role=columnheader] b")).join();

  /** Where the button of the table `days` is. */
  const days = async () => {
    const names = await said(page, ".table b");
    return `.tables > li:nth-child(${names.indexOf("days") + 1}) .table`;
  };

  describe("a token", () => {
    it("is asked for before a file is taken", async () => {
      await page.goto(started.url);
      await page.waitForSelector(".token input");
      await drop(page, { name: "early.csv", text: "id\n1\n" });

      await status(page, "Enter the token first");
      expect(await said(page, ".uploads li")).to.deep.equal([]);
      expect(await axeFinds(page)).to.deep.equal([]);
    });

    it("that is wrong is answered in words, and the form stays", async () => {
      await page.type(".token input", "a-token-of-somebody-else");
      await page.keyboard.press("Enter");

      await shows(page, ".token [role=alert]", "does not know this token");
      expect(await page.$eval(".token input", (one) => one.value)).to.equal(
        "a-token-of-somebody-else",
      );
      expect(await axeFinds(page)).to.deep.equal([]);
    });

    it("that is right leads to the editor", async () => {
      await page.click(".token input", { clickCount: 3 });
      await signIn(page);

      expect(await page.$(".token")).to.equal(null);
      expect(await page.evaluate(() => document.activeElement?.className)).to.contain("cm-content");
    });
  });

  describe("a link", () => {
    const link = `#${new URLSearchParams({ sql: "SELECT 1 AS a, 2 AS b", chart: "bar,0,1" })}`;

    it("from elsewhere shows its query, and runs it when a person says so, with its chart", async () => {
      let asked: string[] = [];
      const tab = await openTab(started, {
        prepare: (made) => {
          asked = questionsOf(made);
        },
        hash: link,
      });

      await shows(tab, ".notice", "has not been run");
      expect((await said(tab, ".cm-content")).join()).to.equal("SELECT 1 AS a, 2 AS b");
      expect(asked).to.deep.equal([]);
      expect(await axeFinds(tab)).to.deep.equal([]);
      await tab.click(".notice button");
      await tab.waitForSelector(".plot canvas");
      expect(await tab.$eval(".chart select", (one) => one.value)).to.equal("bar");
      expect(await tab.$(".notice")).to.equal(null);

      // What this tab has run, it runs again by itself.
      await tab.reload();
      await tab.waitForSelector(".plot canvas");
      expect(asked).to.deep.equal(["/query", "/query"]);

      // Another window can change what is behind the #, without a load.
      await tab.evaluate(() => {
        location.hash = new URLSearchParams({ sql: "SELECT 'theirs'" }).toString();
      });
      await shows(tab, ".notice", "has not been run");
      expect((await said(tab, ".cm-content")).join()).to.equal("SELECT 'theirs'");
      await tab.goBack();
      await tab.waitForSelector(".plot canvas");
      expect(asked).to.deep.equal(["/query", "/query", "/query"]);
      await tab.close();
    });

    it("keeps its chart when the same is asked again, and loses it with another question", async () => {
      await page.bringToFront();
      await sql(page, "SELECT 'x' AS a, 2 AS b");
      await status(page, "1 row");
      await page.click("button[aria-pressed=false]");
      await page.waitForSelector(".plot canvas");
      await sql(page, "SELECT 'x' AS a, 2 AS b");
      await status(page, "running|1 row");
      await page.waitForSelector(".plot canvas");
      expect(page.url()).to.contain("chart=bar");

      await sql(page, "SELECT 'y' AS a, 2 AS b, 3 AS c");
      await page.waitForFunction(
        () => document.querySelectorAll("[role=columnheader]").length === 3,
      );
      expect(page.url()).to.not.contain("chart=");
      expect(await page.$(".plot")).to.equal(null);
    });

    it("reopens a saved query, with its values and its chart", async () => {
      await page.click(".saved summary");
      await page.type(".saved input", "11998");
      await page.click(".saved button");
      await shows(page, ".grid .body [role=cell]", "^2$");
      await page.click("button[aria-pressed=false]");
      await page.waitForSelector(".plot canvas");
      const { hash } = new URL(page.url());

      const tab = await openTab(started, { hash });
      await shows(tab, ".notice", "saved query late with least = 11998");
      await tab.waitForSelector(".saved[open]");
      expect(await tab.$eval(".saved input", (one) => (one as HTMLInputElement).value)).to.equal(
        "11998",
      );
      await tab.click(".notice button");
      await tab.waitForSelector(".plot canvas");
      expect(await said(tab, ".grid .body [role=cell]")).to.deep.equal(["2"]);
      await tab.close();
      await page.bringToFront();
    });
  });

  describe("what a browser keeps", () => {
    it("may be broken, and full", async () => {
      const tab = await openTab(started, {
        prepare: (made) =>
          made.evaluateOnNewDocument(() => {
            localStorage.setItem("millpond-history", "{broken");
            Storage.prototype.setItem = () => {
              throw new DOMException("full", "QuotaExceededError");
            };
          }),
      });

      await sql(tab, "SELECT 'still' AS here");
      await shows(tab, ".grid .body [role=cell]", "^still$");
      expect(await said(tab, ".past li")).to.deep.equal(["SELECT 'still' AS here"]);
      await tab.close();
    });

    it("has the history of both of two tabs", async () => {
      await page.bringToFront();
      await sql(page, "SELECT 'one'");
      await shows(page, ".grid .body [role=cell]", "^one$");
      const tab = await openTab(started);
      await sql(tab, "SELECT 'two'");
      await shows(tab, ".grid .body [role=cell]", "^two$");

      await shows(page, ".past li:first-child", "^SELECT 'two'$");
      await page.bringToFront();
      await sql(page, "SELECT 'three'");
      await shows(page, ".grid .body [role=cell]", "^three$");
      await shows(tab, ".past li:first-child", "^SELECT 'three'$");
      expect((await said(tab, ".past li")).slice(0, 3)).to.deep.equal([
        "SELECT 'three'",
        "SELECT 'two'",
        "SELECT 'one'",
      ]);
      await tab.close();
    });
  });

  describe("what the server fails to say", () => {
    it("is told, and what was known before stays", async () => {
      await page.bringToFront();
      const failing = (request: HTTPRequest) =>
        /\/(rejected|q)$/.test(request.url()) && {
          status: 503,
          body: { code: "store-unavailable", detail: "the store is away" },
        };
      await instead(failing, async () => {
        await look(page);
        await shows(
          page,
          "nav > [role=alert]",
          "the rejected files can't be listed: the store is away",
        );
        await shows(
          page,
          "nav > [role=alert]",
          "the saved queries can't be listed: the store is away",
        );
      });
      expect((await said(page, ".rejected li")).join()).to.contain("inbox/broken.csv");
      expect(await said(page, ".saved summary")).to.have.length(1);

      await look(page);
      await page.waitForFunction(() => document.querySelector("nav > [role=alert]") === null);
    });

    it("names the saved query that can't be read", async () => {
      const file = path.join(started.folder, "queries/Bad.sql");
      await fs.writeFile(file, "SELECT 1");
      await look(page);
      await shows(page, "nav .bad", "Bad can't be read: a saved query is named by");
      await fs.rm(file);
    });

    it("calls no lag what was only made anew", async () => {
      const of = (modified: string, queryable: string) => ({
        name: "old",
        files: 1,
        rows: 1,
        bytes: 1,
        columns: [],
        newestSource: { key: "inbox/old.csv", modified, queryable },
        rejected: 0,
      });
      for (const [seconds, wanted] of [
        [0.4, "^newest file 3 days ago, its rows under 1 s later$"],
        [2 * 86_400, "^newest file 3 days ago, its rows made yesterday$"],
      ] as const) {
        const modified = new Date(Date.now() - 3.5 * 86_400_000);
        const queryable = new Date(modified.getTime() + seconds * 1000);
        const tables = [of(modified.toISOString(), queryable.toISOString())];
        const old = (request: HTTPRequest) =>
          request.url().endsWith("/tables") && { status: 200, body: { tables } };
        await instead(old, async () => {
          await look(page);
          await shows(page, ".freshness", wanted);
        });
      }
      await look(page);
      await shows(page, ".table b", "^days$");
    });
  });

  describe("an upload", () => {
    const first = ".uploads li:first-child";
    const second = ".uploads li:nth-child(2)";
    const nothing = { status: 200, body: { key: "", table: "", rows: null, rejection: null } };

    it("ends its wait when this page has sent another of its name, and says so beforehand", async () => {
      await instead(
        (request) => isOutcome(request) && nothing,
        async () => {
          await drop(page, { name: "twice.csv", text: "id\n1\n" });
          await shows(page, first, "its rows are on their way");
          await drop(page, { name: "twice.csv", text: "id\n1\n2\n" });
          await shows(page, first, "in place of the one given before");
          await shows(page, second, "replaced by a newer upload of the same name");
          expect(await axeFinds(page)).to.deep.equal([]);
        },
      );
      await shows(page, first, "2 rows in twice");
    });

    it("ends its wait when the server knows a newer version, and not for one that was there before", async () => {
      const rows = (etag: string, modified: number) => ({
        status: 200,
        body: {
          ...nothing.body,
          rows: {
            etag,
            modified: new Date(modified).toISOString(),
            queryable: "",
            rows: 1,
            bytes: 1,
          },
        },
      });
      const hour = 3_600_000;
      let now = rows("old", Date.now() - hour);
      let looks = 0;
      const answer = (request: HTTPRequest) => {
        if (!isOutcome(request)) return false;
        looks += 1;
        // Sent before, but read only now.
        if (looks === 2) now = rows("older than this one", Date.now() - hour);
        if (looks === 4) now = rows("newer", Date.now() + hour);
        return now;
      };
      await instead(answer, async () => {
        await drop(page, { name: "theirs.csv", text: "id\n1\n" });
        await shows(page, first, "replaced by a newer upload of the same name");
      });
      expect(looks).to.equal(4);
    });

    it("goes on waiting while the server has no time", async () => {
      const failures = [503, 429];
      let looks = 0;
      const answer = (request: HTTPRequest) => {
        if (!isOutcome(request)) return false;
        looks += 1;
        const failure = looks === 1 ? undefined : failures.shift();
        return failure !== undefined && { status: failure, body: {} };
      };
      await instead(answer, async () => {
        await drop(page, { name: "patient.csv", text: "id\n1\n" });
        await shows(page, first, "1 row in patient");
      });
      expect(failures).to.deep.equal([]);
    });

    it("that failed can be tried again", async () => {
      await page.setOfflineMode(true);
      await drop(page, { name: "retried.csv", text: "id\n1\n" });
      await shows(page, first, "does not answer");
      expect(await axeFinds(page)).to.deep.equal([]);
      await page.setOfflineMode(false);
      await page.click(`${first} button`);

      await shows(page, first, "1 row in retried");
    });

    it("of more than a bucket takes at once is not begun, and says what to do", async () => {
      const key = "inbox/huge.csv";
      const url = "https://bucket.example/inbox/huge.csv";
      const offer = { key, table: "huge", method: "PUT", url, expires: null };
      const answer = (request: HTTPRequest) =>
        request.method() === "POST" &&
        request.url().endsWith("/inbox") && { status: 200, body: offer };
      await page.evaluate(() => {
        Object.defineProperty(File.prototype, "size", {
          configurable: true,
          get: () => 5 * 1024 ** 3 + 1,
        });
      });
      await instead(answer, async () => {
        await drop(page, { name: "huge.csv", text: "id\n1\n" });
        await shows(page, first, `5.37 GB are more than.*aws s3 cp huge.csv s3://<bucket>/${key}`);
      });
      await page.evaluate(() => {
        Reflect.deleteProperty(File.prototype, "size");
      });
    });
  });

  describe("a result", () => {
    it("has rows everywhere while a wheel turns through all of it", async () => {
      await sql(page, "SELECT * FROM days ORDER BY id");
      await status(page, "12,000 rows, the first");
      // Each frame as it is painted.
      await page.evaluate(() => {
        const grid = document.querySelector(".grid") as HTMLElement;
        const seen = { moved: 0, blank: [] as number[], top: -1 };
        Object.assign(window, { seen });
        const scrollbar = 20;
        const watch = () => {
          const { top, bottom } = grid.getBoundingClientRect();
          const rows = [...grid.querySelectorAll(".body .row")].map((row) =>
            row.getBoundingClientRect(),
          );
          const head = grid.querySelector(".head")?.getBoundingClientRect().bottom ?? top;
          const covered =
            Math.min(...rows.map((row) => row.top)) <= head + 1 &&
            Math.max(...rows.map((row) => row.bottom)) >= bottom - scrollbar;
          if (!covered) seen.blank.push(grid.scrollTop);
          if (grid.scrollTop !== seen.top) seen.moved += 1;
          seen.top = grid.scrollTop;
          requestAnimationFrame(watch);
        };
        // In its first frame it learns how high it is.
        requestAnimationFrame(() => requestAnimationFrame(watch));
      });
      const box = await (await page.$(".grid"))?.boundingBox();
      await page.mouse.move((box?.x ?? 0) + 100, (box?.y ?? 0) + 100);
      const end = () =>
        page.$eval(".grid", (one) => one.scrollTop + one.clientHeight >= one.scrollHeight - 1);
      for (let turns = 0; turns < 1000 && !(await end()); turns += 1) {
        await page.mouse.wheel({ deltaY: 1200 });
      }

      await page.waitForSelector('.grid [aria-rowindex="10001"]');
      const seen = await page.evaluate(
        () => (window as unknown as { seen: { moved: number; blank: number[] } }).seen,
      );
      expect(seen.blank).to.deep.equal([]);
      expect(seen.moved).to.be.above(50);
    });

    it("opens a value that has no room in its row", async () => {
      const text = `${"a long value ".repeat(20)}\nand its end`;
      await sql(page, `SELECT '${text}' AS t`);
      await page.waitForSelector(".grid .long");
      await page.focus(".grid .long");
      await page.keyboard.press("Enter");
      await page.waitForSelector("dialog[open]");

      expect(await said(page, "dialog pre")).to.deep.equal([text]);
      expect(await axeFinds(page)).to.deep.equal([]);
      await page.keyboard.press("Escape");
      await page.waitForFunction(() => document.querySelector("dialog") === null);
      expect(await page.evaluate(() => document.activeElement?.className)).to.equal("long");
    });
  });

  describe("the keyboard", () => {
    /** Goes on by Tab until something is focused. */
    const tabTo = async (selector: string) => {
      for (let i = 0; i < 80; i += 1) {
        if (await page.evaluate((one) => document.activeElement?.matches(one) ?? false, selector)) {
          return;
        }
        await page.keyboard.press("Tab");
      }
      throw new Error(`Tab does not lead to ${selector}`);
    };

    it("opens a table, runs SQL, sorts, draws a chart, and reaches the files", async () => {
      await page.goto(started.url);
      await page.waitForSelector(".tables li");
      await tabTo(await days());
      await page.keyboard.press("Enter");
      await page.waitForSelector(".details li");

      await tabTo(".upload input[type=file]");
      await tabTo(".cm-content");
      await press(page, "Control", "a");
      await page.keyboard.sendCharacter("SELECT * FROM (VALUES ('b', 1), ('a', 2)) t(word, n)");
      await tabTo(".run");
      await page.keyboard.press("Enter");
      await status(page, "2 rows");
      expect(await columns()).to.equal("word,n");

      await tabTo(".bar [aria-pressed=false]");
      await page.keyboard.press("Enter");
      await page.waitForSelector(".plot canvas");
      await tabTo(".chart select");
      await page.keyboard.type("hist");
      await page.waitForFunction(() => location.hash.includes("chart=histogram"));

      await tabTo(".grid .head button");
      await page.keyboard.press("Enter");
      expect(await said(page, ".grid .body [role=cell]")).to.deep.equal(["a", "2", "b", "1"]);
      await press(page, "Shift", "Tab");
      expect(await page.evaluate(() => document.activeElement?.className)).to.equal("grid");
    });

    it("runs by Ctrl-Enter on a Mac, too, as the button says", async () => {
      const tab = await openTab(started, {
        prepare: (made) =>
          made.evaluateOnNewDocument(() => {
            Object.defineProperty(navigator, "platform", { get: () => "MacIntel" });
          }),
      });
      await tab.focus(".cm-content");
      await tab.keyboard.sendCharacter(" ");
      await press(tab, "Control", "Enter");
      await status(tab, "row");
      await tab.close();
      await page.bringToFront();
    });
  });

  for (const [scheme, width] of [
    ["light", 1280],
    ["dark", 1280],
    ["light", 390],
    ["dark", 390],
  ] as const) {
    describe(`in ${scheme}, ${width} pixels wide`, () => {
      before(async () => {
        await page.emulateMediaFeatures([{ name: "prefers-color-scheme", value: scheme }]);
        await resize(page, width);
      });
      after(async () => {
        await resize(page, 1280);
      });

      const states: Record<string, () => Promise<unknown>> = {
        "a chart": async () => {
          await sql(page, "SELECT 'x' AS a, 2 AS b");
          await page.waitForSelector(".grid");
          if ((await page.$(".plot")) === null) await page.click("button[aria-pressed=false]");
          await page.waitForSelector(".plot canvas");
        },
        "an open table": async () => {
          if ((await page.$(".details")) === null) await page.click(await days());
          await page.waitForSelector(".details .histogram rect");
        },
        "an upload that failed": async () => {
          await drop(page, { name: "2024-06.csv", text: "id\n1\n" });
          await shows(page, ".uploads li:first-child", "can't be the name of a table");
        },
        "rejected files": async () => {
          await page.$eval(".rejected", (one) => {
            (one as HTMLDetailsElement).open = true;
          });
          const box = await (await page.$(".rejected .list"))?.boundingBox();
          expect(box?.x).to.be.at.least(0);
          expect((box?.x ?? 0) + (box?.width ?? 0)).to.be.at.most(width);
        },
        "a problem": async () => {
          await sql(page, "SELECT vallue FROM days");
          await page.waitForSelector(".problem");
        },
        completions: async () => {
          await write(page, "SELECT 1 FROM days WHERE r");
          await page.keyboard.type("o");
          await page.waitForSelector(".cm-tooltip-autocomplete li");
        },
      };
      for (const [name, bring] of Object.entries(states)) {
        it(`has nothing that axe finds with ${name}`, async () => {
          await bring();

          expect(await axeFinds(page)).to.deep.equal([]);
          // Nothing wider than the screen but what scrolls by itself.
          expect(await page.evaluate(() => document.documentElement.scrollWidth)).to.equal(width);
          await page.keyboard.press("Escape");
          await page.$eval(".rejected", (one) => {
            (one as HTMLDetailsElement).open = false;
          });
        });
      }
    });
  }

  describe("the order of what is seen", () => {
    it("is that of Tab, wide and as on a phone, and keeps what was written", async () => {
      await write(page, "SELECT 'kept'");
      for (const width of [1280, 390] as const) {
        await resize(page, width);
        expect((await said(page, ".cm-content")).join()).to.equal("SELECT 'kept'");
      }
      await resize(page, 1280);
    });
  });

  describe("all of it", () => {
    it("broke no rule of its own, and threw nothing", () => {
      expect(started.violations).to.deep.equal([]);
    });
  });
});
