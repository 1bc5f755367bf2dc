import { expect } from "chai";
import fc from "fast-check";
import { readFormat, readParameters, readQuestion } from "../../app/http/question.ts";
import { failure } from "../failure.ts";

describe("readQuestion", () => {
  it("reads SQL without parameters", () => {
    expect(readQuestion('{"sql": "SELECT 1"}')).to.deep.equal({ sql: "SELECT 1", parameters: [] });
  });

  it("reads parameters by position and by name", () => {
    expect(readQuestion('{"sql": "", "params": ["a", 1.5, true, null]}').parameters).to.deep.equal([
      "a",
      1.5,
      true,
      null,
    ]);
    expect(readQuestion('{"sql": "", "params": {"day": "mon", "n": 7}}').parameters).to.deep.equal({
      day: "mon",
      n: 7,
    });
  });

  it("keeps every whole number as it is, beyond 2^53 as bigint", () => {
    const whole = fc.oneof(fc.maxSafeInteger().map(BigInt), fc.bigInt());
    fc.assert(
      fc.property(whole, (value) => {
        const { parameters } = readQuestion(`{"sql": "", "params": [${value}]}`);

        const [read] = parameters as (number | bigint)[];
        expect(BigInt(read ?? 0)).to.equal(value);
        expect(typeof read).to.equal(
          Number.isSafeInteger(Number(value)) ? "number" : "bigint",
          String(value),
        );
      }),
    );
  });

  it("keeps a number with a fraction or an exponent a number", () => {
    const { parameters } = readQuestion('{"sql": "", "params": [0.1, 1e20, -1.5e-7]}');

    expect(parameters).to.deep.equal([0.1, 1e20, -1.5e-7]);
  });

  it("leaves digits alone that are text", () => {
    expect(readQuestion('{"sql": "", "params": ["9007199254740993"]}').parameters).to.deep.equal([
      "9007199254740993",
    ]);
  });

  const refused: [string, string, RegExp][] = [
    ["nothing", "", /the body must be JSON/],
    ["text that is no JSON", "SELECT 1", /the body must be JSON/],
    ["half an object", '{"sql": "SELECT 1"', /the body must be JSON/],
    ["null", "null", /expected \{"sql"/],
    ["a list", '["SELECT 1"]', /expected \{"sql"/],
    ["an object without sql", "{}", /expected \{"sql".*: .*sql/],
    ["sql that is no text", '{"sql": 1}', /sql must be a string/],
    ["a key that it doesn't know", '{"sql": "", "format": "csv"}', /format/],
    ["params that are text", '{"sql": "", "params": "a"}', /a list of values, or an object/],
    ["params that are null", '{"sql": "", "params": null}', /a list of values, or an object/],
    ["a list for a parameter", '{"sql": "", "params": [[1]]}', /params/],
    ["an object for a parameter", '{"sql": "", "params": {"a": {}}}', /params/],
  ];
  for (const [what, body, message] of refused) {
    it(`refuses ${what}`, () => {
      const error = failure(() => readQuestion(body));

      expect(error.code).to.equal("body-invalid");
      expect(error.message).to.match(message);
    });
  }
});

describe("readParameters", () => {
  it("reads none where there are none", () => {
    expect(readParameters(undefined)).to.deep.equal([]);
    expect(readParameters("[]")).to.deep.equal([]);
  });

  it("reads what a body may hold", () => {
    expect(readParameters('["a", 9007199254740993]')).to.deep.equal(["a", 9007199254740993n]);
    expect(readParameters('{"day": null}')).to.deep.equal({ day: null });
  });

  for (const text of ["", "mon", "1", '"mon"', "null", "[[1]]", '{"a": []}']) {
    it(`refuses ${JSON.stringify(text)}`, () => {
      const error = failure(() => readParameters(text));

      expect(error.code).to.equal("body-invalid");
      expect(error.message).to.include("params");
    });
  }
});

describe("readFormat", () => {
  it("takes the format that is named, whatever Accept says", () => {
    expect(readFormat("csv", "application/json")).to.equal("csv");
    expect(readFormat("parquet", "image/png")).to.equal("parquet");
  });

  it("takes what Accept asks for where none is named, else JSON", () => {
    expect(readFormat(undefined, "text/csv")).to.equal("csv");
    expect(readFormat(undefined, undefined)).to.equal("json");
  });

  for (const name of ["", "CSV", "xml", "constructor"]) {
    it(`refuses ${JSON.stringify(name)}, naming those there are`, () => {
      const error = failure(() => readFormat(name, "text/csv"));

      expect(error.code).to.equal("format-unknown");
      expect(error.message).to.equal(
        `format must be one of json, ndjson, csv, parquet, got "${name}"`,
      );
    });
  }

  it("refuses media types that it can't answer", () => {
    const error = failure(() => readFormat(undefined, "image/png"));

    expect(error.code).to.equal("not-acceptable");
    expect(error.message).to.include("json, ndjson, csv, parquet");
  });
});
