import fs from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { type DuckDBConnection, DuckDBInstance } from "@duckdb/node-api";
import { expect } from "chai";
import { environmentNames } from "../../app/contract.ts";
import { readSettings } from "../../app/environment.ts";
import { createLogger } from "../../app/logger.ts";
import { openPond, type Pond } from "../../app/pond.ts";
import { clickbenchQueries, hits } from "./friendly/clickbench.ts";
import { tpchQueries, tpchTables } from "./friendly/tpch.ts";

/** What people write, and nothing of it may be refused. */
const forms: readonly string[] = [
  "FROM nation",
  "FROM nation SELECT n_name WHERE n_regionkey = 1",
  "TABLE region",
  "VALUES (1, 'a'), (2, 'b')",
  "SELECT * FROM nation ORDER BY n_name LIMIT 5 OFFSET 20",
  "SELECT * FROM nation LIMIT 10%",
  "SELECT 1 AS \"set\", 2 AS load, 'DROP TABLE nation; --' AS text, 'COPY x TO ''y''' AS copy",
  "SELECT $$; ATTACH 'x'$$ AS a /* ; DROP */ -- ; SET",
  "SUMMARIZE nation",
  "SUMMARIZE SELECT l_quantity FROM lineitem",
  "DESCRIBE nation",
  "DESCRIBE SELECT count(*) FROM nation",
  "SHOW nation",
  "UNPIVOT (SELECT n_nationkey, n_regionkey FROM nation) ON n_nationkey, n_regionkey INTO NAME k VALUE v",
  "FROM (PIVOT orders ON o_orderstatus IN ('F', 'O') USING sum(o_totalprice) GROUP BY o_orderpriority)",
  "FROM orders PIVOT (count(*) FOR o_orderpriority IN ('1-URGENT', '2-HIGH')) LIMIT 3",
  "SELECT o_orderkey, rank() OVER (PARTITION BY o_custkey ORDER BY o_totalprice DESC) FROM orders LIMIT 9",
  "SELECT sum(o_totalprice) OVER w FROM orders WINDOW w AS (ORDER BY o_orderdate ROWS 6 PRECEDING) LIMIT 9",
  "SELECT lag(o_totalprice, 1, 0) OVER (ORDER BY o_orderkey), ntile(4) OVER (ORDER BY o_orderkey) FROM orders LIMIT 9",
  "SELECT o_custkey, o_orderkey FROM orders QUALIFY row_number() OVER (PARTITION BY o_custkey ORDER BY o_orderdate) = 1",
  "SELECT quantile_cont(o_totalprice, [0.1, 0.5, 0.9]), approx_count_distinct(o_custkey), mode(o_orderstatus) FROM orders",
  "SELECT o_orderstatus, list(o_orderkey ORDER BY o_orderkey)[1:3] FROM orders GROUP BY ALL ORDER BY ALL",
  "SELECT arg_max(o_orderkey, o_totalprice), max_by(o_orderkey, o_totalprice, 3) FROM orders",
  "SELECT count(*) FILTER (o_orderstatus = 'F') AS f, string_agg(DISTINCT o_orderstatus, ',' ORDER BY o_orderstatus) FROM orders",
  "SELECT o_orderstatus, o_orderpriority, count(*), grouping(o_orderstatus) FROM orders GROUP BY CUBE (o_orderstatus, o_orderpriority)",
  "SELECT o_orderstatus, count(*) FROM orders GROUP BY ROLLUP (o_orderstatus) ORDER BY 1 NULLS LAST",
  "SELECT * FROM orders o ASOF JOIN (SELECT DATE '1995-01-01' AS d, 1 AS x) e ON o.o_orderdate >= e.d LIMIT 3",
  "SELECT n_name, s.best FROM nation n, LATERAL (SELECT max(s_acctbal) AS best FROM supplier WHERE s_nationkey = n.n_nationkey) s",
  "SELECT * FROM nation SEMI JOIN supplier ON n_nationkey = s_nationkey",
  "SELECT * FROM nation ANTI JOIN supplier ON n_nationkey = s_nationkey",
  "SELECT * FROM region POSITIONAL JOIN (FROM nation LIMIT 5)",
  "SELECT * FROM region CROSS JOIN range(2) t(i)",
  "SELECT list_transform([1, 2, 3], lambda x: x * 2), list_filter([1, 2], x -> x > 1), list_reduce([1, 2], lambda a, b: a + b)",
  "SELECT [x * 2 FOR x IN range(5) IF x % 2 = 0], list_sort([3, 1]), list_distinct([1, 1]), flatten([[1], [2]])",
  "SELECT {'a': 1, 'b': [1, 2]}.b[2], struct_pack(x := 1), MAP {'k': 1}['k'], row(1, 'a')",
  "SELECT unnest([1, 2, 3]) AS i, unnest({'a': 1, 'b': 2})",
  "SELECT * FROM unnest(['a', 'b']) WITH ORDINALITY",
  "SELECT * EXCLUDE (n_comment) REPLACE (upper(n_name) AS n_name) RENAME (n_nationkey AS id) FROM nation LIMIT 2",
  "SELECT min(COLUMNS(*)), COLUMNS('n_.*key') FROM nation GROUP BY ALL LIMIT 2",
  "SELECT n_name.lower().replace(' ', '_') FROM nation LIMIT 2",
  "SELECT DISTINCT ON (n_regionkey) n_name FROM nation ORDER BY n_regionkey, n_name",
  "SELECT n_regionkey, n_name FROM nation UNION ALL BY NAME SELECT 'x' AS n_name",
  "SELECT n_regionkey FROM nation INTERSECT SELECT r_regionkey FROM region EXCEPT SELECT 1",
  "WITH a AS (SELECT 1 AS x), b AS (WITH c AS (FROM a) SELECT x + 1 AS y FROM c) SELECT * FROM a, b",
  "WITH RECURSIVE t(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM t WHERE n < 50) SELECT sum(n) FROM t",
  "WITH t AS MATERIALIZED (FROM nation) SELECT count(*) FROM t x, t y",
  "SELECT CASE n_regionkey WHEN 1 THEN 'a' ELSE 'b' END, coalesce(NULL, n_name), nullif(1, 1), ifnull(NULL, 2) FROM nation LIMIT 1",
  "SELECT date_trunc('month', o_orderdate), extract(dow FROM o_orderdate), o_orderdate + INTERVAL 3 DAY, strftime(o_orderdate, '%Y') FROM orders LIMIT 1",
  "SELECT age(TIMESTAMP '2024-03-01', TIMESTAMP '2024-02-01'), date_diff('day', DATE '2024-01-01', DATE '2024-02-01'), now() > TIMESTAMP '2020-01-01'",
  "SELECT time_bucket(INTERVAL 1 WEEK, o_orderdate) AS w, count(*) FROM orders GROUP BY ALL ORDER BY ALL LIMIT 3",
  "SELECT json_extract('{\"a\": [1, 2]}', '$.a[1]'), '{\"a\": 1}'::JSON ->> 'a', json_object('k', 1), to_json({'a': 1})",
  'SELECT * FROM json_each(\'{"a": 1, "b": 2}\')',
  "SELECT regexp_extract('a-12', '(\\d+)', 1), regexp_replace('abc', 'b', 'x'), string_split('a,b', ','), 'abc' SIMILAR TO 'a.*'",
  "SELECT n_name FROM nation WHERE n_name ILIKE 'a%' OR n_name ^@ 'B' OR n_name GLOB 'C*'",
  "SELECT TRY_CAST('x' AS INTEGER), '1'::INTEGER, 1::VARCHAR::DECIMAL(4, 1), 'a'::ENUM ('a', 'b'), hash('x') IS NOT NULL",
  "SELECT md5('a'), sha256('a'), base64('a'::BLOB), hex('a'), printf('%05d', 7), format('{:,}', 1234567)",
  "SELECT 1 IN (SELECT r_regionkey FROM region), EXISTS (FROM region), 3 > ALL (SELECT 1), (SELECT max(r_regionkey) FROM region)",
  "SELECT * FROM orders TABLESAMPLE reservoir(5 ROWS) REPEATABLE (1)",
  "SELECT corr(l_tax, l_discount), regr_slope(l_tax, l_discount), stddev(l_tax), median(l_tax), histogram(l_linenumber) FROM lineitem",
  "SELECT x: 1, y: x + 1",
  "SELECT greatest(1, 2), least('a', 'b'), 7 // 2, 7 % 2, 2 ** 3, 5!, @ -3, 1 << 2",
  "SELECT date '2024-01-01' + i::INTEGER AS day FROM range(3) t(i)",
  "SELECT * FROM generate_series(DATE '2024-01-01', DATE '2024-01-05', INTERVAL 1 DAY)",
  'SELECT count(*) AS "DROP TABLE" FROM nation AS "information_schema"',
  "SELECT 1;",
  "  ; SELECT 1 ; -- done",
];

describe("what people ask", function () {
  this.timeout(30_000);

  let folder: string;
  let pond: Pond;
  let plain: DuckDBConnection;

  before(async () => {
    folder = await fs.mkdtemp(path.join(os.tmpdir(), "millpond-test-"));
    const settings = readSettings({ [environmentNames.store]: folder });
    pond = await openPond(settings, createLogger({ environment: { LOG_LEVEL: "fatal" } }));
    plain = await (await DuckDBInstance.create(":memory:")).connect();
    for (const [name, sql] of Object.entries({ ...tpchTables, hits: hits(20_000) })) {
      const file = path.join(folder, "lake", name, "made.parquet");
      await fs.mkdir(path.dirname(file), { recursive: true });
      await plain.run(`COPY (${sql}) TO '${file}' (FORMAT parquet)`);
      await plain.run(`CREATE VIEW ${name} AS FROM '${file}'`);
    }
  });
  after(async () => {
    plain.closeSync();
    await pond.close();
    await fs.rm(folder, { recursive: true });
  });

  /** Asks the pond, and DuckDB without any of it. */
  async function compare(sql: string) {
    const response = await pond.http.request("/query", {
      method: "POST",
      headers: { "content-type": "application/json", accept: "application/x-ndjson" },
      body: JSON.stringify({ sql }),
    });
    const text = await response.text();
    expect(response.status, text.slice(0, 1000)).to.equal(200);
    const rows = (await plain.runAndReadAll(sql)).currentRowCount;
    expect(text.split("\n").filter((line) => line !== "")).to.have.length(rows);
    return rows;
  }

  it("is answered: TPC-H's 22 queries, as many rows as DuckDB finds, and some", async () => {
    const rows: number[] = [];
    for (const sql of tpchQueries) rows.push(await compare(sql));
    expect(rows).to.have.length(22).and.not.include(0);
  });

  it("is answered: ClickBench's 43 queries, as many rows as DuckDB finds", async () => {
    const rows: number[] = [];
    for (const sql of clickbenchQueries) rows.push(await compare(sql));
    expect(rows).to.have.length(43);
    expect(rows.filter((count) => count === 0)).to.have.length(1);
  });

  for (const sql of forms) {
    it(`is answered: ${sql}`, async () => {
      await compare(sql);
    });
  }
});
