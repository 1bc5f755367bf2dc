import { expect } from "chai";
import { type Decision, decide, type SourceState } from "../../app/lake/decide.ts";
import { parseRejection, type RejectionRecord } from "../../app/lake/rejection.ts";

const source = { etag: "v2" };
const outputOf = (sourceEtag: string, layout = 2) => ({
  etag: "o",
  metadata: {
    sourceKey: "inbox/t.csv",
    sourceEtag,
    sourceModified: new Date(0),
    rows: 1,
    layout,
  },
});
const record: RejectionRecord = {
  code: "malformed-csv",
  message: "m",
  expected: "e",
  source: { key: "inbox/t.csv", etag: "v2", size: 1, modified: "1970-01-01T00:00:00.000Z" },
  time: "1970-01-01T00:00:00.000Z",
  attempts: 1,
  final: true,
  millpond: "1",
  keptRows: null,
};
const rejectionOf = (changes: Partial<RejectionRecord> & { etag?: string }) => {
  const { etag = "v2", ...rest } = changes;
  return { etag: "r", record: { ...record, ...rest, source: { ...record.source, etag } } };
};

describe("decide", () => {
  const nothing: SourceState = {
    source: undefined,
    layout: 2,
    output: undefined,
    rejection: undefined,
    mirrorDeletes: false,
    millpond: "1",
  };
  const cases: [what: string, state: Partial<SourceState>, decision: Decision][] = [
    ["leaves what never was", {}, { kind: "done", why: "gone", clearRejection: false }],
    [
      "keeps the output of a source that is gone",
      { output: outputOf("v1") },
      { kind: "done", why: "gone", clearRejection: false },
    ],
    [
      "clears the rejection of a source that is gone",
      { rejection: rejectionOf({}) },
      { kind: "done", why: "gone", clearRejection: true },
    ],
    [
      "deletes the output of a source that is gone, where that is asked for",
      { output: outputOf("v1"), rejection: rejectionOf({}), mirrorDeletes: true },
      { kind: "delete" },
    ],
    [
      "leaves an output that says of no source, whatever is asked for",
      { output: { etag: "o", metadata: undefined }, mirrorDeletes: true },
      { kind: "done", why: "gone", clearRejection: false },
    ],
    [
      "keeps the output of a source that is there",
      { source, output: outputOf("v2"), mirrorDeletes: true },
      { kind: "done", why: "current", clearRejection: false },
    ],
    ["converts what is new", { source }, { kind: "convert", attempt: 1 }],
    [
      "converts a newer version",
      { source, output: outputOf("v1") },
      { kind: "convert", attempt: 1 },
    ],
    [
      "converts anew what was made by other rules",
      { source, output: outputOf("v2", 1) },
      { kind: "convert", attempt: 1 },
    ],
    [
      "leaves what is current",
      { source, output: outputOf("v2") },
      { kind: "done", why: "current", clearRejection: false },
    ],
    [
      "clears a rejection beside what is current",
      { source, output: outputOf("v2"), rejection: rejectionOf({ etag: "v1" }) },
      { kind: "done", why: "current", clearRejection: true },
    ],
    [
      "converts when the output doesn't say what it is of",
      { source, output: { etag: "o", metadata: undefined } },
      { kind: "convert", attempt: 1 },
    ],
    [
      "leaves a version that was rejected for good",
      { source, rejection: rejectionOf({}) },
      { kind: "done", why: "rejected", clearRejection: false },
    ],
    [
      "converts a newer version than the rejected one",
      { source, rejection: rejectionOf({ etag: "v1" }) },
      { kind: "convert", attempt: 1 },
    ],
    [
      "tries once more what was not rejected for good",
      { source, rejection: rejectionOf({ final: false }) },
      { kind: "convert", attempt: 2 },
    ],
    [
      "tries what another Millpond rejected",
      { source, rejection: rejectionOf({ millpond: "0" }) },
      { kind: "convert", attempt: 1 },
    ],
    [
      "converts beside a record that can't be read",
      { source, rejection: { etag: "r", record: undefined } },
      { kind: "convert", attempt: 1 },
    ],
  ];
  for (const [what, state, decision] of cases) {
    it(what, () => {
      expect(decide({ ...nothing, ...state })).to.deep.equal(decision);
    });
  }
});

describe("parseRejection", () => {
  it("reads what was written", () => {
    expect(parseRejection(JSON.stringify(record))).to.deep.equal(record);
  });

  it("takes anything else for no record", () => {
    for (const text of ["", "{", "null", "{}", JSON.stringify({ ...record, attempts: "1" })]) {
      expect(parseRejection(text), text).to.equal(undefined);
    }
  });
});
