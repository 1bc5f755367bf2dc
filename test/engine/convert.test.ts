import fs from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import zlib from "node:zlib";
import { type DuckDBConnection, DuckDBInstance } from "@duckdb/node-api";
import { expect } from "chai";
import fc from "fast-check";
import { convert } from "../../app/engine/convert.ts";
import { SourceError } from "../../app/lake/source-error.ts";
import type { Compression, SourceFormat } from "../../app/lake/source-key.ts";

describe("convert", () => {
  let folder: string;
  let connection: DuckDBConnection;

  before(async () => {
    folder = await fs.mkdtemp(path.join(os.tmpdir(), "millpond-test-"));
    const instance = await DuckDBInstance.create(":memory:");
    connection = await instance.connect();
    await connection.run("SET TimeZone = 'UTC'");
  });

  after(async () => {
    connection.closeSync();
    await fs.rm(folder, { recursive: true });
  });

  /** Converts a source and reads the Parquet file back, each value as DuckDB's text. */
  async function converted(
    source: string | Buffer,
    format: SourceFormat = "csv",
    compression: Compression = "none",
  ) {
    const request = {
      kind: "convert",
      source: path.join(folder, "source"),
      output: path.join(folder, "output.parquet"),
      scratch: folder,
      format,
      compression,
    } as const;
    await fs.writeFile(request.source, source);
    const { rows } = await convert(connection, request);
    const found = await connection.runAndReadAll(
      `SELECT COLUMNS(*)::VARCHAR FROM '${request.output}'`,
    );
    const described = await connection.runAndReadAll(`DESCRIBE FROM '${request.output}'`);
    const types = Object.fromEntries(described.getRowsJS().map(([name, type]) => [name, type]));
    return { rows, types, values: found.getRowsJS() };
  }

  async function rejection(...args: Parameters<typeof converted>) {
    try {
      await converted(...args);
    } catch (error) {
      expect(error).to.be.instanceOf(SourceError);
      return (error as SourceError).reason;
    }
    throw new Error("the source was converted");
  }

  /** Rows enough that DuckDB's sample of 20,480 doesn't see what comes after them. */
  const many = 30_000;

  describe("types of CSV columns", () => {
    const cases: [what: string, values: string[], type: string, read: (string | null)[]][] = [
      ["whole numbers", ["1", "-2"], "BIGINT", ["1", "-2"]],
      ["identifiers with leading zeros", ["00501", "10001"], "VARCHAR", ["00501", "10001"]],
      [
        "telephone numbers with a plus",
        ["+4930123", "+4940456"],
        "VARCHAR",
        ["+4930123", "+4940456"],
      ],
      [
        "whole numbers of 20 digits",
        ["12345678901234567890", "2"],
        "DECIMAL(38,0)",
        ["12345678901234567890", "2"],
      ],
      ["whole numbers of 40 digits", ["1".repeat(40), "2"], "VARCHAR", ["1".repeat(40), "2"]],
      ["fractions", ["0.5", "-12.25", "1e3"], "DOUBLE", ["0.5", "-12.25", "1000.0"]],
      [
        "fractions of more digits than a double",
        ["0.1234567890123456789", "2"],
        "VARCHAR",
        ["0.1234567890123456789", "2"],
      ],
      [
        "a long whole number among fractions",
        ["12345678901234567890", "2.5"],
        "VARCHAR",
        ["12345678901234567890", "2.5"],
      ],
      ["a number beyond a double", ["1e400", "1"], "VARCHAR", ["1e400", "1"]],
      ["days", ["2024-02-29", "1999-12-31"], "DATE", ["2024-02-29", "1999-12-31"]],
      ["days with slashes", ["2024/02/29", "1999/12/31"], "DATE", ["2024-02-29", "1999-12-31"]],
      [
        "days that no month can be",
        ["23/04/2024", "01/02/2024"],
        "DATE",
        ["2024-04-23", "2024-02-01"],
      ],
      ["months before days", ["04/23/2024", "01/02/2024"], "DATE", ["2024-04-23", "2024-01-02"]],
      [
        "days that may be months",
        ["03/04/2024", "01/02/2024"],
        "VARCHAR",
        ["03/04/2024", "01/02/2024"],
      ],
      ["times of day", ["10:00:00", "23:59:59"], "TIME", ["10:00:00", "23:59:59"]],
      [
        "timestamps",
        ["2024-01-02 03:04:05", "2024-01-02T03:04:05.5"],
        "TIMESTAMP",
        ["2024-01-02 03:04:05", "2024-01-02 03:04:05.5"],
      ],
      [
        "timestamps with zones",
        ["2024-01-02T03:04:05Z", "2024-01-02 03:04:05+02:00"],
        "TIMESTAMP WITH TIME ZONE",
        ["2024-01-02 03:04:05+00", "2024-01-02 01:04:05+00"],
      ],
      [
        "timestamps of which one has a zone",
        ["2024-01-02 03:04:05", "2024-01-02 03:04:05+02"],
        "VARCHAR",
        ["2024-01-02 03:04:05", "2024-01-02 03:04:05+02"],
      ],
      [
        "nanoseconds",
        ["2024-01-02 03:04:05.123456789", "2024-01-02 03:04:05"],
        "VARCHAR",
        ["2024-01-02 03:04:05.123456789", "2024-01-02 03:04:05"],
      ],
      ["truth values", ["true", "FALSE"], "BOOLEAN", ["true", "false"]],
      ["truth values and yes", ["true", "yes"], "VARCHAR", ["true", "yes"]],
      ["numbers and nothing", ["1", ""], "BIGINT", ["1", null]],
      ["numbers and an empty text", ["1", '""'], "BIGINT", ["1", null]],
      ["texts and an empty text", ["a", '""', ""], "VARCHAR", ["a", "", null]],
      ["padded numbers", [" 1", "2 "], "BIGINT", ["1", "2"]],
      ["padded texts", [" a", "2 "], "VARCHAR", [" a", "2 "]],
    ];
    for (const [what, values, type, read] of cases) {
      it(`reads ${what} as ${type}`, async () => {
        const source = `v,w\n${values.map((value) => `${value},x\n`).join("")}`;

        const { types, values: rows } = await converted(source);

        expect(types).to.deep.equal({ v: type, w: "VARCHAR" });
        expect(rows.map(([v]) => v)).to.deep.equal(read);
      });
    }

    const late: [what: string, early: string, last: string, type: string][] = [
      ["a fraction", "1", "1.5", "DOUBLE"],
      ["a leading zero", "1", "00501", "VARCHAR"],
      ["a text", "1", "oops", "VARCHAR"],
      ["a whole number of 20 digits", "1", "12345678901234567890", "DECIMAL(38,0)"],
      ["a time of day", "2024-01-02", "2024-01-02 03:04:05", "TIMESTAMP"],
      ["a zone", "2024-01-02 03:04:05", "2024-01-02 03:04:05+02", "VARCHAR"],
      ["the first value", "", "23", "BIGINT"],
      ["another truth", "true", "1", "VARCHAR"],
    ];
    for (const [what, early, last, type] of late) {
      it(`keeps ${what} that first comes after ${many} rows`, async () => {
        const source = `v,w\n${`${early},x\n`.repeat(many)}${last},x\n`;

        const { rows, types, values } = await converted(source);

        expect(rows).to.equal(many + 1);
        expect(types["v"]).to.equal(type);
        expect(values.at(-1)?.[0]).to.equal(last);
      });
    }

    it("takes the same types of a large file as of a small one", async () => {
      const columns = cases.filter(([, values]) => values.every((value) => !value.includes("\n")));
      const height = Math.max(...columns.map(([, values]) => values.length));
      const quoted = (value: string) => (value === "" ? "" : `"${value.replaceAll('"', '""')}"`);
      const row = (at: number) => columns.map(([, values]) => quoted(values[at] ?? "")).join(",");
      const header = columns.map((_, at) => `c${at}`).join(",");
      const block = `${Array.from({ length: height }, (_, at) => row(at)).join("\n")}\n`;
      const of = async (times: number) => await converted(`${header}\n${block.repeat(times)}`);

      const small = await of(1);
      const large = await of(Math.ceil((1.2 * 1024 * 1024) / block.length));

      expect(large.types).to.deep.equal(small.types);
      expect(new Set(Object.values(small.types)).size).to.be.above(5);
    });

    it("reads days in the order that the last of many tells", async () => {
      const source = `v,w\n${"03/04/2024,31.12.1980\n".repeat(many)}25/04/2024,31.12.1980\n`;

      const { types, values } = await converted(source);

      expect(types).to.deep.equal({ v: "DATE", w: "DATE" });
      expect(values[0]).to.deep.equal(["2024-04-03", "1980-12-31"]);
    });

    it("changes no value, whatever the columns hold", async () => {
      // What a typed column may spell in another way: padding, "1.50", "1e3", a date with slashes.
      const cell = fc.oneof(
        fc.integer().map(String),
        fc.bigInt().map(String),
        fc.double({ noNaN: true, noDefaultInfinity: true }).map(String),
        fc
          .date({ min: new Date("1900-01-01"), max: new Date("2100-01-01"), noInvalidDate: true })
          .map((d) => d.toISOString().slice(0, 10)),
        fc.stringMatching(/^0[0-9]{1,5}$/),
        fc.stringMatching(/^[ -~\u00e4\u00f6\n",;]{1,12}$/),
        fc.constantFrom(
          "true",
          "false",
          "NULL",
          "-",
          "+1",
          "1_000",
          "0x1F",
          "infinity",
          "24:00:00",
        ),
      );
      const quoted = (text: string) => `"${text.replaceAll('"', '""')}"`;
      const column = fc.array(cell, { minLength: 1, maxLength: 8 });
      await fc.assert(
        fc.asyncProperty(column, async (cells) => {
          const source = `h,i\n${cells.map((text) => `${quoted(text)},x\n`).join("")}`;

          const { rows, values, types } = await converted(source);

          expect(rows).to.equal(cells.length);
          const read = values.map(([value]) => value);
          const type = types["h"] as string;
          cells.forEach((text, index) => {
            const value = read[index] as string | null;
            if (type === "VARCHAR") expect(value).to.equal(text);
            else if (text.trim() === "") expect(value).to.equal(null);
            else if (type === "DOUBLE" && Number.isFinite(Number(text)))
              expect(Number(value)).to.equal(Number(text));
            else if (type === "DOUBLE") expect(text.trim()).to.match(/^-?(nan|inf(inity)?)$/i);
            else expect(value?.toLowerCase()).to.equal(text.trim().toLowerCase());
          });
        }),
        { numRuns: 150 },
      );
    });
  });

  describe("types of numbers next to what a double holds", () => {
    for (const [text, type] of [
      ["99999999999999.995", "VARCHAR"],
      ["9007199254740993.5", "VARCHAR"],
      ["1e-400", "VARCHAR"],
      ["1.2345678901e-320", "VARCHAR"],
      // As %.17g and %.18e print 0.1: the very double.
      ["0.10000000000000001", "DOUBLE"],
      ["1.000000000000000056e-01", "DOUBLE"],
      ["0.30000000000000004", "DOUBLE"],
      ["0.0000000000000000000", "DOUBLE"],
      ["2.2250738585072014e-308", "DOUBLE"],
    ] as const) {
      it(`reads ${text} as ${type}`, async () => {
        const { types, values } = await converted(`v,w\n0.5,x\n${text},x\n`);

        expect(types["v"]).to.equal(type);
        if (type === "VARCHAR") expect(values[1]?.[0]).to.equal(text);
        else expect(Number(values[1]?.[0])).to.equal(Number(text));
      });
    }
  });

  describe("days of one file written in two ways", () => {
    for (const [one, other] of [
      ["31.12.1980", "2024-05-01"],
      ["2024-05-01", "31.12.1980"],
      ["12/31/1980", "2024-05-01"],
      ["2/29/2024", "29/2/2024"],
      ["2024/02/29", "2024-02-13"],
    ] as const) {
      it(`reads ${one} beside ${other}`, async () => {
        const { types } = await converted(`a,b\n${one},${other}\n${one},${other}\n`);

        expect(types).to.deep.equal({ a: "DATE", b: "DATE" });
      });
      it(`reads them in columns that tabs part: ${one} beside ${other}`, async () => {
        const rows = `${one}\t${other}\tx\n`.repeat(2);

        const { types } = await converted(`a\tb\tc\n${rows}`, "tsv");

        expect(types).to.deep.equal({ a: "DATE", b: "DATE", c: "VARCHAR" });
      });
      it(`reads them with blanks around: ${one} beside ${other}`, async () => {
        const rows = `${one}, ${other} ,x\n`.repeat(2);

        const { types } = await converted(`a,b,c\n${rows}`);

        expect(types).to.deep.equal({ a: "DATE", b: "DATE", c: "VARCHAR" });
      });
    }

    it("finds in a small file what it finds where no short cut is taken, as in a packed one", async () => {
      const texts = ["2024-02-29", "29.2.2024", "2/29/2024", "29/2/2024", "2024/2/9", "2024-2-9"];
      const others = [
        "",
        " 2024-02-29",
        " 29.2.2024 ",
        "2024-02-29 10:00:00",
        "1.2.3.4",
        '"29.2.2024"',
        "x",
        "7",
      ];
      const cell = fc.constantFrom(...texts, ...others);
      const table = fc.record({
        format: fc.constantFrom("csv" as const, "tsv" as const),
        rows: fc.array(fc.tuple(cell, cell, cell), { minLength: 1, maxLength: 4 }),
      });

      await fc.assert(
        fc.asyncProperty(table, async ({ format, rows }) => {
          const delimiter = format === "csv" ? "," : "\t";
          const block = rows.map((row) => `${row.join(delimiter)}${delimiter}end\n`).join("");
          const header = `${["a", "b", "c", "d"].join(delimiter)}\n`;

          const plain = await converted(header + block, format);
          const packed = await converted(zlib.gzipSync(header + block), format, "gzip");

          expect(plain).to.deep.equal(packed);
        }),
        { numRuns: 40 },
      );
    });
  });

  describe("rows of CSV", () => {
    for (const [what, start] of [
      ["a blank line", "\n"],
      ["blank lines of CRLF", "\r\n\r\n"],
      ["a byte order mark and a blank line", "\ufeff\n"],
    ] as const) {
      it(`takes the first line behind ${what} for the header`, async () => {
        const end = start.includes("\r") ? "\r\n" : "\n";

        const { types, values } = await converted(`${start}name,city${end}Ann,Paris${end}`);

        expect(types).to.deep.equal({ name: "VARCHAR", city: "VARCHAR" });
        expect(values).to.deep.equal([["Ann", "Paris"]]);
      });
    }

    it("reads quotes, separators and line breaks inside fields", async () => {
      const { rows, values } = await converted('a,b\n"x ""q"" y","1\n2,3"\n"plain",z\n');

      expect(rows).to.equal(2);
      expect(values).to.deep.equal([
        ['x "q" y', "1\n2,3"],
        ["plain", "z"],
      ]);
    });

    for (const [what, source] of [
      ["a byte order mark", "\ufeffa,b\n1,2\n"],
      ["CRLF", "a,b\r\n1,2\r\n"],
      ["CR alone", "a,b\r1,2\r"],
      ["no line break at the end", "a,b\n1,2"],
      ["semicolons", "a;b\n1;2\n"],
      ["bars", "a|b\n1|2\n"],
      ["blank lines", "a,b\n\n1,2\n\n"],
    ] as const) {
      it(`reads a file with ${what}`, async () => {
        const { rows, types, values } = await converted(source);

        expect(rows).to.equal(1);
        expect(Object.keys(types)).to.deep.equal(["a", "b"]);
        expect(values).to.deep.equal([["1", "2"]]);
      });
    }

    it("keeps a first row of numbers as data, under names of its own", async () => {
      const { rows, types } = await converted("1,2\n3,4\n");

      expect(rows).to.equal(2);
      expect(types).to.deep.equal({ column0: "BIGINT", column1: "BIGINT" });
    });

    it("keeps lines that look like comments", async () => {
      const { rows, values } = await converted("a,b\n1,2\n#3,4\n");

      expect(rows).to.equal(2);
      expect(values[1]).to.deep.equal(["#3", "4"]);
    });

    it("makes a table without rows of a header alone", async () => {
      const { rows, types } = await converted("id,name\n");

      expect(rows).to.equal(0);
      expect(types).to.deep.equal({ id: "VARCHAR", name: "VARCHAR" });
    });

    it("keeps hostile column names apart and as they are", async () => {
      const { types } = await converted("a\"b,'f',select,😀,\na,b,c,d,e\n");

      expect(Object.keys(types)).to.deep.equal(['a"b', "'f'", "select", "😀", "column4"]);
    });

    it("reads as many rows as were written, however large the file", async () => {
      const source = `id,text\n${Array.from({ length: 60_000 }, (_, i) => `${i},"line\n${i}"\n`).join("")}`;

      const { rows, values } = await converted(source);

      expect(rows).to.equal(60_000);
      expect(values[59_999]).to.deep.equal(["59999", "line\n59999"]);
    });

    it("reads a file of 1,200 columns", async () => {
      const numbers = Array.from({ length: 1200 }, (_, i) => i);

      const { rows, types } = await converted(
        `${numbers.map((i) => `c${i}`).join(",")}\n${numbers.join(",")}\n`,
      );

      expect(rows).to.equal(1);
      expect(Object.keys(types)).to.have.length(1200);
    });
  });

  describe("JSON", () => {
    const read: [
      what: string,
      source: string,
      format: SourceFormat,
      types: object,
      values: unknown[][],
    ][] = [
      ["an array of objects", '[{"a":1},{"a":2}]', "json", { a: "BIGINT" }, [["1"], ["2"]]],
      ["one object", '{"a":1}', "json", { a: "BIGINT" }, [["1"]]],
      ["objects by line", '{"a":1}\n{"a":2}\n', "ndjson", { a: "BIGINT" }, [["1"], ["2"]]],
      ["a byte order mark", '\ufeff{"a":1}\n', "ndjson", { a: "BIGINT" }, [["1"]]],
      ["strings beside numbers", '[{"a":1},{"a":"x"}]', "json", { a: "VARCHAR" }, [["1"], ["x"]]],
      [
        "whole numbers beside fractions",
        '[{"a":1},{"a":1.5}]',
        "json",
        { a: "DOUBLE" },
        [["1.0"], ["1.5"]],
      ],
      [
        "integers of 25 digits",
        `[{"a":${"7".repeat(25)}},{"a":1}]`,
        "json",
        { a: "DECIMAL(38,0)" },
        [["7".repeat(25)], ["1"]],
      ],
      [
        "integers of 20 digits in lists",
        '[{"a":[12345678901234567890,-1]}]',
        "json",
        { a: "VARCHAR[]" },
        [["[12345678901234567890, -1]"]],
      ],
      ["strings of digits", '[{"a":"00501"}]', "json", { a: "VARCHAR" }, [["00501"]]],
      ["days", '[{"a":"2024-02-29"}]', "json", { a: "DATE" }, [["2024-02-29"]]],
      [
        "timestamps with zones",
        '[{"a":"2024-01-02T03:04:05+02:00"}]',
        "json",
        { a: "TIMESTAMP WITH TIME ZONE" },
        [["2024-01-02 01:04:05+00"]],
      ],
      [
        "objects and lists",
        '[{"a":{"b":[1,2]}}]',
        "json",
        { a: "STRUCT(b BIGINT[])" },
        [["{'b': [1, 2]}"]],
      ],
      [
        "keys that differ in case",
        '{"a":1,"A":2}\n',
        "ndjson",
        { a: "BIGINT", A_1: "BIGINT" },
        [["1", "2"]],
      ],
      [
        "keys that end in numbers",
        '{"a":"2024-01-02T03:04:05Z","a_1":1}\n',
        "ndjson",
        { a: "TIMESTAMP WITH TIME ZONE", a_1: "BIGINT" },
        [["2024-01-02 03:04:05+00", "1"]],
      ],
      ["null alone", '[{"a":null}]', "json", { a: "VARCHAR" }, [[null]]],
    ];
    for (const [what, source, format, types, values] of read) {
      it(`reads ${what}`, async () => {
        const found = await converted(source, format);

        expect(found).to.deep.equal({ rows: values.length, types, values });
      });
    }

    it("keeps the value of an empty key", async () => {
      const { types, values } = await converted('[{"":1,"b":2}]', "json");

      expect(types).to.deep.equal({ column0: "BIGINT", b: "BIGINT" });
      expect(values).to.deep.equal([["1", "2"]]);
    });

    it("changes nothing where keys differ in case", async () => {
      const { types, values } = await converted(
        '{"a":12345678901234567890123,"A":"03:04:05+02:00","b/c":[1]}\n{"a":null,"A":7,"b/c":null}',
        "ndjson",
      );

      expect(types).to.deep.equal({ a: "DECIMAL(38,0)", A_1: "VARCHAR", "b/c": "VARCHAR" });
      expect(values).to.deep.equal([
        ["12345678901234567890123", "03:04:05+02:00", "[1]"],
        [null, "7", null],
      ]);
    });

    it("keeps days, times and UUIDs inside objects as they are spelt", async () => {
      const { values } = await converted(
        '[{"o":{"d":"03-04-2024","t":"10:00:00.1234567","u":"C2B0AD1E-1F5A-4B8E-9B1E-111111111111","z":"2024-01-02T03:04:05+02:00"}}]',
        "json",
      );

      expect(values[0]?.[0]).to.equal(
        "{'d': 03-04-2024, 't': '10:00:00.1234567', 'u': C2B0AD1E-1F5A-4B8E-9B1E-111111111111, 'z': '2024-01-02T03:04:05+02:00'}",
      );
    });

    // The start of a large file proposes; a small one is read as a whole.
    const later: [what: string, early: string, last: string][] = [
      ["a fraction", "1", "1.5"],
      ["a whole number of 20 digits", "1", "12345678901234567890"],
      ["a whole number of 20 digits beside fractions", "1.5", "12345678901234567890"],
      ["minus zero", "1", "-0"],
      ["a string of digits", "1", '"1"'],
      ["a truth", "1", "true"],
      ["a string of a truth", "true", '"true"'],
      ["a fraction in a string", "1.5", '"2.5"'],
      ["an object", '"x"', '{"k":"x"}'],
      ["a list", '"x"', '["x"]'],
      ["a string like an object", '"x"', '"{}"'],
      ["an empty string", '"x"', '""'],
      ["a number among strings", '"x"', "7.5"],
      ["a text among days", '"2024-02-29"', '"soon"'],
      ["a day written in another way", '"2024-02-29"', '"03-04-2024"'],
      ["a list among days", '"2024-02-29"', "[1]"],
      ["a zone", '"2024-01-02 03:04:05"', '"2024-01-02T03:04:05+02:00"'],
      ["a text among UUIDs", '"c2b0ad1e-1f5a-4b8e-9b1e-111111111111"', '"x"'],
      ["a null", '"x"', "null"],
      ["the first value", "null", "7"],
      ["a second kind in a list", "[1]", '["x"]'],
      ["another key inside", '{"a":1}', '{"b":2}'],
    ];
    for (const [what, early, last] of later) {
      it(`reads ${what} after ${many} records as it does after one`, async () => {
        const records = (count: number) =>
          `${`{"v":${early},"w":"${"x".repeat(30)}"}\n`.repeat(count)}{"w":"y","v":${last}}\n`;

        const [few, all] = [
          await converted(records(1), "ndjson"),
          await converted(records(many), "ndjson"),
        ];

        expect(all.rows).to.equal(many + 1);
        expect(all.types).to.deep.equal(few.types);
        expect([all.values[0], all.values.at(-1)]).to.deep.equal(few.values);
      });
    }

    const others: [what: string, record: string][] = [
      ["another key", '{"a":2,"b":"y","late":1}'],
      ["a key in other letters", '{"A":2,"b":"y"}'],
      ["no key at all", "{}"],
      ["a key less", '{"b":"y"}'],
    ];
    for (const [what, record] of others) {
      it(`reads a record with ${what} after ${many} records as it does after one`, async () => {
        const records = (count: number) =>
          `${`{"a":1,"b":"${"x".repeat(30)}"}\n`.repeat(count)}${record}\n`;

        const [few, all] = [
          await converted(records(1), "ndjson"),
          await converted(records(many), "ndjson"),
        ];

        expect(all.types).to.deep.equal(few.types);
        expect([all.values[0], all.values.at(-1)]).to.deep.equal(few.values);
      });
    }

    it(`keeps a key that first comes after ${many} records`, async () => {
      const source = `${'{"a":1}\n'.repeat(many)}{"a":1,"late":7}\n`;

      const { rows, types, values } = await converted(source, "ndjson");

      expect(rows).to.equal(many + 1);
      expect(types).to.deep.equal({ a: "BIGINT", late: "BIGINT" });
      expect(values.at(-1)).to.deep.equal(["1", "7"]);
    });
  });

  describe("each format, packed each way", () => {
    const packings: [Compression, (data: Buffer) => Buffer][] = [
      ["none", (data) => data],
      ["gzip", (data) => zlib.gzipSync(data)],
      ["zstd", (data) => zlib.zstdCompressSync(data)],
    ];
    const formats: SourceFormat[] = ["csv", "tsv", "json", "ndjson", "parquet"];
    const query = "SELECT i AS id, 'text ' || i AS text, i / 4 AS number FROM range(1000) t(i)";
    const copy: Record<SourceFormat, string> = {
      csv: "FORMAT csv, HEADER",
      tsv: "FORMAT csv, HEADER, DELIMITER '\t'",
      json: "FORMAT json, ARRAY true",
      ndjson: "FORMAT json",
      parquet: "FORMAT parquet",
    };
    const endings: Record<Compression, string> = { none: "", gzip: ".gz", zstd: ".zst" };
    for (const format of formats) {
      for (const [compression, pack] of packings) {
        it(`reads ${format}, ${compression}, as DuckDB reads the source itself`, async () => {
          const file = path.join(folder, `written.${format}`);
          await connection.run(`COPY (${query}) TO '${file}' (${copy[format]})`);
          const source = pack(await fs.readFile(file));
          // DuckDB unpacks what it reads by its name, but for Parquet.
          const direct = format === "parquet" ? file : `${file}${endings[compression]}`;
          await fs.writeFile(direct, format === "parquet" ? await fs.readFile(file) : source);

          const { rows, values } = await converted(source, format, compression);

          const itself = await connection.runAndReadAll(
            `SELECT COLUMNS(*)::VARCHAR FROM '${direct}'`,
          );
          expect(rows).to.equal(1000);
          expect(itself.currentRowCount).to.equal(1000);
          expect(values).to.deep.equal(itself.getRowsJS());
        });
      }
    }
  });

  describe("what can't be read", () => {
    const csv = (rows: number) =>
      Buffer.from(
        `a,b\n${Array.from({ length: rows }, (_, i) => `${i},text ${i * i}\n`).join("")}`,
      );
    const flipped = (data: Buffer, at: number) => {
      const copy = Buffer.from(data);
      copy[at] = (copy[at] as number) ^ 0xff;
      return copy;
    };
    const cases: [
      what: string,
      source: string | Buffer,
      format: SourceFormat,
      packed: Compression,
      reason: object,
    ][] = [
      ["an empty file", "", "csv", "none", { code: "empty-file" }],
      ["a blank file", "\n\n", "csv", "none", { code: "empty-file" }],
      ["an empty JSON file", "", "ndjson", "none", { code: "empty-file" }],
      ["an empty JSON array", "[]", "json", "none", { code: "empty-file" }],
      ["an empty Parquet file", "", "parquet", "none", { code: "empty-file" }],
      [
        "Latin-1",
        Buffer.from("a,b\n1,caf\xe9\n", "latin1"),
        "csv",
        "none",
        { code: "not-utf8", line: 2 },
      ],
      [
        "Latin-1 in JSON",
        Buffer.from('{"a":"caf\xe9"}\n', "latin1"),
        "ndjson",
        "none",
        { code: "not-utf8" },
      ],
      [
        "UTF-16",
        Buffer.from("\ufeffa,b\n1,2\n", "utf16le"),
        "csv",
        "none",
        { code: "not-utf8", line: 1 },
      ],
      [
        "a line with a field too few",
        "a,b\n1,2\n3\n4,5\n",
        "csv",
        "none",
        { code: "malformed-csv", line: 3 },
      ],
      [
        "a line with a field too many",
        "a,b\n1,2\n3,4,5\n",
        "csv",
        "none",
        { code: "malformed-csv", line: 3 },
      ],
      [
        "a title above the header",
        "Report\n\na,b\n1,2\n",
        "csv",
        "none",
        { code: "malformed-csv", line: 3 },
      ],
      [
        "a quote that never ends",
        'a,b\n"x,1\ny,2\n',
        "csv",
        "none",
        { code: "malformed-csv", line: 2 },
      ],
      [
        "a short line far down",
        `a,b\n${"1,2\n".repeat(many)}3\n`,
        "csv",
        "none",
        { code: "malformed-csv", line: many + 2 },
      ],
      ["JSON that is cut off", '{"a":1}\n{"a":', "ndjson", "none", { code: "malformed-json" }],
      ["text for JSON", '{"a":1}\nhello\n', "ndjson", "none", { code: "malformed-json", line: 2 }],
      [
        "text for JSON behind blank lines",
        '\n{"a":1}\n\r\n \t\n{"a":2}\nhello\n{"a":3}\n',
        "ndjson",
        "none",
        { code: "malformed-json", line: 6 },
      ],
      [
        "text for JSON behind a mark, a form feed and a vertical tab",
        '\uFEFF\n{"a":1}\n\f\n\v\nhello\n',
        "ndjson",
        "none",
        { code: "malformed-json", line: 5 },
      ],
      [
        "text for JSON far behind a blank line",
        `\n${'{"a":"some text"}\n'.repeat(20_000)}hello\n`,
        "ndjson",
        "none",
        { code: "malformed-json", line: 20_002 },
      ],
      [
        "Latin-1 in JSON behind a blank line",
        Buffer.from('{"a":1}\n\n{"a":"\xff\xfe"}\n', "latin1"),
        "ndjson",
        "none",
        { code: "not-utf8", line: 3 },
      ],
      [
        "text for packed JSON behind a blank line",
        zlib.gzipSync('{"a":1}\n\nhello\n'),
        "ndjson",
        "gzip",
        { code: "malformed-json", line: 3 },
      ],
      ["a key twice", '{"a":1,"a":2}\n', "ndjson", "none", { code: "malformed-json", line: 1 }],
      ["text for Parquet", "hello, world", "parquet", "none", { code: "malformed-parquet" }],
      ["text for gzip", "a,b\n1,2\n", "csv", "gzip", { code: "malformed-compression" }],
      [
        "lines that end in two ways",
        "a,b\r\n1,2\n3,4\r\n",
        "csv",
        "none",
        { code: "malformed-csv" },
      ],
      ["a NUL in the header", "a\0b,c\n1,2\n", "csv", "none", { code: "malformed-csv" }],
      ["a NUL in a key", '{"a\\u0000b":1}', "json", "none", { code: "malformed-json" }],
      [
        "a key twice in an object",
        '{"x":{"a":1,"A":2}}',
        "json",
        "none",
        { code: "malformed-json" },
      ],
      // DuckDB reads these three without an error, as files of fewer rows.
      [
        "gzip that is cut off",
        zlib.gzipSync(csv(50_000)).subarray(0, -1000),
        "csv",
        "gzip",
        { code: "malformed-compression" },
      ],
      [
        "zstd that is cut off",
        zlib.zstdCompressSync(csv(50_000)).subarray(0, -1000),
        "csv",
        "zstd",
        { code: "malformed-compression" },
      ],
      [
        "gzip with a wrong checksum",
        flipped(zlib.gzipSync(csv(50_000)), -6 + zlib.gzipSync(csv(50_000)).length),
        "csv",
        "gzip",
        { code: "malformed-compression" },
      ],
    ];
    for (const [what, source, format, packed, reason] of cases) {
      it(`refuses ${what}, and says where`, async () => {
        const found = await rejection(source, format, packed);

        expect(found).to.include(reason);
        expect(found.message).to.not.match(/millpond-test|ignore_errors|sniff/);
        expect(found.expected).to.not.equal("");
      });
    }

    describe("of another kind than its name says", () => {
      const gzip = zlib.gzipSync(csv(10));
      const zstd = zlib.zstdCompressSync(csv(10));
      const page = { code: "malformed-csv", expected: /^the CSV itself/ };
      const named = (ending: string) => ({
        code: "malformed-csv",
        expected: new RegExp(`^a name that ends in ${ending.replaceAll(".", "\\.")}(,|$)`),
      });
      const misnamed: [
        what: string,
        source: string | Buffer,
        format: SourceFormat,
        packed: Compression,
        reason: { code: string; expected: RegExp },
      ][] = [
        ["gzip", gzip, "csv", "none", named(".csv.gz")],
        ["zstd", zstd, "tsv", "none", named(".tsv.zst")],
        ["gzip", gzip, "json", "none", { ...named(".json.gz"), code: "malformed-json" }],
        ["zstd", zstd, "ndjson", "none", { ...named(".ndjson.zst"), code: "malformed-json" }],
        [
          "zstd in gzip",
          zlib.gzipSync(zstd),
          "csv",
          "gzip",
          { code: "malformed-csv", expected: /packed once/ },
        ],
        ["objects by line", '{"a":1}\n{"a":2}\n', "csv", "none", named(".ndjson")],
        ["one object", '{"a":[{"b":1}]}', "csv", "none", named(".ndjson")],
        ["objects by line", zlib.gzipSync('{"a":1}\n'), "csv", "gzip", named(".ndjson.gz")],
        ["objects behind a mark", '\ufeff\r\n{"a":1}\r\n', "tsv", "none", named(".ndjson")],
        ["an array on a line", ' [{"a":1}, {"a":2}]\n', "csv", "none", named(".json")],
        ["an array by line", '[{"a":1},\n{"a":2}]', "csv", "none", named(".json")],
        ["an indented array", '[\n  {\n    "a\\"": 1\n  }\n]\n', "csv", "none", named(".json")],
        [
          "an array of one long line",
          JSON.stringify(Array.from({ length: 20_000 }, (_, a) => ({ a }))),
          "csv",
          "none",
          named(".json"),
        ],
        ["HTML", "<!DOCTYPE html>\n<title>404</title>\n", "csv", "none", page],
        ["HTML without a type", "\ufeff\n <HTML lang=en>\n</HTML>\n", "csv", "none", page],
      ];
      for (const [what, source, format, packed, { code, expected }] of misnamed) {
        it(`refuses ${what} as ${format}, ${packed}, and says what mends it`, async () => {
          const found = await rejection(source, format, packed);

          expect(found.code).to.equal(code);
          expect(found.expected).to.match(expected);
        });
      }

      for (const rows of [0, 10]) {
        it(`refuses Parquet of ${rows} rows as text, and says what mends it`, async () => {
          const file = path.join(folder, "misnamed.parquet");
          await connection.run(`COPY (SELECT i FROM range(${rows}) t(i)) TO '${file}'`);
          const source = await fs.readFile(file);

          const plain = await rejection(source, "csv");
          const packed = await rejection(zlib.gzipSync(source), "json", "gzip");

          expect(plain).to.deep.include({
            code: "malformed-csv",
            expected: "a name that ends in .parquet",
          });
          expect(packed.expected).to.equal("a name that ends in .parquet.gz");
        });
      }

      for (const header of [
        "{id},name",
        '{"id"},name',
        '{"id":1},name',
        "{},name",
        "[a],b",
        "[],b",
        "[1],b",
        "<b>,c",
        "<htmlx>,c",
        "<!doctype>,c",
        "PAR1,c",
        "null,true",
      ]) {
        it(`takes ${header} for the header that it may be`, async () => {
          const { types, values } = await converted(`${header}\nx,y\n`);

          expect(Object.keys(types)).to.deep.equal(header.split(","));
          expect(values).to.deep.equal([["x", "y"]]);
        });
      }
      for (const header of ["{}", "[]", "[1]", "[{}]", "null", "<b>"]) {
        it(`takes ${header} alone for the header that it may be`, async () => {
          const { types } = await converted(`${header}\nx\n`);

          expect(types).to.deep.equal({ [header]: "VARCHAR" });
        });
      }
    });

    for (const [what, source, line] of [
      ["a comment above the header", "# comment\nid,name\n1,x\n", 2],
      ["a title with a comma above the header", "Trees, May\n\nid,name,m\n1,x,2\n", 3],
      ["decimal commas in one column", "x\n1,5\n2,75\n", 2],
    ] as const) {
      it(`refuses ${what}, and tells of it`, async () => {
        const found = await rejection(source);

        expect(found).to.include({ code: "malformed-csv", line });
        expect(found.expected).to.match(/before the header.*delete them.*decimal comma/);
      });
    }

    it("reads several gzip members as one file", async () => {
      const source = Buffer.concat([zlib.gzipSync("a,b\n1,2\n"), zlib.gzipSync("3,4\n")]);

      const { rows } = await converted(source, "csv", "gzip");

      expect(rows).to.equal(2);
    });
  });
});
