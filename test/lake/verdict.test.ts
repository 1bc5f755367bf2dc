import fs from "node:fs/promises";
import { expect } from "chai";
import { verdictOn, verdicts } from "../../app/lake/verdict.ts";

describe("verdictOn", () => {
  it("tries again what nobody has thought of, whatever it is called", () => {
    for (const code of ["", "internal", "store-denied", "constructor", "__proto__"]) {
      expect(verdictOn(code)).to.equal("retry");
    }
  });

  it("knows each code that is documented for files that can't be read, and documents each that rejects", async () => {
    const text = await fs.readFile(new URL("../../docs/architecture.md", import.meta.url), "utf8");
    const section = text.split("### What can't be read")[1]?.split("\n## ")[0] ?? "";
    const rows = section.split("\n").filter((line) => line.startsWith("| `"));
    const documented = rows.flatMap((line) =>
      [...(line.split("|")[1] ?? "").matchAll(/`([\w-]+)`/g)].map(([, code]) => String(code)),
    );
    const rejecting = Object.keys(verdicts).filter((code) => verdictOn(code) !== "retry");

    expect(documented).to.have.members(rejecting);
  });
});
