import { expect } from "chai";
import { difference, shownBy } from "./output.ts";

describe("difference", () => {
  for (const [shown, came] of [
    ["", ""],
    ["a|b", "a|b"],
    ["took … s, …", "took 0.2 s, 5 rows"],
    ["1.5 (a+b)? […]", "1.5 (a+b)? [x]"],
    ["a|…|d", "a|b|c|d"],
    ["a|…|d", "a|d"],
    ["…", ""],
    ["…|b|…|b", "b|x|b"],
  ] as const) {
    it(`is none between ${shown} and ${came}`, () => {
      expect(difference(lines(shown), lines(came))).to.equal(undefined);
    });
  }

  for (const [shown, came, told] of [
    ["a|b", "a|c", "  a|- b|+ c"],
    ["a|b", "a", "  a|- b"],
    ["a", "a|b", "  a|+ b"],
    ["took … s", "took long", "- took … s|+ took long"],
    ["1.5", "1x5", "- 1.5|+ 1x5"],
    ["took … s|b", "took 1 s|c", "  took 1 s|- b|+ c"],
    ["a|…|d|e", "a|b|d|f", "  a|  b|  d|- e|+ f"],
    ["…|z", "", "  …|- z"],
  ] as const) {
    it(`is told of ${shown} and ${came}, a line each`, () => {
      expect(difference(lines(shown), lines(came))).to.equal(told.replaceAll("|", "\n"));
    });
  }
});

describe("shownBy", () => {
  it("is the text, without blanks at its ends", () => {
    expect(shownBy("\r\na \r\n\tb\r\n\r\n")).to.deep.equal(["", "a", "\tb"]);
  });

  it("leaves colours out, and what was written over", () => {
    expect(shownBy("\u001b[32m✔\u001b[39m done\n")).to.deep.equal(["✔ done"]);
    expect(shownBy("  step …\r\u001b[2K✔ step\r\n")).to.deep.equal(["✔ step"]);
    expect(
      shownBy("\u001b[?25l\u001b[0Gloading 1/4\u001b[0G\u001b[2Kdone\u001b[?25h\r\n"),
    ).to.deep.equal(["done"]);
    expect(shownBy("\u001b]0;title\u0007a\n")).to.deep.equal(["a"]);
  });
});

function lines(text: string): string[] {
  return text === "" ? [] : text.split("|");
}
