import { expect } from "chai";
import fc from "fast-check";
import { parseRejection, type RejectionRecord } from "../../app/lake/rejection.ts";

const record: RejectionRecord = {
  code: "malformed-csv",
  message: "Expected Number of Columns: 2 Found: 1",
  expected: "the same number of fields on each line",
  line: 7,
  column: "größe",
  source: { key: "inbox/trips.csv", etag: "v1", size: 12, modified: "2024-02-29T12:00:00.000Z" },
  time: "2024-02-29T12:00:01.000Z",
  attempts: 1,
  final: true,
  millpond: "0.1.0",
  keptRows: 3,
};

describe("parseRejection", () => {
  it("reads a record as it was written", () => {
    expect(parseRejection(JSON.stringify(record, undefined, 2))).to.deep.equal(record);
  });

  it("reads a record that knows no place and kept no rows", () => {
    const { line: _line, column: _column, ...rest } = record;
    const bare: RejectionRecord = { ...rest, keptRows: null };

    expect(parseRejection(JSON.stringify(bare))).to.deep.equal(bare);
  });

  it("leaves out what a later Millpond may add", () => {
    expect(parseRejection(JSON.stringify({ ...record, severity: "high" }))).to.deep.equal(record);
  });

  const foreign: [string, string][] = [
    ["nothing", ""],
    ["half a record", JSON.stringify(record).slice(0, -2)],
    ["null", "null"],
    ["a list", "[]"],
    ["an empty object", "{}"],
    ["a source that is text", JSON.stringify({ ...record, source: "inbox/trips.csv" })],
    ["attempts that are text", JSON.stringify({ ...record, attempts: "1" })],
    ["a line that is text", JSON.stringify({ ...record, line: "7" })],
  ];
  for (const [what, text] of foreign) {
    it(`is undefined for ${what}`, () => {
      expect(parseRejection(text)).to.equal(undefined);
    });
  }

  for (const missing of Object.keys(record).filter((key) => key !== "line" && key !== "column")) {
    it(`is undefined without ${missing}`, () => {
      const text = JSON.stringify({ ...record, [missing]: undefined });

      expect(parseRejection(text)).to.equal(undefined);
    });
  }

  it("never throws, whatever somebody wrote there", () => {
    fc.assert(
      fc.property(fc.oneof(fc.string(), fc.json()), (text) => {
        expect(parseRejection(text)).to.equal(undefined);
      }),
    );
  });
});
