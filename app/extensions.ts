import { type Environment, environmentNames as names } from "./contract.ts";

/** Where DuckDB's extensions are. */
export interface Extensions {
  /** Absolute path of their folder. Undefined for DuckDB's own. */
  folder: string | undefined;
  /** Whether what is in it was checked when it was put there, so that signatures need not be. */
  sealed: boolean;
}

/** Another folder than the image's is one that nobody has sealed. */
export function extensionsFrom(environment: Environment): Extensions {
  const folder = environment[names.extensions];
  const sealed = environment[names.sealedExtensions];
  return folder === undefined && sealed !== undefined
    ? { folder: sealed, sealed: true }
    : { folder, sealed: false };
}
