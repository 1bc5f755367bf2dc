import { readSettings } from "../../app/environment.ts";
import { createHandler as createIngest } from "../../app/functions/ingest.ts";
import { createHandler as createSweep } from "../../app/functions/sweep.ts";
import { createLogger } from "../../app/logger.ts";
import { openPond } from "../../app/pond.ts";
import { localContext } from "../../cli/local-context.ts";

/** What it is told to do, and what it says of it. */
export interface Invocation {
  function: "ingest" | "sweep";
  event: unknown;
  /** As the stage has it: another history may be another stage's. */
  mirrorDeletes: boolean;
}
export type Ending = { ok: boolean; said: string };

/** The functions as Lambda runs them, in a process that may be killed: one invocation at a time. */
const logger = createLogger({ environment: { LOG_LEVEL: "fatal" } });
logger.silent = true;
const pond = await openPond(readSettings(process.env), logger);
const handlers = {
  ingest: createIngest(() => Promise.resolve(pond)),
  sweep: createSweep(() => Promise.resolve(pond)),
};
process.on("message", (invocation: Invocation) => {
  const { function: name, event, mirrorDeletes } = invocation;
  pond.ingest.mirrorDeletes = mirrorDeletes;
  pond.sweep.mirrorDeletes = mirrorDeletes;
  void handlers[name](event, localContext(name)).then(
    (returned) => process.send?.({ ok: true, said: JSON.stringify(returned) } satisfies Ending),
    (error: Error) => process.send?.({ ok: false, said: error.message } satisfies Ending),
  );
});
process.on("disconnect", () => process.exit());
await pond.warm.ingest();
process.send?.("ready");
