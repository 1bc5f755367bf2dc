import { expect } from "chai";
import fc from "fast-check";
import { firstRows } from "../../cli/first-rows.ts";
import { rejection } from "../failure.ts";

const meta = [{ name: "data", type: "VARCHAR" }];
/** As a pond answers, in pieces of some bytes. */
async function* answerOf(data: unknown[], bytes = 7) {
  // DuckDB's rows, each on a line, in Millpond's envelope.
  const rows = data.map((row) => JSON.stringify(row)).join(",\n\t");
  const text = `{"meta":${JSON.stringify(meta)},"data":[\n\t${rows}\n]\n,"rows":${data.length},"statistics":{"elapsed":0.1}}\n`;
  const all = Buffer.from(text);
  for (let i = 0; i < all.length; i += bytes) yield all.subarray(i, i + bytes);
}

describe("the first rows of an answer", () => {
  it("are its first, whatever is in them and wherever it is cut", async () => {
    const value = fc.oneof(
      fc.jsonValue(),
      fc.constantFrom('"data":[', '\\"', "}]", "[{", "é€😀", '{"data":[{"a":1}]}'),
    );
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.record({ data: value }), { maxLength: 6 }),
        fc.integer({ min: 1, max: 7 }),
        fc.integer({ min: 1, max: 40 }),
        async (data, rows, bytes) => {
          const given = JSON.parse(JSON.stringify(data)) as typeof data;

          expect(await firstRows(answerOf(given, bytes), rows)).to.deep.equal({
            meta,
            data: given.slice(0, rows),
          });
        },
      ),
    );
  });

  it("are all that is read of an answer without an end", async () => {
    let left = false;
    async function* endless() {
      try {
        yield Buffer.from('{"meta":[],"data":[{"i":0}');
        for (;;) yield Buffer.from(',{"i":1}');
      } finally {
        left = true;
      }
    }

    const { data } = await firstRows(endless(), 200);

    expect(data).to.have.length(200);
    expect(left).to.equal(true);
  });

  it("are fewer where they are so long that nobody reads them", async () => {
    let read = 0;
    async function* long() {
      yield Buffer.from('{"meta":[],"data":[{"a":1},{"a":"');
      for (;;) {
        read += 100;
        yield Buffer.from("x".repeat(100));
      }
    }

    expect((await firstRows(long(), 200, 10_000)).data).to.deep.equal([{ a: 1 }]);
    expect(read).to.be.at.most(10_100);
  });

  it("fails when it is no answer of a pond", async () => {
    for (const text of ["<html>", "{}", '{"meta":[],"data":[{"a":1}', ""]) {
      async function* other() {
        yield Buffer.from(text);
      }
      const error = await rejection(firstRows(other(), 200));

      expect(error.message, text).to.contain("not what a pond answers");
    }
  });
});
