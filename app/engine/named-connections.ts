import type { DuckDBConnection } from "@duckdb/node-api";
import type { TableFiles } from "./protocol.ts";
import { identityOf } from "./table-identity.ts";

/** Sets of tables for which connections are kept, and how many for each: as many as work at once on a machine of some cores. */
const most = { sets: 8, ofEach: 8 };

/**
 * Connections on which tables have their names already, kept from one query for the next over the same files: naming takes DuckDB
 * as long as planning the query. A query is a SELECT around reviewed functions, none of which leaves anything behind; the policy refuses
 * those that would, as `setseed` and `nextval`.
 */
export class NamedConnections {
  /** By the files of the tables, the oldest first. */
  readonly #kept = new Map<string, DuckDBConnection[]>();

  /** One with just these tables, if there is one: it is the caller's, who closes it or gives it back. */
  take(tables: readonly TableFiles[]): DuckDBConnection | undefined {
    const key = identityOf(tables);
    return key === undefined ? undefined : this.#kept.get(key)?.pop();
  }

  /**
   * Keeps one whose query ended well, or closes it.
   * @param tables those that have their names on it
   */
  giveBack(tables: readonly TableFiles[], connection: DuckDBConnection): void {
    const key = identityOf(tables);
    const some = (key === undefined ? undefined : this.#kept.get(key)) ?? [];
    if (key === undefined || some.length >= most.ofEach) {
      connection.closeSync();
      return;
    }
    some.push(connection);
    this.#kept.delete(key);
    this.#kept.set(key, some);
    for (const [oldest, connections] of this.#kept) {
      if (this.#kept.size <= most.sets) break;
      this.#kept.delete(oldest);
      for (const one of connections) one.closeSync();
    }
  }
}
