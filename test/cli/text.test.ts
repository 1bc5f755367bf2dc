import { expect } from "chai";
import { columnsText, foldedCommand, foldedText } from "../../cli/text.ts";

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

describe("foldedCommand", () => {
  it("is whole where it fits, else in lines that a shell joins", () => {
    const parts = ["echo one", "'two 2'", "three"];

    expect(foldedCommand(parts, 80)).to.equal("echo one 'two 2' three");
    expect(foldedCommand(parts, Number.POSITIVE_INFINITY)).to.equal("echo one 'two 2' three");
    expect(foldedCommand(parts, 18)).to.equal("echo one 'two 2' \\\n  three");
    expect(foldedCommand(parts, 17)).to.equal("echo one \\\n  'two 2' three");
    expect(foldedCommand(parts, 5)).to.equal("echo one \\\n  'two 2' \\\n  three");
  });
});

describe("foldedText", () => {
  it("ends a line behind a mark, and goes on under it", () => {
    const text =
      "error: http://127.0.0.1:8686 does not answer: connect ECONNREFUSED 127.0.0.1:8686; npm start serves a pond on this machine; --stack <name> is a deployed one, --url another";

    expect(foldedText(text, 80)).to.equal(
      [
        "error: http://127.0.0.1:8686 does not answer:",
        "  connect ECONNREFUSED 127.0.0.1:8686; npm start serves a pond on this machine;",
        "  --stack <name> is a deployed one, --url another",
      ].join("\n"),
    );
  });

  it("leaves what fits, and what has no mark in it, as a command to copy", () => {
    const command = `  pulumi config set --stack dev permissionsBoundary ${"x".repeat(60)}`;

    expect(foldedText(`error: short, and well\n${command}`, 80)).to.equal(
      `error: short, and well\n${command}`,
    );
  });

  it("keeps DuckDB's caret under its place", () => {
    const picture = `\n\nLINE 1: SELECT ${"a, ".repeat(30)}wether\n        ^\n(sql-invalid)`;

    expect(foldedText(`Binder Error: no${picture}`, 80)).to.equal(`Binder Error: no${picture}`);
  });
});
