import { expect } from "chai";
import { negotiateFormat } from "../../app/query/result-format.ts";

describe("negotiateFormat", () => {
  for (const [accept, format] of [
    [undefined, "json"],
    ["", "json"],
    ["*/*", "json"],
    ["application/json", "json"],
    ["application/*", "json"],
    ["text/csv", "csv"],
    ["text/*", "csv"],
    ["TEXT/CSV; header=present", "csv"],
    ["application/x-ndjson", "ndjson"],
    ["application/jsonl", "ndjson"],
    ["application/vnd.apache.parquet", "parquet"],
    ["text/csv;q=0.2, application/x-ndjson;q=0.8", "ndjson"],
    ["image/png, text/csv;q=0.1", "csv"],
    ["application/json;q=0, text/csv", "csv"],
    ["text/csv, application/json", "csv"],
    ["application/json;q=0, */*", "ndjson"],
    ["text/csv;q=0, text/*", undefined],
    ["image/png", undefined],
    ["application/json;q=0", undefined],
  ] as const) {
    it(`answers ${accept ?? "no Accept at all"} with ${format ?? "nothing"}`, () => {
      expect(negotiateFormat(accept)).to.equal(format);
    });
  }
});
