import { environmentNames, type FunctionName } from "../contract.ts";
import { forkSpareWorker } from "../engine/spare-worker.ts";
import { extensionsFrom } from "../extensions.ts";

type Handlers = Record<FunctionName, (event: never, context: never) => Promise<unknown>>;

/**
 * What the image runs: Lambda calls `index.<function>`. DuckDB's process starts first, and loads while the functions do.
 * `_HANDLER` is Lambda's.
 */
const name = process.env["_HANDLER"]?.split(".").at(-1);
const bucket = process.env[environmentNames.store]?.startsWith("s3://");
const extensions = extensionsFrom(process.env);
// The ingest engine reads local files alone.
const preparation = name === "query" && bucket ? { extensions } : undefined;
const worker = name === "ingest" || name === "query" ? forkSpareWorker(preparation) : undefined;

// For what is loaded from here on: stack traces then name the files that people wrote.
process.setSourceMapsEnabled(true);
const handlers = await import("./handlers.ts").finally(() => {
  // One that no engine took: the initialisation failed, or had no use for it.
  worker?.abandon();
});
const { hello, ingest, query, sweep, ...forgotten } = handlers satisfies Handlers;
// A function without an export here would be missing in the image alone.
forgotten satisfies Record<string, never>;

export { hello, ingest, query, sweep };
