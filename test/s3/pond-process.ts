import { environmentNames } from "../../app/contract.ts";
import { readSettings } from "../../app/environment.ts";
import { createLogger } from "../../app/logger.ts";
import { openPond } from "../../app/pond.ts";

/** A process with a pond, for tests that freeze it: answers each message, SQL, with the answer's text. */
const pond = await openPond(
  readSettings({ ...process.env, [environmentNames.auth]: "none" }),
  createLogger({ environment: { LOG_LEVEL: "fatal" } }),
);
process.on("message", (sql: string) => {
  void (async () => {
    const query = new URLSearchParams({ sql, format: "ndjson" });
    const response = await pond.http.request(`/query?${query}`);
    process.send?.(await response.text());
  })();
});
process.on("disconnect", () => process.exit());
process.send?.("ready");
