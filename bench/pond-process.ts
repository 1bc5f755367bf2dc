import { ingest } from "../app/flow/ingest.ts";
import { openBenchPond, serve } from "./pond.ts";

/**
 * A pond in a process of its own, as it is for whoever asks one. Told by its parent what to ingest; SQL comes over HTTP.
 *
 *   node pond-process.ts <folder> <environment as JSON>
 */
const [folder = "", environment = "{}"] = process.argv.slice(2);
const { pond, close } = await openBenchPond(
  folder,
  JSON.parse(environment) as Record<string, string>,
);
const server = await serve(pond);
process.on("message", (key: string) => {
  ingest(pond.ingest, key).then(
    ({ kind }) => process.send?.({ kind }),
    (error: Error) => process.send?.({ kind: error.message }),
  );
});
process.once("disconnect", () => {
  void (async () => {
    await server.close();
    await close();
  })();
});
process.send?.({ url: server.url });
