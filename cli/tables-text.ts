import type { TableSummary } from "../app/lake/reports.ts";
import { bytesText, numberText, withoutControls } from "../app/text.ts";
import { columnsText } from "./text.ts";

/** Tables for people, a line each. @param columns whether it says how many columns each has */
export function tablesText(
  tables: readonly TableSummary[],
  { columns: counted }: { columns: boolean },
): string {
  const only = (cell: string) => (counted ? [cell] : []);
  const rows = tables.map(({ name, rows, files, bytes, columns, rejected }) => [
    withoutControls(name),
    numberText(rows),
    numberText(files),
    bytesText(bytes),
    ...only(columns === null ? "unreadable" : numberText(columns.length)),
    numberText(rejected),
  ]);
  return columnsText([["table", "rows", "files", "size", ...only("columns"), "rejected"], ...rows]);
}
