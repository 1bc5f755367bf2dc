#!/usr/bin/env node
// Before all others.
import "./steady-heap.ts";
import { Command, CommanderError, Help, type Option } from "commander";
import { MillpondError } from "../app/errors.ts";
import { version } from "../app/version.ts";
import { commands } from "./commands.ts";
import { callBehindDashes, mayHaveTaken, npmCall } from "./npm-options.ts";
import { fittedTo } from "./text.ts";
import { UsageError } from "./usage-error.ts";

/** Exit codes: 0 done, 1 it failed, 2 the call itself is wrong, 3 an image is for another architecture, 130 interrupted. */
const program = new Command("millpond")
  .description("Files dropped in a folder or a bucket become tables; SQL over HTTP reads them.")
  .version(version)
  .configureHelp({ commandUsage: usageOf, optionDescription: descriptionOf })
  // One line, as other errors are.
  .configureOutput({
    outputError: (text) => {
      const line = text
        .trim()
        .replace(/\s*\n\s*/g, " ")
        .replace(/\.$/, "");
      complain(`${line}${behindDashes(line)}; see --help`);
    },
  })
  .exitOverride();

// Whoever reads has had enough, as `head` has after some lines: no error of ours. The command goes on to its own end, as what it
// prints is seldom all that it does.
process.stdout.on("error", (error: NodeJS.ErrnoException) => {
  if (!["EPIPE", "ERR_STREAM_DESTROYED"].includes(error.code ?? "")) throw error;
});

const [, , named = "", ...args] = process.argv;
const wanted = Object.hasOwn(commands, named) ? [commands[named]] : Object.values(commands);
for (const load of wanted) {
  const command = await load?.();
  if (command !== undefined) program.addCommand(command.copyInheritedSettings(program));
}

/** Of errors that are no failure of the command itself. */
const exitCodes: Readonly<Record<string, number>> = { environment: 2, architecture: 3 };

const runs = program.commands.find((command) => command.name() === named);
try {
  const meant = runs === undefined ? undefined : callBehindDashes(runs, args, process.env);
  if (meant !== undefined) throw new UsageError(`options come after --: ${meant}`);
  await program.parseAsync();
} catch (error) {
  process.exitCode = report(error);
}

function complain(text: string): void {
  process.stderr.write(`${fittedTo(process.stderr, text)}\n`);
}

function usageOf(command: Command): string {
  return command.parent === null
    ? "npm run <command> -- [options]"
    : `${npmCall(command)} ${command.usage()}`;
}

/** Of what npm takes as its own options, or as short for them, only arguments are left that nobody expects. */
function behindDashes(line: string): string {
  const maybe = runs !== undefined && mayHaveTaken(runs, args, process.env);
  if (!maybe || !line.includes("too many arguments")) return "";
  return `; options come after --: ${npmCall(runs)} --<option> …`;
}

/** Without what goes without saying: that a flag is off, and a list empty, until it is given. */
function descriptionOf(option: Option): string {
  return new Help().optionDescription(option).replace(/ \(default: (false|\[\])\)$/, "");
}

function report(error: unknown): number {
  // Commander has already said what is wrong, or shown what was asked for.
  if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : 2;
  if (error instanceof UsageError) {
    complain(`error: ${error.message}`);
    return 2;
  }
  if (error instanceof MillpondError) {
    // Whoever interrupts knows, and what was interrupted has said so.
    if (error.code === "interrupted") return 130;
    complain(`error: ${error.message}`);
    return exitCodes[error.code] ?? 1;
  }
  process.stderr.write(`${(error as Error)?.stack ?? String(error)}\n`);
  return 1;
}
