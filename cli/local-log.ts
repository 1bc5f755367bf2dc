import path from "node:path";
import { privateFolder } from "../app/contract.ts";

/** Where a pond on one machine keeps its log, whose older parts are beside it with a number at the end of their names. */
export function localLogFile(root: string): string {
  return path.join(root, privateFolder, "logs", "millpond.ndjson");
}
