import { expect } from "chai";
import { settingsFrom } from "../functions/settings.ts";

describe("settingsFrom", () => {
  it("reads what the stack sets", () => {
    expect(settingsFrom({ BUCKET: "images", SIZES_PX: "160,640" })).to.deep.equal({
      bucket: "images",
      sizesPx: [160, 640],
    });
  });

  it("refuses to go without, and says what is missing", () => {
    expect(() => settingsFrom({ SIZES_PX: "160" })).to.throw(/^BUCKET is missing/);
    for (const sizes of [undefined, "", "160,", "a", "0", "1.5", "-1"]) {
      expect(() => settingsFrom({ BUCKET: "images", SIZES_PX: sizes }), sizes).to.throw(
        /^SIZES_PX must be pixels/,
      );
    }
  });
});
