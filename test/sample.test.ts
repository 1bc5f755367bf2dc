import fs from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { expect } from "chai";

describe("the sample", () => {
  for (const [file, original] of [
    ["airports.csv", "airports.csv"],
    ["birdstrikes.csv", "birdstrikes.csv"],
    ["movies.json", "movies.json"],
    ["weather/seattle-weather.csv", "seattle-weather.csv"],
  ] as const) {
    it(`has ${file} as vega-datasets publishes it`, async () => {
      const ours = await fs.readFile(new URL(`../sample/${file}`, import.meta.url));
      const main = fileURLToPath(import.meta.resolve("vega-datasets"));
      const theirs = await fs.readFile(main.replace(/\/build\/.*$/, `/data/${original}`));

      expect(ours.equals(theirs)).to.equal(true);
    });
  }
});
