import { expect } from "chai";
import { columnsText } from "../../cli/text.ts";

describe("columnsText", () => {
  it("lines columns up, the first to the left, numbers to the right", () => {
    expect(
      columnsText([
        ["table", "rows"],
        ["a", "1,000"],
      ]),
    ).to.equal("table   rows\na      1,000");
  });
});
