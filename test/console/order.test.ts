import { expect } from "chai";
import { shown } from "../../console/src/format.ts";
import { inOrder } from "../../console/src/order.ts";

describe("inOrder", () => {
  const sorted = (type: string, values: unknown[], descending = false) =>
    inOrder(
      values.map((n) => ({ n })),
      [{ name: "n", type }],
      { column: 0, descending },
    ).map(({ n }) => n);

  it("knows integers apart that are one double", () => {
    expect(
      sorted("BIGINT", ["9007199254740995", "9007199254740993", 7, "-9007199254740993"]),
    ).to.deep.equal(["-9007199254740993", 7, "9007199254740993", "9007199254740995"]);
  });

  it("knows decimals apart that are one double", () => {
    const [a, b, c] = [
      "12345678901234567890.09",
      "12345678901234567890.10",
      "12345678901234567891.00",
    ];
    expect(sorted("DECIMAL(38,2)", [c, b, a])).to.deep.equal([a, b, c]);
    expect(sorted("DECIMAL(38,2)", [`-${a}`, `-${b}`])).to.deep.equal([`-${b}`, `-${a}`]);
  });

  it("takes a BIGNUM for the number that it is", () => {
    const huge = `1${"0".repeat(400)}`;
    expect(sorted("BIGNUM", [`${huge}1`, huge, "9", "10"])).to.deep.equal([
      "9",
      "10",
      huge,
      `${huge}1`,
    ]);
  });

  it("has NaN above all numbers, and NULL last both ways", () => {
    const values = [1, "NaN", null, "-Infinity", "Infinity", 2];
    expect(sorted("DOUBLE", values)).to.deep.equal(["-Infinity", 1, 2, "Infinity", "NaN", null]);
    expect(sorted("DOUBLE", values, true)).to.deep.equal([
      "NaN",
      "Infinity",
      2,
      1,
      "-Infinity",
      null,
    ]);
  });

  it("sorts lists of decimals as texts", () => {
    expect(sorted("DECIMAL(4,2)[]", [[3], [1], [2]])).to.deep.equal([[1], [2], [3]]);
  });
});

describe("shown", () => {
  it("gives a decimal its digits", () => {
    expect(shown(1.5, "DECIMAL(10,2)")).to.equal("1.50");
    expect(shown(0.0000001, "DECIMAL(10,7)")).to.equal("0.0000001");
    expect(shown("12345678901234567890.10", "DECIMAL(38,2)")).to.equal("12345678901234567890.10");
    expect(shown(1.5, "DOUBLE")).to.equal("1.5");
  });
});
