import fs from "node:fs/promises";
import { expect } from "chai";
import { configurationFile, configurationPage } from "../../docs/configuration.ts";

describe("docs/configuration.md", () => {
  it("says what Pulumi.yaml says (npm run docs writes it)", async () => {
    const written = await fs.readFile(configurationFile, "utf8");

    expect(written).to.equal(await configurationPage());
    expect(written).to.include("| `architecture` | string |");
  });
});
