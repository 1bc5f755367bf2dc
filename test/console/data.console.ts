import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { expect } from "chai";
import { axeFinds } from "./open-console.ts";
import { type OpenedPage, openPage } from "./opened-page.ts";

/** What a person reads off the page: values, pictures, copies, and where a mistake is. */
describe("the data in the console, in Chromium", function () {
  this.timeout(60_000);
  let opened: OpenedPage;
  const violations: string[] = [];

  before(async function () {
    const days = Array.from({ length: 12_000 }, (_, i) => `${i},w${i % 100}`);
    const found = await openPage(
      {
        "special.csv":
          "id,x,day,word\n1,1.5,2024-01-01,rain\n2,nan,2024-01-02,sun\n3,inf,,rain\n9007199254740993,2.5,2024-02-01,rain\n",
        "many.csv": `id,word\n${days.join("\n")}\n`,
      },
      {
        given: [
          '-- What is given.\n-- @param flag boolean = "true" A flag\n-- @param word text = "rain" A word\n',
          "SELECT $flag AS flag, '<' || $word || '>' AS word\n",
        ].join(""),
      },
    );
    if (found === undefined) return this.skip();
    opened = found;
    const { page, url } = opened;
    page.on("console", (message) => {
      if (message.type() === "error" && !/status of 4\d\d/.test(message.text())) {
        violations.push(message.text());
      }
    });
    page.on("pageerror", (error) => violations.push(String(error)));
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
    await page.goto(url);
    await page.waitForSelector(".tables li");
  });
  after(async () => await opened?.close());

  const cells = async () => await opened.said(".grid .body [role=cell]");
  const button = async (name: string) => {
    const [found] = await opened.page.$$(`xpath/.//main//button[normalize-space() = '${name}']`);
    await found?.click();
  };
  /** What the axes of the charts drawn since the last call say. */
  const drawn = async () =>
    await opened.page.evaluate(() => (window as unknown as { drawn: string[] }).drawn.splice(0));
  const alert = async (pattern: string) =>
    await opened.page.waitForFunction(
      (wanted: string) =>
        new RegExp(wanted).test(document.querySelector("main [role=alert]")?.textContent ?? ""),
      {},
      pattern,
    );

  it("shows all digits, of decimals and within JSON", async () => {
    await opened.run(
      `SELECT 1.5::DECIMAL(10,2) AS d, '{"id":12345678901234567890,"p":1.5}'::JSON AS j, 1::DOUBLE AS x`,
    );
    await opened.status("1 row");
    expect(await cells()).to.deep.equal(["1.50", '{"id":12345678901234567890,"p":1.5}', "1"]);
  });

  describe("a chart", () => {
    it("has days where they are, and moments in UTC", async () => {
      await opened.run(
        "SELECT unnest([DATE '2024-03-01', DATE '2024-03-03']) AS day, unnest([1, 2]) AS n",
      );
      await opened.status("2 rows");
      await button("Chart");
      await opened.page.waitForSelector(".plot canvas");
      // In Los Angeles the first of them would begin in February.
      expect((await drawn()).join(" ")).to.match(/^[^/]*3\/1/);

      await opened.run(
        "SELECT unnest(['2024-03-01 00:00:00+00', '2024-03-03 00:00:00+00'])::TIMESTAMPTZ AS at, unnest([1, 2]) AS n",
      );
      await opened.status("2 rows");
      await drawn();
      await button("Chart");
      await opened.page.waitForSelector(".plot canvas");
      expect((await drawn()).join(" ")).to.match(/^[^/]*3\/1/);
    });

    it("is there for each kind that the columns allow, whichever was before", async () => {
      await opened.run("SELECT word, id % 7 AS n FROM many");
      await opened.status("12,000 rows");
      await button("Chart");
      for (const kind of ["bar", "line", "histogram", "scatter", "bar"]) {
        await opened.page.select(".chart select", kind);
        await opened.page.waitForFunction(
          (wanted: string) =>
            document.querySelector(".plot")?.getAttribute("aria-label")?.startsWith(wanted) &&
            document.querySelectorAll(".plot canvas").length === 1,
          {},
          kind,
        );
        expect(await opened.page.$eval(".plot", (one) => one.getAttribute("aria-label")))
          .to //
          .not.contain(" 0 points");
        const [, across] = await opened.page.$$eval(".chart select", (all) =>
          all.map((one) => one.value),
        );
        expect(across).to.not.equal("");
      }
      expect((await opened.said(".chart [role=status]")).join()).to.equal(
        "the first 60 of 10,000 rows are drawn",
      );
    });

    it("counts words where there is no number, and says what a kind lacks", async () => {
      await opened.run("SELECT word FROM special");
      await opened.status("4 rows");
      await drawn();
      await button("Chart");
      await opened.page.waitForSelector(".plot canvas");
      expect(await drawn()).to.include.members(["rain", "sun", "rows", "3"]);

      await opened.page.select(".chart select", "scatter");
      await opened.status("a scatter needs columns that this answer has not");
      expect(await opened.page.$(".plot canvas")).to.equal(null);
    });

    it("draws the point of a line of one row", async () => {
      await opened.run("SELECT DATE '2024-03-01' AS day, 5 AS n");
      await opened.status("1 row");
      await button("Chart");
      await opened.page.waitForFunction(() => {
        const canvas = document.querySelector<HTMLCanvasElement>(".plot canvas");
        const { width, height } = canvas ?? { width: 0, height: 0 };
        const { data } = canvas?.getContext("2d")?.getImageData(0, 0, width, height) ?? {};
        // In the colour of its line, #1f6aa5.
        for (let i = 0; data !== undefined && i < data.length; i += 4) {
          if (data[i] === 0x1f && data[i + 1] === 0x6a && data[i + 2] === 0xa5) return true;
        }
        return false;
      });
    });
  });

  describe("copies", () => {
    const copied = async () =>
      await opened.page.evaluate(
        () => (window as unknown as { copied: string[] }).copied.splice(0)[0],
      );

    before(async () => {
      await opened.page.evaluate(() => {
        const { copied } = window as unknown as { copied: string[] };
        const writeText = async (text: string) => void copied.push(text);
        Object.defineProperty(navigator, "clipboard", {
          configurable: true,
          value: { writeText },
        });
      });
    });

    it("has the rows as they are sorted, and says how many", async () => {
      await opened.run("SELECT id FROM many ORDER BY id");
      await opened.status("12,000 rows, the first 10,000 are shown");
      await opened.page.click(".grid .head button");
      await opened.page.click(".grid .head button");
      await button("Copy");
      await opened.status("the first 10,000 of 12,000 rows copied");

      const lines = (await copied())?.split("\n");
      expect(lines?.slice(0, 2)).to.deep.equal(["id", "9999"]);
      expect(lines).to.have.length(10_001);
    });

    it("gives a link to JSON and a curl line that both answer", async () => {
      await opened.run("SELECT 'it''s' AS a");
      await opened.status("1 row");
      await button("JSON link");
      await opened.status("^JSON link copied");
      const link = await copied();
      expect(await (await fetch(String(link))).json()).to.deep.include({ data: [{ a: "it's" }] });

      await button("curl");
      await opened.status("^curl line copied");
      const { stdout } = await promisify(execFile)("sh", ["-c", `${await copied()} --silent`]);
      expect(stdout).to.equal("a\nit's\n");
    });

    it("saves the whole answer in each format", async () => {
      await opened.page.evaluate(() => {
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
        await opened.page.waitForFunction(() => (window as unknown as { saved: [] }).saved.length);
        return await opened.page.evaluate(
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
      await opened.page.evaluate(() => {
        const { copied } = window as unknown as { copied: string[] };
        Object.defineProperty(navigator, "clipboard", { configurable: true, value: undefined });
        document.execCommand = () => {
          copied.push((document.activeElement as HTMLTextAreaElement).value);
          return true;
        };
      });
      await button("Copy");
      await opened.status("^1 row copied");
      expect(await copied()).to.equal("a\nit's");
      expect(await opened.page.evaluate(() => document.activeElement?.textContent)).to.equal(
        "Copy",
      );
      await opened.page.evaluate(() => {
        document.execCommand = () => false;
      });
      await button("Copy");
      await opened.status("lets no page of plain http copy");
    });
  });

  describe("a table that is opened", () => {
    const details = async () => (await opened.said(".details li")).join("\n");
    const until = async (pattern: string) =>
      await opened.page.waitForFunction(
        (wanted: string) =>
          new RegExp(wanted).test(document.querySelector(".details ul")?.textContent ?? ""),
        {},
        pattern,
      );

    it("shows a sample beside what is in it, and leaves the editor alone", async () => {
      const before = await opened.said(".cm-content");
      await opened.page.click("xpath/.//button[contains(., 'special')]");
      await opened.page.waitForSelector(".details .histogram");

      expect(await opened.said(".sample th")).to.deep.equal(["id", "x", "day", "word"]);
      expect(await opened.said(".sample tbody tr:nth-child(4) td")).to.deep.equal([
        "9007199254740993",
        "2.5",
        "2024-02-01",
        "rain",
      ]);
      expect(await opened.said(".cm-content")).to.deep.equal(before);
    });

    it("says what is in each column, though one holds NaN and infinity", async () => {
      expect(await details()).to.contain(
        "x DOUBLE1.5 … 2.5 · about 4 different · 2 NaN or infinite",
      );
      expect(await details()).to.match(/day DATE2024-01-01 … 2024-02-01 · .*25\.0 % NULL/);
      const told = await opened.page.$$eval(".histogram", (all) =>
        all.map((one) => one.getAttribute("aria-label")),
      );
      expect(told).to.deep.equal([
        "values of id",
        "values of x",
        "values of day",
        "values of word: rain 3, sun 1",
      ]);
    });

    it("follows new rows", async () => {
      await opened.put("special.csv", "id,x,day,word\n1,1.5,2024-01-01,rain\n2,77.5,,hail\n");
      await opened.page.evaluate(() => document.dispatchEvent(new Event("visibilitychange")));
      await until("1.5 … 77.5");
      expect(await opened.said(".sample tbody tr")).to.have.length(2);
    });

    it("draws the lengths of texts of which there are many", async () => {
      await opened.page.click("xpath/.//button[contains(., 'special')]");
      await opened.page.click("xpath/.//button[contains(., 'many')]");
      await until("lengths:");
      const told = await opened.page.$$eval(".histogram", (all) =>
        all.map((one) => one.getAttribute("aria-label")),
      );
      expect(told).to.deep.equal(["values of id", "lengths of word"]);
    });

    it("has nothing that axe finds, with a chart drawn beside it", async () => {
      const { page } = opened;
      await opened.run("SELECT word, id FROM many");
      await opened.status("12,000 rows");
      await button("Chart");
      await page.waitForSelector(".plot canvas");
      expect(await axeFinds(page)).to.deep.equal([]);
    });
  });

  describe("the editor", () => {
    /** What is offered after SQL, as it is typed. */
    const offered = async (sql: string): Promise<string[]> => {
      const { page } = opened;
      await page.focus(".cm-content");
      await page.keyboard.down("Control");
      await page.keyboard.press("a");
      await page.keyboard.up("Control");
      await page.keyboard.sendCharacter(sql.slice(0, -1));
      await page.keyboard.type(sql.slice(-1));
      await page.keyboard.down("Control");
      await page.keyboard.press("Space");
      await page.keyboard.up("Control");
      await page.waitForFunction(() => {
        const list = document.querySelector(".cm-tooltip-autocomplete");
        return (
          list?.querySelector("li") && !list.classList.contains("cm-tooltip-autocomplete-disabled")
        );
      });
      const labels = await opened.said(".cm-tooltip-autocomplete .cm-completionLabel");
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
      const { page } = opened;
      await offered("SELECT id AS da");
      await page.keyboard.down("Control");
      await page.keyboard.press("Space");
      await page.keyboard.up("Control");
      await page.waitForSelector(".cm-tooltip-autocomplete li");
      expect(await page.$(".cm-tooltip-autocomplete [aria-selected]")).to.equal(null);
      await page.keyboard.press("Enter");
      await page.keyboard.type("FROM many");
      expect(await opened.said(".cm-line")).to.deep.equal(["SELECT id AS da", "FROM many"]);
    });

    for (const [sql, wanted] of [
      ["SELECT '日本語日本語' AS a, vallue FROM special", "vallue"],
      ["SELECT id\nFROM speciall", "speciall"],
      ["SELECT abss(id) FROM special", "abss"],
      ["SELECT id FROM special WHERE", "WHERE"],
      ["SELECT getenv('HOME')", "getenv"],
    ] as const) {
      it(`marks ${wanted} in ${JSON.stringify(sql)}`, async () => {
        await opened.run(sql);
        await opened.page.waitForFunction(
          (text: string) => document.querySelector(".cm-lintRange-error")?.textContent === text,
          {},
          wanted,
        );
      });
    }
  });

  describe("the form of a saved query", () => {
    const ran = async (flag: string, word: string) => {
      await opened.page.select(".saved select", flag);
      await opened.page.$eval(
        ".saved input",
        (input, text) => {
          (input as HTMLInputElement).value = text;
        },
        word,
      );
      await opened.page.click(".saved button");
      await opened.page.waitForFunction(
        (wanted: string) =>
          [...document.querySelectorAll(".grid .body [role=cell]")]
            .map((one) => one.textContent)
            .join(" ") === wanted,
        {},
        `${flag || "true"} <${word}>`,
      );
    };

    it("has a choice for a boolean, the default of a text, and takes an empty one", async () => {
      await opened.page.click(".saved summary");
      expect(await opened.page.$eval(".saved input", (one) => one.value)).to.equal("rain");
      await ran("", "rain");
      await ran("false", "");
    });
  });

  it("says so where the bucket refuses an answer that waits there", async () => {
    const { page } = opened;
    await page.evaluate(() => {
      const { fetch: real } = window;
      window.fetch = async (input, init) => {
        if (!String(input).startsWith("/query")) return await real(input, init);
        window.fetch = real;
        const headers = { "preference-applied": "return=representation", "x-millpond-rows": "1" };
        return new Response(JSON.stringify({ url: "/console/gone" }), { headers });
      };
    });
    await opened.run("SELECT 1");
    await alert("the answer waited in the bucket, which refused it \\(404\\): run the query again");
  });

  describe("after all of this", () => {
    it("broke no rule of its own, and threw nothing", () => {
      expect(violations).to.deep.equal([]);
    });
  });
});
