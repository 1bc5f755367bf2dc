import { readSettings } from "../../app/environment.ts";
import { createLogger } from "../../app/logger.ts";
import { openPond } from "../../app/pond.ts";
import { serveLocal } from "../../cli/local-server.ts";

/** A pond in a bucket, over HTTP, in a process that can be watched: says its URL, and ends with its parent. */
const [, , token = ""] = process.argv;
const pond = await openPond(readSettings(process.env), createLogger({ environment: process.env }), {
  tokens: { stranger: token },
});
const server = await serveLocal(pond, { host: "127.0.0.1", port: 0, names: [], stallMs: 60_000 });
process.stdout.write(`${server.url}\n`);
process.stdin.resume();
process.stdin.once("end", () => {
  void server
    .close()
    .then(() => pond.close())
    .then(() => process.exit());
});
