import path from "node:path";
import { Option } from "commander";
import { environmentNames } from "../app/contract.ts";
import { storeProblem } from "../app/environment.ts";
import { UsageError } from "./usage-error.ts";

export const defaultFolder = "pond";

/** A pond as a person names it: a folder, absolute by now, or a bucket. */
export type NamedStore = { kind: "folder"; path: string } | { kind: "bucket"; url: string };

/** Names the pond, for commands that take either kind. */
export function storeOption(): Option {
  return new Option(
    "--dir <folder>",
    `the folder of the pond, or s3://<bucket> (default: ${environmentNames.store}, else "${defaultFolder}")`,
  );
}

/** The pond that such a command is about, and what the functions know it by. */
export function storeFor(dir: string | undefined): NamedStore & { name: string } {
  const named = namedStore(dir) ?? { kind: "folder", path: path.resolve(defaultFolder) };
  return { ...named, name: named.kind === "bucket" ? named.url : named.path };
}

/**
 * The pond that a command is about.
 * @param dir what `--dir` names; without it `MILLPOND_STORE` counts
 * @returns undefined where neither names one
 * @throws UsageError for a URL that is no bucket's: it would be a folder of an odd name
 */
export function namedStore(dir: string | undefined): NamedStore | undefined {
  // An unset variable of the shell, most likely: it must not mean another pond.
  if (dir === "") throw new UsageError("--dir is empty: name a folder, or s3://<bucket>");
  const named = dir ?? process.env[environmentNames.store];
  if (named === undefined || named === "") return undefined;
  // A scheme, or a slip in s3's: nobody means a folder of such a name.
  if (!/^([a-z][a-z0-9+.-]+:|s3\/\/)/i.test(named)) {
    return { kind: "folder", path: path.resolve(named) };
  }
  const problem = storeProblem(named);
  if (problem !== undefined) {
    throw new UsageError(`${dir === undefined ? environmentNames.store : "--dir"} ${problem}`);
  }
  return { kind: "bucket", url: named };
}
