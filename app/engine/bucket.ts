import type { DuckDBConnection } from "@duckdb/node-api";
import { environmentNames } from "../contract.ts";
import { MillpondError, messageOf } from "../errors.ts";
import { quoteLiteral } from "../query/quote.ts";
import type { BucketSetup, WorkerPreparation } from "./protocol.ts";

/** Seconds without an answer after which httpfs asks again: the connection may have died while the function was frozen. */
const timeoutSeconds = 3;

/** Options of a database that is to read a bucket. */
export function bucketOptions({ extensions }: WorkerPreparation): Record<string, string> {
  return {
    // Nothing is read from, or written to, a folder of secrets. Secrets can't be told so later.
    allow_persistent_secrets: "false",
    ...(extensions.folder === undefined ? {} : { extension_directory: extensions.folder }),
    // Until httpfs is loaded: the settings that follow take it back.
    allow_unsigned_extensions: String(extensions.sealed),
  };
}

/** Settings that there are when httpfs is loaded. */
export const bucketSettings: Readonly<Record<string, string>> = {
  httpfs_connection_caching: "true",
  http_timeout: String(timeoutSeconds),
  // A key is a key: no pattern, and no parameters that lead elsewhere.
  s3_url_compatibility_mode: "true",
  allow_unsigned_extensions: "false",
};

/**
 * Loads the extension that reads buckets.
 * @throws MillpondError `extension` where it isn't there, or is of another version or architecture
 */
export async function loadHttpfs(
  connection: DuckDBConnection,
  { extensions }: WorkerPreparation,
): Promise<void> {
  try {
    // With this process's empty environment: loading copies AWS_ variables to where any query can read them.
    await connection.run("LOAD httpfs");
  } catch (error) {
    const where = extensions.folder ?? "~/.duckdb/extensions";
    throw new MillpondError(
      "extension",
      // DuckDB's advice comes after its first line: to install it, which this process must not.
      `DuckDB's extension httpfs can't be loaded from ${where}: ${messageOf(error).split("\n")[0]}; ${environmentNames.extensions} must name a folder that has it as <folder>/v<version>/<platform>/httpfs.duckdb_extension`,
      { cause: error },
    );
  }
}

/** Gives DuckDB other keys for the bucket. They are held in memory, and sent nowhere but to that part of it. */
export async function useKeys(connection: DuckDBConnection, bucket: BucketSetup): Promise<void> {
  const { scope, access, keys } = bucket;
  const facts: [string, string | undefined][] = [
    ["KEY_ID", keys.accessKeyId],
    ["SECRET", keys.secretAccessKey],
    ["SESSION_TOKEN", keys.sessionToken],
    ["REGION", access.region],
    ["ENDPOINT", access.endpoint],
    // Of an emulator no name resolves but its own; and a certificate for *.host has none for a bucket with dots.
    ["URL_STYLE", access.endpoint === undefined && !hasDots(scope) ? "vhost" : "path"],
    ["SCOPE", scope],
  ];
  const given = facts.flatMap(([name, value]) =>
    value === undefined ? [] : [`${name} ${quoteLiteral(value)}`],
  );
  const options = ["TYPE s3", ...given, `USE_SSL ${access.useTls}`].join(", ");
  try {
    await connection.run(`CREATE OR REPLACE TEMPORARY SECRET lake (${options})`);
    // The first use sets up what a locked configuration no longer lets it.
    await connection.run(`FROM which_secret(${quoteLiteral(scope)}, 's3')`);
  } catch (error) {
    // Only what kind of error it is: DuckDB's message may quote the statement, and with it the keys.
    const kind = messageOf(error).split(":")[0];
    throw new MillpondError("store-credentials", `DuckDB does not take keys for ${scope}: ${kind}`);
  }
}

function hasDots(scope: string): boolean {
  return new URL(scope).hostname.includes(".");
}
