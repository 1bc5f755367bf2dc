import fs from "node:fs/promises";
import { expect } from "chai";
import { parseSavedQuery, readSavedParameters } from "../../app/query/saved-query.ts";

const text = `-- The trees of one place.
-- By height.
-- @param place text Where they stand
-- @param least number = "2.5" Metres, at least
-- @param limit integer = "10"
SELECT * FROM trees -- @param not one
LIMIT $limit
`;

describe("parseSavedQuery", () => {
  it("reads the description and the parameters from the header", () => {
    const query = parseSavedQuery("trees", text);

    expect(query).to.deep.equal({
      name: "trees",
      description: "The trees of one place. By height.",
      parameters: [
        { name: "place", type: "text", default: undefined, description: "Where they stand" },
        { name: "least", type: "number", default: "2.5", description: "Metres, at least" },
        { name: "limit", type: "integer", default: "10", description: "" },
      ],
      sql: text,
    });
  });

  for (const line of [
    "-- @param",
    "-- @param x",
    "-- @param x years",
    "-- @param 1x text",
    "-- @param x constructor",
    "-- @param x integer = 5 without quotes",
    "-- @param format text",
    "-- @param __proto__ text",
  ]) {
    it(`refuses ${line}`, () => {
      expect(() => parseSavedQuery("q", `${line}\nSELECT 1`)).to.throw("q.sql: expected");
    });
  }

  it("reads every query that comes with Millpond", async () => {
    const folder = new URL("../../queries/", import.meta.url);
    const files = await fs.readdir(folder);

    const queries = await Promise.all(
      files.map(async (file) =>
        parseSavedQuery(file, await fs.readFile(new URL(file, folder), "utf8")),
      ),
    );

    expect(queries).to.have.length.greaterThan(2);
    for (const { description } of queries) expect(description).to.not.equal("");
  });
});

describe("readSavedParameters", () => {
  const query = parseSavedQuery(
    "q",
    '-- @param t text\n-- @param i integer = "1"\n-- @param n number = "1"\n-- @param b boolean = "true"\n-- @param d date = "2024-01-01"\nSELECT 1',
  );

  /** As a URL gives each once. */
  const read = (given: Readonly<Record<string, string>>) =>
    readSavedParameters(
      query,
      Object.fromEntries(Object.entries(given).map(([name, text]) => [name, [text]])),
    );

  it("reads each type, and takes defaults for the rest", () => {
    expect(read({ t: "", i: "-12345678901234567890" })).to.deep.equal({
      t: "",
      i: -12345678901234567890n,
      n: 1,
      b: true,
      d: { date: "2024-01-01" },
    });
    expect(read({ t: "x", n: "1e3", b: "false", d: "1999-12-31" })).to.deep.include({
      n: 1000,
      b: false,
      d: { date: "1999-12-31" },
    });
  });

  for (const [given, message] of [
    [{}, "t is missing: give ?t=<text>"],
    [{ t: "x", i: "1.5" }, 'i must be of type integer, got "1.5"'],
    [{ t: "x", n: "" }, 'n must be of type number, got ""'],
    [{ t: "x", n: "Infinity" }, "n must be of type number"],
    [{ t: "x", b: "yes" }, "b must be of type boolean"],
    [{ t: "x", d: "01/02/2024" }, "d must be of type date"],
    [{ t: "x", d: "2024-02-30" }, "d must be of type date"],
    [{ t: "x", d: "2024-13-01" }, "d must be of type date"],
    [{ t: "x", u: "1" }, "there is no parameter u; there is t, i, n, b, d"],
  ] as const) {
    it(`refuses ${JSON.stringify(given)}`, () => {
      expect(() => read(given)).to.throw(message);
    });
  }

  it("refuses one that is there twice", () => {
    expect(() => readSavedParameters(query, { t: ["x", "y"] })).to.throw("t is there 2 times");
  });

  it("says all that is wrong at once", () => {
    expect(() => read({ i: "x", u: "1" })).to.throw(/t is missing.*i must be.*no parameter u/);
  });

  it("takes no name for one that every object has", () => {
    expect(() => read({ t: "x", ["__proto__"]: "1" })).to.throw("no parameter __proto__");
    expect(() =>
      readSavedParameters(parseSavedQuery("q", "-- @param constructor text\nSELECT 1"), {}),
    ).to.throw("constructor is missing");
  });
});
