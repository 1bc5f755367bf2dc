import { randomUUID } from "node:crypto";
import manifest from "../package.json" with { type: "json" };

/** Of Millpond, as package.json says. */
export const version: string = manifest.version;

/** Set where the functions are bundled. */
declare const millpondBuild: string | undefined;

/** What tells this code from other code. Where it is not bundled anybody may change it: then it is this process. */
export const build: string =
  typeof millpondBuild === "string" ? millpondBuild : `process ${randomUUID()}`;
