import { checkArchitecture } from "../architecture.ts";
import { processPond } from "./invocation.ts";

/** A handler for each function. */
export { handler as hello } from "./hello.ts";
export { handler as ingest } from "./ingest.ts";
export { handler as query } from "./query.ts";
export { handler as sweep } from "./sweep.ts";

checkArchitecture(process.env);
// The initialisation waits for what the first event would wait for: a function may be frozen as soon as it is over.
const name = process.env["_HANDLER"]?.split(".").at(-1);
if (name === "ingest" || name === "query") await (await processPond()).warm[name]();
