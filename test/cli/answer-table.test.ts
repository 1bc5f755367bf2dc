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
