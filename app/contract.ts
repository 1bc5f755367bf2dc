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
} as const;

/** The functions, by the names that `invoke -f` takes. Each is `app/functions/<name>.ts`, which exports `handler`. */
export const functionNames = ["hello", "ingest", "query", "sweep"] as const;
export type FunctionName = (typeof functionNames)[number];

/** Environment variables that Millpond defines. Those that AWS defines are named where they are read. */
export const environmentNames = {
  /** Absolute path of the folder that holds the pond. */
  store: "MILLPOND_STORE",
  /** Folder of saved queries, one `.sql` file each. @default the repository's `queries/` */
  queries: "MILLPOND_QUERIES",
  /** Memory in MiB that one engine may plan with, outside Lambda. @default half of the machine's, at most 4096 */
  memoryMiB: "MILLPOND_MEMORY_MIB",
  /** Disk in MiB that the engine may spill to. @default 10240, in Lambda 512 */
  diskMiB: "MILLPOND_DISK_MIB",
  /** Seconds that one query may take, planning included. @default 25 */
  queryDeadlineSeconds: "MILLPOND_QUERY_DEADLINE_SECONDS",
  /** Least severe level that is logged. @default AWS_LAMBDA_LOG_LEVEL, else info */
  logLevel: "LOG_LEVEL",
} as const;

/** The `service` key of every log line. */
export const serviceName = "millpond";
