import { type DuckDBConnection, DuckDBInstance } from "@duckdb/node-api";
import { expect } from "chai";
import { MillpondError } from "../../app/errors.ts";
import { reviewSql } from "../../app/query/sql-policy.ts";

describe("reviewSql", () => {
  let instance: DuckDBInstance;
  let connection: DuckDBConnection;

  before(async () => {
    instance = await DuckDBInstance.create(":memory:");
    connection = await instance.connect();
  });
  after(() => {
    connection.closeSync();
    instance.closeSync();
  });

  /** Reviews what DuckDB's own parser makes of the SQL, so that no test passes on a syntax error. */
  async function review(sql: string): Promise<string[]> {
    const parsed = await connection.runAndReadAll("SELECT json_serialize_sql($1::VARCHAR)", [sql]);
    const tree = JSON.parse(String(parsed.getRowsJS()[0]?.[0])) as {
      error: boolean;
      error_message?: string;
    };
    expect(tree.error, tree.error_message).to.equal(false);
    return reviewSql(tree).tables;
  }
  async function refusal(sql: string, code = "sql-refused"): Promise<MillpondError> {
    const error = await review(sql).then(
      (tables) => expect.fail(`it was allowed, with the tables ${JSON.stringify(tables)}`),
      (thrown: unknown) => thrown,
    );
    expect(error).to.be.instanceOf(MillpondError);
    expect((error as MillpondError).code).to.equal(code);
    return error as MillpondError;
  }

  describe("of table functions", () => {
    const tableFunctions = [
      "read_csv('/etc/passwd')",
      "read_csv_auto('/etc/passwd')",
      "READ_TEXT('/etc/passwd')",
      "\"read_blob\"('/etc/passwd')",
      "read_json('a.json')",
      "read_ndjson_objects('a.json')",
      "read_parquet(['lake/trips/a.parquet'])",
      "parquet_scan('lake/trips/a.parquet')",
      "parquet_metadata('lake/trips/a.parquet')",
      "parquet_kv_metadata('lake/trips/a.parquet')",
      "read_duckdb('other.db')",
      "sniff_csv('a.csv')",
      "glob('/**')",
      "query('SELECT 1')",
      "query_table('trips')",
      "json_execute_serialized_sql('{}')",
      "sql_auto_complete('SELECT')",
      "duckdb_settings()",
      "duckdb_secrets()",
      "duckdb_tables()",
      "duckdb_functions()",
      "pragma_table_info('trips')",
      "which_secret('s3://pond', 's3')",
      "getenv('HOME')",
      "seq_scan('trips')",
      "summary(trips)",
      "repeat_row(1, num_rows = 3)",
      "test_all_types()",
      "s.range(3)",
      "c.s.range(3)",
      "system.main.read_text('/etc/passwd')",
    ];
    for (const called of tableFunctions) {
      it(`refuses FROM ${called}`, async () => {
        const { details } = await refusal(`SELECT * FROM ${called}`);

        expect(details).to.have.property("function");
      });
    }

    for (const called of [
      "range(3)",
      "RANGE(1, 3)",
      "generate_series(1, 3)",
      "unnest([1, 2])",
      "json_each('[1]')",
      "json_tree('[1]')",
    ]) {
      it(`allows FROM ${called}`, async () => {
        expect(await review(`SELECT * FROM ${called}`)).to.deep.equal([]);
      });
    }
  });

  describe("of functions", () => {
    const functions = [
      "getenv('HOME')",
      "GETENV('HOME')",
      "\"getenv\"('HOME')",
      "system.main.getenv('HOME')",
      "current_setting('temp_directory')",
      "getvariable('x')",
      "nextval('s')",
      "currval('s')",
      "version()",
      "current_user()",
      "current_schema()",
      "current_schemas(true)",
      "current_query()",
      "txid_current()",
      "in_search_path('a', 'b')",
      "has_table_privilege('trips', 'select')",
      "pg_get_viewdef(1)",
      "setseed(0.5)",
      "sleep_ms(1000)",
      "write_log('x')",
      "json_serialize_sql('SELECT 1')",
      "json_deserialize_sql('{}')",
      "read_text('/etc/passwd')",
      "query('SELECT 1')",
      "duckdb_tables()",
      "main.getenv('HOME')",
      "pg_catalog.getenv('HOME')",
      "x.getenv()",
      "t.x.getenv()",
    ];
    for (const called of functions) {
      it(`refuses SELECT ${called}`, async () => {
        const { details } = await refusal(`SELECT ${called}`);

        expect(details).to.have.property("function");
      });
    }

    // § stands where a caller would hide a function.
    const places: [string, string][] = [
      ["the SELECT list", "SELECT §"],
      ["a column's alias", "SELECT x: §"],
      ["an argument", "SELECT upper(concat('a', §))"],
      ["a cast", "SELECT §::INTEGER"],
      ["TRY_CAST", "SELECT TRY_CAST(§ AS INTEGER)"],
      ["TRY", "SELECT TRY(§)"],
      ["a collation", "SELECT § COLLATE nocase"],
      ["a comparison", "SELECT 1 = §"],
      ["BETWEEN", "SELECT 1 BETWEEN 0 AND §"],
      ["IN", "SELECT 1 IN (0, §)"],
      ["LIKE", "SELECT 'x' LIKE §"],
      ["AND", "SELECT true AND §"],
      ["NOT", "SELECT NOT §"],
      ["IS NULL", "SELECT § IS NULL"],
      ["an arithmetic operator", "SELECT 1 + §"],
      ["AT TIME ZONE", "SELECT now() AT TIME ZONE §"],
      ["extract", "SELECT extract(year FROM §)"],
      ["an interval", "SELECT INTERVAL (§) DAYS"],
      ["WHEN", "SELECT CASE WHEN § THEN 1 END"],
      ["THEN", "SELECT CASE WHEN true THEN § END"],
      ["ELSE", "SELECT CASE WHEN true THEN 1 ELSE § END"],
      ["CASE of a value", "SELECT CASE § WHEN 1 THEN 2 END"],
      ["COALESCE", "SELECT COALESCE(NULL, §)"],
      ["a list", "SELECT [1, §]"],
      ["a struct", "SELECT {'a': §}"],
      ["a map", "SELECT MAP {'a': §}"],
      ["a row", "SELECT row(1, §)"],
      ["an index", "SELECT x[§] FROM t"],
      ["a slice", "SELECT x[1:§] FROM t"],
      ["a field's owner", "SELECT (§).a"],
      ["a lambda's body", "SELECT list_transform([1], lambda x: §)"],
      ["an arrow's body", "SELECT list_transform([1], x -> §)"],
      [
        "a lambda in a lambda",
        "SELECT list_transform([[1]], lambda x: list_filter(x, lambda y: §))",
      ],
      ["a list comprehension", "SELECT [§ FOR x IN [1, 2]]"],
      ["a list comprehension's source", "SELECT [x FOR x IN §]"],
      ["a list comprehension's filter", "SELECT [x FOR x IN [1, 2] IF §]"],
      ["DISTINCT ON", "SELECT DISTINCT ON (§) x FROM t"],
      ["REPLACE of a star", "SELECT * REPLACE (§ AS x) FROM t"],
      ["COLUMNS", "SELECT COLUMNS(lambda c: §) FROM t"],
      ["a function of COLUMNS", "SELECT concat(COLUMNS(*), §) FROM t"],
      ["WHERE", "SELECT * FROM t WHERE §"],
      ["GROUP BY", "SELECT 1 FROM t GROUP BY §"],
      ["GROUPING SETS", "SELECT 1 FROM t GROUP BY GROUPING SETS ((x), (§))"],
      ["CUBE", "SELECT 1 FROM t GROUP BY CUBE (§)"],
      ["HAVING", "SELECT count(*) FROM t HAVING §"],
      ["QUALIFY", "SELECT x FROM t QUALIFY §"],
      ["ORDER BY", "SELECT x FROM t ORDER BY § DESC NULLS LAST"],
      ["LIMIT", "SELECT x FROM t LIMIT §"],
      ["LIMIT of a subquery", "SELECT x FROM t LIMIT (SELECT §)"],
      ["LIMIT in percent", "SELECT x FROM t LIMIT (§)%"],
      ["OFFSET", "SELECT x FROM t LIMIT 1 OFFSET §"],
      ["an aggregate", "SELECT sum(§) FROM t"],
      ["an aggregate's FILTER", "SELECT count(*) FILTER (WHERE §) FROM t"],
      ["an aggregate's ORDER BY", "SELECT list(x ORDER BY §) FROM t"],
      ["WITHIN GROUP", "SELECT mode() WITHIN GROUP (ORDER BY §) FROM t"],
      ["PARTITION BY", "SELECT sum(x) OVER (PARTITION BY §) FROM t"],
      ["a window's ORDER BY", "SELECT sum(x) OVER (ORDER BY §) FROM t"],
      ["a window's frame", "SELECT sum(x) OVER (ROWS BETWEEN § PRECEDING AND CURRENT ROW) FROM t"],
      [
        "a window's frame end",
        "SELECT sum(x) OVER (ROWS BETWEEN 1 PRECEDING AND § FOLLOWING) FROM t",
      ],
      ["a window's FILTER", "SELECT sum(x) FILTER (WHERE §) OVER () FROM t"],
      ["a window's argument", "SELECT lag(x, 1, §) OVER () FROM t"],
      ["a named window", "SELECT sum(x) OVER w FROM t WINDOW w AS (PARTITION BY §)"],
      ["a subquery", "SELECT (SELECT §)"],
      ["EXISTS", "SELECT EXISTS (SELECT §)"],
      ["IN of a subquery", "SELECT 1 IN (SELECT §)"],
      ["ANY", "SELECT 1 = ANY (SELECT §)"],
      ["ARRAY of a subquery", "SELECT ARRAY(SELECT §)"],
      ["a subquery in FROM", "SELECT * FROM (SELECT §)"],
      ["a subquery in a subquery", "FROM (FROM (FROM (SELECT §)))"],
      ["LATERAL", "SELECT * FROM t, LATERAL (SELECT §)"],
      ["a join's ON", "SELECT * FROM t LEFT JOIN u ON §"],
      ["a side of a join", "SELECT * FROM t JOIN (SELECT § AS x) u USING (x)"],
      ["a table function's argument", "SELECT * FROM range(§)"],
      ["a sampled subquery", "SELECT * FROM (SELECT §) TABLESAMPLE 10%"],
      ["a CTE", "WITH c AS (SELECT §) SELECT * FROM c"],
      ["a CTE that is not used", "WITH c AS (SELECT §) SELECT 1"],
      ["a materialized CTE", "WITH c AS MATERIALIZED (SELECT §) SELECT * FROM c"],
      ["a CTE of a subquery", "SELECT (WITH c AS (SELECT §) SELECT 1 FROM c)"],
      ["a CTE in a CTE", "WITH a AS (WITH b AS (SELECT §) FROM b) FROM a"],
      [
        "a recursive CTE's start",
        "WITH RECURSIVE c AS (SELECT § UNION ALL SELECT 1 FROM c) FROM c",
      ],
      ["a recursive CTE's step", "WITH RECURSIVE c AS (SELECT 1 UNION ALL SELECT § FROM c) FROM c"],
      [
        "a CTE with a key",
        "WITH RECURSIVE c(a) USING KEY (a) AS (SELECT 1 UNION SELECT § FROM c) FROM c",
      ],
      ["the first arm of UNION", "SELECT § UNION ALL SELECT 1"],
      ["the last arm of UNION", "SELECT 1 UNION SELECT 2 UNION SELECT §"],
      ["UNION BY NAME", "SELECT 1 AS a UNION ALL BY NAME SELECT § AS b"],
      ["EXCEPT", "SELECT 1 EXCEPT SELECT §"],
      ["INTERSECT", "SELECT 1 INTERSECT SELECT §"],
      ["the ORDER BY of a UNION", "SELECT 1 UNION SELECT 2 ORDER BY §"],
      ["VALUES", "VALUES (1), (§)"],
      ["VALUES in FROM", "SELECT * FROM (VALUES (1, §)) v(a, b)"],
      ["PIVOT's aggregate", "FROM (PIVOT t ON x IN ('a') USING sum(§))"],
      ["PIVOT's source", "FROM (PIVOT (SELECT § AS x) ON x IN ('a') USING count(*))"],
      ["UNPIVOT's columns", "FROM (UNPIVOT t ON (§) INTO NAME n VALUE v)"],
      ["UNPIVOT's source", "FROM (UNPIVOT (SELECT § AS x) ON x INTO NAME n VALUE v)"],
      ["SUMMARIZE", "SUMMARIZE SELECT §"],
      ["DESCRIBE", "DESCRIBE SELECT §"],
      ["DESCRIBE in FROM", "FROM (DESCRIBE SELECT §)"],
    ];
    for (const [place, sql] of places) {
      it(`refuses one in ${place}`, async () => {
        const { details } = await refusal(sql.replace("§", () => "getenv('HOME')"));

        expect(details).to.deep.equal({ function: "getenv" });
      });

      it(`allows upper in ${place}, so it is the function that was refused`, async () => {
        await review(sql.replace("§", () => "upper('x')"));
      });
    }

    it("refuses one that is called as a method", async () => {
      for (const sql of [
        "SELECT ('HOME').getenv()",
        "SELECT x.getenv() FROM t",
        "SELECT x.upper().getenv().lower() FROM t",
      ]) {
        expect((await refusal(sql)).details).to.deep.equal({ function: "getenv" });
      }
    });

    it("refuses one as a window function", async () => {
      expect((await refusal("SELECT getenv(x) OVER () FROM t")).details).to.deep.equal({
        function: "getenv",
      });
    });
  });

  it("takes a function that nobody has for mistyped, wherever it stands", async () => {
    for (const sql of ["SELECT no_such(1)", "FROM no_such(1)", "SELECT x.no_such() FROM t"]) {
      const { message, details } = await refusal(sql, "function-unknown");
      expect(message).to.equal("there is no function no_such");
      expect(details).to.include({ function: "no_such" });
    }
  });

  it("says why, where somebody has looked at the function", async () => {
    for (const [sql, why] of [
      ["FROM read_text('/etc/passwd')", /read_text can't stand in a query: it reads files; tables/],
      ["SELECT Current_Setting('x')", /current_setting can't .*: it tells of settings/],
      ["SELECT icu_collate_de('x')", /: it is DuckDB's own/],
      ["SELECT read_csv('x')", /read_csv can't stand in a query: it reads files; tables/],
      ["FROM lower('x')", /the function lower can't stand for a table$/],
    ] as const) {
      expect((await refusal(sql)).message).to.match(why);
    }
  });

  describe("of tables", () => {
    // The caller of the review refuses the names that are no table's.
    const pathTables: [string, string[]][] = [
      ["FROM '/etc/passwd'", ["/etc/passwd"]],
      ["FROM 'https://example.com/a.parquet'", ["https://example.com/a.parquet"]],
      ['FROM "lake/trips/*.parquet"', ["lake/trips/*.parquet"]],
      ["SELECT (SELECT max(a) FROM 'a.csv') FROM trips", ["trips", "a.csv"]],
      ["SUMMARIZE 'a.csv'", ["a.csv"]],
      ["DESCRIBE 'a.csv'", ["a.csv"]],
      ["FROM duckdb_settings", ["duckdb_settings"]],
      ["FROM sqlite_master", ["sqlite_master"]],
      ["FROM pg_tables", ["pg_tables"]],
    ];
    for (const [sql, tables] of pathTables) {
      it(`counts what ${sql} reads as a table`, async () => {
        expect((await review(sql)).toSorted()).to.deep.equal(tables.toSorted());
      });
    }

    for (const name of [
      "s.trips",
      "c.s.trips",
      "main.trips",
      "temp.trips",
      "system.main.trips",
      "information_schema.tables",
      "pg_catalog.pg_class",
      '"lake"."trips"',
    ]) {
      it(`refuses ${name}, which has a schema`, async () => {
        const { message } = await refusal(`SELECT * FROM ${name}`);

        expect(message).to.match(/without a schema/);
      });
    }

    it("refuses another version of a table", async () => {
      expect((await refusal("FROM trips AT (VERSION => 1)")).message).to.match(/one version/);
    });

    for (const sql of [
      "SHOW TABLES",
      "SHOW ALL TABLES",
      "SHOW DATABASES",
      "SHOW TABLES FROM main",
      "DESCRIBE",
      "FROM (SHOW TABLES)",
      "SELECT * FROM trips, (SHOW ALL TABLES)",
    ]) {
      it(`refuses ${sql}, which lists the catalog`, async () => {
        expect((await refusal(sql)).message).to.match(/GET \/tables/);
      });
    }

    it("names each once, lower-case", async () => {
      expect(await review('FROM Trips JOIN "TRIPS" USING (a) JOIN zones USING (b)')).to.deep.equal([
        "trips",
        "zones",
      ]);
    });
  });

  describe("of statements", () => {
    for (const sql of [
      "SELECT 1; SELECT 2",
      "SELECT 1; SELECT 1;",
      "FROM trips; SUMMARIZE trips",
      ";",
      "",
      "-- nothing",
    ]) {
      it(`refuses ${JSON.stringify(sql)}, which is not exactly one`, async () => {
        expect((await refusal(sql)).message).to.match(/exactly one statement/);
      });
    }

    it("refuses what is no tree", () => {
      for (const tree of [{}, { statements: null }, { statements: {} }]) {
        expect(() => reviewSql(tree)).to.throw(MillpondError, /exactly one statement/);
      }
    });

    it("refuses a kind of node that it has not seen", () => {
      const node = (type: string, more = {}) => ({ statements: [{ node: { type, ...more } }] });

      for (const tree of [
        node("INSERT_NODE"),
        node("BOUND_SOMETHING", { class: "BOUND_SOMETHING" }),
        // A class of expression is no excuse for a node that is none, nor the other way.
        node("BASE_TABLE", { class: "BASE_TABLE" }),
        node("COLUMN_REF"),
      ]) {
        expect(() => reviewSql(tree)).to.throw(MillpondError, /can't stand in a query/);
      }
    });
  });

  describe("of what it allows", () => {
    const allowed: [string, string[]][] = [
      ["SELECT 1", []],
      ["SELECT 1;", []],
      [";SELECT 1;; -- done; really", []],
      ["FROM trips", ["trips"]],
      ["TABLE trips", ["trips"]],
      ["VALUES (1), (2)", []],
      ["SELECT * FROM trips ORDER BY ALL LIMIT 10 OFFSET 5", ["trips"]],
      ["SELECT * FROM trips LIMIT 10%", ["trips"]],
      ['SELECT "set", "drop" AS "table" FROM trips', ["trips"]],
      ["SELECT set, load, copy FROM trips", ["trips"]],
      ["SELECT 'DROP TABLE trips; --', 'read_csv(''x'')', $$; ATTACH 'x'$$", []],
      ["SELECT 1 /* ; DROP TABLE trips */", []],
      ["SELECT a AS read_csv FROM trips AS getenv", ["trips"]],
      ["SELECT getenv FROM trips", ["trips"]],
      ["SELECT trips FROM trips", ["trips"]],
      ["SELECT $1, ?2", []],
      ["SELECT $name", []],
      ["SELECT #1 FROM trips", ["trips"]],
      ["SUMMARIZE trips", ["trips"]],
      ["SUMMARIZE SELECT * FROM trips", ["trips"]],
      ["DESCRIBE trips", ["trips"]],
      ["DESCRIBE SELECT * FROM trips JOIN zones USING (id)", ["trips", "zones"]],
      ["SHOW trips", ["trips"]],
      ["FROM (DESCRIBE trips)", ["trips"]],
      ["UNPIVOT trips ON a, b INTO NAME n VALUE v", ["trips"]],
      ["UNPIVOT trips ON COLUMNS(* EXCLUDE id) INTO NAME n VALUE v", ["trips"]],
      ["FROM (PIVOT trips ON day IN ('mon', 'tue') USING sum(fare) GROUP BY zone)", ["trips"]],
      ["FROM trips PIVOT (sum(fare) FOR day IN ('mon', 'tue'))", ["trips"]],
      ["SELECT sum(a) OVER (PARTITION BY b ORDER BY c ROWS 3 PRECEDING) FROM trips", ["trips"]],
      ["SELECT row_number() OVER w, rank() OVER w FROM trips WINDOW w AS (ORDER BY a)", ["trips"]],
      ["SELECT a FROM trips QUALIFY row_number() OVER (PARTITION BY b) = 1", ["trips"]],
      ["SELECT * FROM trips t, LATERAL (SELECT t.a + 1 AS b)", ["trips"]],
      ["SELECT * FROM trips ASOF JOIN zones ON trips.at >= zones.at", ["trips", "zones"]],
      ["SELECT * FROM trips SEMI JOIN zones USING (id)", ["trips", "zones"]],
      ["SELECT * FROM trips POSITIONAL JOIN zones", ["trips", "zones"]],
      ["SELECT * FROM trips NATURAL JOIN zones", ["trips", "zones"]],
      ["SELECT list_transform([1], lambda x: x + 1), list_filter([1], x -> x > 0)", []],
      ["SELECT list_reduce([1, 2], lambda a, b: a + b)", []],
      ["SELECT [x * 2 FOR x IN [1, 2] IF x > 1], [1, 2, 3][1:2], [1][1]", []],
      ["SELECT struct_pack(a := 1), {'a': 1}.a, MAP {'a': 1}['a'], row(1, 2)", []],
      ["SELECT ('x').upper().concat('y')", []],
      ["SELECT main.abs(1), system.main.abs(1)", []],
      ["SELECT name.lower().replace('a', 'b'), t.name.upper() FROM trips t", ["trips"]],
      ["SELECT * EXCLUDE (a) REPLACE (b + 1 AS b) RENAME (c AS d) FROM trips", ["trips"]],
      ["SELECT COLUMNS('a.*'), min(COLUMNS(*)) FROM trips", ["trips"]],
      ["SELECT DISTINCT ON (a) a, b FROM trips ORDER BY b", ["trips"]],
      ["SELECT * FROM trips TABLESAMPLE reservoir(10 ROWS)", ["trips"]],
      ["SELECT * FROM trips USING SAMPLE 10%", ["trips"]],
      ["SELECT a, grouping(a) FROM trips GROUP BY ROLLUP (a)", ["trips"]],
      ["SELECT a, count(*) FILTER (a > 1) FROM trips GROUP BY ALL HAVING count(*) > 1", ["trips"]],
      [
        "SELECT a::DECIMAL(10, 2), a::STRUCT(b INTEGER[]), 'a'::ENUM ('a', 'b') FROM trips",
        ["trips"],
      ],
      ["SELECT quantile_cont(a, [0.1, 0.9]), approx_quantile(a, 0.5) FROM trips", ["trips"]],
      [
        "SELECT date_trunc('month', d), extract(year FROM d), d + INTERVAL 1 DAY FROM trips",
        ["trips"],
      ],
      ["SELECT a ->> '$.b', json_extract(a, '$.c') FROM trips", ["trips"]],
      ["SELECT a FROM trips UNION BY NAME SELECT b FROM zones", ["trips", "zones"]],
      ["SELECT * FROM trips WHERE (a, b) IN (SELECT a, b FROM zones)", ["trips", "zones"]],
    ];
    for (const [sql, tables] of allowed) {
      it(`allows ${sql}`, async () => {
        expect((await review(sql)).toSorted()).to.deep.equal(tables.toSorted());
      });
    }
  });

  describe("of CTEs", () => {
    const scoped: [string, string, string[]][] = [
      ["hides the table of its name", "WITH trips AS (SELECT 1) FROM trips", []],
      ["is found whatever its case", "WITH trips AS (SELECT 1) FROM TRIPS", []],
      ["reads the table of its own name", "WITH trips AS (FROM trips) FROM trips", ["trips"]],
      [
        "is there in every clause of its query",
        "WITH c AS (SELECT 1 AS x) SELECT (SELECT max(x) FROM c) FROM trips WHERE a IN (FROM c) " +
          "GROUP BY (SELECT 1 FROM c) ORDER BY (SELECT 1 FROM c) LIMIT (SELECT x FROM c)",
        ["trips"],
      ],
      ["is there in subqueries", "WITH c AS (SELECT 1) FROM (FROM (FROM c))", []],
      ["is there in both arms of a UNION", "WITH c AS (SELECT 1) FROM c UNION ALL FROM c", []],
      ["may read those before it", "WITH a AS (FROM trips), b AS (FROM a) FROM b", ["trips"]],
      ["can't read those after it", "WITH a AS (FROM b), b AS (SELECT 1) FROM a", ["b"]],
      [
        "can't read those after it, recursive or not",
        "WITH RECURSIVE a AS (SELECT 1 UNION ALL FROM b), b AS (SELECT 1) FROM a",
        ["b"],
      ],
      ["ends with its subquery", "SELECT * FROM (WITH c AS (SELECT 1) FROM c) x, c", ["c"]],
      ["ends with its arm of a UNION", "(WITH c AS (SELECT 1) FROM c) UNION ALL FROM c", ["c"]],
      [
        "ends with the CTE that it is in",
        "WITH a AS (WITH b AS (SELECT 1) FROM b) FROM a, b",
        ["b"],
      ],
      ["may hide another", "WITH a AS (SELECT 1) FROM (WITH a AS (FROM a) FROM a)", []],
      ["may be in DESCRIBE", "DESCRIBE WITH c AS (FROM trips) FROM c", ["trips"]],
      [
        "may be nested deep",
        "WITH a AS (WITH b AS (WITH c AS (FROM trips) FROM c) FROM b) FROM a",
        ["trips"],
      ],
      [
        "may be recursive",
        "WITH RECURSIVE c AS (SELECT 1 AS n UNION ALL SELECT n + 1 FROM c WHERE n < 5) FROM c",
        [],
      ],
      ["is not its own where it doesn't recur", "WITH RECURSIVE c AS (FROM c) FROM c", ["c"]],
    ];
    for (const [what, sql, tables] of scoped) {
      it(`one ${what}`, async () => {
        expect(await review(sql)).to.deep.equal(tables);
      });
    }

    // DuckDB looks there for a table, or a file, of that name.
    it("a recursive one is a table in its own start", async () => {
      const sql =
        "WITH RECURSIVE 'a.csv' AS (FROM 'a.csv' UNION ALL FROM 'a.csv' WHERE false) FROM 'a.csv'";

      expect(await review(sql.replaceAll("'", '"'))).to.deep.equal(["a.csv"]);
    });

    // U+212A, the Kelvin sign, is k in lower case to JavaScript, but not to DuckDB: there it names another table.
    it("one is not found by a name whose case differs beyond ASCII", async () => {
      expect(await review('WITH "la\u212Ae.csv" AS (SELECT 1) FROM "lake.csv"')).to.deep.equal([
        "lake.csv",
      ]);
      expect(await review('WITH "É" AS (SELECT 1) FROM "é"')).to.deep.equal(["é"]);
    });

    it("one hides nothing of a schema", async () => {
      await refusal("WITH trips AS (SELECT 1) FROM main.trips");
    });
  });
});
