import type { DuckDBConnection, DuckDBInstance } from "@duckdb/node-api";
import { nameTables } from "./name-tables.ts";
import type { TableFiles } from "./protocol.ts";
import { identityOf } from "./table-identity.ts";

/** Sets of tables for which some are kept, and how many for each: one is made while another is used. */
const most = { sets: 8, ofEach: 2 };

type Made = Promise<DuckDBConnection | undefined>;

/**
 * Connections on which tables have their names already, each for one request that has not come yet: most ask what was asked
 * before, and naming takes DuckDB as long as planning the query. As fresh as any other: nobody has used it.
 */
export class SpareConnections {
  readonly #instance: DuckDBInstance;
  /** By the files of the tables, the oldest first. */
  readonly #kept = new Map<string, Made[]>();

  constructor(instance: DuckDBInstance) {
    this.#instance = instance;
  }

  /** One with just these tables, if there is one: it is the caller's, who closes it. */
  async take(tables: readonly TableFiles[]): Promise<DuckDBConnection | undefined> {
    const key = identityOf(tables);
    return key === undefined ? undefined : await this.#kept.get(key)?.shift();
  }

  /** Makes what is missing for those who ask these tables next. */
  prepare(tables: readonly TableFiles[]): void {
    const key = identityOf(tables);
    if (tables.length === 0 || key === undefined) return;
    const some = this.#kept.get(key) ?? [];
    this.#kept.delete(key);
    this.#kept.set(key, some);
    while (some.length < most.ofEach) some.push(this.#make(tables));
    for (const [oldest, kept] of this.#kept) {
      if (this.#kept.size <= most.sets) break;
      this.#kept.delete(oldest);
      for (const made of kept) void made.then((connection) => connection?.closeSync());
    }
  }

  async #make(tables: readonly TableFiles[]): Made {
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
