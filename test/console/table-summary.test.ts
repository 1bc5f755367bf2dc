import { DuckDBInstance, DuckDBTypeId } from "@duckdb/node-api";
import { expect } from "chai";
import {
  picturesSql,
  readPictures,
  readSummary,
  summarySql,
} from "../../console/src/table-summary.ts";

describe("the summary of a table, by DuckDB", () => {
  /** One value of each type, and what makes SUMMARIZE fail. */
  const values = {
    'a ""quoted"" name': "1::UTINYINT",
    huge: "170141183460469231731687303715884105727::HUGEINT",
    big: "3::BIGNUM",
    decimal: "1.50::DECIMAL(38,2)",
    nan: "'nan'::DOUBLE",
    float: "'inf'::FLOAT",
    forever: "'infinity'::DATE",
    far: "'infinity'::TIMESTAMP",
    moment: "'2024-01-01'::TIMESTAMPTZ",
    precise: "'2024-01-01'::TIMESTAMP_NS",
    coarse: "'2024-01-01'::TIMESTAMP_S",
    flag: "true",
    at: "'10:00'::TIME",
    span: "INTERVAL 1 DAY",
    word: "'a'",
    blob: "'a'::BLOB",
    id: "'00000000-0000-0000-0000-000000000001'::UUID",
    mood: "'sad'::ENUM('sad', 'ok')",
    list: "[1]",
    struct: "{'a': 1}",
    map: "MAP {'a': 1}",
    json: "'{}'::JSON",
    nothing: "NULL::VARCHAR",
  };

  /** DuckDB, and its rows as the server sends them. */
  const connect = async () => {
    const connection = await (await DuckDBInstance.create()).connect();
    const read = async (sql: string) => {
      const answer = await connection.runAndReadAll(sql);
      const isMap = answer.columnTypes().map(({ typeId }) => typeId === DuckDBTypeId.MAP);
      return answer
        .getRowObjectsJson()
        .map((row) =>
          Object.fromEntries(
            Object.entries(row).map(([name, value], i) => [
              name,
              isMap[i] && value !== null ? objectOf(value as unknown as Entry[]) : value,
            ]),
          ),
        );
    };
    return { connection, read };
  };
  type Entry = { key: string; value: unknown };
  const objectOf = (entries: Entry[]) =>
    Object.fromEntries(entries.map(({ key, value }) => [key, value]));

  it("has every type, whatever its values", async () => {
    const { connection, read } = await connect();
    const list = Object.entries(values).map(([name, value]) => `${value} AS "${name}"`);
    await connection.run(`CREATE TABLE t AS SELECT ${list.join(", ")}`);
    const described = await read("DESCRIBE t");
    const columns = described.map((row) => ({
      name: String(row["column_name"]),
      type: String(row["column_type"]),
    }));

    const summaries = readSummary(await read(summarySql("t", columns)), columns);
    const drawn = await read(picturesSql("t", columns, summaries) ?? "");
    const pictures = readPictures(drawn, columns, summaries);

    const of = (name: string) => summaries[columns.findIndex((column) => column.name === name)];
    expect(of("nan")).to.deep.include({ odd: 1, range: undefined, span: undefined, nulls: 0 });
    expect(of("forever")).to.deep.include({ odd: 1, range: undefined });
    expect(of("precise")?.span).to.deep.equal([1_704_067_200, 1_704_067_200]);
    expect(of("decimal")?.range).to.deep.equal(["1.50", "1.50"]);
    expect(of("nothing")).to.deep.include({ nulls: 100, distinct: 0 });
    const listed = pictures.flatMap((picture) => (picture?.bars[0]?.label ? [picture] : []));
    expect(listed).to.deep.equal([
      { column: "flag", lengths: false, bars: [{ label: "true", rows: 1 }] },
      { column: "word", lengths: false, bars: [{ label: "a", rows: 1 }] },
      { column: "mood", lengths: false, bars: [{ label: "sad", rows: 1 }] },
    ]);
    const along = pictures.flatMap((picture) =>
      picture?.bars.some(({ label, rows }) => label === "" && rows === 1) ? picture.column : [],
    );
    expect(along).to.deep.equal([
      'a "quoted" name',
      "huge",
      "big",
      "decimal",
      "moment",
      "precise",
      "coarse",
    ]);
  });

  it("counts the rows of each part of the range, however wide that is", async () => {
    const { connection, read } = await connect();
    await connection.run(
      "CREATE TABLE t AS SELECT unnest([-1.7e308, 0, 0, 1.7e308, 'nan'])::DOUBLE AS a",
    );
    const columns = [{ name: "a", type: "DOUBLE" }];
    const summary = {
      range: undefined,
      nulls: 0,
      distinct: 3,
      odd: 1,
      span: [-1.7e308, 1.7e308] as [number, number],
    };

    const rows = await read(picturesSql("t", columns, [summary]) ?? "");
    const [picture] = readPictures(rows, columns, [summary]);

    expect(picture?.bars.flatMap((bar, i) => (bar.rows > 0 ? [[i, bar.rows]] : []))).to.deep.equal([
      [0, 1],
      [12, 2],
      [23, 1],
    ]);
  });
});
