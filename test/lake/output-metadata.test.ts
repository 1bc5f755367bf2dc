import { expect } from "chai";
import fc from "fast-check";
import { decodeOutputMetadata, encodeOutputMetadata } from "../../app/lake/output-metadata.ts";

describe("output metadata", () => {
  const metadata = fc.record({
    sourceKey: fc
      .string({ unit: "binary", maxLength: 300 })
      .filter((key) => key.isWellFormed() && Buffer.byteLength(key) <= 1024),
    sourceEtag: fc.stringMatching(/^[0-9a-f]{32}(-\d{1,5})?$/),
    sourceModified: fc.date({ min: new Date(0), max: new Date("2100-01-01"), noInvalidDate: true }),
    rows: fc.nat({ max: Number.MAX_SAFE_INTEGER }),
    layout: fc.nat(),
  });

  it("comes back as it was", () => {
    fc.assert(
      fc.property(metadata, (written) => {
        expect(decodeOutputMetadata(encodeOutputMetadata(written))).to.deep.equal(written);
      }),
    );
  });

  it("fits what S3 takes: 2 kB of ASCII, for the longest key there is", () => {
    const encoded = encodeOutputMetadata({
      sourceKey: "\u{1F600}".repeat(256),
      sourceEtag: `${"f".repeat(32)}-10000`,
      sourceModified: new Date(),
      rows: Number.MAX_SAFE_INTEGER,
      layout: 2,
    });
    const text = Object.entries(encoded).flat().join("");

    expect(text).to.match(/^[ -~]*$/);
    expect(text.length).to.be.below(2048);
  });

  it("takes what says no layout for the first one's", () => {
    const written = { sourceKey: "inbox/t.csv", sourceEtag: "e", sourceModified: new Date(0) };
    const { layout: _, ...old } = encodeOutputMetadata({ ...written, rows: 1, layout: 2 });

    expect(decodeOutputMetadata(old)).to.deep.equal({ ...written, rows: 1, layout: 1 });
  });

  it("takes an object without it for somebody else's", () => {
    expect(decodeOutputMetadata({})).to.equal(undefined);
    expect(decodeOutputMetadata({ rows: "many" })).to.equal(undefined);
  });
});
