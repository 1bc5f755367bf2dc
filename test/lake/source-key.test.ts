import { expect } from "chai";
import fc from "fast-check";
import { prefixes } from "../../app/contract.ts";
import {
  type Compression,
  parseSourceKey,
  partitionType,
  type SourceFormat,
  stemOf,
  suggestTableName,
  tableNamePattern,
} from "../../app/lake/source-key.ts";

const table = fc.stringMatching(/^[a-z][a-z0-9_]{0,62}$/);
const text = fc.string({ unit: "binary", maxLength: 60 });
/** A part of a key between two slashes that is neither hidden nor nothing. */
const component = text
  .map((part) => part.replaceAll("/", "-"))
  .filter((part) => part !== "" && !part.startsWith("."));

const formats: [string, SourceFormat][] = [
  ["csv", "csv"],
  ["tsv", "tsv"],
  ["json", "json"],
  ["ndjson", "ndjson"],
  ["jsonl", "ndjson"],
  ["parquet", "parquet"],
];
const compressions: [string, Compression][] = [
  ["", "none"],
  [".gz", "gzip"],
  [".zst", "zstd"],
];
/** An ending in any mixture of cases, with what it stands for. */
const ending = fc
  .tuple(fc.constantFrom(...formats), fc.constantFrom(...compressions), fc.boolean())
  .map(([[name, format], [suffix, compression], upper]) => {
    const written = `.${name}${suffix}`;
    return { written: upper ? written.toUpperCase() : written, format, compression };
  });

describe("parseSourceKey", () => {
  it("reads inbox/<table>/<anything>.<ending>, whatever stands in between", () => {
    fc.assert(
      fc.property(
        table,
        fc.array(component, { maxLength: 3 }),
        component,
        ending,
        (name, folders, stem, { written, format, compression }) => {
          const key = ["inbox", name, ...folders, `${stem}${written}`].join("/");

          const parsed = parseSourceKey(key);

          // What folders say has tests of its own.
          const { partitions: _, ...rest } = { partitions: [], ...parsed };
          expect(rest).to.deep.equal({ kind: "source", table: name, format, compression });
        },
      ),
    );
  });

  it("reads inbox/<table>.<ending>", () => {
    fc.assert(
      fc.property(table, ending, (name, { written, format, compression }) => {
        const parsed = parseSourceKey(`inbox/${name}${written}`);

        expect(parsed).to.deep.equal({
          ...{ kind: "source", table: name, format, compression },
          partitions: [],
        });
      }),
    );
  });

  const folders: [what: string, path: string, partitions: [string, string | null][]][] = [
    ["folders without an equals sign", "2024/05", []],
    [
      "Hive's folders, outermost first",
      "year=2024/month=05",
      [
        ["year", "2024"],
        ["month", "05"],
      ],
    ],
    ["one among others", "raw/day=2024-02-29/eu", [["day", "2024-02-29"]]],
    [
      "a value with an equals sign, and an empty one",
      "a=b=c/d=",
      [
        ["a", "b=c"],
        ["d", ""],
      ],
    ],
    ["what Hive calls nothing", "a=__HIVE_DEFAULT_PARTITION__", [["a", null]]],
    ["what writers escape", "a%20b=c%2Fd%3D", [["a b", "c/d="]]],
    ["what only looks escaped", "a=100%", [["a", "100%"]]],
    ["the innermost of two, without regard to case", "A=1/a=2", [["a", "2"]]],
    ["no column without a name", "=1", []],
    ["none that holds a NUL", "a\0=1/b=\0/c=1", [["c", "1"]]],
    [
      "what is escaped and SQL does not take, as it stands",
      "%00=2/a=%00",
      [
        ["%00", "2"],
        ["a", "%00"],
      ],
    ],
  ];
  for (const [what, path, partitions] of folders) {
    it(`reads ${what} between the table and the file`, () => {
      const parsed = parseSourceKey(`inbox/t/${path}/x=1.csv`);

      expect(parsed).to.have.deep.property(
        "partitions",
        partitions.map(([column, value]) => ({ column, value })),
      );
    });
  }

  it("takes a table's own folder for no column", () => {
    expect(parseSourceKey("inbox/a=1/x.csv")).to.include({ kind: "unusable", code: "table-name" });
  });

  it("takes only what lies under inbox/ for a source", () => {
    const elsewhere = fc.constantFrom(
      prefixes.lake,
      prefixes.rejected,
      "",
      "Inbox/",
      "inbox",
      "/inbox/",
      "old/inbox/",
    );
    fc.assert(
      fc.property(elsewhere, table, component, ending, (prefix, name, stem, { written }) => {
        const parsed = parseSourceKey(`${prefix}${name}/${stem}${written}`);

        expect(parsed).to.deep.equal({ kind: "ignored", reason: "not under inbox/" });
      }),
    );
  });

  it("names only tables that SQL takes, for any key at all", () => {
    fc.assert(
      fc.property(text, (rest) => {
        const parsed = parseSourceKey(`inbox/${rest}`);

        if (parsed.kind === "ignored") return;
        if (parsed.table !== undefined) expect(parsed.table).to.match(tableNamePattern);
        else expect(parsed.kind).to.equal("unusable");
      }),
      { numRuns: 500 },
    );
  });

  const ignored: [string, string][] = [
    ["inbox/", "a folder marker, not a file"],
    ["inbox/trips/", "a folder marker, not a file"],
    ["inbox/trips.csv/", "a folder marker, not a file"],
    ["inbox/.csv", "a hidden file"],
    ["inbox/trips/.DS_Store", "a hidden file"],
    ["inbox/trips/.tmp/part.csv", "a hidden file"],
    ["inbox/.trips/part.csv", "a hidden file"],
    ["inbox", "not under inbox/"],
    ["", "not under inbox/"],
  ];
  for (const [key, reason] of ignored) {
    it(`ignores ${JSON.stringify(key)} as ${reason}`, () => {
      expect(parseSourceKey(key)).to.deep.equal({ kind: "ignored", reason });
    });
  }

  // "constructor" and "__proto__" are keys of every plain object, so a lookup by name finds them.
  for (const name of ["notes.txt", "csv", "csv.gz", "a.gz", "a.", "a.constructor", "a.__proto__"]) {
    it(`refuses trips/${name}, whose ending says no format, and keeps the table's name`, () => {
      const parsed = parseSourceKey(`inbox/trips/${name}`);

      expect(parsed).to.include({ kind: "unusable", table: "trips", code: "file-name" });
      expect(parsed)
        .to.have.property("expected")
        .that.matches(/\.csv, .*\.parquet/);
    });
  }

  it("refuses an ending behind the format that is no compression", () => {
    for (const name of ["a.csv.bz2", "a.csv.constructor", "a.csv.__proto__"]) {
      expect(parseSourceKey(`inbox/trips/${name}`)).to.include({
        kind: "unusable",
        table: "trips",
        code: "file-name",
      });
    }
  });

  for (const key of ["inbox/../lake/a.csv", "inbox/trips/./a.csv", "inbox/..", "inbox/a/../.b"]) {
    it(`refuses ${key}, which has a dot for a name`, () => {
      expect(parseSourceKey(key)).to.include({
        kind: "unusable",
        table: undefined,
        code: "file-name",
      });
    });
  }

  const unusableNames: [string, RegExp][] = [
    ["inbox/Trips/a.csv", /folder name .*such as trips$/],
    ["inbox/my trips.csv", /file name .*such as my_trips$/],
    ["inbox/2024.csv", /starts with a letter$/],
    ["inbox//a.csv", /starts with a letter$/],
    ["inbox/a.b.csv", /such as a_b$/],
    ["inbox/trips;drop/a.csv", /such as trips_drop$/],
    ["inbox/größe.csv", /such as gro_e$/],
    [`inbox/${"a".repeat(64)}.csv`, /such as a{63}$/],
  ];
  for (const [key, expected] of unusableNames) {
    it(`refuses ${key.slice(0, 40)}, whose table SQL would have to quote`, () => {
      const parsed = parseSourceKey(key);

      expect(parsed).to.include({ kind: "unusable", table: undefined, code: "table-name" });
      expect(parsed).to.have.property("expected").that.matches(expected);
    });
  }
});

describe("suggestTableName", () => {
  it("suggests only names that a table may have", () => {
    fc.assert(
      fc.property(fc.string({ unit: "binary", maxLength: 200 }), (name) => {
        const suggested = suggestTableName(name);

        if (suggested !== undefined) expect(suggested).to.match(tableNamePattern);
      }),
      { numRuns: 500 },
    );
  });

  it("leaves a name alone that a table may have, but for underscores at its end", () => {
    fc.assert(
      fc.property(table, (name) => {
        const bare = name.replace(/_+$/, "").replace(/_+/g, "_");

        expect(suggestTableName(name)).to.equal(bare);
      }),
    );
  });

  it("suggests nothing for a name without a Latin letter", () => {
    expect(["", "2024", "_", "東京", "..."].map(suggestTableName)).to.deep.equal(
      Array(5).fill(undefined),
    );
  });

  it("takes accents and widths off", () => {
    expect(suggestTableName("Café ＡＢ")).to.equal("cafe_ab");
  });
});

describe("stemOf", () => {
  it("takes off the ending of the format and of the compression, and no other", () => {
    expect(["a.csv", "a.b.JSON.gz", "a.zst", "a", ".csv"].map(stemOf)).to.deep.equal([
      "a",
      "a.b",
      "a",
      "a",
      "",
    ]);
  });
});

describe("partitionType", () => {
  for (const [type, values] of [
    ["BIGINT", ["0", "7", "-7", "2024", "999999999999999999"]],
    ["DATE", ["2024-02-29", "0001-01-01"]],
    // Each is a number or a day to somebody, and is written otherwise by its type.
    ["VARCHAR", ["", "05", "-0", "+1", "1.10", "12e4", "TRUE", "9223372036854775808"]],
    ["VARCHAR", ["2023-02-29", "2024-13-01", "0000-01-01", "2024-2-9", "2024-02-29 ", "NaN"]],
  ] as const) {
    it(`takes ${values.map((value) => JSON.stringify(value)).join(", ")} as ${type}`, () => {
      expect(values.map(partitionType)).to.deep.equal(values.map(() => type));
    });
  }
});
