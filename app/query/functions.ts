/**
 * All functions that DuckDB has: those that a caller's SQL may name, and the others by why it may not. Each of the first kind
 * computes from its arguments alone: none reads a file, a setting, the catalog or the clock of another session, runs SQL from
 * text, waits, writes, or leaves anything on its connection but the state of random numbers. What stands nowhere here is refused,
 * too, and a test fails until somebody has looked at it: so a new DuckDB brings nothing new to a caller.
 */

const words = (text: string) => text.trim().split(/\s+/);

const operators = words(`
  !__postfix !~~ !~~* % & && * ** + - -> ->> / // <-> << <=> <@ >> @ @> ^ ^@ | || ~ ~~ ~~* ~~~
  ilike_escape like_escape not_ilike_escape not_like_escape
`);

const numbers = words(`
  abs acos acosh add asin asinh atan atan2 atanh bin bit_count bit_length bit_position bitstring cbrt ceil ceiling cos
  cosh cot degrees divide even exp factorial fdiv floor fmod from_binary from_hex gamma gcd get_bit
  greatest_common_divisor hex isfinite isinf isnan lcm least_common_multiple lgamma ln log log10 log2 mod multiply
  nextafter pi pow power radians random round round_even roundbankers set_bit sign signbit sin sinh sqrt subtract tan
  tanh to_base to_binary to_hex trunc unbin unhex xor
`);

const texts = words(`
  ascii bar base64 char_length character_length chr concat concat_ws contains damerau_levenshtein decode editdist3 encode
  ends_with format format_bytes formatReadableDecimalSize formatReadableSize from_base64 hamming instr jaccard
  jaro_similarity jaro_winkler_similarity lcase left left_grapheme len length length_grapheme levenshtein lower lpad
  ltrim md5 md5_number md5_number_lower md5_number_upper mismatches nfc_normalize octet_length ord parse_dirname
  parse_dirpath parse_filename parse_formatted_bytes parse_path pg_size_pretty position prefix printf regexp_escape
  regexp_extract regexp_extract_all regexp_full_match regexp_matches regexp_replace regexp_split_to_array
  regexp_split_to_table repeat replace reverse right right_grapheme rpad rtrim sha1 sha256 split split_part
  starts_with str_split str_split_regex string_split string_split_regex string_to_array strip_accents strlen strpos
  substr substring substring_grapheme suffix to_base64 translate trim ucase unicode upper url_decode url_encode
`);

const times = words(`
  age ago century current_date current_localtime current_localtimestamp date_add date_diff date_part date_sub date_trunc
  datediff datepart datesub datetrunc day dayname dayofmonth dayofweek dayofyear days_in_month decade epoch epoch_ms
  epoch_ns epoch_us era get_current_time get_current_timestamp hour isodow isoyear julian last_day make_date make_time
  make_timestamp make_timestamp_ms make_timestamp_ns make_timestamptz microsecond millennium millisecond minute month
  monthname nanosecond normalized_interval now quarter second strftime strptime time_bucket timezone timezone_hour
  timezone_minute to_centuries to_days to_decades to_hours to_microseconds to_millennia to_milliseconds to_minutes
  to_months to_quarters to_seconds to_timestamp to_weeks to_years today transaction_timestamp try_strptime week weekday
  weekofyear year yearweek
`);

const choices = words(`
  alias constant_or_null error greatest hash if ifnull least nullif pg_typeof switch typeof coalesce
`);

const lists = words(`
  aggregate apply array_aggr array_aggregate array_append array_apply array_cat array_concat array_contains
  array_cosine_distance array_cosine_similarity array_cross_product array_distance array_distinct array_dot_product
  array_extract array_filter array_grade_up array_has array_has_all array_has_any array_indexof array_inner_product
  array_intersect array_length array_negative_dot_product array_negative_inner_product array_pop_back array_pop_front
  array_position array_prepend array_push_back array_push_front array_reduce array_resize array_reverse
  array_reverse_sort array_select array_slice array_sort array_to_string array_to_string_comma_default array_transform
  array_unique array_value array_where array_zip cardinality element_at enum_code enum_first enum_last enum_range
  enum_range_boundary filter flatten generate_series generate_subscripts grade_up list_aggr list_aggregate
  list_any_value list_append list_apply list_approx_count_distinct list_avg list_bit_and list_bit_or list_bit_xor
  list_bool_and list_bool_or list_cat list_concat list_contains list_cosine_distance list_cosine_similarity list_count
  list_distance list_distinct list_dot_product list_element list_entropy list_extract list_filter list_first
  list_grade_up list_has list_has_all list_has_any list_histogram list_indexof list_inner_product list_intersect
  list_kurtosis list_kurtosis_pop list_last list_mad list_max list_median list_min list_mode
  list_negative_dot_product list_negative_inner_product list_pack list_position list_prepend list_product list_reduce
  list_resize list_reverse list_reverse_sort list_select list_sem list_skewness list_slice list_sort list_stddev_pop
  list_stddev_samp list_string_agg list_sum list_transform list_unique list_value list_var_pop list_var_samp
  list_where list_zip map map_concat map_contains map_contains_entry map_contains_value map_entries map_extract
  map_extract_value map_from_entries map_keys map_values range reduce row struct_concat struct_contains
  struct_extract struct_extract_at struct_has struct_indexof struct_insert struct_keys struct_pack struct_position
  struct_update struct_values union_extract union_tag union_value unnest unpivot_list
`);

const documents = words(`
  array_to_json from_json from_json_strict json json_array json_array_length json_contains json_exists json_extract
  json_extract_path json_extract_path_text json_extract_string json_group_array json_group_object
  json_group_structure json_keys json_merge_patch json_object json_pretty json_quote json_structure json_transform
  json_transform_strict json_type json_valid json_value row_to_json to_json variant_extract variant_typeof
`);

const identifiers = words(`
  gen_random_uuid uuid uuid_extract_timestamp uuid_extract_version uuidv4 uuidv7
`);

const aggregates = words(`
  any_value approx_count_distinct approx_quantile approx_top_k arbitrary arg_max arg_max_null arg_max_nulls_last arg_min
  arg_min_null arg_min_nulls_last argmax argmin array_agg avg bit_and bit_or bit_xor bitstring_agg bool_and bool_or corr
  count count_if count_star countif covar_pop covar_samp entropy equi_width_bins favg first fsum geomean
  geometric_mean group_concat histogram histogram_exact is_histogram_other_bin kahan_sum kurtosis kurtosis_pop last list
  listagg mad max max_by mean median min min_by mode product quantile quantile_cont quantile_disc regr_avgx regr_avgy
  regr_count regr_intercept regr_r2 regr_slope regr_sxx regr_sxy regr_syy reservoir_quantile sem skewness stddev
  stddev_pop stddev_samp string_agg sum sum_no_overflow sumkahan var_pop var_samp variance wavg weighted_avg
`);

const windows = words(`
  cume_dist dense_rank fill first_value lag last_value lead nth_value ntile percent_rank rank rank_dense row_number
`);

/** Allowed ones whose value may be another the next time, though their arguments are the same. */
export const volatileFunctions: ReadonlySet<string> = new Set(
  words(`
    age ago aggregate array_aggr array_aggregate current_date current_localtime current_localtimestamp error gen_random_uuid get_current_time
    get_current_timestamp list_aggr list_aggregate now random reservoir_quantile today transaction_timestamp uuid uuidv4 uuidv7
  `),
);

/** Names without parentheses that DuckDB takes for the time where no column is called so. */
export const volatileNames: ReadonlySet<string> = new Set(
  words("current_date current_time current_timestamp localtime localtimestamp"),
);

/** What a query calls a function for: a value, or a relation in FROM. */
export type CalledFor = "value" | "relation";

const relations = words("generate_series json_each json_tree range unnest");

/** Names in lower case, as DuckDB resolves them without regard to it. */
export const allowed: Readonly<Record<CalledFor, ReadonlySet<string>>> = {
  value: new Set(
    [
      operators,
      numbers,
      texts,
      times,
      choices,
      lists,
      documents,
      identifiers,
      aggregates,
      windows,
      relations,
    ]
      .flat()
      .map((name) => name.toLowerCase()),
  ),
  relation: new Set(relations),
};

interface Denial {
  /** As it goes on from "the function … can't stand in a query: it …". */
  why: string;
  /** Lower-case, and sorted out by what calls them. A pattern is for names of which each language has one. */
  value?: readonly (string | RegExp)[];
  relation?: readonly string[];
}

const denials: readonly Denial[] = [
  {
    why: "reads files; tables are named, and GET /tables lists them",
    relation: words(`
      arrow_scan arrow_scan_dumb glob parquet_bloom_probe parquet_file_metadata parquet_full_metadata parquet_kv_metadata
      parquet_metadata parquet_scan parquet_schema read_blob read_csv read_csv_auto read_duckdb read_json read_json_auto
      read_json_objects read_json_objects_auto read_ndjson read_ndjson_auto read_ndjson_objects read_parquet read_text
      seq_scan sniff_csv
    `),
  },
  {
    why: "tells of settings, secrets, logs or the machine",
    value: words("current_setting getvariable pg_conf_load_time pg_postmaster_start_time version"),
    relation: words(`
      duckdb_connection_count duckdb_external_file_cache duckdb_log_contexts duckdb_logs duckdb_logs_parsed duckdb_memory
      duckdb_optimizers duckdb_prepared_statements duckdb_profiling_settings duckdb_secret_types duckdb_secrets
      duckdb_settings duckdb_temporary_files duckdb_variables pragma_database_size pragma_metadata_info pragma_platform
      pragma_storage_info pragma_user_agent pragma_version which_secret
    `),
  },
  {
    // DuckDB's own shell alone has it.
    why: "reads the environment",
    value: ["getenv"],
  },
  {
    why: "tells of the session, which queries share",
    value: words(`
      current_catalog current_connection_id current_database current_query current_query_id current_role current_schema
      current_schemas current_transaction_id current_user in_search_path inet_client_addr inet_client_port
      inet_server_addr inet_server_port pg_is_other_temp_schema pg_my_temp_schema session_user txid_current user
    `),
  },
  {
    why: "tells of the catalog; GET /tables lists the tables and their columns",
    value: words(`
      col_description format_pg_type format_type get_block_size has_any_column_privilege has_column_privilege
      has_database_privilege has_foreign_data_wrapper_privilege has_function_privilege has_language_privilege
      has_schema_privilege has_sequence_privilege has_server_privilege has_table_privilege has_tablespace_privilege
      map_to_pg_oid obj_description pg_collation_is_visible pg_conversion_is_visible pg_function_is_visible
      pg_get_constraintdef pg_get_expr pg_get_viewdef pg_has_role pg_opclass_is_visible pg_operator_is_visible
      pg_opfamily_is_visible pg_table_is_visible pg_ts_config_is_visible pg_ts_dict_is_visible
      pg_ts_parser_is_visible pg_ts_template_is_visible pg_type_is_visible shobj_description
    `),
    relation: words(`
      duckdb_approx_database_count duckdb_columns duckdb_constraints duckdb_coordinate_systems duckdb_databases
      duckdb_dependencies duckdb_extensions duckdb_functions duckdb_indexes duckdb_keywords duckdb_schemas
      duckdb_sequences duckdb_table_sample duckdb_tables duckdb_types duckdb_views icu_calendar_names pg_timezone_names
      pragma_collations pragma_show pragma_table_info
    `),
  },
  {
    why: "runs SQL from a text, or takes it apart",
    value: words("json_deserialize_sql json_serialize_plan json_serialize_sql"),
    relation: words(
      "check_peg_parser json_execute_serialized_sql query query_table sql_auto_complete",
    ),
  },
  {
    why: "reads a table that its argument names: name it in FROM, and call the aggregate",
    relation: words("histogram histogram_values"),
  },
  { why: "waits", value: words("pg_sleep sleep_ms") },
  {
    why: "changes something",
    value: words("currval nextval setseed write_log"),
    relation: words(`
      checkpoint disable_logging disable_peg_parser disable_profiling enable_logging enable_peg_parser enable_profiling
      force_checkpoint truncate_duckdb_logs
    `),
  },
  {
    why: "is for geometries, which no answer has a form for",
    value: words(`
      st_asbinary st_astext st_aswkb st_aswkt st_crs st_geomfromwkb st_intersects_extent st_setcrs
    `),
  },
  {
    why: "is DuckDB's own, for what it makes of queries",
    value: [
      /^__internal_(de)?compress_/,
      /^icu_collate_/,
      ...words(`
        can_cast_implicitly cast_to_type combine create_sort_key finalize get_type icu_sort_key make_type
        parse_duckdb_log_message remap_struct replace_type stats timetz_byte_comparable variant_bytes_to_variant
        variant_normalize variant_to_parquet_variant vector_type
      `),
    ],
    relation: words("repeat repeat_row summary test_all_types test_vector_types"),
  },
];

/**
 * Why a function that DuckDB has can't stand in a query.
 * @param name lower-case
 * @returns undefined for one that nobody has looked at, or that may
 */
export function denialOf(name: string, calledFor: CalledFor): string | undefined {
  return denials.find((denial) =>
    denial[calledFor]?.some((one) => (typeof one === "string" ? one === name : one.test(name))),
  )?.why;
}
