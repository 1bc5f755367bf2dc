import { expect } from "chai";
import { BoundedMap } from "../app/bounded-map.ts";

describe("BoundedMap", () => {
  it("forgets what was asked for least lately", () => {
    const map = new BoundedMap<string, number>(2);
    map.set("a", 1);
    map.set("b", 2);
    expect(map.get("a")).to.equal(1);
    map.set("c", 3);

    expect([...map.keys()]).to.deep.equal(["a", "c"]);
    expect(map.get("b")).to.equal(undefined);
  });

  it("forgets nothing for an entry that it has", () => {
    const map = new BoundedMap<string, number>(2);
    map.set("a", 1);
    map.set("b", 2);
    map.set("a", 3);

    expect([...map]).to.deep.equal([
      ["a", 3],
      ["b", 2],
    ]);
  });
});
