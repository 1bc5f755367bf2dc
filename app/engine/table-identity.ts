import type { TableFiles } from "./protocol.ts";

/** Files of tables about which something is kept: with more of them the rest of a query takes so long that it saves nothing. */
const mostFiles = 20;

/** The same for tables of the same content. Undefined where they may change while they are read, or have many files. */
export function identityOf(tables: readonly TableFiles[]): string | undefined {
  const files = tables.flatMap((table) => table.files);
  if (files.length > mostFiles || files.some(({ id }) => id === undefined)) return undefined;
  return JSON.stringify(tables);
}
