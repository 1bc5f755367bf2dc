import { expect } from "chai";
import fc from "fast-check";
import { detectDelimiter, fieldsOfFirstRecord } from "../../app/engine/delimiter.ts";

const delimiter = fc.constantFrom(",", ";", "\t", "|");
const quoted = (cell: string) => `"${cell.replaceAll('"', '""')}"`;

/** Cells that hold separators, quotes and line breaks, quoted where they must be. */
const cell = fc.oneof(
  fc.stringMatching(/^[a-z0-9.]{0,8}$/),
  fc.stringMatching(/^[a-z,;\t|"\n]{0,8}$/).map(quoted),
);
const table = fc.integer({ min: 2, max: 6 }).chain((width) =>
  fc.array(fc.array(cell, { minLength: width, maxLength: width }), {
    minLength: 1,
    maxLength: 30,
  }),
);
const write = (rows: string[][], by: string, lineBreak: string) =>
  rows.map((row) => row.join(by) + lineBreak).join("");

describe("detectDelimiter", () => {
  it("finds what separates the fields of any well-formed file", () => {
    fc.assert(
      fc.property(table, delimiter, fc.constantFrom("\n", "\r\n"), (rows, by, lineBreak) => {
        expect(detectDelimiter(write(rows, by, lineBreak))).to.equal(by);
      }),
    );
  });

  it("finds it in a head that ends in the midst of a record", () => {
    fc.assert(
      fc.property(table, delimiter, fc.nat(), (rows, by, cut) => {
        const text = write(rows, by, "\n");
        const header = write(rows.slice(0, 1), by, "\n");
        const head = text.slice(0, header.length + (cut % (text.length - header.length + 1)));

        expect(detectDelimiter(head)).to.equal(by);
      }),
    );
  });

  const examples: [string, string, string][] = [
    ["no text", "", ","],
    ["blank lines alone", "\n\n\n", ","],
    ["one column", "a\n1\n2\n", ","],
    ["a header without a line break", "a;b;c", ";"],
    ["decimal commas between semicolons", "a;b\n1,5;2,5\n3,5;4\n", ";"],
    ["commas in the header's text, semicolons everywhere", "name, first;age\nAnn;1\n", ";"],
    ["separators in quotes, as many in each record", '"x;y;z",b\n"1;2;3",4\n', ","],
    ["doubled quotes", 'a,b\n"x "";"" y",2\n', ","],
    ["line breaks in quotes", 'a;b\n"x\ny,z";2\n', ";"],
    ["a ragged line", "a,b,c\n1,2,3\n4,5\n6,7,8\n", ","],
    ["a ragged line of semicolons", "a;b;c\n1;2;3\n4;5\n6;7;8\n", ";"],
    ["blank lines between", "a|b\n\n1|2\n\n", "|"],
    ["a line of text in the midst", "a\tb\nnone\n1\t2\n", "\t"],
    ["two that are steady, by the more frequent one", "a,b,c|d\n1,2,3|4\n", ","],
  ];
  for (const [what, head, by] of examples) {
    it(`finds ${JSON.stringify(by)} in ${what}`, () => {
      expect(detectDelimiter(head)).to.equal(by);
    });
  }

  it("reads the first twenty records and no more", () => {
    const steady = "a;b\n".repeat(20);

    expect(detectDelimiter(`${steady}${"1,2,3,4\n".repeat(100)}`)).to.equal(";");
  });
});

describe("fieldsOfFirstRecord", () => {
  it("counts the fields of any well-formed file", () => {
    fc.assert(
      fc.property(table, delimiter, (rows, by) => {
        fc.pre(rows[0]?.[0] !== "");

        expect(fieldsOfFirstRecord(write(rows, by, "\n"), by)).to.equal(rows[0]?.length);
      }),
    );
  });

  const examples: [string, string, string, number][] = [
    ["one field", "a", ",", 1],
    ["nothing", "", ",", 1],
    ["empty fields", ",,\n1,2,3\n", ",", 3],
    ["separators and line breaks in quotes", '"a,\nb",c\n1,2\n', ",", 2],
    ["another separator", "a;b,c\n", ",", 2],
    ["a record behind blank lines", "\n\r\na,b,c\n", ",", 3],
    ["a record behind a byte order mark", "\uFEFFa,b\n", ",", 2],
    ["the line breaks of old Macs", "a,b\r1,2,3\r", ",", 2],
    ["tabs, the first field empty", "\ta\tb\n", "\t", 3],
  ];
  for (const [what, head, by, fields] of examples) {
    it(`counts ${fields} in ${what}`, () => {
      expect(fieldsOfFirstRecord(head, by)).to.equal(fields);
    });
  }
});
