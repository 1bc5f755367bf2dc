import { expect } from "chai";
import { curlOf, linkOf, separated } from "../../console/src/copy.ts";

describe("separated", () => {
  const copied = (type: string, value: unknown) =>
    separated([{ name: "a", type }], [{ a: value }]).slice("a\n".length);

  it("lets no text become a formula", () => {
    expect(copied("VARCHAR", "=1+0")).to.equal("'=1+0");
    expect(copied("VARCHAR", "@SUM(A1)")).to.equal("'@SUM(A1)");
    expect(copied("VARCHAR", "+49 30 1234")).to.equal("'+49 30 1234");
    expect(copied("VARCHAR", "-2+3+cmd|' /C calc'!A0")).to.equal("'-2+3+cmd|' /C calc'!A0");
    expect(copied("VARCHAR", '\t=1+0"')).to.equal('"\'\t=1+0"""');
    expect(separated([{ name: "=1+0", type: "BIGINT" }], [])).to.equal("'=1+0");
  });

  it("leaves numbers as they are", () => {
    expect(copied("BIGINT", -5)).to.equal("-5");
    expect(copied("DECIMAL(10,2)", -1.5)).to.equal("-1.50");
    expect(copied("DOUBLE", "-Infinity")).to.equal("-Infinity");
    expect(copied("VARCHAR", "-5.25e-3")).to.equal("-5.25e-3");
    expect(copied("VARCHAR", "00501")).to.equal("00501");
  });

  it("keeps a cell that begins with a quote, or holds tabs and lines, one cell", () => {
    expect(copied("VARCHAR", '"a" b')).to.equal('"""a"" b"');
    expect(copied("VARCHAR", "a\tb\nc")).to.equal('"a\tb\nc"');
    expect(copied("VARCHAR", 'say "a"')).to.equal('say "a"');
  });
});

describe("curlOf", () => {
  const origin = "http://127.0.0.1:8686";

  it("sends SQL in the body, however long, and quotes for a shell", () => {
    const sql = `SELECT 'it' AS a -- ${"x".repeat(20_000)}`;
    const line = curlOf({ sql }, origin, true);

    expect(line).to.contain('-H "Authorization: Bearer $TOKEN"');
    expect(line.endsWith(` 'http://127.0.0.1:8686/query?format=csv'`)).to.equal(true);
    expect(line).to.contain(`--data-raw '{"sql":"SELECT '\\''it'\\'' AS a`);
  });

  it("asks a saved query by its own URL", () => {
    expect(curlOf({ saved: "late", values: { least: "1 2" } }, origin, false)).to.equal(
      "curl -L 'http://127.0.0.1:8686/q/late?least=1+2&format=csv'",
    );
  });
});

describe("linkOf", () => {
  it("is the answer as JSON, and none where the SQL is too long for a URL", () => {
    expect(linkOf({ sql: "SELECT 1" }, "http://h")).to.equal(
      "http://h/query?sql=SELECT+1&format=json",
    );
    expect(linkOf({ sql: `SELECT '${"x".repeat(9000)}'` }, "http://h")).to.equal(undefined);
  });
});
