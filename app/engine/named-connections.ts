import type { DuckDBConnection, DuckDBInstance } from "@duckdb/node-api";
import type { TableFiles } from "./protocol.ts";
import { identityOf } from "./table-identity.ts";

/** Sets of tables for which connections are kept, and how many for each: as many as work at once on a machine of some cores. */
const most = { sets: 8, ofEach: 8 };

/** What a query came to on a connection. */
export interface Used<T> {
  result: T;
  /** Whether the connection may know by it what is none of the next one's business: then it is closed. */
  spent: boolean;
}

/**
 * Connections on which tables have their names already, kept from one query for the next over the same files: naming takes DuckDB
 * as long as planning the query. A query is a SELECT around reviewed functions, none of which leaves anything behind but the state of
 * random numbers; the policy refuses those that would, as `setseed` and `nextval`.
 */
export class NamedConnections {
  /** By the files of the tables, the oldest first. */
  readonly #kept = new Map<string, DuckDBConnection[]>();

  /**
   * Runs a query on a kept connection, or on a new one, which is kept then: but not one on which it failed.
   * @param run names the tables where they are not named
   */
  async use<T>(
    instance: DuckDBInstance,
    tables: readonly TableFiles[],
    run: (connection: DuckDBConnection, isNamed: boolean) => Promise<Used<T>>,
  ): Promise<T> {
    const key = identityOf(tables);
    const kept = key === undefined ? undefined : this.#kept.get(key)?.pop();
    const connection = kept ?? (await instance.connect());
    let isGood = false;
    try {
      const { result, spent } = await run(connection, kept !== undefined);
      isGood = !spent;
      return result;
    } finally {
      if (key === undefined || !isGood || !this.#keep(key, connection)) connection.closeSync();
    }
  }

  #keep(key: string, connection: DuckDBConnection): boolean {
    const some = this.#kept.get(key) ?? [];
    if (some.length >= most.ofEach) return false;
    some.push(connection);
    this.#kept.delete(key);
    this.#kept.set(key, some);
    for (const [oldest, connections] of this.#kept) {
      if (this.#kept.size <= most.sets) break;
      this.#kept.delete(oldest);
      for (const one of connections) one.closeSync();
    }
    return true;
  }
}
