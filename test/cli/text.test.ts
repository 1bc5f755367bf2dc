import { expect } from "chai";
import fc from "fast-check";
import { bytesText, columnsText, countText, secondsText } from "../../cli/text.ts";

describe("bytesText", () => {
  const examples: [number, string][] = [
    [0, "0 B"],
    [1, "1 B"],
    [999, "999 B"],
    [1000, "1.00 kB"],
    [1234, "1.23 kB"],
    [12_345, "12.3 kB"],
    [999_499, "999 kB"],
    // Not "1.00e+3 kB": three digits of it are a thousand.
    [999_500, "1.00 MB"],
    [1_234_567, "1.23 MB"],
    [5_000_000_000, "5.00 GB"],
    [1_500_000_000_000, "1.50 TB"],
  ];
  for (const [bytes, text] of examples) {
    it(`writes ${bytes} as ${text}`, () => {
      expect(bytesText(bytes)).to.equal(text);
    });
  }

  it("is never off by more than half of its last digit", () => {
    fc.assert(
      fc.property(fc.nat({ max: 999_499_999_999_999 }), (bytes) => {
        const [, digits = "", unit = ""] =
          /^(\d{1,3}|\d\.\d\d|\d\d\.\d) (\w+)$/.exec(bytesText(bytes)) ?? [];
        const read = Number(digits) * 1000 ** ["B", "kB", "MB", "GB", "TB"].indexOf(unit);

        expect(digits).to.not.equal("");
        expect(Math.abs(read - bytes)).to.be.at.most(bytes * 0.005);
      }),
    );
  });
});

describe("secondsText", () => {
  it("writes milliseconds as seconds with two decimals", () => {
    expect([0, 4, 5.1, 1234, 61_000].map(secondsText)).to.deep.equal([
      "0.00 s",
      "0.00 s",
      "0.01 s",
      "1.23 s",
      "61.00 s",
    ]);
  });
});

describe("countText", () => {
  it("counts one, none and many", () => {
    expect(countText(0, "row")).to.equal("0 rows");
    expect(countText(1, "row")).to.equal("1 row");
    expect(countText(2, "row")).to.equal("2 rows");
    expect(countText(1_234_567, "row")).to.equal("1,234,567 rows");
  });
});

describe("columnsText", () => {
  it("aligns the first column to the left and the others to the right", () => {
    const text = columnsText([
      ["table", "rows", "size"],
      ["trips", "1,000", "1.00 MB"],
      ["z", "7", "12 B"],
    ]);

    expect(text.split("\n")).to.deep.equal([
      "table   rows     size",
      "trips  1,000  1.00 MB",
      "z          7     12 B",
    ]);
  });

  it("leaves no blanks at the ends of lines", () => {
    expect(columnsText([["a", "b"], ["longer"], ["x", ""]])).to.equal("a       b\nlonger\nx");
  });

  it("writes nothing for no rows", () => {
    expect(columnsText([])).to.equal("");
  });
});
