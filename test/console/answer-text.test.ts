import { expect } from "chai";
import { parseExactly, readBeginning } from "../../console/src/answer-text.ts";

describe("readBeginning", () => {
  const meta = [{ name: 'a"]}', type: "STRUCT" }];
  const rows = Array.from({ length: 5 }, (_, i) => ({
    'a"]}': { n: i, text: '}\\"],{é', l: [{}] },
  }));
  const answer = `{"meta":${JSON.stringify(meta)},"data":[\n\t${rows.map((row) => JSON.stringify(row)).join(",\n\t")}\n]\n,"rows":5,"statistics":{"elapsed":0.1}}\n`;
  /** @param size of a piece in bytes */
  const streamed = (size: number) => {
    const bytes = new TextEncoder().encode(answer);
    let cancelled = false;
    let at = 0;
    const body = new ReadableStream<Uint8Array>({
      pull: (controller) => {
        if (at >= bytes.length) controller.close();
        else controller.enqueue(bytes.slice(at, at + size));
        at += size;
      },
      cancel: () => {
        cancelled = true;
      },
    });
    return { body, cancelled: () => cancelled };
  };

  for (const size of [1, 7, 10_000]) {
    it(`takes the first rows of an answer in pieces of ${size} bytes`, async () => {
      const most = { rows: 3, characters: 10_000 };
      const found = await readBeginning(streamed(size).body, most);

      expect(JSON.parse(found.text)).to.deep.equal({ meta, data: rows.slice(0, 3) });
      expect(found.rows).to.equal(3);
    });
  }

  it("takes a whole answer as it is", async () => {
    const found = await readBeginning(streamed(7).body, { rows: 6, characters: 10_000 });
    expect(found).to.deep.equal({ text: answer, rows: 5 });
  });

  it("leaves the rest of a long one unread", async () => {
    const { body, cancelled } = streamed(10);
    const found = await readBeginning(body, { rows: 5, characters: answer.length / 2 });

    expect(found.rows).to.be.within(1, 4);
    expect(JSON.parse(found.text)).to.deep.equal({ meta, data: rows.slice(0, found.rows) });
    expect(cancelled()).to.equal(true);
  });

  it("has no row where the first is more than it may take", async () => {
    const found = await readBeginning(streamed(10).body, { rows: 5, characters: 60 });
    expect(found.rows).to.equal(0);
    expect(JSON.parse(found.text)).to.deep.equal({ meta, data: [] });
  });
});

describe("parseExactly", () => {
  it("keeps the digits of numbers that a double would change", () => {
    const text = '{"id":12345678901234567890,"a":[1.50,1,2.5]}';
    expect(JSON.stringify(parseExactly(text))).to.equal(text);
  });
});
