/** The formats that a query can be answered in. */
export type QueryFormat = "json" | "ndjson" | "csv" | "parquet";

interface FormatFacts {
  mediaType: string;
  /** Other media types of `Accept` that mean the same. */
  aliases: readonly string[];
  /** Options of DuckDB's COPY; what it copies is in the format's form, which for JSON is a column of objects. */
  copy: string;
  /** The same answer, made of the texts of its rows. Undefined where rows are no texts. */
  join?: (rows: readonly string[]) => string;
  /** What names of files end in. */
  ending: string;
}

/**
 * Texts as they are, one a line: what DuckDB makes of FORMAT json itself, for which it plans the query twice.
 * @see https://github.com/duckdb/duckdb/blob/main/extension/json/json_functions/copy_json.cpp
 */
const lines = "FORMAT csv, HEADER false, QUOTE '', ESCAPE '', DELIMITER '\n', NULLSTR ''";

/** What stands around the rows of a JSON array, and between them. */
const array = { open: "[\n\t", between: ",\n\t", close: "\n]\n" };

export const queryFormats: Readonly<Record<QueryFormat, FormatFacts>> = {
  json: {
    mediaType: "application/json",
    aliases: ["text/json"],
    copy: `${lines}, PREFIX '${array.open}', NEW_LINE '${array.between}', SUFFIX '${array.close}'`,
    join: (rows) => `${array.open}${rows.join(array.between)}${array.close}`,
    ending: "json",
  },
  ndjson: {
    mediaType: "application/x-ndjson",
    aliases: ["application/ndjson", "application/jsonl", "application/json-lines"],
    copy: lines,
    join: (rows) => rows.map((row) => `${row}\n`).join(""),
    ending: "ndjson",
  },
  csv: { mediaType: "text/csv", aliases: [], copy: "FORMAT csv, HEADER true", ending: "csv" },
  parquet: {
    mediaType: "application/vnd.apache.parquet",
    aliases: ["application/x-parquet", "application/parquet"],
    copy: "FORMAT parquet, COMPRESSION zstd",
    ending: "parquet",
  },
};

export const formatNames = Object.keys(queryFormats) as QueryFormat[];

export function isQueryFormat(name: string): name is QueryFormat {
  return Object.hasOwn(queryFormats, name);
}

/**
 * The format that an `Accept` header asks for: the one of the highest weight, JSON where nothing is asked for and where
 * anything will do. Undefined where none of those accepted is one of ours.
 * @see https://www.rfc-editor.org/rfc/rfc9110#section-12.5.1
 */
export function negotiateFormat(accept: string | undefined): QueryFormat | undefined {
  if (accept === undefined || accept.trim() === "") return "json";
  const ranges = accept.split(",").map((part) => {
    const [type = "", ...parameters] = part.split(";").map((piece) => piece.trim().toLowerCase());
    const weight = parameters.find((parameter) => parameter.startsWith("q="))?.slice(2);
    return { type, weight: weight === undefined ? 1 : Number(weight) };
  });
  const typesOf = (name: QueryFormat) => [
    queryFormats[name].mediaType,
    ...queryFormats[name].aliases,
  ];
  const excluded = new Set(ranges.filter(({ weight }) => weight === 0).map(({ type }) => type));
  const able = formatNames.filter((name) => !typesOf(name).some((type) => excluded.has(type)));
  const wanted = ranges.filter(({ weight }) => weight > 0).sort((a, b) => b.weight - a.weight);
  for (const { type } of wanted) {
    // A range such as text/* is the beginning of the types that it takes.
    const range = type === "*/*" ? "" : type.endsWith("/*") ? type.slice(0, -1) : undefined;
    const found = able.find((name) =>
      range === undefined
        ? typesOf(name).includes(type)
        : queryFormats[name].mediaType.startsWith(range),
    );
    if (found !== undefined) return found;
  }
  return undefined;
}
