import { type DuckDBConnection, DuckDBInstance } from "@duckdb/node-api";
import type { BucketKeys } from "../bucket-access.ts";
import { MillpondError, messageOf } from "../errors.ts";
import { SourceError } from "../lake/source-error.ts";
import { quoteList, quoteLiteral } from "../query/quote.ts";
import { answer, describe, review } from "./answer.ts";
import { bucketOptions, bucketSettings, loadHttpfs, useKeys } from "./bucket.ts";
import { convert } from "./convert.ts";
import { NamedConnections } from "./named-connections.ts";
import type {
  BucketSetup,
  FromWorker,
  ToWorker,
  WireError,
  WorkerPreparation,
  WorkerRequest,
  WorkerSetup,
} from "./protocol.ts";

/**
 * The child process that holds DuckDB. One database; a connection for each request, which queries over the same files have one after
 * the other. It never stops by itself, but ends with its parent.
 */

let instance: DuckDBInstance | undefined;
const named = new NamedConnections();
let bucket: BucketSetup | undefined;
/** The database of a worker that was started ahead. */
let prepared: Promise<DuckDBInstance> | undefined;
/** The last change of keys: requests wait for it. */
let keyed: Promise<void> = Promise.resolve();

function send(message: FromWorker): void {
  process.send?.(message);
}

/** What every database here starts with. */
const options: Readonly<Record<string, string>> = {
  autoinstall_known_extensions: "false",
  autoload_known_extensions: "false",
  allow_community_extensions: "false",
};

/** A database for a bucket, with the extension that reads it: most of the time that a start takes. */
async function prepare(preparation: WorkerPreparation): Promise<DuckDBInstance> {
  const created = await DuckDBInstance.create(":memory:", {
    ...options,
    ...bucketOptions(preparation),
  });
  const connection = await created.connect();
  await loadHttpfs(connection, preparation);
  connection.closeSync();
  return created;
}

/**
 * Settings that stay as they are from here on: DuckDB refuses to change them once it is locked. GLOBAL, as plain SET
 * sets what extensions define for this connection alone, and requests have others.
 */
async function setUp(setup: WorkerSetup): Promise<void> {
  const created = await (setup.bucket === undefined
    ? DuckDBInstance.create(":memory:", options)
    : (prepared ?? prepare(setup.bucket)));
  const connection = await created.connect();
  if (setup.bucket !== undefined) await useKeys(connection, setup.bucket);
  const settings: Record<string, string> = {
    threads: String(setup.threads),
    memory_limit: quoteLiteral(`${setup.memoryMiB}MiB`),
    temp_directory: quoteLiteral(setup.temporaryDirectory),
    max_temp_directory_size: quoteLiteral(`${setup.diskMiB}MiB`),
    // In a bucket it compares ETags. Local files it compares by times in whole seconds, so that one that was replaced
    // twice within a second would stay the old one; but beside a bucket those are copies that nobody replaces.
    enable_external_file_cache: String(setup.bucket !== undefined),
    TimeZone: "'UTC'",
    ...(setup.bucket === undefined ? {} : bucketSettings),
    allowed_directories: quoteList(setup.allowedDirectories),
    enable_external_access: "false",
    lock_configuration: "true",
  };
  const all = Object.entries(settings).map(([name, value]) => `SET GLOBAL ${name} = ${value}`);
  await connection.run(all.join("; "));
  connection.closeSync();
  await checkLock(created, setup, { ...options, ...settings });
  bucket = setup.bucket;
  instance = created;
}

/** Reads all settings back, on a connection as requests get one: nothing runs over half a lock. */
async function checkLock(
  locked: DuckDBInstance,
  { allowedDirectories, temporaryDirectory }: WorkerSetup,
  settings: Readonly<Record<string, string>>,
): Promise<void> {
  // As SQL, so that DuckDB compares each in its own way of writing it: sizes, lists, numbers.
  const expected: Record<string, string> = {
    ...settings,
    // DuckDB adds where it spills.
    allowed_directories: quoteList([...allowedDirectories, `${temporaryDirectory}/`]),
    allowed_paths: "[]",
  };
  for (const name of ["memory_limit", "max_temp_directory_size"]) {
    expected[name] = `format_bytes(parse_formatted_bytes(${expected[name]})::BIGINT)`;
  }
  const tests = Object.entries(expected).map(([name, value]) => {
    const is = `current_setting(${quoteLiteral(name)})`;
    return name.startsWith("allowed_")
      ? `list_sort(${is}::VARCHAR[]) = list_sort(${value}::VARCHAR[])`
      : `${is}::VARCHAR = (${value})::VARCHAR`;
  });
  const connection = await locked.connect();
  const found = await connection.runAndReadAll(`SELECT ${tests.join(", ")}`);
  connection.closeSync();
  const [answers = []] = found.getRowsJS();
  const wrong = Object.keys(expected).filter((_, at) => answers[at] !== true);
  if (wrong.length === 0) return;
  throw new MillpondError("engine-lock", `DuckDB did not take its settings: ${wrong.join(", ")}`);
}

async function changeKeys(keys: BucketKeys): Promise<void> {
  if (instance === undefined || bucket === undefined) throw new Error("there is no bucket to read");
  const connection = await instance.connect();
  try {
    await useKeys(connection, { ...bucket, keys });
  } finally {
    connection.closeSync();
  }
}

/** Connections of the requests that are under way; undefined of those that wait for one. */
const underWay = new Map<number, DuckDBConnection | undefined>();
/** Of the requests among them that nobody waits for. */
const interrupting = new Map<number, NodeJS.Timeout>();
/** An interrupt ends what runs, and is lost where nothing does: before there is a connection, and between two calls of DuckDB. */
const interruptEveryMs = 20;

function interrupt(id: number): void {
  if (!underWay.has(id) || interrupting.has(id)) return;
  const stop = () => underWay.get(id)?.interrupt();
  interrupting.set(id, setInterval(stop, interruptEveryMs));
  stop();
}

async function perform(id: number, request: WorkerRequest): Promise<unknown> {
  if (instance === undefined) throw new Error("a request came before the set-up");
  underWay.set(id, undefined);
  try {
    await keyed;
    return await performOn(instance, request, (connection) => underWay.set(id, connection));
  } finally {
    underWay.delete(id);
    clearInterval(interrupting.get(id));
    interrupting.delete(id);
  }
}

/** @param onConnection told of the connection before anything runs on it */
async function performOn(
  database: DuckDBInstance,
  request: WorkerRequest,
  onConnection: (connection: DuckDBConnection) => void,
): Promise<unknown> {
  if (request.kind === "query") {
    return await named.use(database, request.tables, async (connection, isNamed) => {
      onConnection(connection);
      const { result, volatile } = await answer(connection, request, isNamed);
      return { result, spent: volatile };
    });
  }
  const connection = await database.connect();
  try {
    onConnection(connection);
    switch (request.kind) {
      case "convert":
        return await convert(connection, request);
      case "review":
        return await review(connection, request.sql);
      case "describe":
        return await describe(connection, request.files);
    }
  } finally {
    connection.closeSync();
  }
}

/** The parent believes that this worker has the keys: one that has not is of no use, and the next one starts with them. */
function die(error: unknown): never {
  process.stderr.write(`${messageOf(error)}\n`);
  process.exit(1);
}

/** In this order: DuckDB calls the end of its disk an error of memory, too. */
const resourceErrors: readonly [RegExp, string][] = [
  [/No space left/i, "disk-full"],
  [/failed to offload|set by the 'max_temp_directory_size'/i, "out-of-disk"],
  [/^Out of Memory Error/i, "out-of-memory"],
];

function toWire(error: unknown): WireError {
  if (error instanceof MillpondError) {
    const { code, message, retryable, details } = error;
    const rejection = error instanceof SourceError ? { rejection: error.reason } : {};
    return { code, message, retryable, details, ...rejection };
  }
  const message = messageOf(error);
  const resource = resourceErrors.find(([pattern]) => pattern.test(message));
  const remote =
    bucket !== undefined && /^(HTTP|IO) Error/.test(message) && !/duckdb_temp_/.test(message);
  const code = resource?.[1] ?? (remote ? "store-unavailable" : "engine");
  return { code, message, retryable: true, details: {} };
}

process.on("message", (message: ToWorker) => {
  if (message.kind === "prepare") {
    prepared = prepare(message.preparation);
    // The set-up hears of it.
    prepared.catch(() => {});
    return;
  }
  if (message.kind === "setup") {
    setUp(message.setup).then(
      () => send({ kind: "ready" }),
      (error: unknown) => send({ kind: "failed", error: toWire(error) }),
    );
    return;
  }
  if (message.kind === "keys") {
    keyed = keyed.then(() => changeKeys(message.keys)).catch(die);
    return;
  }
  if (message.kind === "interrupt") {
    interrupt(message.id);
    return;
  }
  const { id, request } = message;
  perform(id, request).then(
    (result) => send({ kind: "result", id, result }),
    (error: unknown) => {
      send({ kind: "error", id, error: toWire(error) });
      if (isBroken(error)) endSoon(error);
    },
  );
});

/** After such an error DuckDB's own state is not what it should be, and its next answer is not to be trusted. */
function isBroken(error: unknown): boolean {
  return /^(INTERNAL|FATAL) Error/.test(messageOf(error));
}

/** Behind what was sent. Requests that are still here go to another worker. */
function endSoon(error: unknown): void {
  process.send?.({ kind: "broken" } satisfies FromWorker, () => die(error));
}

// A thread of DuckDB may still be at work, and an orderly exit would wait for it.
process.on("disconnect", () => process.kill(process.pid, "SIGKILL"));
// Ctrl-C reaches the whole process group; the parent decides when its engine stops.
process.on("SIGINT", () => {});
process.on("SIGTERM", () => {});
