import type { DuckDBConnection } from "@duckdb/node-api";
import { MillpondError, messageOf } from "../errors.ts";
import { quoteLiteral } from "../query/quote.ts";
import type { BucketSetup } from "./protocol.ts";

/** Seconds without an answer after which httpfs asks again: the connection may have died while the function was frozen. */
const timeoutSeconds = 3;

/** Settings of a database that reads a bucket. */
export const bucketSettings: readonly [name: string, value: string][] = [
  // Nothing is read from, or written to, a folder of secrets.
  ["allow_persistent_secrets", "false"],
  ["httpfs_connection_caching", "true"],
  ["http_timeout", String(timeoutSeconds)],
  // A key is a key: no pattern, and no parameters that lead elsewhere.
  ["s3_url_compatibility_mode", "true"],
];

/**
 * Loads the extension that reads buckets.
 * @param folder of DuckDB's extensions; undefined for its own
 * @throws MillpondError `extension` where it isn't there, or is of another version or architecture
 */
export async function loadHttpfs(
  connection: DuckDBConnection,
  folder: string | undefined,
): Promise<void> {
  if (folder !== undefined) {
    await connection.run(`SET GLOBAL extension_directory = ${quoteLiteral(folder)}`);
  }
  try {
    // With this process's empty environment: loading copies AWS_ variables to where any query can read them.
    await connection.run("LOAD httpfs");
  } catch (error) {
    const where = folder ?? "~/.duckdb/extensions";
    throw new MillpondError(
      "extension",
      `DuckDB's extension httpfs can't be loaded from ${where}: ${messageOf(error)}`,
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
  } catch {
    // DuckDB's message may quote the statement, and with it the keys.
    throw new MillpondError("store-credentials", `DuckDB does not take the keys for ${scope}`);
  }
}

function hasDots(scope: string): boolean {
  return new URL(scope).hostname.includes(".");
}
