import { forkSpareWorker } from "../engine/spare-worker.ts";

/**
 * Imported before anything else: DuckDB's process starts first, and loads while this one does. `_HANDLER` is Lambda's.
 */
if (/\.(ingest|query)$/.test(process.env["_HANDLER"] ?? "")) forkSpareWorker();
