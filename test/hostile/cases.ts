import { gzipSync } from "node:zlib";

/**
 * What strangers try, in one table: add a line, and it is tried. `{…}` in SQL stands for what the suite knows by then: `{decoy}` and
 * `{decoyPort}`, a server that nobody must reach; `{endpoint}`, the store's; `{bucket}`, the pond's; `{other}`, a bucket that is not; and
 * `{file}`, a file on this machine.
 */

/** Codes that a case may end in. More than one where it is the machine that decides which limit is met first. */
export type Expected = string | readonly string[];

/** A fresh answer is as good as a refusal: what is tried must only come to nothing. */
export const harmless = "answered";

const refused = "sql-refused";
const invalid = "sql-invalid";
const unknown = "table-unknown";
const noFunction = "function-unknown";
export const limits = ["deadline", "out-of-memory", "out-of-disk", "answer-too-large"] as const;

/** SQL by its kind. */
export const sqlCases: readonly { kind: string; expected: Expected; sql: readonly string[] }[] = [
  // ── files ─────────────────────────────────────────────────────────────────
  {
    kind: "a function that reads text",
    expected: refused,
    sql: [
      "SELECT * FROM read_text('{file}')",
      "FROM READ_TEXT('/proc/self/environ')",
      "SELECT content FROM \"read_text\"('/etc/passwd')",
      "SELECT (SELECT content FROM read_text('/etc/hostname'))",
      "FROM read_text(['{file}', '/etc/passwd'])",
      "FROM read_text('/etc/' || 'passwd')",
      "FROM read_text('~/.aws/credentials')",
      "SELECT * FROM people, LATERAL (FROM read_text('/etc/' || name))",
      "FROM main.read_text('{file}')",
      "FROM system.main.read_text('{file}')",
    ],
  },
  {
    kind: "a function that reads bytes",
    expected: refused,
    sql: ["FROM read_blob('{file}')", "FROM read_blob('/proc/self/mem')", "FROM read_blob('**')"],
  },
  {
    kind: "a function that reads CSV",
    expected: refused,
    sql: [
      "FROM read_csv('{file}')",
      "FROM read_csv_auto('/etc/passwd', delim=':')",
      "FROM read_csv('/dev/stdin')",
      "FROM sniff_csv('{file}')",
    ],
  },
  {
    kind: "a function that reads JSON",
    expected: refused,
    sql: [
      "FROM read_json('{file}')",
      "FROM read_ndjson_objects('{file}')",
      "FROM read_json_objects_auto('{file}')",
    ],
  },
  {
    kind: "a function that reads Parquet",
    expected: refused,
    sql: [
      "FROM read_parquet('s3://{bucket}/lake/people/*.parquet')",
      "FROM parquet_scan('{file}')",
      "FROM parquet_metadata('s3://{bucket}/lake/people/*')",
      "FROM parquet_kv_metadata('s3://{bucket}/lake/people/*')",
      "FROM parquet_bloom_probe('{file}', 'id', 1)",
      "FROM parquet_file_metadata('{file}')",
    ],
  },
  {
    kind: "a function that lists files",
    expected: refused,
    sql: ["FROM glob('/**')", "FROM glob('s3://{bucket}/**')", "SELECT * FROM glob('~/*')"],
  },
  {
    kind: "a database in a file",
    expected: refused,
    sql: ["FROM read_duckdb('{file}')", "FROM seq_scan('people')"],
  },
  {
    kind: "a file where a table's name stands",
    expected: unknown,
    sql: [
      "FROM '{file}'",
      'FROM "{file}"',
      "FROM '/etc/passwd'",
      "SELECT * FROM '/proc/self/environ'",
      "FROM 'people.csv'",
      "FROM '../people.parquet'",
      "FROM '~/x.parquet'",
      "FROM 'file:///etc/passwd'",
      "FROM '/proc/self/fd/0'",
      "SUMMARIZE '{file}'",
      "DESCRIBE '{file}'",
      "FROM people JOIN '{file}' USING (id)",
      "SELECT (SELECT count(*) FROM '{file}') FROM people",
      "FROM 'glob/*.csv'",
      "FROM '{file}' WHERE false",
      "UNPIVOT '{file}' ON a INTO NAME n VALUE v",
      "FROM (PIVOT '{file}' ON x IN (1) USING sum(y))",
    ],
  },
  {
    kind: "a file behind a name that a CTE has elsewhere",
    expected: unknown,
    sql: [
      'SELECT * FROM (WITH "{file}" AS (SELECT 1) FROM "{file}") x, \'{file}\'',
      'WITH RECURSIVE "{file}" AS (FROM "{file}" UNION ALL FROM "{file}" WHERE false) FROM "{file}"',
      'WITH a AS (FROM "{file}"), "{file}" AS (SELECT 1) FROM a',
      'WITH "La\u212Ae.csv" AS (SELECT 1) FROM "lake.csv"',
    ],
  },

  // ── the network ───────────────────────────────────────────────────────────
  {
    kind: "another bucket",
    expected: unknown,
    sql: [
      "FROM 's3://{other}/secret.csv'",
      "FROM 's3://{other}/secret.parquet'",
      'FROM "s3://{other}/*.parquet"',
    ],
  },
  {
    kind: "another part of the bucket",
    expected: unknown,
    sql: [
      "FROM 's3://{bucket}/inbox/secret.csv'",
      "FROM 's3://{bucket}/lake/../inbox/secret.csv'",
      "FROM 's3://{bucket}/lake/%2e%2e/inbox/secret.csv'",
      "FROM 's3://{bucket}/lake/people/../../inbox/secret.csv'",
      "FROM 's3://{bucket}/lake/people/people.parquet'",
    ],
  },
  {
    kind: "another endpoint by a URL's parameters",
    expected: unknown,
    sql: [
      "FROM 's3://{bucket}/lake/x.parquet?s3_endpoint={decoyPort}&s3_use_ssl=false'",
      "FROM 's3://{bucket}/lake/x.parquet?s3_endpoint=127.0.0.1:{decoyPort}&s3_url_style=path'",
      "FROM 's3://{bucket}/lake/x.csv?s3_access_key_id=x&s3_secret_access_key=y'",
    ],
  },
  {
    kind: "a server of HTTP",
    expected: unknown,
    sql: [
      "FROM '{decoy}/a.parquet'",
      "FROM '{decoy}/a.csv'",
      "FROM '{decoy}/redirect.json'",
      "FROM 'HTTP://127.0.0.1:{decoyPort}/a.csv'",
      "FROM 'https://localhost:{decoyPort}/a.csv'",
      "FROM 'http://user:pass@127.0.0.1:{decoyPort}/a.csv'",
      "SELECT * FROM people, '{decoy}/a.csv'",
    ],
  },
  {
    kind: "a server of HTTP, by a function",
    expected: refused,
    sql: [
      "FROM read_csv('{decoy}/a.csv')",
      "FROM read_text('{decoy}/a')",
      "FROM read_parquet(['{decoy}/a.parquet'])",
      "FROM read_json('{decoy}/redirect.json')",
    ],
  },
  {
    kind: "the Lambda Runtime API",
    expected: unknown,
    sql: [
      "FROM 'http://127.0.0.1:9001/2018-06-01/runtime/invocation/next'",
      "FROM 'http://localhost:9001/2020-01-01/extension/register.csv'",
    ],
  },
  {
    kind: "the address of metadata, in its spellings",
    expected: unknown,
    sql: [
      "FROM 'http://169.254.169.254/latest/meta-data/iam.csv'",
      "FROM 'http://2852039166/latest/meta-data.csv'",
      "FROM 'http://0xA9FEA9FE/latest/meta-data.csv'",
      "FROM 'http://0251.0376.0251.0376/latest/meta-data.csv'",
      "FROM 'http://169.254.43518/latest.csv'",
      "FROM 'http://[::ffff:169.254.169.254]/latest.csv'",
      "FROM 'http://[fd00:ec2::254]/latest/meta-data.csv'",
      "FROM 'http://169.254.170.2/v2/credentials.json'",
      "FROM 'http://①⑥⑨.254.169.254/latest.csv'",
    ],
  },
  {
    kind: "another scheme of storage",
    expected: unknown,
    sql: [
      "FROM 'hf://datasets/a/b/c.csv'",
      "FROM 'gcs://bucket/a.parquet'",
      "FROM 'gs://bucket/a.parquet'",
      "FROM 'r2://bucket/a.parquet'",
      "FROM 'az://container/a.parquet'",
      "FROM 'abfss://container/a.parquet'",
      "FROM 'ftp://127.0.0.1:{decoyPort}/a.csv'",
      "FROM 's3a://{other}/a.csv'",
      "FROM 's3n://{other}/a.csv'",
      "FROM 'ssh://127.0.0.1/a.csv'",
      "FROM 'md:share/x'",
    ],
  },

  // ── secrets ───────────────────────────────────────────────────────────────
  {
    kind: "settings",
    expected: refused,
    sql: [
      "SELECT current_setting('s3_secret_access_key')",
      "SELECT Current_Setting('temp_directory')",
      "FROM duckdb_settings()",
      "SELECT error(current_setting('s3_session_token'))",
      "SELECT list_transform(['s3_access_key_id'], x -> current_setting(x))",
      "SELECT main.current_setting('home_directory')",
      "SELECT ('memory_limit').current_setting()",
    ],
  },
  {
    kind: "secrets",
    expected: refused,
    sql: [
      "FROM duckdb_secrets()",
      "FROM duckdb_secrets(redact=false)",
      "FROM which_secret('s3://{bucket}/lake/', 's3')",
      "FROM duckdb_secret_types()",
    ],
  },
  {
    kind: "the environment",
    expected: refused,
    sql: [
      "SELECT getenv('AWS_SECRET_ACCESS_KEY')",
      "SELECT GETENV('HOME')",
      "SELECT getenv(name) FROM people",
    ],
  },
  {
    kind: "variables",
    expected: refused,
    sql: ["SELECT getvariable('x')", "FROM duckdb_variables()"],
  },
  {
    kind: "what was done before",
    expected: refused,
    sql: [
      "FROM duckdb_external_file_cache()",
      "FROM duckdb_logs()",
      "FROM duckdb_logs_parsed('HTTP')",
      "FROM duckdb_log_contexts()",
      "FROM duckdb_temporary_files()",
      "FROM duckdb_prepared_statements()",
      "SELECT current_query()",
      "FROM duckdb_memory()",
    ],
  },
  {
    kind: "the catalog, by a function",
    expected: refused,
    sql: [
      "FROM duckdb_tables()",
      "FROM duckdb_views()",
      "FROM duckdb_databases()",
      "FROM duckdb_extensions()",
      "FROM duckdb_functions()",
      "FROM pragma_table_info('people')",
      "FROM pragma_database_size()",
      "FROM pragma_storage_info('people')",
      "SELECT pg_get_viewdef(1)",
    ],
  },
  {
    kind: "the catalog, by a schema",
    expected: refused,
    sql: [
      "FROM information_schema.tables",
      "FROM pg_catalog.pg_class",
      "FROM main.people",
      "FROM temp.people",
      "FROM memory.main.people",
      "FROM system.information_schema.columns",
      'FROM "main"."sqlite_master"',
    ],
  },
  {
    kind: "the catalog, by a view's name",
    expected: unknown,
    sql: [
      "FROM duckdb_settings",
      "FROM duckdb_secrets",
      "FROM sqlite_master",
      "FROM sqlite_schema",
      "FROM pg_tables",
      "FROM pragma_version",
      "FROM duckdb_views",
    ],
  },
  {
    kind: "SHOW",
    expected: refused,
    sql: ["SHOW TABLES", "SHOW ALL TABLES", "SHOW DATABASES", "DESCRIBE", "FROM (SHOW ALL TABLES)"],
  },
  {
    kind: "SHOW of variables",
    expected: [refused, unknown],
    sql: ["SHOW VARIABLES", "SHOW SECRETS"],
  },

  // ── writing ───────────────────────────────────────────────────────────────
  {
    kind: "COPY",
    expected: refused,
    sql: [
      "COPY (SELECT 1) TO '{file}'",
      "COPY people TO 's3://{bucket}/lake/people/evil.parquet'",
      "COPY (FROM people) TO 's3://{other}/x.csv'",
      "COPY (FROM people) TO '{decoy}/x.csv'",
      "COPY people FROM '{file}'",
      "COPY FROM DATABASE memory TO temp",
      "COPY (SELECT 1) TO '/dev/stdout'",
      "copy\n(select 1)\nto '{file}'",
    ],
  },
  {
    kind: "EXPLAIN",
    expected: refused,
    sql: [
      "EXPLAIN SELECT 1",
      "EXPLAIN ANALYZE COPY (SELECT 1) TO '{file}'",
      "EXPLAIN ANALYZE SELECT 1",
      "EXPLAIN (FORMAT json) SELECT 1",
    ],
  },
  {
    kind: "EXPORT and IMPORT",
    expected: refused,
    sql: ["EXPORT DATABASE '{file}'", "IMPORT DATABASE '{file}'"],
  },
  {
    kind: "ATTACH",
    expected: refused,
    sql: [
      "ATTACH '{file}' AS x",
      "ATTACH 's3://{other}/x.db' AS x (READ_ONLY)",
      "ATTACH IF NOT EXISTS ':memory:' AS x",
      "DETACH memory",
      "USE memory.main",
    ],
  },
  {
    kind: "extensions",
    expected: refused,
    sql: [
      "INSTALL spatial",
      "FORCE INSTALL httpfs FROM '{decoy}'",
      "INSTALL x FROM community",
      "LOAD '{file}'",
      "LOAD spatial",
      "UPDATE EXTENSIONS",
    ],
  },
  {
    kind: "CREATE",
    expected: refused,
    sql: [
      "CREATE TABLE x AS SELECT 1",
      "CREATE TEMP TABLE x (a INTEGER)",
      "CREATE VIEW people AS SELECT 1",
      "CREATE OR REPLACE TEMP VIEW people AS SELECT 1 AS id",
      "CREATE SCHEMA s",
      "CREATE SEQUENCE s",
      "CREATE TYPE t AS ENUM ('a')",
      "CREATE INDEX i ON people (id)",
      "CREATE SECRET (TYPE s3, ENDPOINT '127.0.0.1:{decoyPort}')",
      "CREATE PERSISTENT SECRET p (TYPE s3)",
    ],
  },
  {
    kind: "macros that shadow",
    expected: refused,
    sql: [
      "CREATE MACRO upper(x) AS 'evil'",
      "CREATE TEMP MACRO count(x) AS 0",
      "CREATE OR REPLACE FUNCTION f() AS TABLE FROM people",
    ],
  },
  {
    kind: "DROP and ALTER",
    expected: refused,
    sql: [
      "DROP TABLE people",
      "DROP VIEW IF EXISTS people",
      "DROP SECRET lake",
      "ALTER TABLE people ADD COLUMN x INTEGER",
      "ALTER VIEW people RENAME TO humans",
      "COMMENT ON TABLE people IS 'x'",
    ],
  },
  {
    kind: "rows",
    expected: refused,
    sql: [
      "INSERT INTO people VALUES (1, 'x')",
      "UPDATE people SET name = 'x'",
      "DELETE FROM people",
      "TRUNCATE people",
      "MERGE INTO people USING people p ON true WHEN MATCHED THEN DELETE",
    ],
  },
  {
    kind: "rows, in a CTE",
    expected: [refused, invalid],
    sql: [
      "WITH x AS (DELETE FROM people RETURNING *) FROM x",
      "WITH x AS (INSERT INTO people VALUES (1, 'x') RETURNING *) SELECT * FROM x",
      "WITH x AS (SELECT 1) DELETE FROM people",
    ],
  },
  {
    kind: "SET",
    expected: refused,
    sql: [
      "SET memory_limit = '100GB'",
      "SET GLOBAL enable_external_access = true",
      "SET SESSION s3_endpoint = '127.0.0.1:{decoyPort}'",
      "SET VARIABLE x = 1",
      "SET s3_url_compatibility_mode = false",
      "RESET enable_external_access",
      "RESET ALL",
      "SET search_path = 'temp'",
      "SET lock_configuration = false",
    ],
  },
  {
    kind: "PRAGMA and CALL",
    expected: refused,
    sql: [
      "PRAGMA database_list",
      "PRAGMA enable_profiling = 'json'",
      "PRAGMA table_info('people')",
      "PRAGMA threads = 100",
      "CALL enable_logging()",
      "CALL pragma_version()",
      "CALL force_checkpoint()",
      "CALL duckdb_secrets()",
    ],
  },
  {
    kind: "prepared statements",
    expected: refused,
    sql: ["PREPARE p AS SELECT 1", "EXECUTE p", "DEALLOCATE p", "EXECUTE p(1)"],
  },
  {
    kind: "transactions and upkeep",
    expected: refused,
    sql: ["BEGIN", "COMMIT", "ROLLBACK", "CHECKPOINT", "FORCE CHECKPOINT", "VACUUM", "ANALYZE"],
  },

  // ── by the back door ──────────────────────────────────────────────────────
  {
    kind: "SQL in a text",
    expected: refused,
    sql: [
      "FROM query('SELECT 1')",
      "FROM query('COPY (SELECT 1) TO ''{file}''')",
      "FROM query_table('people')",
      "FROM query_table(['people', '{file}'])",
      "FROM json_execute_serialized_sql(json_serialize_sql('SELECT 1'))",
      "SELECT json_serialize_sql('SELECT 1')",
      "SELECT json_deserialize_sql('{}')",
      "SELECT json_serialize_plan('FROM people')",
      "FROM sql_auto_complete('SELECT')",
      "FROM check_peg_parser('SELECT 1')",
      "FROM summary(people)",
      "FROM histogram('people', 'id')",
    ],
  },
  {
    kind: "a second statement",
    expected: refused,
    sql: [
      "SELECT 1; DROP TABLE people",
      "SELECT 1;;SELECT 2",
      "SELECT 1; COPY (SELECT 1) TO '{file}'",
      "; SELECT 1; SET threads = 1",
      "SELECT 1;\u00a0SELECT 2",
      "SELECT 1 /* ; */; SELECT 2",
      "SELECT $$;$$; SELECT 2",
      "SELECT ';' ; ATTACH '{file}'",
    ],
  },
  {
    kind: "what closes the parenthesis around it",
    expected: invalid,
    sql: [
      "SELECT 1) TO '{file}'; --",
      "SELECT 1\n)) TO '{file}' (FORMAT csv); --",
      "SELECT 1) UNION ALL (FROM read_text('{file}')",
      "FROM people) x, (FROM read_text('{file}')",
    ],
  },
  {
    kind: "a comment that ends elsewhere for others",
    expected: [noFunction, harmless, refused, invalid],
    sql: [
      "SELECT 1 -- \r; COPY (SELECT 1) TO '{file}'",
      "SELECT 1 -- \u2028; COPY (SELECT 1) TO '{file}'",
      "SELECT 1 -- \u0085; COPY (SELECT 1) TO '{file}'",
      "SELECT 1 /* /* */; COPY (SELECT 1) TO '{file}' /* */",
      "SELECT 1 /* */ */",
      "SELECT 1 --",
      "SELECT 1 --\n--",
      "SELECT 1 /*",
    ],
  },
  {
    kind: "a NUL",
    expected: invalid,
    sql: [
      "SELECT 1\u0000; DROP TABLE people",
      "\u0000SELECT 1",
      "FROM people\u0000'{file}'",
      "SELECT 'a\u0000b'",
    ],
  },
  {
    kind: "spaces of Unicode",
    expected: [harmless, refused, invalid, unknown],
    sql: [
      "SELECT\u00a01",
      "SELECT\u30001",
      "FROM\u2003read_text('{file}')",
      "\ufeffSELECT 1",
      "SELECT\u200b1",
      "SELECT 1\u2029;DROP TABLE people",
    ],
  },
  {
    kind: "letters that look, or fold, alike",
    expected: [noFunction, refused, invalid, unknown],
    sql: [
      "FROM ｒｅａｄ_ｔｅｘｔ('{file}')",
      "FROM rеad_text('{file}')",
      "SELECT GETENV\u200b('HOME')",
      "FROM ſniff_csv('{file}')",
      "SELECT CURRENT_\u017fETTING('x')",
    ],
  },
  {
    kind: "quotes of all kinds",
    expected: [refused, unknown, invalid],
    sql: [
      "FROM $${file}$$",
      "FROM e'\\x2fetc\\x2fpasswd'",
      "FROM U&'\\002fetc/passwd'",
      'FROM "read_text"($x$' + "{file}$x$)",
      "FROM x'2f6574632f706173737764'",
      "FROM 'a''b.csv'",
      'FROM "a""b.csv"',
      "FROM `{file}`",
      "FROM [ '{file}' ]",
    ],
  },
  {
    kind: "a function by another way to call it",
    expected: refused,
    sql: [
      "SELECT ('HOME').getenv()",
      "SELECT name.getenv() FROM people",
      "SELECT [x.getenv() FOR x IN ['HOME']]",
      "SELECT getenv(x) OVER () FROM (SELECT 'a' AS x)",
      "SELECT count(*) FILTER (WHERE getenv('HOME') = 'x') FROM people",
      "SELECT COLUMNS(lambda c: getenv(c) IS NULL) FROM people",
      "SELECT {'a': getenv('HOME')}.a",
      "SELECT TRY(getenv('HOME'))",
      "SELECT list_reduce(['a', 'b'], lambda x, y: getenv(x))",
      "SELECT * FROM range(getenv('X')::INTEGER)",
      "SELECT 1 LIMIT (SELECT length(getenv('HOME')))",
      "VALUES (getenv('HOME'))",
      "SELECT 1 ORDER BY getenv('HOME')",
    ],
  },
  {
    kind: "an aggregate named by a text",
    expected: [invalid, "internal"],
    sql: [
      "SELECT list_aggregate([1], 'getenv')",
      "SELECT list_aggregate(['x'], 'read_text')",
      "SELECT array_aggr(['a'], 'current_setting')",
    ],
  },
  {
    kind: "functions that wait or write",
    expected: refused,
    sql: [
      "SELECT sleep_ms(100000)",
      "SELECT pg_sleep(100)",
      "SELECT write_log('x')",
      "SELECT setseed(0.5)",
      "SELECT nextval('s')",
      "FROM enable_profiling()",
      "FROM checkpoint()",
    ],
  },
  {
    kind: "an older version of a table",
    expected: refused,
    sql: ["FROM people AT (VERSION => 1)", "FROM people AT (TIMESTAMP => now())"],
  },
  {
    kind: "a PIVOT whose columns are not known",
    expected: refused,
    sql: [
      "PIVOT people ON name",
      "PIVOT people ON name USING count(*)",
      "WITH x AS (FROM people) PIVOT x ON name",
    ],
  },
  {
    kind: "internal functions",
    expected: refused,
    sql: [
      "SELECT __internal_compress_string_hugeint('x')",
      "SELECT create_sort_key('a', 'ASC')",
      "SELECT finalize('x')",
      "SELECT vector_type(1)",
      "FROM test_all_types()",
      "FROM test_vector_types(NULL::INTEGER)",
    ],
  },
  {
    kind: "names that nobody has",
    expected: [noFunction, invalid, refused],
    sql: ["SELECT nope FROM people", "SELECT nope(1)", "SELECT people.nope FROM people"],
  },
  {
    kind: "text that is no SQL",
    expected: [invalid, unknown, refused],
    sql: ["", " ", "hello", "SELEC 1", "{}", "<script>alert(1)</script>", "\ud800", "💥"],
  },

  // ── exhaustion ────────────────────────────────────────────────────────────
  {
    kind: "recursion without an end",
    expected: limits,
    sql: [
      "WITH RECURSIVE c AS (SELECT 1 AS n UNION ALL SELECT n + 1 FROM c) SELECT count(*) FROM c",
      "WITH RECURSIVE c AS (SELECT 1 AS n UNION ALL SELECT n FROM c) SELECT max(n) FROM c",
    ],
  },
  {
    kind: "a product of many rows",
    expected: limits,
    sql: [
      "SELECT count(*) FROM range(10000000) a(i), range(10000000) b(j) WHERE hash(i, j) = 1",
      "SELECT sum(hash(i)) FROM range(1000000000000) t(i)",
      "SELECT count(DISTINCT i) FROM range(1000000000000) t(i)",
    ],
  },
  {
    kind: "a text that is too long, made",
    expected: [...limits, invalid],
    sql: [
      "SELECT length(repeat(name, 2000000000)) FROM people",
      "SELECT string_agg(repeat('x', 1000000), '') FROM range(100000)",
      "SELECT lpad('x', 2000000000, 'y') || name FROM people",
      "SELECT printf('%2000000000d', id) FROM people",
      "SELECT format('{:>2000000000}', id) FROM people",
    ],
  },
  {
    kind: "a text that is too long, planned",
    expected: [...limits, invalid, "engine-died"],
    sql: [
      "SELECT length(repeat('x', 2000000000))",
      "SELECT repeat(repeat('x', 1000000), 4000) = 'y'",
      "SELECT list_sum(list_transform(range(100000000), lambda x: x * 2))",
    ],
  },
  {
    kind: "nesting that is too deep",
    expected: [invalid, refused, harmless, ...limits],
    sql: [
      `SELECT ${"(".repeat(100_000)}1${")".repeat(100_000)}`,
      `SELECT ${"(".repeat(100_000)}`,
      `SELECT ${"[".repeat(50_000)}1${"]".repeat(50_000)}`,
      `SELECT ${"abs(".repeat(50_000)}1${")".repeat(50_000)}`,
      `SELECT ${"-".repeat(1)}${"(-".repeat(50_000)}1${")".repeat(50_000)}`,
      `SELECT ${"NOT ".repeat(100_000)}true`,
      `SELECT 1${" + 1".repeat(100_000)}`,
      `SELECT 'a'${" || 'a'".repeat(100_000)}`,
      `${"SELECT * FROM (".repeat(10_000)}SELECT 1${")".repeat(10_000)}`,
      `SELECT CASE ${"WHEN true THEN CASE ".repeat(20_000)}`,
      `SELECT 1${" UNION ALL SELECT 1".repeat(20_000)}`,
      `SELECT ${"x -> ".repeat(20_000)}1`,
      `SELECT ${"{'a': ".repeat(20_000)}1${"}".repeat(20_000)}`,
      `SELECT NULL::${"STRUCT(a ".repeat(10_000)}INTEGER${")".repeat(10_000)}`,
      `SELECT 1::INTEGER${"[]".repeat(50_000)}`,
    ],
  },
  {
    kind: "a list that is too long",
    expected: [harmless, ...limits],
    sql: [
      `SELECT ${Array.from({ length: 100_000 }, (_, i) => i).join(",")}`,
      `SELECT 1 IN (${Array.from({ length: 100_000 }, (_, i) => i).join(",")})`,
      `VALUES ${Array.from({ length: 100_000 }, (_, i) => `(${i})`).join(",")}`,
      `SELECT ${Array.from({ length: 20_000 }, () => "*").join(",")} FROM people`,
    ],
  },
  {
    kind: "a sort that fills the disk",
    expected: limits,
    sql: [
      "SELECT * FROM (SELECT md5(i::VARCHAR) || md5((i + 1)::VARCHAR) AS t FROM range(100000000) t(i)) ORDER BY t",
      "SELECT md5(i::VARCHAR) AS t, row_number() OVER (ORDER BY md5(i::VARCHAR)) FROM range(100000000) t(i)",
      "SELECT md5(i::VARCHAR) AS t, count(*) FROM range(200000000) t(i) GROUP BY ALL",
    ],
  },
  {
    kind: "values that are too large",
    expected: limits,
    sql: [
      "SELECT list(i) FROM range(10000000000) t(i)",
      "SELECT histogram(i) FROM range(1000000000) t(i)",
      "SELECT unnest(range(4000000000)) % 2 AS a",
      "SELECT json_group_array(md5(i::VARCHAR)) FROM range(1000000000) t(i)",
    ],
  },
  {
    kind: "an answer that is too large",
    expected: limits,
    sql: [
      "SELECT i, md5(i::VARCHAR) FROM range(10000000000) t(i)",
      "SELECT repeat('x', 1000000) FROM range(100000)",
    ],
  },
  {
    kind: "a pattern that goes back for ever elsewhere",
    expected: [harmless, ...limits],
    sql: [
      "SELECT regexp_matches(repeat('a', 100000), '(a+)+$')",
      "SELECT regexp_matches(repeat('a', 30) || '!', '^(a|a)*$')",
      "SELECT regexp_replace(repeat('ab', 100000), '(.*)*x', 'y')",
    ],
  },
  {
    kind: "a pattern that is too large",
    expected: [invalid, harmless, ...limits],
    sql: [
      "SELECT regexp_matches('a', '((a{1000}){1000}){1000}')",
      "SELECT 'a' LIKE repeat('%a', 100000)",
      "SELECT regexp_extract_all(repeat('a', 1000000), '')",
    ],
  },
];

/** A request as it is sent: each header as often as it stands there. */
export interface SentRequest {
  method?: string;
  path: string;
  /** Beside Host, and the token where `anonymous` is not set. */
  headers?: Record<string, string | string[]>;
  body?: string | Uint8Array;
  anonymous?: true;
}

/** What the requests need to know. */
export interface Known {
  token: string;
}

const json = { "content-type": "application/json" };
const query = (text: string) => ({ method: "POST", path: "/query", headers: json, body: text });
const packed = (bytes: Uint8Array) => ({
  method: "POST",
  path: "/query",
  headers: { ...json, "content-encoding": "gzip" },
  body: bytes,
});
const asked = (path: string): SentRequest => ({ path });

/** Requests by their kind, each with the status and the code that it ends in. */
export const httpCases: readonly {
  kind: string;
  expected: Expected;
  requests: (known: Known) => readonly SentRequest[];
}[] = [
  {
    kind: "no token, or something like one",
    expected: "unauthorized",
    requests: ({ token }) =>
      [
        {},
        { authorization: "" },
        { authorization: "Bearer" },
        { authorization: "Bearer " },
        { authorization: `Bearer ${token.slice(0, -1)}` },
        { authorization: `Bearer ${token}x` },
        { authorization: `Bearer ${token.toUpperCase()}` },
        { authorization: `Basic ${token}` },
        { authorization: token },
        { authorization: `Bearer ${token}, Bearer ${token}` },
        { authorization: [`Bearer ${token}`, "Bearer x"] },
        { authorization: `Bearer\u00a0${token}` },
        { authorization: "Bearer undefined" },
        { authorization: "Bearer [object Object]" },
        { "x-authorization": `Bearer ${token}` },
        { cookie: `token=${token}` },
      ].flatMap((headers): SentRequest[] => [
        { path: "/query?sql=SELECT+1", headers, anonymous: true },
        { path: "/tables", headers, anonymous: true },
      ]),
  },
  {
    kind: "a token in the URL",
    expected: "unauthorized",
    requests: ({ token }) =>
      [
        `/tables?token=${token}`,
        `/tables?access_token=${token}`,
        `/tables?authorization=Bearer+${token}`,
      ].map((path) => ({ path, anonymous: true })),
  },
  {
    kind: "a path that leads elsewhere, without a token",
    expected: "unauthorized",
    requests: () =>
      [
        "//tables",
        "/./tables",
        "/health/../tables",
        "/%74ables",
        "/TABLES",
        "/tables/",
        "/health/",
      ].map((path) => ({
        path,
        anonymous: true,
      })),
  },
  {
    kind: "a wrong method",
    expected: "method-not-allowed",
    requests: () =>
      ["DELETE", "PUT", "PATCH", "PROPFIND", "OPTIONS", "TRACE"].map((method) => ({
        method,
        path: "/query",
      })),
  },
  {
    kind: "a wrong path",
    expected: "not-found",
    requests: () =>
      [
        "/.env",
        "/../../etc/passwd",
        "/query/x",
        "/tables/x/y",
        "/q/../tables/x",
        "/hello/x",
        "/%00",
      ].map(asked),
  },
  {
    kind: "a table's name that is a path",
    expected: "not-found",
    requests: () =>
      [
        "/tables/..%2F..%2Fetc%2Fpasswd",
        "/tables/%252e%252e",
        "/tables/people%00",
        "/tables/people%2Fx",
        "/tables/__proto__",
        "/tables/constructor",
        `/tables/${"a".repeat(5000)}`,
        "/tables/%E2%80%AE",
        "/tables/people%0d%0aSet-Cookie:x=1",
      ].map(asked),
  },
  {
    kind: "a saved query's name that is a path",
    expected: "not-found",
    requests: () =>
      [
        "/q/..%2F..%2Fpackage.json",
        "/q/%2e%2e%2Fx",
        "/q/x.sql%00",
        "/q/__proto__",
        "/q/%2Fetc%2Fpasswd",
      ].map(asked),
  },
  {
    kind: "a path that can't be decoded",
    expected: "not-found",
    requests: () => ["/tables/%E0%A4%A", "/q/%", "/tables/%ff", "/q/%c0%ae%c0%ae"].map(asked),
  },
  {
    kind: "a wrong content type",
    expected: "media-type",
    requests: () =>
      [
        "text/plain",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "application/jsonp",
        "application/xml",
        "application/json-patch+json",
      ].map((type) => ({
        method: "POST",
        path: "/query",
        headers: { "content-type": type },
        body: '{"sql":"SELECT 1"}',
      })),
  },
  {
    kind: "a body that is no question",
    expected: "body-invalid",
    requests: () =>
      [
        "",
        "null",
        "1",
        "[]",
        '"SELECT 1"',
        "{}",
        '{"sql": 1}',
        '{"sql": null}',
        '{"sql": ["SELECT 1"]}',
        '{"sql": {"toString": "SELECT 1"}}',
        '{"sql": "SELECT 1"',
        '{"sql": "SELECT 1"} {"sql": "SELECT 2"}',
        '{"sql": "SELECT 1", "format": "csv"}',
        '{"SQL": "SELECT 1"}',
        '{"sql": "SELECT 1", "params": "x"}',
        '{"sql": "SELECT 1", "params": [[1]]}',
        '{"sql": "SELECT 1", "params": [{"a": 1}]}',
        '{"sql": "SELECT $1", "params": [1e999]}',
        "{'sql': 'SELECT 1'}",
        "sql=SELECT 1",
        "[".repeat(100_000),
        `{"sql": "SELECT 1", "params": ${"[".repeat(100_000)}${"]".repeat(100_000)}}`,
        "\u0000",
      ].map(query),
  },
  {
    kind: "values that do not fit",
    expected: "parameters-invalid",
    requests: () =>
      [
        '{"sql": "SELECT $1", "params": []}',
        '{"sql": "SELECT $1", "params": [1, 2]}',
        '{"sql": "SELECT $a", "params": {"b": 1}}',
        '{"sql": "SELECT $a", "params": [1]}',
        `{"sql": "SELECT $1", "params": [1${"0".repeat(60)}]}`,
        '{"sql": "SELECT $__proto__", "params": {"__proto__": 1}}',
        '{"sql": "SELECT $constructor", "params": {}}',
      ].map(query),
  },
  {
    kind: "keys of a prototype, and keys twice",
    expected: [harmless, "body-invalid", "parameters-invalid"],
    requests: () =>
      [
        '{"__proto__": {"sql": "SELECT 1"}}',
        '{"sql": "SELECT 1", "__proto__": {"admin": true}}',
        '{"sql": "SELECT 1", "constructor": {"prototype": {"x": 1}}}',
        '{"sql": "DROP TABLE people", "sql": "SELECT 1"}',
        '{"sql": "SELECT 1", "params": {"__proto__": {"x": 1}}}',
        '{"sql": "SELECT $a", "params": {"a": 1, "a": 2}}',
      ].map(query),
  },
  {
    kind: "the second of two keys",
    expected: "sql-refused",
    requests: () => [query('{"sql": "SELECT 1", "sql": "DROP TABLE people"}')],
  },
  {
    kind: "a text that hides SQL in a value",
    expected: harmless,
    requests: () =>
      [
        "'; DROP TABLE people; --",
        "x') TO '/tmp/x'; --",
        "\ud800",
        "\r\nSet-Cookie: a=b",
        "a\u0000b",
      ].map((value) =>
        query(JSON.stringify({ sql: "SELECT length($1::VARCHAR) AS n", params: [value] })),
      ),
  },
  {
    kind: "text that is no UTF-8",
    expected: "body-invalid",
    requests: () => [
      { ...query(""), body: Buffer.from('{"sql": "SELECT \'\xff\'"}', "latin1") },
      { ...query(""), body: Buffer.from('{"sql": "SELECT 1"}', "utf16le") },
      { ...query(""), body: Buffer.from([0xc0, 0x80]) },
    ],
  },
  {
    kind: "a body that is too large",
    expected: "body-too-large",
    requests: () => [
      query(JSON.stringify({ sql: `SELECT '${"x".repeat(10_000_000)}'` })),
      query(" ".repeat(1_000_001)),
      packed(gzipSync(Buffer.alloc(100_000_000, " "))),
      packed(gzipSync(`{"sql": "SELECT 1${" ".repeat(1_000_000)}"}`)),
    ],
  },
  {
    kind: "a packing that is none",
    expected: "body-invalid",
    requests: () => [
      packed(Buffer.from("{}")),
      packed(gzipSync("{}").subarray(0, 12)),
      packed(gzipSync(gzipSync("{}"))),
    ],
  },
  {
    kind: "another packing",
    expected: "media-type",
    requests: () =>
      ["br", "deflate", "zstd", "gzip, gzip", "compress", "*"].map((encoding) => ({
        method: "POST",
        path: "/query",
        headers: { ...json, "content-encoding": encoding },
        body: "{}",
      })),
  },
  {
    kind: "a format that is none",
    expected: "format-unknown",
    requests: () =>
      ["xml", "", "__proto__", "parquet%00", "csv%0d%0aX-Evil:%201", "toString", "duckdb"].map(
        (format) => asked(`/query?sql=SELECT+1&format=${format}`),
      ),
  },
  {
    kind: "an Accept that nothing satisfies",
    expected: "not-acceptable",
    requests: () =>
      ["image/png", "text/html;q=0.9", "application/json;q=0", "x".repeat(5000)].map((accept) => ({
        path: "/query?sql=SELECT+1",
        headers: { accept },
      })),
  },
  {
    kind: "a page of another site",
    expected: "cross-site",
    requests: () =>
      ["https://evil.example", "null", "http://localhost", "http://127.0.0.1.evil.example"].flatMap(
        (origin) => [
          { path: "/tables", headers: { origin } },
          { ...query('{"sql": "SELECT 1"}'), headers: { ...json, origin } },
          {
            method: "OPTIONS",
            path: "/query",
            headers: { origin, "access-control-request-method": "POST" },
          },
        ],
      ),
  },
  {
    kind: "another host's name",
    expected: "host-unknown",
    requests: () =>
      ["evil.example", "localhost.evil.example", "169.254.169.254.nip.io", "pond"].map((host) => ({
        path: "/tables",
        headers: { host },
      })),
  },
  {
    kind: "headers that claim something",
    expected: harmless,
    requests: () =>
      [
        { "x-forwarded-for": "127.0.0.1" },
        { "x-forwarded-host": "evil.example" },
        { "x-http-method-override": "DELETE" },
        { "x-amzn-request-context": '{"authorizer": {"iam": {"userArn": "root"}}}' },
        { "x-amz-user-arn": "arn:aws:iam::1:root" },
        { "x-request-id": "\u00ff evil" },
        { "if-none-match": "*" },
        { "if-none-match": `${'"x",'.repeat(1000)}"y"` },
        { range: "bytes=0-0" },
        { prefer: "return=representation, x".repeat(100) },
        { "accept-language": "../../etc/passwd" },
      ].map((headers) => ({ path: "/query?sql=SELECT+1", headers })),
  },
  {
    kind: "a query string that is odd",
    expected: [harmless, "sql-invalid", "body-invalid", "parameters-invalid"],
    requests: () =>
      [
        "/query?sql=SELECT+1&sql=DROP+TABLE+people",
        "/query?sql[]=SELECT+1",
        "/query?sql=%ff%fe",
        "/query?sql=SELECT%201%00",
        "/query?sql=SELECT+1&params=%5B",
        "/query?sql=SELECT+1&params=%7B%22__proto__%22%3A1%7D",
        "/query?sql=%F0%9F%92%A5",
        "/query?SQL=SELECT+1",
        "/query?sql",
        "/query?&&&=",
      ].map(asked),
  },
];
