import type { Command } from "commander";

/** What the pages' commands are checked against. */
export interface Project {
  /** npm's scripts. */
  scripts: Readonly<Record<string, string>>;
  /** The commands of `millpond`, by name. */
  programs: ReadonlyMap<string, Command>;
  /** The settings in Pulumi.yaml, without the project's name. */
  settings: ReadonlySet<string>;
  /** The commands that CI runs, as `npm run lint`. */
  steps: readonly string[];
}

/** Pieces of a command line between `&&`, `|` and the like, each as its words, quotes and all. Comments are left out. */
export function simpleCommands(line: string): string[][] {
  const commands: string[][] = [[]];
  const pieces = /(?:"(?:[^"\\]|\\.)*"|'[^']*'|\\[^\n]|[^\s"'\\;&|])+|[;&|]+|\n|\\\n/gs;
  let comment = false;
  for (const [piece] of line.matchAll(pieces)) {
    if (piece.startsWith("#")) comment = true;
    if (piece === "\n") comment = false;
    if (comment || piece === "\\\n") continue;
    if (/^[;&|\n]/.test(piece)) commands.push([]);
    else commands.at(-1)?.push(piece);
  }
  return commands.filter(({ length }) => length > 0);
}

/** What a page leaves to its reader: `<name>`, `…`. */
const isPlaceholder = (word: string) => /[<…]/.test(word);
const isOption = (word: string) => /^-[-a-zA-Z]/.test(word) && !isPlaceholder(word);

/** An npm script as it is called. */
interface ScriptCall {
  script: string;
  /** What npm takes for itself. */
  own: string[];
  /** What the script gets. */
  args: string[];
}

function scriptCall([npm, first, ...more]: readonly string[]): ScriptCall | undefined {
  if (npm !== "npm" || first === undefined) return undefined;
  const called =
    first === "run" ? more.filter((word) => !/^(-s|--silent)$/.test(word)) : [first, ...more];
  const [script = "", ...rest] = called;
  if (first !== "run" && first !== "start" && first !== "test") return undefined;
  if (script === "" || isPlaceholder(script)) return undefined;
  const end = rest.indexOf("--");
  const [own, args] = end === -1 ? [rest, []] : [rest.slice(0, end), rest.slice(end + 1)];
  return { script, own, args };
}

/** What of a command, or of inline code that may be one, does not exist: scripts, commands, options, settings. */
export function unknownIn(line: string, project: Project): string[] {
  return simpleCommands(line).flatMap((all) => {
    const words = all.slice(all.findIndex((word) => !/^\w+=/.test(word)));
    const call = scriptCall(words);
    if (call !== undefined) return unknownOfScript(call, project);
    const [program, ...args] = words[0] === "npx" ? words.slice(1) : words;
    if (program === "millpond") return unknownOptions(args[0], args.slice(1), project);
    if (program === "pulumi") return unknownSetting(args, project);
    return [];
  });
}

function unknownOfScript({ script, own, args }: ScriptCall, project: Project): string[] {
  const runs = project.scripts[script];
  if (runs === undefined) return [`package.json has no script "${script}"`];
  const lost = own
    .filter(isOption)
    .map((option) => `npm keeps ${option} for itself: it belongs behind --`);
  const [, command] = /cli\/millpond\.ts (\S+)/.exec(runs) ?? [];
  return command === undefined ? lost : [...lost, ...unknownOptions(command, args, project)];
}

function unknownOptions(
  name: string | undefined,
  args: readonly string[],
  { programs }: Project,
): string[] {
  if (name === undefined || isPlaceholder(name) || isOption(name)) return [];
  const program = programs.get(name);
  if (program === undefined) return [`there is no command "millpond ${name}"`];
  const known = program.options.flatMap(({ short, long }) => [short, long]).concat("-h", "--help");
  return args
    .filter(isOption)
    .map((word) => word.replace(/=.*$/s, ""))
    .filter((option) => !known.includes(option))
    .map((option) => `"millpond ${name}" has no option ${option}`);
}

/** Options of Pulumi's that a value follows. */
const valued = ["--stack", "-s", "--config-file", "--cwd", "-C"];

function unknownSetting(args: readonly string[], { settings }: Project): string[] {
  if (args[0] !== "config" || !["set", "get", "rm"].includes(args[1] ?? "")) return [];
  const [key = "<key>"] = args
    .slice(2)
    .filter((word, at, all) => !word.startsWith("-") && !valued.includes(all[at - 1] ?? ""));
  const name = key.replace(/['"]/g, "").replace(/^millpond:/, "");
  // Of a provider, as aws:region.
  if (isPlaceholder(name.split(".")[0] ?? "") || name.includes(":")) return [];
  const [top = ""] = name.split(/[.[]/);
  return settings.has(top) ? [] : [`Pulumi.yaml has no setting "${top}"`];
}

/** The commands of a script of CI's such as .ci/run: those behind `step <name> <minutes>`, where `suite x` runs `npm run x`. */
export function ciSteps(script: string): string[] {
  return [...script.matchAll(/^\s*step \S+ \d+ (.+)$/gm)].map(([, command = ""]) =>
    command.replace(/^suite /, "npm run "),
  );
}

const suite = /^(test|bench)(:|$)|^check$/;

/**
 * Whether CI runs a line by steps of its own, so that it is not run again.
 * @returns a text: what of it is for CI to run, and CI does not
 */
export function ranByCi(line: string, project: Project): boolean | string {
  const parts = simpleCommands(line);
  const left = parts.filter((words) => !isStep(words, project));
  if (left.length === 0) return true;
  const suites = left.filter(isSuite);
  if (suites.length === 0) return false;
  return `CI has no step for ${suites.map((words) => words.join(" ")).join(", ")}`;
}

function isSuite(words: readonly string[]): boolean {
  return suite.test(scriptCall(words)?.script ?? "") || words.join(" ") === "bash .ci/run";
}

function isStep(words: readonly string[], project: Project): boolean {
  const call = scriptCall(words);
  const wanted = named(words);
  for (const step of project.steps) {
    const same = named(step.split(" "));
    // Of a suite CI may run less, or more: it is the script that counts.
    if (
      same.text === wanted.text ||
      (isSuite(words) && same.script === call?.script && call !== undefined)
    )
      return true;
  }
  const parts = simpleCommands(project.scripts[call?.script ?? ""] ?? "");
  return parts.length > 1 && parts.every((part) => isStep(part, project));
}

/** `npm test` is `npm run test`, with or without `-s`. */
function named(words: readonly string[]): { text: string; script: string | undefined } {
  const call = scriptCall(words);
  if (call === undefined) return { text: words.join(" "), script: undefined };
  const { script, own, args } = call;
  return { text: ["npm run", script, ...own, "--", ...args].join(" "), script };
}

/** The blocks of one page in one environment: for each, its place and its command lines. */
export type Blocks = readonly { place: string; lines: readonly string[] }[];

/**
 * Which blocks at a page's end are the same commands, in the same order, as another page's: deploying takes minutes, and is not proved
 * better by doing it twice. Not those in its middle, as what follows may go on from what they leave.
 * @returns by a block's place, where its commands are run
 */
export function repeated(page: Blocks, others: readonly Blocks[]): Map<string, string> {
  const same = (line: string) => JSON.stringify(simpleCommands(line));
  const found = new Map<string, string>();
  for (let from = page.length - 1; from >= 0; from -= 1) {
    const rest = page.slice(from).flatMap(({ lines }) => lines.map(same));
    const other = others.find((blocks) => {
      const all = blocks.flatMap(({ lines }) => lines.map(same));
      return rest.every((line) => {
        const at = all.indexOf(line);
        all.splice(0, at + 1);
        return at !== -1;
      });
    });
    if (other === undefined) break;
    for (const { place } of page.slice(from)) found.set(place, other[0]?.place ?? "");
  }
  return found;
}
