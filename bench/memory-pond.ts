import { ingest } from "../app/flow/ingest.ts";
import { openBenchPond, serve } from "./pond.ts";

/**
 * A pond in a process of its own, whose memory is looked at from outside. Told by its parent what to ingest; SQL comes over HTTP.
 *
 *   node memory-pond.ts <folder> <MiB>
 */
const [folder = "", mebibytes = ""] = process.argv.slice(2);
const { pond, close } = await openBenchPond(folder, { MILLPOND_MEMORY_MIB: mebibytes });
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
