import { expect } from "chai";
import { eventually } from "../../cli/steps.ts";

describe("what is awaited", () => {
  it("is looked for soon at first, then less and less often", async () => {
    const waits: number[] = [];
    const found = await eventually(
      60,
      "it was not there",
      async () => (waits.length < 7 ? undefined : "here"),
      async (milliseconds) => waits.push(milliseconds),
    );

    expect(found).to.equal("here");
    expect(waits).to.deep.equal([50, 100, 200, 400, 500, 500, 500]);
  });

  it("is not awaited where it is there", async () => {
    const found = await eventually(
      60,
      "it was not there",
      async () => 1,
      async () => expect.fail("it waited"),
    );

    expect(found).to.equal(1);
  });
});
