import type { Command, Option } from "commander";

/**
 * Options of ours that npm has, too: what it says of them may be its own configuration, from a file or from whoever ran it.
 * @see https://docs.npmjs.com/cli/using-npm/config
 */
export const npmsOwn: ReadonlySet<string> = new Set([
  "all",
  "cache",
  "dry-run",
  "force",
  "json",
  "key",
  "tag",
  "yes",
]);

/** The script of npm's that runs a command. */
export function scriptOf(command: Command): string {
  return command.name().replace("image-run", "image:run");
}

/** As people call it: whatever their own Node is, npm's scripts have one that runs TypeScript. */
export function npmCall(command: Command): string {
  const script = scriptOf(command);
  // npm has a word for one of them.
  return `npm ${script === "start" ? script : `run ${script}`} --`;
}

/**
 * What to call instead, where npm took options for its own, as it does with those before `--`: it puts them into the environment,
 * and passes the rest on. Undefined where it took none that it can be known of.
 * @param args behind the command's name
 */
export function callBehindDashes(
  command: Command,
  args: readonly string[],
  environment: Readonly<Record<string, string | undefined>>,
): string | undefined {
  if (!mayHaveTaken(command, args, environment)) return undefined;
  const taken = command.options.flatMap((option) => {
    const name = option.long?.replace(/^--(no-)?/, "") ?? "";
    const value = environment[`npm_config_${name.replaceAll("-", "_")}`];
    return value === undefined || npmsOwn.has(name) ? [] : [asTyped(option, value, command, args)];
  });
  return taken.length === 0 ? undefined : `${npmCall(command)} ${taken.join(" ")} …`;
}

/** Whether npm runs this command, and passed no option on to it. */
export function mayHaveTaken(
  command: Command,
  args: readonly string[],
  environment: Readonly<Record<string, string | undefined>>,
): boolean {
  const byNpm = environment["npm_lifecycle_event"] === scriptOf(command);
  return byNpm && !args.some((arg) => arg.startsWith("-"));
}

function asTyped(
  { long = "", flags, negate, required, optional }: Option,
  value: string,
  command: Command,
  args: readonly string[],
): string {
  if (negate || !(required || optional)) return long;
  const [, placeholder = ""] = /([<[].*[>\]])$/.exec(flags) ?? [];
  // Without a `=` the value came as an argument, among the others. A token is nothing to print.
  const alone = command.registeredArguments.length === 0 && args.length === 1 ? args[0] : undefined;
  const given = value === "true" ? alone : value;
  return `${long} ${long === "--token" || given === undefined ? placeholder : given}`;
}
