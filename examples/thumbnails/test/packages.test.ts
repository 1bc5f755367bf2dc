import fs from "node:fs";
import { expect } from "chai";

/** What a lock file has of one package. */
interface Locked {
  packages: Record<string, { version: string; integrity: string }>;
}

describe("the packages of examples/thumbnails", () => {
  const read = (file: string) =>
    JSON.parse(fs.readFileSync(new URL(file, import.meta.url), "utf8")) as Locked;
  const image = read("../package-lock.json").packages;
  const repository = read("../../../package-lock.json").packages;
  const ofSharp = Object.keys(image).filter((name) => /\/(sharp|@img\/.*)$/.test(name));

  it("have the sharp that these tests run with, for each architecture", () => {
    for (const cpu of ["arm64", "x64"]) {
      expect(ofSharp).to.include.members([
        `node_modules/@img/sharp-linux-${cpu}`,
        `node_modules/@img/sharp-libvips-linux-${cpu}`,
      ]);
    }
    for (const name of ofSharp) {
      expect(image[name]?.integrity, name).to.equal(repository[name]?.integrity);
    }
  });
});
