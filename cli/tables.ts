import { Command } from "commander";
import { prefixes } from "../app/contract.ts";
import type { TableDetails, TableSummary } from "../app/lake/reports.ts";
import { foldName } from "../app/query/quote.ts";
import { bytesText, countText, withoutControls } from "../app/text.ts";
import { rejectionText } from "./rejection-text.ts";
import { interruption } from "./steps.ts";
import { tablesText } from "./tables-text.ts";
import {
  askWhole,
  jsonOf,
  noPond,
  refusal,
  type TargetOptions,
  targetOf,
  targetOptions,
} from "./target.ts";

interface TablesOptions extends TargetOptions {
  json: boolean;
}

export function tablesCommand(): Command {
  return new Command("tables")
    .description("what tables a pond has; of one, its columns and what was rejected")
    .argument("[table]", "one table")
    .addOption(targetOptions.stack())
    .addOption(targetOptions.url())
    .addOption(targetOptions.token())
    .option("--json", "the pond's own answer, as GET /tables gives it", false)
    .addHelpText(
      "after",
      `
Exit code: 0 shown; 1 refused, failed, or no such table; 2 the call is wrong;
130 interrupted.`,
    )
    .action(async (table: string | undefined, { json, ...options }: TablesOptions) => {
      const stopped = interruption();
      const target = await targetOf(options);
      // As SQL takes the name: a pond has no two tables that differ in case alone.
      const route =
        table === undefined ? "/tables" : `/tables/${encodeURIComponent(foldName(table))}`;
      try {
        const { answer, body } = await askWhole(target, route, { signal: stopped });
        if (body === answer && answer.statusCode !== 200) {
          throw await refusal(answer, target, { "not-found": () => noTable(table) });
        }
        const said = await jsonOf<unknown>(body, target);
        const shown = table === undefined ? listText(said) : tableText(said);
        // JSON of somebody else's.
        if (shown === undefined) throw noPond(answer, target);
        process.stdout.write(`${json ? JSON.stringify(said) : shown}\n`);
      } catch (error) {
        stopped.throwIfAborted();
        throw error;
      }
    });
}

function noTable(table: string | undefined): string {
  return `there is no table ${table}: npm run tables lists them`;
}

/** Undefined where it is no list of tables. */
function listText(said: unknown): string | undefined {
  const { tables } = (said ?? {}) as { tables?: TableSummary[] };
  if (!Array.isArray(tables)) return undefined;
  if (tables.length === 0) return "no tables yet: npm run put -- <file> makes one";
  return tablesText(tables, { columns: true });
}

/** Undefined where it is no table. */
function tableText(said: unknown): string | undefined {
  const { name, rows, files, bytes, columns, rejections } = (said ?? {}) as Partial<TableDetails>;
  if (
    name === undefined ||
    rows === undefined ||
    files === undefined ||
    bytes === undefined ||
    columns === undefined ||
    rejections === undefined
  ) {
    return undefined;
  }
  const head = `${name}: ${countText(rows, "row")} in ${countText(files, "file")}, ${bytesText(bytes)}`;
  const known =
    columns === null
      ? [`  a file under ${prefixes.lake}${name}/ that somebody else put there can't be read`]
      : columnList(columns);
  const rejected = rejections.map((one) => rejectionText(withoutControls(one.source.key), one));
  return [head, ...known, ...rejected].join("\n");
}

function columnList(columns: NonNullable<TableSummary["columns"]>): string[] {
  const names = columns.map(({ name }) => withoutControls(name));
  const width = Math.max(0, ...names.map(({ length }) => length));
  return columns.map(({ type }, at) => `  ${names[at]?.padEnd(width)}  ${withoutControls(type)}`);
}
