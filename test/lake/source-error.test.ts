import fs from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { type DuckDBConnection, DuckDBInstance } from "@duckdb/node-api";
import { expect } from "chai";
import { MillpondError } from "../../app/errors.ts";
import { reasonFrom, SourceError, sourceAdvice } from "../../app/lake/source-error.ts";
import type { SourceFormat } from "../../app/lake/source-key.ts";
import { quoteLiteral } from "../../app/query/quote.ts";

describe("SourceError", () => {
  it("carries its reason, and no other try of the same version would end otherwise", () => {
    const reason = { code: "empty", message: "the file is empty", expected: sourceAdvice.empty };

    const error = new SourceError(reason);

    expect(error).to.be.instanceOf(MillpondError);
    expect(error).to.include({ name: "SourceError", code: "empty", message: reason.message });
    expect(error).to.have.property("retryable", false);
    expect(error.reason).to.deep.equal(reason);
  });
});

describe("reasonFrom", () => {
  let folder: string;
  let instance: DuckDBInstance;
  let connection: DuckDBConnection;

  before(async () => {
    folder = await fs.mkdtemp(path.join(os.tmpdir(), "millpond-test-"));
    instance = await DuckDBInstance.create(":memory:");
    connection = await instance.connect();
  });
  after(async () => {
    connection.closeSync();
    instance.closeSync();
    await fs.rm(folder, { recursive: true });
  });

  /** The reason that DuckDB's own message turns into when it reads such a file. */
  async function reasonOf(content: string | Buffer, format: SourceFormat, reader: string) {
    const file = path.join(folder, "source");
    await fs.writeFile(file, content);
    const message = await connection
      .runAndReadAll(`FROM ${reader.replace("FILE", () => quoteLiteral(file))}`)
      .then(
        () => expect.fail("the file could be read"),
        (error: Error) => error.message,
      );
    return { message, reason: reasonFrom(message, format, file) };
  }
  const csvReader = (columns: string) =>
    `read_csv(FILE, auto_detect=false, header=true, delim=',', quote='"', strict_mode=true, columns=${columns})`;
  const twoTexts = csvReader("{'a': 'VARCHAR', 'b': 'VARCHAR'}");

  it("names the line of a ragged CSV file", async () => {
    const { reason } = await reasonOf("a,b\n1,2\n3\n", "csv", twoTexts);

    expect(reason).to.deep.equal({
      code: "malformed-csv",
      message: "Expected Number of Columns: 2 Found: 1",
      expected: sourceAdvice.csv,
      line: 3,
    });
  });

  it("tells of lines before the header, and of decimal commas, where a line has more fields than the first", async () => {
    const one = csvReader("{'x': 'VARCHAR'}");
    for (const content of ["# comment\nid,name\n1,x\n", "x\n1,5\n2,75\n"]) {
      const { reason } = await reasonOf(content, "csv", one);

      expect(reason).to.include({ code: "malformed-csv", line: 2 });
      expect(reason.expected).to.include(`${sourceAdvice.csv}; `);
      expect(reason.expected).to.match(/lines before the header.*delete them.*decimal comma/);
    }
  });

  it("names the column of a value that DuckDB can't read", async () => {
    const { reason } = await reasonOf(
      "a,größe\n1,2\n3,four\n",
      "csv",
      csvReader("{'a': 'BIGINT', 'größe': 'BIGINT'}"),
    );

    expect(reason).to.include({ code: "malformed-csv", line: 3, column: "größe" });
  });

  it("calls a tsv file's code malformed-csv, and an ndjson file's malformed-json", () => {
    expect(reasonFrom("Invalid Input Error: x", "tsv", "/f").code).to.equal("malformed-csv");
    expect(reasonFrom("Invalid Input Error: x", "ndjson", "/f").code).to.equal("malformed-json");
  });

  it("names the line of bytes that are not UTF-8, and tells how to mend them", async () => {
    const { reason } = await reasonOf(Buffer.from("a,b\n1,caf\xe9\n", "latin1"), "csv", twoTexts);

    expect(reason).to.include({ code: "not-utf8", expected: sourceAdvice.utf8, line: 2 });
    expect(reason.message).to.equal("the file holds bytes that are not UTF-8");
  });

  it("says what is wrong with a JSON file", async () => {
    const { reason } = await reasonOf('{"a": 1}\n{"a": \n', "ndjson", "read_ndjson(FILE)");

    expect(reason).to.include({ code: "malformed-json", expected: sourceAdvice.json });
    expect(reason.line).to.be.a("number");
    // It stands beside the message: whoever shows both says it once.
    expect(reason.message).to.match(/^Malformed JSON at byte \d+: unexpected end of data/);
  });

  it("names the line in which JSON breaks: the first, a middle one, the last, whether or not that is ended", async () => {
    const good = '{"a": 1}';
    for (const broken of ['{"a": ', '{"a" 1}', "hello"]) {
      for (const at of [1, 2, 3]) {
        const lines = [good, good, good].with(at - 1, broken);
        for (const [between, end] of [
          ["\n", ""],
          ["\n", "\n"],
          ["\r\n", "\r\n"],
        ] as const) {
          const content = `${lines.join(between)}${end}`;
          const { reason } = await reasonOf(content, "ndjson", "read_ndjson(FILE)");

          expect(reason.line, JSON.stringify(content)).to.equal(at);
          expect(reason.message).to.match(/^Malformed JSON at byte \d+: /);
        }
      }
    }
  });

  it("names the line of JSON that is of another type, and the record where there are no lines", async () => {
    const reader = "read_ndjson(FILE, columns={'a': 'INTEGER'})";
    const { reason: typed } = await reasonOf('{"a": 1}\n{"a": "x"}\n', "ndjson", reader);
    const array = '[{"a": 1}, {"a" 1}]';
    const { reason: listed } = await reasonOf(array, "json", "read_json(FILE, format='array')");

    expect(typed.line).to.equal(2);
    expect(listed.line).to.equal(undefined);
    expect(listed.message).to.match(/^Malformed JSON at byte \d+: .* \(record 2\)$/);
  });

  it("says what is wrong with a Parquet file", async () => {
    const { reason } = await reasonOf("not a Parquet file", "parquet", "read_parquet(FILE)");

    expect(reason).to.include({ code: "malformed-parquet", expected: sourceAdvice.parquet });
    expect(reason.message).to.not.equal("");
  });

  it("keeps DuckDB's paths, options and error classes to itself", async () => {
    const readings = [
      await reasonOf("a,b\n1,2\n3\n", "csv", twoTexts),
      await reasonOf('a,b\n1,"2\n', "csv", twoTexts),
      await reasonOf("a\nx\n", "csv", csvReader("{'a': 'BIGINT'}")),
      await reasonOf('{"a": 1}\n{"a": \n', "ndjson", "read_ndjson(FILE)"),
      await reasonOf("[1", "json", "read_json(FILE, format='array')"),
      await reasonOf("not a Parquet file", "parquet", "read_parquet(FILE)"),
    ];

    // Otherwise this says nothing: DuckDB does name the path.
    expect(readings.some(({ message }) => message.includes(folder))).to.equal(true);
    for (const { reason } of readings) {
      expect(reason.message).to.not.equal("");
      expect(reason.message).to.not.include(folder);
      expect(reason.message).to.not.match(/Error:|Possible |ignore_errors|\n/);
    }
  });

  it("cuts a message short that holds the file's own long line", () => {
    const { message } = reasonFrom(`Invalid Input Error: ${"x".repeat(5000)}`, "csv", "/f");

    expect(message).to.equal("x".repeat(500));
  });
});
