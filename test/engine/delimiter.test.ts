import { expect } from "chai";
import { detectDelimiter, fieldsOfFirstRecord } from "../../app/engine/delimiter.ts";

describe("detectDelimiter", () => {
  for (const [what, head, delimiter] of [
    ["commas", "a,b\n1,2\n", ","],
    ["semicolons beside decimal commas", "a;b\n1,5;2\n2,5;3\n", ";"],
    ["tabs", "a\tb\n1\t2\n", "\t"],
    ["bars", "a|b\n1|2\n", "|"],
    ["commas inside quotes", 'a;b\n"1,2,3";2\n"4,5,6";3\n', ";"],
    ["line breaks inside quotes", 'a,b\n"x\n;;;\ny",2\n', ","],
    ["a comma in the header alone", "name, first;age\nAnn;1\nBo;2\n", ";"],
    ["one ragged line", "a,b,c\n1,2\n3,4,5\n", ","],
    ["one column", "name\nAnn\nBo\n", ","],
    ["blank lines between", "a;b\n\n1;2\n", ";"],
    ["a record that is cut off", "a;b;c\n1;2;3\n4;5,6,7,8", ";"],
    ["a header alone", "a;b;c", ";"],
    ["nothing", "", ","],
  ] as const) {
    it(`finds ${JSON.stringify(delimiter)} in ${what}`, () => {
      expect(detectDelimiter(head)).to.equal(delimiter);
    });
  }
});

describe("fieldsOfFirstRecord", () => {
  for (const [head, delimiter, fields] of [
    ["a,b,c\n1,2", ",", 3],
    ['"a,b",c\r\n', ",", 2],
    ["\n\na;b", ";", 2],
    ["", ",", 1],
  ] as const) {
    it(`counts ${fields} in ${JSON.stringify(head)}`, () => {
      expect(fieldsOfFirstRecord(head, delimiter)).to.equal(fields);
    });
  }
});
