import { expect } from "chai";
import fc from "fast-check";
import { answerTable } from "../../cli/answer-table.ts";

describe("the table that people read", () => {
  const meta = [
    { name: "id", type: "BIGINT" },
    { name: "note", type: "VARCHAR" },
    { name: "day", type: "DATE" },
  ];
  const row = { id: 12, note: "as long as it comes, and then some", day: "2024-02-29" };
  const lines = (text: string) => text.trimEnd().split("\n");

  it("is as wide as it comes where there is no terminal", () => {
    expect(lines(answerTable({ meta, data: [row] }, 1))[3]).to.equal(
      "│ 12 │ as long as it comes, and then some │ 2024-02-29 │",
    );
  });

  it("cuts the widest columns where the terminal is narrow, and marks that it did", () => {
    expect(lines(answerTable({ meta, data: [row] }, 1, 40))[3]).to.equal(
      "│ 12 │ as long as it com… │ 2024-02-29 │",
    );
  });

  it("leaves columns out where they would be too narrow to read", () => {
    const many = Array.from({ length: 20 }, (_, i) => ({ name: `c${i}`, type: "VARCHAR" }));
    const data = Array.from({ length: 200 }, () =>
      Object.fromEntries(many.map(({ name }) => [name, "x".repeat(30)])),
    );
    const shown = lines(answerTable({ meta: many, data }, 300, 80));

    expect(shown[1]).to.match(/│ c0 .*│ c5 +│$/);
    expect(shown.at(-1)).to.equal(
      "… 14 more columns, 100 more rows: --format csv shows all, --output <file> keeps them",
    );
  });

  it("cuts texts, but no number, date or time", () => {
    const typed = (name: string, type: string) => ({ name, type });
    const meta = [
      typed("id", "BIGINT"),
      typed("note", "VARCHAR"),
      typed("day", "DATE"),
      typed("at", "TIMESTAMP WITH TIME ZONE"),
      typed("price", "DECIMAL(38, 2)"),
    ];
    const row = {
      id: "9007199254740993",
      note: "as long as it comes, and then some",
      day: "2024-02-29",
      at: "2024-02-29 12:34:56.789012+00",
      price: "-12345678901234567890.12",
    };

    expect(lines(answerTable({ meta, data: [row] }, 1, 120)).at(3)).to.equal(
      "│ 9007199254740993 │ as long as it comes, and… │ 2024-02-29 │ 2024-02-29 12:34:56.789012+00 │ -12345678901234567890.12 │",
    );
    const narrow = lines(answerTable({ meta, data: [row] }, 1, 80));
    expect(narrow.at(3)).to.equal(
      "│ 9007199254740993 │ as long as … │ 2024-02-29 │ 2024-02-29 12:34:56.789012+00 │",
    );
    expect(narrow.at(-1)).to.match(/^… 1 more column: --format csv shows all/);
  });

  it("cuts the name of a column of numbers, and not the numbers", () => {
    const name = "how_many_of_them_there_were_in_all_of_the_days";
    const data = [{ [name]: "1234567890123456789", note: "n" }];
    const meta = [
      { name, type: "UBIGINT" },
      { name: "note", type: "VARCHAR" },
    ];

    expect(lines(answerTable({ meta, data }, 1, 30)).slice(1, 4)).to.deep.equal([
      "│ how_many_of_them_t… │ note │",
      "├─────────────────────┼──────┤",
      "│ 1234567890123456789 │ n    │",
    ]);
  });

  it("has a number whole even where the terminal has no room for it", () => {
    const meta = [
      { name: "n", type: "HUGEINT" },
      { name: "m", type: "INTEGER" },
    ];
    const n = "170141183460469231731687303715884105727";

    const shown = lines(answerTable({ meta, data: [{ n, m: 1 }] }, 1, 20));
    expect(shown[3]).to.equal(`│ ${n} │`);
    expect(shown.at(-1)).to.match(/^… 1 more column:/);
    const tight = answerTable({ meta: meta.slice(1), data: [{ m: 12345678 }] }, 1, 10);
    expect(lines(tight)[3]).to.equal("│ 12345678 │");
  });

  it("never has a line that is wider than the terminal", () => {
    const cell = fc.oneof(fc.string({ unit: "binary-ascii", maxLength: 60 }), fc.integer());
    fc.assert(
      fc.property(
        fc.array(fc.array(cell, { minLength: 9, maxLength: 9 }), { maxLength: 5 }),
        fc.integer({ min: 1, max: 9 }),
        fc.integer({ min: 10, max: 120 }),
        (cells, columns, width) => {
          const head = Array.from({ length: columns }, (_, i) => ({
            name: `c${i}`,
            type: "VARCHAR",
          }));
          const data = cells.map((row) => Object.fromEntries(row.map((one, i) => [`c${i}`, one])));
          const table = lines(answerTable({ meta: head, data }, data.length, width)).filter(
            (line) => !line.startsWith("…"),
          );
          return table.every((line) => [...line].length <= width);
        },
      ),
      { numRuns: 200 },
    );
  });
});
