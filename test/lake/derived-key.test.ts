import { expect } from "chai";
import fc from "fast-check";
import {
  outputKey,
  rejectedPrefix,
  rejectionKey,
  tableOf,
  tablePrefix,
} from "../../app/lake/derived-key.ts";
import { parseSourceKey } from "../../app/lake/source-key.ts";

const table = fc.stringMatching(/^[a-z][a-z0-9_]{0,62}$/);
/** Names that people and attackers choose; `binary` is any code point, U+0000 and U+10FFFF among them. */
const hostile = fc.oneof(
  fc.string({ unit: "binary", maxLength: 80 }),
  fc.string({ unit: "grapheme", minLength: 300, maxLength: 1000 }),
  fc.constantFrom(
    "",
    ".",
    "..",
    "../../etc/passwd",
    "a//b.csv",
    "CON.csv",
    "a\nb.csv",
    "%2F.csv",
    "a'b\".csv",
    "-.csv",
    "\u202Evsc.a",
    "*.csv",
    "x".repeat(1024),
  ),
);
const sourceKey = hostile.map((rest) => `inbox/${rest}`);

/** Two keys that a file system, a person or a Unicode library may take for one. */
const lookalikes = fc.oneof(
  fc.tuple(sourceKey, sourceKey),
  sourceKey.map((key): [string, string] => [key, key.toUpperCase()]),
  sourceKey.map((key): [string, string] => [key.normalize("NFC"), key.normalize("NFD")]),
  sourceKey.map((key): [string, string] => [`${key}.csv`, `${key}.csv.gz`]),
  sourceKey.map((key): [string, string] => [key, `${key} `]),
  sourceKey.map((key): [string, string] => [`${key}/a.csv`, `${key}/b/a.csv`]),
  fc.constantFrom<[string, string]>(
    ["inbox/t/caf\u00e9.csv", "inbox/t/cafe\u0301.csv"],
    ["inbox/t/A.csv", "inbox/t/a.csv"],
    ["inbox/t/a-b.csv", "inbox/t/a_b.csv"],
    ["inbox/t/a.csv", "inbox/t/a.tsv"],
    [`inbox/t/${"x".repeat(900)}1.csv`, `inbox/t/${"x".repeat(900)}2.csv`],
  ),
);

describe("outputKey", () => {
  it("gives each source key an output key of its own", () => {
    fc.assert(
      fc.property(lookalikes, table, ([one, other], name) => {
        fc.pre(one !== other);

        expect(outputKey(one, name)).to.not.equal(outputKey(other, name));
      }),
      { numRuns: 500 },
    );
  });

  it("gives the same source key the same output key", () => {
    const key = "inbox/trips/2024/Jän.csv";

    // Written out: another key for the same source would leave the old rows in the table for good.
    expect(outputKey(key, "trips")).to.equal(
      "lake/trips/jan-eae0ab8278dccec388891ca37492dce3.parquet",
    );
  });

  it("lies in its table's folder, one level deep, in portable ASCII", () => {
    fc.assert(
      fc.property(sourceKey, table, (key, name) => {
        const output = outputKey(key, name);

        expect(output.startsWith(tablePrefix(name))).to.equal(true);
        expect(output).to.match(/^lake\/[a-z][a-z0-9_]*\/[a-z0-9][a-z0-9-]*\.parquet$/);
        for (const part of output.split("/")) expect(part.length).to.be.below(255);
      }),
      { numRuns: 500 },
    );
  });

  it("belongs to the table that it was made for", () => {
    fc.assert(
      fc.property(sourceKey, table, (key, name) => {
        expect(tableOf(outputKey(key, name))).to.equal(name);
      }),
    );
  });

  it("is no source itself", () => {
    fc.assert(
      fc.property(sourceKey, table, (key, name) => {
        expect(parseSourceKey(outputKey(key, name)).kind).to.equal("ignored");
        expect(parseSourceKey(rejectionKey(key, name)).kind).to.equal("ignored");
        expect(parseSourceKey(rejectionKey(key, undefined)).kind).to.equal("ignored");
      }),
    );
  });
});

describe("rejectionKey", () => {
  it("gives each source key a record of its own, with a table or without", () => {
    fc.assert(
      fc.property(lookalikes, fc.option(table, { nil: undefined }), ([one, other], name) => {
        fc.pre(one !== other);

        expect(rejectionKey(one, name)).to.not.equal(rejectionKey(other, name));
      }),
      { numRuns: 500 },
    );
  });

  it("lies under the table's rejections, in portable ASCII", () => {
    fc.assert(
      fc.property(sourceKey, fc.option(table, { nil: undefined }), (key, name) => {
        const rejection = rejectionKey(key, name);

        expect(rejection.startsWith(rejectedPrefix(name))).to.equal(true);
        expect(rejection).to.match(/^rejected\/[a-z0-9_]+\/[a-z0-9][a-z0-9-]*\.json$/);
        for (const part of rejection.split("/")) expect(part.length).to.be.below(255);
        expect(tableOf(rejection)).to.equal(name);
      }),
      { numRuns: 500 },
    );
  });
});

describe("tableOf", () => {
  const foreign = [
    "",
    "lake",
    "lake/",
    "lake/trips",
    "inbox/trips/a.csv",
    "/lake/trips/a.parquet",
    "lakes/trips/a.parquet",
    "lake/Trips/a.parquet",
    "lake/../a.parquet",
    "lake//a.parquet",
    "rejected/_/a.json",
  ];
  for (const key of foreign) {
    it(`finds no table in ${JSON.stringify(key)}`, () => {
      expect(tableOf(key)).to.equal(undefined);
    });
  }
});
