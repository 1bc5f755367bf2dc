import type { DuckDBConnection, DuckDBInstance } from "@duckdb/node-api";
import { nameTables } from "./name-tables.ts";
import type { TableFiles } from "./protocol.ts";

/** Sets of tables for which one is kept. */
const mostKept = 8;
/** Files of tables that are named ahead: with more of them the rest of a query takes so long that it saves nothing. */
const mostFiles = 20;

/**
 * Connections on which tables have their names already, each for one request that has not come yet: most ask what was asked
 * before, and naming takes DuckDB as long as planning the query. As fresh as any other: nobody has used it.
 */
export class SpareConnections {
  readonly #instance: DuckDBInstance;
  /** By the files of the tables, the oldest first. */
  readonly #kept = new Map<string, Promise<DuckDBConnection | undefined>>();

  constructor(instance: DuckDBInstance) {
    this.#instance = instance;
  }

  /** One with just these tables, if there is one: it is the caller's, who closes it. */
  async take(tables: readonly TableFiles[]): Promise<DuckDBConnection | undefined> {
    const key = keyOf(tables);
    const kept = key === undefined ? undefined : this.#kept.get(key);
    if (key === undefined || kept === undefined) return undefined;
    this.#kept.delete(key);
    return await kept;
  }

  /** Makes one for whoever asks these tables next. */
  prepare(tables: readonly TableFiles[]): void {
    const key = keyOf(tables);
    if (key === undefined || this.#kept.has(key)) return;
    for (const [oldest, kept] of this.#kept) {
      if (this.#kept.size < mostKept) break;
      this.#kept.delete(oldest);
      void kept.then((connection) => connection?.closeSync());
    }
    this.#kept.set(key, this.#make(tables));
  }

  async #make(tables: readonly TableFiles[]): Promise<DuckDBConnection | undefined> {
    const connection = await this.#instance.connect();
    try {
      await nameTables(connection, tables);
      return connection;
    } catch {
      // Whoever asks next names them anew, and is told what is wrong.
      connection.closeSync();
      return undefined;
    }
  }
}

/** The same for the same content. Undefined for tables that may change while they are read, or of many files. */
function keyOf(tables: readonly TableFiles[]): string | undefined {
  const files = tables.flatMap((table) => table.files);
  if (tables.length === 0 || files.length > mostFiles) return undefined;
  if (files.some(({ id }) => id === undefined)) return undefined;
  return JSON.stringify(tables);
}
