import { DuckDBInstance } from "@duckdb/node-api";
import { type Environment, environmentNames } from "../app/contract.ts";
import { MillpondError, messageOf } from "../app/errors.ts";

/**
 * Brings DuckDB's httpfs to this machine, which a pond in a bucket needs and the image has inside: once, to where DuckDB
 * keeps its extensions, which checks their signature. Nothing where MILLPOND_EXTENSIONS names a folder of them.
 * @param repository where from @default DuckDB's own
 * @throws MillpondError `extension` where it can't be had
 */
export async function installHttpfs(
  environment: Environment,
  { repository, home }: { repository?: string; home?: string } = {},
): Promise<void> {
  if (environment[environmentNames.extensions] !== undefined) return;
  const instance = await DuckDBInstance.create(":memory:", {
    ...(repository === undefined ? {} : { custom_extension_repository: repository }),
    ...(home === undefined ? {} : { extension_directory: home }),
  });
  const connection = await instance.connect();
  try {
    const found = await connection.runAndReadAll(
      "SELECT installed, version() FROM duckdb_extensions() WHERE extension_name = 'httpfs'",
    );
    const [installed, version] = found.getRowsJS()[0] as [boolean, string];
    if (installed) return;
    process.stderr.write(`fetching DuckDB's httpfs ${version}, once …\n`);
    await connection.run("INSTALL httpfs");
  } catch (error) {
    throw new MillpondError(
      "extension",
      `DuckDB's httpfs, which reads buckets, can't be fetched: ${messageOf(error).split("\n")[0]}; ` +
        `name a folder that has it as <folder>/v<version>/<platform>/httpfs.duckdb_extension in ${environmentNames.extensions}, ` +
        "or use the image, which has it inside: npm run image, npm run image:run -- query",
      { cause: error },
    );
  } finally {
    connection.closeSync();
    instance.closeSync();
  }
}
