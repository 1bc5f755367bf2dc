/**
 * The names that the stack, the functions and the command line share. Each stands here and nowhere else.
 */

/** Where each kind of object lives in the bucket (or the folder). Each ends with a slash. */
export const prefixes = {
  /** What people drop. Millpond reads it and never writes it. */
  inbox: "inbox/",
  /** One Parquet file per source file: the tables. */
  lake: "lake/",
  /** One JSON record per source file whose newest version can't be read. */
  rejected: "rejected/",
  /** Answers too large for a function to return, until they are fetched. They go after a day. */
  results: "results/",
} as const;

/** Millpond's own things in the folder of a pond. */
export const privateFolder = ".millpond";

/** The functions, by the names that `invoke -f` takes. Each is `app/functions/<name>.ts`, which exports `handler`. */
export const functionNames = ["hello", "ingest", "query", "sweep"] as const;
export type FunctionName = (typeof functionNames)[number];

/** What Lambda calls for a function of the image: the export of that name of the bundle. */
export function handlerOf(name: FunctionName): string {
  return `index.${name}`;
}

/** Environment variables that Millpond defines. Those that AWS defines are named where they are read. */
export const environmentNames = {
  /** Where the pond is: the absolute path of a folder, or `s3://<bucket>`. */
  store: "MILLPOND_STORE",
  /** Folder of DuckDB's extensions, for a pond in a bucket. @default DuckDB's own, `~/.duckdb/extensions` */
  extensions: "MILLPOND_EXTENSIONS",
  /**
   * The same for an image: its build has checked each file in it against a pinned SHA-256, so that DuckDB need not
   * check the signature at each start, which takes longer than all else that a start does. Set by the image.
   */
  sealedExtensions: "MILLPOND_SEALED_EXTENSIONS",
  /** Prefix of the stage's parameters in SSM, which hold its secrets, such as `/millpond/dev/`. */
  secrets: "MILLPOND_SECRETS",
  /** ARN of the topic that `sweep` announces on what no event told of. @default - it hands it to `ingest` itself */
  topic: "MILLPOND_TOPIC",
  /** ARNs of the topics that may hand events to `ingest`, with commas between. @default - any topic's */
  eventTopics: "MILLPOND_EVENT_TOPICS",
  /** Whether the rows of a source go with it: `true` or `false`. @default false */
  mirrorDeletes: "MILLPOND_MIRROR_DELETES",
  /**
   * Who may query: `token`, whoever sends one of the secret `tokens`; `iam`, whoever API Gateway says it has checked; `none`, whoever
   * gets here. @default token for a bucket, none for a folder
   */
  auth: "MILLPOND_AUTH",
  /** What the stage's functions run on: `arm64` or `x86_64`. Set by the stack. */
  architecture: "MILLPOND_ARCHITECTURE",
  /** What the image was built for, as Docker says it: `arm64` or `amd64`. Set by the image. */
  imageArchitecture: "MILLPOND_IMAGE_ARCHITECTURE",
  /** Whether callers may send SQL of their own: `true` or `false`, and then there are saved queries alone. @default true */
  adHocSql: "MILLPOND_AD_HOC_SQL",
  /**
   * Whether callers may put files into the inbox: `true` or `false`. @default true, but for a bucket that anybody may query
   */
  uploads: "MILLPOND_UPLOADS",
  /** Folder of saved queries, one `.sql` file each. @default the repository's `queries/` */
  queries: "MILLPOND_QUERIES",
  /** Memory in MiB that one engine may plan with, outside Lambda. @default a quarter of the machine's, at most 4096 */
  memoryMiB: "MILLPOND_MEMORY_MIB",
  /** Disk in MiB that the engine may spill to, and that one answer may take beside. @default 10240, in Lambda 512 */
  diskMiB: "MILLPOND_DISK_MIB",
  /** Seconds that one query may take, planning included. @default 25 */
  queryDeadlineSeconds: "MILLPOND_QUERY_DEADLINE_SECONDS",
  /** Least severe level that is logged. @default AWS_LAMBDA_LOG_LEVEL, else info */
  logLevel: "LOG_LEVEL",
} as const;

/** Settings of the stack that say what these functions have. Pulumi.yaml describes them. */
export const sizeSettings = {
  ingest: {
    memory: "ingestMemoryMiB",
    disk: "ingestDiskMiB",
    time: "ingestTimeoutSeconds",
    concurrency: "ingestConcurrency",
  },
  query: {
    memory: "queryMemoryMiB",
    disk: "queryDiskMiB",
    time: "queryTimeoutSeconds",
    concurrency: "queryConcurrency",
  },
} as const;

/** The table that `npm run smoke` tries a stage by, so that nobody's rows are touched. No alarm tells of what is rejected there. */
export const smokeTable = "millpond_smoke";

/** The `service` key of every log line. */
export const serviceName = "millpond";

/** CloudWatch's namespace of the metrics below; their dimension is `function_name`, which has the stage in it. */
export const metricsNamespace = "Millpond";

/**
 * What the functions measure, with CloudWatch's unit of each. It goes with the log, so that nobody waits for it.
 * @see https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_MetricDatum.html
 */
export const metricUnits = {
  /** Files whose newest version became rows. */
  FilesConverted: "Count",
  /** Files that can't be read, each version once. */
  FilesRejected: "Count",
  RowsConverted: "Count",
  /** Of the files as people dropped them. */
  SourceBytes: "Bytes",
  /** Of the same as Parquet. */
  ParquetBytes: "Bytes",
  /** From the upload to the moment when its rows can be queried. */
  IngestLag: "Milliseconds",
  /** From the question to the answer, without its way over the net. */
  QueryDuration: "Milliseconds",
  /** Of the files of the tables that a query names: DuckDB reads no more of them, and mostly less. */
  BytesScanned: "Bytes",
  RowsAnswered: "Count",
} as const;
export type MetricName = keyof typeof metricUnits;

/** The stage's secrets that the functions read, by their names under the stage's prefix. */
export const secretNames = {
  /** Who may query: one token, or a JSON object of tokens by the names of their clients. */
  tokens: "tokens",
} as const;

/** What a bucket may be called. @see https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html */
export const bucketNamePattern = /^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$/;

/** The ARN of a topic of SNS. */
export const topicArnPattern = /^arn:[\w-]+:sns:[\w-]+:\d{12}:[\w.-]+$/;

/** Characters of the shortest token that counts as one. */
export const leastTokenLength = 16;

/** Whether a value can be a token: what nobody guesses, and a header can carry. */
export function isToken(value: unknown): value is string {
  return typeof value === "string" && value.length >= leastTokenLength && /^\S+$/.test(value);
}

/**
 * What a stage's functions run on, by Lambda's names, and what others call it. Everything that depends on the
 * architecture follows from one of these.
 */
export const architectures = {
  arm64: { docker: "arm64", platform: "linux/arm64", node: "arm64", duckdb: "linux_arm64" },
  x86_64: { docker: "amd64", platform: "linux/amd64", node: "x64", duckdb: "linux_amd64" },
} as const;
export type Architecture = keyof typeof architectures;
export const architectureNames = Object.keys(architectures) as Architecture[];

/** The architecture that `by` calls so: Docker, Node, … Undefined for another one. */
export function architectureCalled(
  by: keyof (typeof architectures)[Architecture],
  name: string | undefined,
): Architecture | undefined {
  return architectureNames.find((one) => architectures[one][by] === name);
}

/** The environment of a process. */
export type Environment = Readonly<Record<string, string | undefined>>;
