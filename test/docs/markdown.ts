import MarkdownIt, { type Token } from "markdown-it";

/** Where the commands of a block run. */
export const environmentNames = [
  "pond",
  "clone",
  "stack",
  "deploy",
  "image",
  "orders",
  "thumbnails",
] as const;
export type EnvironmentName = (typeof environmentNames)[number];

/** What the comment before a block says of it. */
export type Directive =
  | {
      kind: "run";
      environment: EnvironmentName;
      /** The exit code that each command ends with. */
      exit: number;
      /** What the last command shows before Ctrl-C ends it, as it does not end by itself. */
      until?: string;
    }
  | { kind: "not run"; reason: string };

export interface Command {
  line: number;
  /** As bash takes it; of several lines where one ends in `\`, in `|` or `&&`, or within quotes. */
  text: string;
  /** Lines of output that the page shows. Undefined where it shows none, as a `sh` block does. */
  shown?: string[];
}

/** A block of commands. */
export interface Block {
  file: string;
  /** Of its fence, from 1. */
  line: number;
  directive: Directive;
  commands: Command[];
}

/** A piece of text, and the line where it stands. */
export interface Found {
  line: number;
  text: string;
}

/** What there is to check in a Markdown file. */
export interface Page {
  file: string;
  blocks: Block[];
  /** Inline code. */
  codes: Found[];
  /** What links, images and HTML's own attributes point at. */
  links: Found[];
  /** What a link to this page may have behind `#`. */
  anchors: Set<string>;
  /** What is wrong with the page itself, as `<file>:<line>: …`. */
  problems: string[];
}

/** Blocks of these languages are looked at, not run. */
const silent = ["sql", "ts", "yaml", "json", "csv", "text"];

/** Reads a page. Nothing is thrown: what is wrong stands in `problems`. */
export function readPage(file: string, text: string): Page {
  const page: Page = {
    file,
    blocks: [],
    codes: [],
    links: [],
    anchors: new Set(),
    problems: [],
  };
  const wrong = (problem: Found) => page.problems.push(`${file}:${problem.line}: ${problem.text}`);
  const alone = ({ line, text }: Found) =>
    wrong({ line, text: `<!-- ${text} --> stands before no block` });
  const tokens = new MarkdownIt({ html: true }).parse(text, {});
  const slugs = new Map<string, number>();
  // What has no lines of its own, as a table's cell, stands where the last that has some begins.
  let line = 1;
  let said: Found | undefined;
  for (const [index, token] of tokens.entries()) {
    if (token.map !== null) line = token.map[0] + 1;
    const before = said;
    said = token.type === "html_block" ? directiveOf(token, line) : undefined;
    if (token.type === "fence" || token.type === "code_block") {
      const { block, problem } = readFence(file, token, line, before);
      if (block !== undefined) page.blocks.push(block);
      if (problem !== undefined) wrong(problem);
    } else if (before !== undefined) {
      alone(before);
    }
    if (token.type === "html_block") page.links.push(...htmlLinks(token.content, line));
    if (token.type !== "inline") continue;
    readInline(page, token.children ?? [], line);
    if (tokens[index - 1]?.type === "heading_open") {
      const slug = slugOf(textOf(token));
      const again = slugs.get(slug);
      slugs.set(slug, (again ?? 0) + 1);
      page.anchors.add(again === undefined ? slug : `${slug}-${again}`);
    }
  }
  if (said !== undefined) alone(said);
  return page;
}

/** A comment that is meant for whoever runs the page. */
function directiveOf(token: Token, line: number): Found | undefined {
  const [, text] = /^<!--\s*((?:not )?run\b.*?)\s*-->\s*$/s.exec(token.content) ?? [];
  return text === undefined ? undefined : { line, text };
}

/** @returns the block, or what is wrong with it; neither where it is only to be read */
function readFence(
  file: string,
  token: Token,
  line: number,
  said: Found | undefined,
): { block?: Block; problem?: Found } {
  const wrong = (text: string, at = line) => ({ problem: { line: at, text } });
  const languages = `sh, console, ${silent.join(", ")}`;
  const [language = ""] = token.info.trim().split(/\s+/);
  if (language === "") return wrong(`a block without a language: ${languages}`);
  if (language !== "sh" && language !== "console") {
    if (!silent.includes(language)) return wrong(`"${language}" is none of ${languages}`);
    return said === undefined ? {} : wrong(`a block of ${language} runs nothing`, said.line);
  }
  const directive = readDirective(said?.text ?? "run: pond");
  if (typeof directive === "string") return wrong(directive, said?.line);
  const lines = token.content.replace(/\n$/, "").split("\n");
  const read = language === "sh" ? shellCommands : consoleCommands;
  const commands = read(lines, line + 1);
  if (typeof commands === "string") return wrong(commands);
  if (commands.length === 0) return wrong("a block of commands without a command");
  return { block: { file, line, directive, commands } };
}

/** @returns what is wrong with it, where it can't be read */
function readDirective(text: string): Directive | string {
  const [, reason] = /^not run\b:?\s*(.*)$/s.exec(text) ?? [];
  if (reason === "") return "<!-- not run: … --> says no reason";
  if (reason !== undefined) return { kind: "not run", reason };
  const [, name, exit = "0", until] =
    /^run:\s*(\w+)(?:,\s*exit:\s*(\d+))?(?:,\s*until:\s*(.+))?$/s.exec(text) ?? [];
  const environment = environmentNames.find((one) => one === name);
  if (environment === undefined) {
    return `<!-- ${text} --> is not as <!-- run: ${environmentNames.join("|")}[, exit: <code>][, until: <text>] -->`;
  }
  const rest = until === undefined ? {} : { until };
  return { kind: "run", environment, exit: Number(exit), ...rest };
}

/** A `sh` block: a command a line, comments between them. */
function shellCommands(lines: readonly string[], first: number): Command[] {
  const commands: Command[] = [];
  for (let at = 0; at < lines.length; ) {
    const begun = at;
    const text = takeCommand(lines, at, (line) => line);
    at += text.split("\n").length;
    if (!/^\s*(#|$)/.test(text)) commands.push({ line: first + begun, text });
  }
  return commands;
}

/** A `console` block: `$ ` before each command, and below it what it writes. @returns what is wrong, where it is none */
function consoleCommands(lines: readonly string[], first: number): Command[] | string {
  const commands: Command[] = [];
  for (let at = 0; at < lines.length; ) {
    if (!lines[at]?.startsWith("$ ")) return "output stands before the first command";
    const begun = at;
    const text = takeCommand(lines, at, (line) => line.replace(/^[$>] /, ""));
    at += text.split("\n").length;
    const from = at;
    while (at < lines.length && !lines[at]?.startsWith("$ ")) at += 1;
    const shown = lines.slice(from, at).map((line) => line.trimEnd());
    while (shown.at(-1) === "") shown.pop();
    commands.push({ line: first + begun, text, shown });
  }
  return commands;
}

/** A line, and those after it for as long as the shell would wait for more. */
function takeCommand(
  lines: readonly string[],
  at: number,
  clean: (line: string) => string,
): string {
  let text = clean(lines[at] ?? "");
  for (const line of lines.slice(at + 1)) {
    if (!isOpen(text)) break;
    text += `\n${clean(line)}`;
  }
  return text;
}

/** Whether a command goes on in the next line: it ends in `\`, in `|` or `&&`, or within quotes. */
function isOpen(text: string): boolean {
  let quote = "";
  // Without comments.
  let code = "";
  for (let i = 0; i < text.length; i += 1) {
    const c = text.charAt(i);
    if (c === "\\" && quote !== "'") {
      i += 1;
      if (i === text.length) return true;
      code += "\\";
      continue;
    }
    if (quote !== "") {
      if (c === quote) quote = "";
    } else if (c === "'" || c === '"') {
      quote = c;
    } else if (c === "#" && /^$|[\s;&|(]/.test(text.charAt(i - 1))) {
      // A comment: its apostrophes open nothing.
      const end = text.indexOf("\n", i);
      if (end === -1) break;
      i = end;
    }
    code += text.charAt(i);
  }
  return quote !== "" || /(\||&&)\s*$/.test(code);
}

function readInline(page: Page, children: readonly Token[], first: number): void {
  let line = first;
  for (const child of children) {
    if (child.type === "softbreak" || child.type === "hardbreak") line += 1;
    if (child.type === "code_inline") page.codes.push({ line, text: child.content });
    if (child.type === "html_inline") page.links.push(...htmlLinks(child.content, line));
    const target = child.attrGet(child.type === "image" ? "src" : "href");
    if (typeof target === "string") page.links.push({ line, text: target });
  }
}

function htmlLinks(html: string, first: number): Found[] {
  return [...html.matchAll(/\b(?:href|src|srcset)="([^"\s]+)"/g)].map((found) => ({
    line: first + html.slice(0, found.index).split("\n").length - 1,
    text: found[1] ?? "",
  }));
}

function textOf({ children }: Token): string {
  return (children ?? []).map(({ content }) => content).join("");
}

/** As GitHub makes it of a heading. */
function slugOf(heading: string): string {
  return heading
    .toLowerCase()
    .replace(/[^\p{L}\p{M}\p{N}_ -]/gu, "")
    .replaceAll(" ", "-");
}
