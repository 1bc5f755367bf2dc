import { expect } from "chai";
import { bytesText, countText, withoutControls } from "../app/text.ts";

describe("text for people", () => {
  it("writes bytes with three digits", () => {
    const texts = [0, 999, 1000, 1_234_567, 999_600, 5e12].map(bytesText);

    expect(texts).to.deep.equal(["0 B", "999 B", "1.00 kB", "1.23 MB", "1.00 MB", "5.00 TB"]);
  });

  it("counts one file, and 1,000 files", () => {
    expect([countText(1, "file"), countText(1000, "file")]).to.deep.equal([
      "1 file",
      "1,000 files",
    ]);
  });

  it("shows what a terminal would obey", () => {
    expect(withoutControls("a\u001b[2Jb\nc ü")).to.equal("a\\u001b[2Jb\\u000ac ü");
  });
});
