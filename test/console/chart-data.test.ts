import { expect } from "chai";
import {
  defaultChart,
  drawnOf,
  fitting,
  labelled,
  rangeAround,
} from "../../console/src/chart-data.ts";
import { placeOf } from "../../console/src/format.ts";
import { chartKinds, readLink, rowCount, writeLink } from "../../console/src/link.ts";

const word = { name: "word", type: "VARCHAR" };
const day = { name: "day", type: "DATE" };
const n = { name: "n", type: "BIGINT" };
const m = { name: "m", type: "DOUBLE" };

describe("placeOf", () => {
  it("takes moments in the forms that the server writes", () => {
    const moment = Date.UTC(2024, 1, 29, 10, 0, 0) / 1000;
    expect(placeOf("2024-02-29 10:00:00+00", "TIMESTAMP WITH TIME ZONE")).to.equal(moment);
    expect(placeOf("2024-02-29 10:00:00.5+00", "TIMESTAMP WITH TIME ZONE")).to.equal(moment + 0.5);
    expect(placeOf("2024-02-29 15:30:00+05:30", "TIMESTAMP WITH TIME ZONE")).to.equal(moment);
    expect(placeOf("2024-02-29 10:00:00.123456789", "TIMESTAMP_NS")).to.equal(moment + 0.123);
    expect(placeOf("2024-02-29", "DATE")).to.equal(Date.UTC(2024, 1, 29) / 1000);
  });

  it("has no place for what is no moment", () => {
    expect(placeOf("infinity", "DATE")).to.be.NaN;
    expect(placeOf(null, "DATE")).to.be.NaN;
    expect(placeOf("[2024-02-29]", "DATE[]")).to.be.NaN;
  });
});

describe("fitting", () => {
  const answers = {
    "words and a number": [word, n],
    "days and a number": [day, n],
    "two numbers": [n, m],
    "one number": [n],
  };
  for (const [name, columns] of Object.entries(answers)) {
    it(`finds columns for each kind of chart of ${name}, from its default`, () => {
      const rows = [1, 2].map((value) => ({
        word: `w${value}`,
        day: `2024-01-0${value}`,
        n: value,
        m: value,
      }));
      for (const kind of chartKinds) {
        const found = fitting({ ...(defaultChart(columns) ?? { x: 0, y: 0 }), kind }, columns);
        expect(found, kind).to.not.equal(undefined);
        if (found === undefined) continue;
        const { xs, ys } = drawnOf(found, columns, rows);
        expect(xs, kind).to.not.be.empty;
        expect(ys.some(Number.isFinite), kind).to.equal(true);
      }
    });
  }

  it("takes two numbers for two axes", () => {
    expect(fitting({ kind: "scatter", x: 1, y: 0 }, [word, n, m])).to.deep.equal({
      kind: "scatter",
      x: 1,
      y: 2,
    });
  });

  it("keeps what fits", () => {
    const choice = { kind: "bar", x: 0, y: rowCount } as const;
    expect(fitting(choice, [word, n])).to.deep.equal(choice);
    expect(readLink(writeLink({ chart: choice })).chart).to.deep.equal(choice);
  });

  it("finds nothing where a kind has nothing to draw", () => {
    expect(fitting({ kind: "line", x: 0, y: 0 }, [word])).to.equal(undefined);
    expect(fitting({ kind: "scatter", x: 0, y: 0 }, [word, day])).to.equal(undefined);
    expect(fitting({ kind: "histogram", x: 0, y: 0 }, [word, day])).to.equal(undefined);
  });
});

describe("drawnOf", () => {
  it("counts rows where there is no number", () => {
    const choice = defaultChart([word]);
    const rows = ["b", "a", null, "a"].map((value) => ({ word: value }));

    expect(choice).to.deep.equal({ kind: "bar", x: 0, y: rowCount });
    expect(choice && drawnOf(choice, [word], rows)).to.deep.include({
      labels: ["a", "b", "NULL"],
      ys: [2, 1, 1],
    });
  });

  it("says of how many rows it draws the first", () => {
    const rows = Array.from({ length: 1234 }, (_, i) => ({ word: `w${i}`, n: i }));
    const draw = (y: number) => drawnOf({ kind: "bar", x: 0, y }, [word, n], rows);

    expect(draw(1)).to.include({ note: "the first 60 of 1,234 rows are drawn" });
    expect(draw(rowCount)).to.include({
      note: "the 60 most frequent of 1,234 values are drawn",
    });
    expect(drawnOf({ kind: "bar", x: 0, y: 1 }, [word, n], rows.slice(0, 60)).note).to.equal(
      undefined,
    );
  });

  it("leaves out of a histogram what is no place, however far apart the rest is", () => {
    const rows = ["NaN", "Infinity", -1e308, 1e308, null].map((value) => ({ m: value }));
    const { xs, ys } = drawnOf({ kind: "histogram", x: 0, y: 0 }, [m], rows);

    expect(xs.every(Number.isFinite)).to.equal(true);
    expect(ys.filter((count) => count !== 0)).to.deep.equal([1, 1]);
  });
});

describe("the axes of a chart", () => {
  it("have room for whole bars, and for a point that is alone", () => {
    expect(rangeAround(0, 9, 0.5, 1)).to.deep.equal([-0.5, 9.5]);
    expect(rangeAround(5, 5, 0, 1)).to.deep.equal([4, 6]);
    expect(rangeAround(5, 7, 0, 1)).to.deep.equal([5, 7]);
    expect(rangeAround(null, null, 0, 1)).to.deep.equal([0, 1]);
  });

  it("have labels that don't run into each other", () => {
    const { at, text } = labelled(
      Array.from({ length: 60 }, (_, i) => `a label that is long ${i}`),
      600,
    );

    expect(text[0]).to.equal("a label that …");
    expect(at.length).to.be.within(2, 8);
    expect(labelled(["a", "b", "c"], 600).at).to.deep.equal([0, 1, 2]);
  });
});
