import { DuckDBInstance } from "@duckdb/node-api";
import { MillpondError, messageOf } from "../errors.ts";
import { SourceError } from "../lake/source-error.ts";
import { quoteList, quoteLiteral } from "../query/quote.ts";
import { answer, describe, review } from "./answer.ts";
import { convert } from "./convert.ts";
import type { FromWorker, ToWorker, WireError, WorkerRequest, WorkerSetup } from "./protocol.ts";

/**
 * The child process that holds DuckDB. One database; a fresh connection for each request, so that no request sees what
 * another set up. It never stops by itself, but ends with its parent.
 */

let instance: DuckDBInstance | undefined;

function send(message: FromWorker): void {
  process.send?.(message);
}

/** Settings that stay as they are from here on: DuckDB refuses to change them once it is locked. */
async function setUp(setup: WorkerSetup): Promise<void> {
  const created = await DuckDBInstance.create(":memory:");
  const connection = await created.connect();
  const settings: [string, string][] = [
    ["autoinstall_known_extensions", "false"],
    ["autoload_known_extensions", "false"],
    ["allow_community_extensions", "false"],
    ["threads", String(setup.threads)],
    ["memory_limit", quoteLiteral(`${setup.memoryMiB}MiB`)],
    ["temp_directory", quoteLiteral(setup.temporaryDirectory)],
    ["max_temp_directory_size", quoteLiteral(`${setup.diskMiB}MiB`)],
    // For local files it compares times by the second: a file that was replaced twice within one would stay the old one.
    ["enable_external_file_cache", "false"],
    ["TimeZone", "'UTC'"],
    ["allowed_directories", quoteList(setup.allowedDirectories)],
    ["enable_external_access", "false"],
    ["lock_configuration", "true"],
  ];
  for (const [name, value] of settings) await connection.run(`SET ${name} = ${value}`);
  connection.closeSync();
  instance = created;
}

async function perform(request: WorkerRequest): Promise<unknown> {
  if (instance === undefined) throw new Error("a request came before the set-up");
  const connection = await instance.connect();
  try {
    switch (request.kind) {
      case "convert":
        return await convert(connection, request);
      case "review":
        return await review(connection, request.sql);
      case "query":
        return await answer(connection, request);
      case "describe":
        return await describe(connection, request.files);
    }
  } finally {
    connection.closeSync();
  }
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
  return { code: resource?.[1] ?? "engine", message, retryable: true, details: {} };
}

process.on("message", (message: ToWorker) => {
  if (message.kind === "setup") {
    setUp(message.setup).then(
      () => send({ kind: "ready" }),
      (error: unknown) => send({ kind: "failed", error: toWire(error) }),
    );
    return;
  }
  const { id, request } = message;
  perform(request).then(
    (result) => send({ kind: "result", id, result }),
    (error: unknown) => send({ kind: "error", id, error: toWire(error) }),
  );
});

// A thread of DuckDB may still be at work, and an orderly exit would wait for it.
process.on("disconnect", () => process.kill(process.pid, "SIGKILL"));
// Ctrl-C reaches the whole process group; the parent decides when its engine stops.
process.on("SIGINT", () => {});
process.on("SIGTERM", () => {});
