import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { expect } from "chai";
import type { Page } from "puppeteer-core";
import * as opened from "./open-console.ts";
import { type OpenConsole, openConsole } from "./open-console.ts";

/** What a person reads off the page: values, pictures, copies, and where a mistake is. */
describe("the data in the console, in Chromium", function () {
  this.timeout(60_000);
  let started: OpenConsole;
  let page: Page;

  before(async function () {
    const many = Array.from({ length: 12_000 }, (_, i) => `${i},w${i % 100}`);
    const found = await openConsole({
      files: {
        "special.csv":
          "id,x,day,word\n1,1.5,2024-01-01,rain\n2,nan,2024-01-02,sun\n3,inf,,rain\n9007199254740993,2.5,2024-02-01,rain\n",
        "many.csv": `id,word\n${many.join("\n")}\n`,
      },
      queries: {
        given: [
          '-- What is given.\n-- @param flag boolean = "true" A flag\n-- @param word text = "rain" A word\n',
          "SELECT $flag AS flag, '<' || $word || '>' AS word\n",
        ].join(""),
      },
      guarded: false,
      met: /status of 4\d\d/,
    });
    if (found === undefined) return this.skip();
    started = found;
    page = found.page;
    // West of UTC a day's midnight is the day before.
    await page.emulateTimezone("America/Los_Angeles");
    await page.evaluateOnNewDocument(() => {
      const drawn: string[] = [];
      Object.assign(window, { drawn, copied: [] });
      const { fillText } = CanvasRenderingContext2D.prototype;
      CanvasRenderingContext2D.prototype.fillText = function (text, ...place) {
        drawn.push(text);
        fillText.call(this, text, ...place);
      };
    });
    await page.goto(started.url);
    await page.waitForSelector(".tables li");
  });
  after(() => started?.close());

  const said = (selector: string) => opened.said(page, selector);
  const run = (text: string) => opened.sql(page, text);
  const status = (pattern: string) => opened.status(page, pattern);
  const cells = async () => await said(".grid .body [role=cell]");
  const button = async (name: string) => {
    const [found] = await page.$$(`xpath/.//main//button[normalize-space() = '${name}']`);
    await found?.click();
  };
  /** What the axes of the charts drawn since the last call say. */
  const drawn = async () =>
    await page.evaluate(() => (window as unknown as { drawn: string[] }).drawn.splice(0));

  it("shows all digits, of decimals and within JSON", async () => {
    await run(
      `SELECT 1.5::DECIMAL(10,2) AS d, '{"id":12345678901234567890,"p":1.5}'::JSON AS j, 1::DOUBLE AS x`,
    );
    await status("1 row");
    expect(await cells()).to.deep.equal(["1.50", '{"id":12345678901234567890,"p":1.5}', "1"]);
  });

  describe("a chart", () => {
    it("has days where they are, and moments in UTC", async () => {
      await run(
        "SELECT unnest([DATE '2024-03-01', DATE '2024-03-03']) AS day, unnest([1, 2]) AS n",
      );
      await status("2 rows");
      await button("Chart");
      await page.waitForSelector(".plot canvas");
      // In Los Angeles the first of them would begin in February.
      expect((await drawn()).join(" ")).to.match(/^[^/]*3\/1/);

      await run(
        "SELECT unnest(['2024-03-01 00:00:00+00', '2024-03-03 00:00:00+00'])::TIMESTAMPTZ AS at, unnest([1, 2]) AS n",
      );
      await status("2 rows");
      await drawn();
      await button("Chart");
      await page.waitForSelector(".plot canvas");
      expect((await drawn()).join(" ")).to.match(/^[^/]*3\/1/);
    });

    it("is there for each kind that the columns allow, whichever was before", async () => {
      await run("SELECT word, id % 7 AS n FROM many");
      await status("12,000 rows");
      await button("Chart");
      for (const kind of ["bar", "line", "histogram", "scatter", "bar"]) {
        await page.select(".chart select", kind);
        await page.waitForFunction(
          (wanted: string) =>
            document.querySelector(".plot")?.getAttribute("aria-label")?.startsWith(wanted) &&
            document.querySelectorAll(".plot canvas").length === 1,
          {},
          kind,
        );
        const label = await page.$eval(".plot", (one) => one.getAttribute("aria-label"));
        expect(label).to.not.contain(" 0 points");
        const [, across] = await page.$$eval(".chart select", (all) => all.map((one) => one.value));
        expect(across).to.not.equal("");
      }
      expect((await said(".chart [role=status]")).join()).to.equal(
        "the first 60 of 10,000 rows are drawn",
      );
    });

    it("counts words where there is no number, and says what a kind lacks", async () => {
      await run("SELECT word FROM special");
      await status("4 rows");
      await drawn();
      await button("Chart");
      await page.waitForSelector(".plot canvas");
      expect(await drawn()).to.include.members(["rain", "sun", "rows", "3"]);

      await page.select(".chart select", "scatter");
      await status("a scatter needs columns that this answer has not");
      expect(await page.$(".plot canvas")).to.equal(null);
    });

    it("draws the point of a line of one row", async () => {
      await run("SELECT DATE '2024-03-01' AS day, 5 AS n");
      await status("1 row");
      await button("Chart");
      // In the colour of its line.
      await opened.drawnIn(page, [0x1f, 0x6a, 0xa5], { near: 0, least: 1 });
    });
  });

  describe("copies", () => {
    const copied = async () =>
      await page.evaluate(() => (window as unknown as { copied: string[] }).copied.splice(0)[0]);

    before(async () => {
      await page.evaluate(() => {
        const { copied } = window as unknown as { copied: string[] };
        const writeText = async (text: string) => void copied.push(text);
        Object.defineProperty(navigator, "clipboard", {
          configurable: true,
          value: { writeText },
        });
      });
    });

    it("has the rows as they are sorted, and says how many", async () => {
      await run("SELECT id FROM many ORDER BY id");
      await status("12,000 rows, the first 10,000 are shown");
      await page.click(".grid .head button");
      await page.click(".grid .head button");
      await button("Copy");
      await status("the first 10,000 of 12,000 rows copied");

      const lines = (await copied())?.split("\n");
      expect(lines?.slice(0, 2)).to.deep.equal(["id", "9999"]);
      expect(lines).to.have.length(10_001);
    });

    it("gives a link to JSON and a curl line that both answer", async () => {
      await run("SELECT 'it''s' AS a");
      await status("1 row");
      await button("JSON link");
      await status("^JSON link copied");
      const link = await copied();
      expect(await (await fetch(String(link))).json()).to.deep.include({ data: [{ a: "it's" }] });

      await button("curl");
      await status("^curl line copied");
      const { stdout } = await promisify(execFile)("sh", ["-c", `${await copied()} --silent`]);
      expect(stdout).to.equal("a\nit's\n");
    });

    it("saves the whole answer in each format", async () => {
      await page.evaluate(() => {
        const saved: unknown[] = [];
        Object.assign(window, { saved });
        // What the page makes a file of; its policy lets no script fetch that.
        let content = new Blob();
        const { createObjectURL } = URL;
        URL.createObjectURL = (blob) => {
          content = blob as Blob;
          return createObjectURL(blob);
        };
        HTMLAnchorElement.prototype.click = function () {
          void content.text().then((text) => saved.push([this.download, text]));
        };
      });
      const saved = async (format: string) => {
        await button(format);
        await page.waitForFunction(() => (window as unknown as { saved: [] }).saved.length);
        return await page.evaluate(
          () => (window as unknown as { saved: [string, string][] }).saved.splice(0)[0],
        );
      };

      expect(await saved("csv")).to.deep.equal(["answer.csv", "a\nit's\n"]);
      expect(await saved("ndjson")).to.deep.equal(["answer.ndjson", '{"a":"it\'s"}\n']);
      const [name, parquet] = (await saved("parquet")) ?? [];
      expect([name, parquet?.slice(0, 4)]).to.deep.equal(["answer.parquet", "PAR1"]);
      const [json, text = ""] = (await saved("json")) ?? [];
      expect(json).to.equal("answer.json");
      expect(JSON.parse(text)).to.deep.include({ data: [{ a: "it's" }], rows: 1 });
    });

    it("goes the older way where the browser gives no clipboard", async () => {
      await page.evaluate(() => {
        const { copied } = window as unknown as { copied: string[] };
        Object.defineProperty(navigator, "clipboard", { configurable: true, value: undefined });
        document.execCommand = () => {
          copied.push((document.activeElement as HTMLTextAreaElement).value);
          return true;
        };
      });
      await button("Copy");
      await status("^1 row copied");
      expect(await copied()).to.equal("a\nit's");
      expect(await page.evaluate(() => document.activeElement?.textContent)).to.equal("Copy");
      await page.evaluate(() => {
        document.execCommand = () => false;
      });
      await button("Copy");
      await status("lets no page of plain http copy");
    });
  });

  describe("a table that is opened", () => {
    const details = async () => (await said(".details li")).join("\n");
    const until = (pattern: string) => opened.shows(page, ".details ul", pattern);
    /** What the pictures say. */
    const told = async () =>
      await page.$$eval(".histogram", (all) => all.map((one) => one.getAttribute("aria-label")));

    it("shows a sample beside what is in it, and leaves the editor alone", async () => {
      const before = await said(".cm-content");
      await page.click("xpath/.//button[contains(., 'special')]");
      await page.waitForSelector(".details .histogram");

      expect(await said(".sample th")).to.deep.equal(["id", "x", "day", "word"]);
      expect(await said(".sample tbody tr:nth-child(4) td")).to.deep.equal([
        "9007199254740993",
        "2.5",
        "2024-02-01",
        "rain",
      ]);
      expect(await said(".cm-content")).to.deep.equal(before);
    });

    it("says what is in each column, though one holds NaN and infinity", async () => {
      expect(await details()).to.contain(
        "x DOUBLE1.5 … 2.5 · about 4 different · 2 NaN or infinite",
      );
      expect(await details()).to.match(/day DATE2024-01-01 … 2024-02-01 · .*25\.0 % NULL/);
      expect(await told()).to.deep.equal([
        "values of id",
        "values of x",
        "values of day",
        "values of word: rain 3, sun 1",
      ]);
    });

    it("follows new rows", async () => {
      await started.put("special.csv", "id,x,day,word\n1,1.5,2024-01-01,rain\n2,77.5,,hail\n");
      await opened.look(page);
      await until("1.5 … 77.5");
      expect(await said(".sample tbody tr")).to.have.length(2);
    });

    it("draws the lengths of texts of which there are many", async () => {
      await page.click("xpath/.//button[contains(., 'special')]");
      await page.click("xpath/.//button[contains(., 'many')]");
      await until("lengths:");
      expect(await told()).to.deep.equal(["values of id", "lengths of word"]);
    });

    it("has nothing that axe finds, with a chart drawn beside it", async () => {
      await run("SELECT word, id FROM many");
      await status("12,000 rows");
      await button("Chart");
      await page.waitForSelector(".plot canvas");
      expect(await opened.axeFinds(page)).to.deep.equal([]);
    });
  });

  describe("the editor", () => {
    /** What is offered after SQL, as it is typed. */
    const offered = async (sql: string): Promise<string[]> => {
      await opened.write(page, sql.slice(0, -1));
      await page.keyboard.type(sql.slice(-1));
      await opened.press(page, "Control", "Space");
      await page.waitForFunction(() => {
        const list = document.querySelector(".cm-tooltip-autocomplete");
        return (
          list?.querySelector("li") && !list.classList.contains("cm-tooltip-autocomplete-disabled")
        );
      });
      const labels = await said(".cm-tooltip-autocomplete .cm-completionLabel");
      await page.keyboard.press("Escape");
      return labels;
    };

    it("completes columns by their names alone, of the tables that the text names", async () => {
      expect(await offered("SELECT id FROM special WHERE wor")).to.include("word");
      expect(await offered("SELECT id FROM many WHERE da")).to.not.include("day DATE");
      expect((await offered("SELECT id FROM special WHERE da"))[0]).to.equal("day");
      expect(await offered("SELECT wor")).to.include("word");
    });

    it("offers words of DuckDB, none that the server refuses, and each once", async () => {
      for (const [typed, wanted] of [
        ["FROM special QUALI", "qualify"],
        ["SUMMAR", "summarize"],
        ["PIVO", "pivot"],
        ["SELECT row_numb", "row_number"],
        ["SELECT unnes", "unnest"],
        ["SELECT rang", "range"],
      ] as const) {
        const labels = await offered(typed);
        expect(
          labels.filter((one) => one === wanted),
          typed,
        ).to.deep.equal([wanted]);
      }
      expect(await offered("SELECT x")).to.not.include("xmlvalidate");
      expect(await offered("SELECT regexp_")).to.include("regexp_matches");
    });

    it("offers columns alone after a table's name or an alias", async () => {
      expect(await offered("SELECT special.w")).to.deep.equal(["word"]);
      expect(await offered("SELECT 1 FROM special s WHERE s.w")).to.deep.equal(["word"]);
    });

    it("takes Enter for a new line while something is offered", async () => {
      await offered("SELECT id AS da");
      await opened.press(page, "Control", "Space");
      await page.waitForSelector(".cm-tooltip-autocomplete li");
      expect(await page.$(".cm-tooltip-autocomplete [aria-selected]")).to.equal(null);
      await page.keyboard.press("Enter");
      await page.keyboard.type("FROM many");
      expect(await said(".cm-line")).to.deep.equal(["SELECT id AS da", "FROM many"]);
    });

    for (const [sql, wanted] of [
      ["SELECT '日本語日本語' AS a, vallue FROM special", "vallue"],
      ["SELECT id\nFROM speciall", "speciall"],
      ["SELECT abss(id) FROM special", "abss"],
      ["SELECT id FROM special WHERE", "WHERE"],
      ["SELECT getenv('HOME')", "getenv"],
    ] as const) {
      it(`marks ${wanted} in ${JSON.stringify(sql)}`, async () => {
        await run(sql);
        await page.waitForFunction(
          (text: string) => document.querySelector(".cm-lintRange-error")?.textContent === text,
          {},
          wanted,
        );
      });
    }

    it("takes the mark away when the text changes", async () => {
      await run("SELECT vallue FROM special");
      await page.waitForSelector(".cm-lintRange-error");
      await opened.press(page, "Control", "End");
      await page.keyboard.type(" ");
      await page.waitForFunction(() => document.querySelector(".cm-lintRange-error") === null);
    });
  });

  describe("the form of a saved query", () => {
    const ran = async (flag: string, word: string) => {
      await page.select(".saved select", flag);
      await page.$eval(
        ".saved input",
        (input, text) => {
          (input as HTMLInputElement).value = text;
        },
        word,
      );
      await page.click(".saved button");
      await page.waitForFunction(
        (wanted: string) =>
          [...document.querySelectorAll(".grid .body [role=cell]")]
            .map((one) => one.textContent)
            .join(" ") === wanted,
        {},
        `${flag || "true"} <${word}>`,
      );
    };

    it("has a choice for a boolean, the default of a text, and takes an empty one", async () => {
      await page.click(".saved summary");
      expect(await page.$eval(".saved input", (one) => one.value)).to.equal("rain");
      await ran("", "rain");
      await ran("false", "");
    });
  });

  it("says so where the bucket refuses an answer that waits there", async () => {
    await page.evaluate(() => {
      const { fetch: real } = window;
      window.fetch = async (input, init) => {
        if (!String(input).startsWith("/query")) return await real(input, init);
        window.fetch = real;
        const headers = { "preference-applied": "return=representation", "x-millpond-rows": "1" };
        return new Response(JSON.stringify({ url: "/console/gone" }), { headers });
      };
    });
    await run("SELECT 1");
    await opened.shows(
      page,
      "main [role=alert]",
      "the answer waited in the bucket, which refused it \\(404\\): run the query again",
    );
  });

  describe("after all of this", () => {
    it("broke no rule of its own, and threw nothing", () => {
      expect(started.violations).to.deep.equal([]);
    });
  });
});
