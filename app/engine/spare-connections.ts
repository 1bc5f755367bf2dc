import type { DuckDBConnection, DuckDBInstance } from "@duckdb/node-api";
import { nameTables } from "./name-tables.ts";
import type { TableFiles } from "./protocol.ts";
import { identityOf } from "./table-identity.ts";

/** Sets of tables for which one is kept. */
const mostKept = 8;

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
    const key = identityOf(tables);
    const kept = key === undefined ? undefined : this.#kept.get(key);
    if (key === undefined || kept === undefined) return undefined;
    this.#kept.delete(key);
    return await kept;
  }

  /** Makes one for whoever asks these tables next. */
  prepare(tables: readonly TableFiles[]): void {
    const key = identityOf(tables);
    if (tables.length === 0 || key === undefined || this.#kept.has(key)) return;
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
