import fs from "node:fs/promises";
import path from "node:path";
import type { DuckDBConnection } from "@duckdb/node-api";
import { emptyFile } from "../lake/source-error.ts";
import { quoteIdentifier, quoteLiteral } from "../query/quote.ts";
import { columnsOf } from "./columns-of.ts";
import type { ConvertRequest } from "./protocol.ts";
import { type Relation, settled } from "./relation.ts";
import { unpackTo } from "./unpack.ts";

/** Parquet: it has types of its own. */
export async function relateParquet(
  connection: DuckDBConnection,
  request: ConvertRequest,
): Promise<Relation> {
  let file = request.source;
  if (request.compression !== "none") {
    // Parquet is read from its end, so it can't be unpacked on the way.
    file = path.join(request.scratch, "unpacked.parquet");
    await unpackTo(request, file);
  }
  if ((await fs.stat(file)).size === 0) throw emptyFile("the file is empty");
  const from = `read_parquet(${quoteLiteral(file)}, hive_partitioning=false)`;
  const columns = (await columnsOf(connection, from)).map(({ name }) => ({
    name,
    expression: quoteIdentifier(name),
    rungs: [],
    proposal: settled,
  }));
  return { from, columns, unpacked: request.compression !== "none" };
}
