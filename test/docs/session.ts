import type { Block, Command } from "./markdown.ts";
import { difference } from "./output.ts";
import { type Ended, Terminal, type TerminalOptions } from "./terminal.ts";

/** Commands that go on until Ctrl-C, and what they show when they are ready. */
const servers: readonly [RegExp, string][] = [
  [/(^|&& )npm (run (-s )?)?start\b/, "Stop:  Ctrl-C"],
  [/(^|&& )npm run (-s )?image:run\b/, "waits for events"],
];

/** Of what a command showed that failed. */
const mostLines = 50;

/** Undefined where it ends by itself, or the shell puts it into the background. */
function serverOf(text: string): (typeof servers)[number] | undefined {
  if (/[^&]&\s*(#.*)?$/.test(text)) return undefined;
  return servers.find(([kind]) => kind.test(text));
}

export interface SessionOptions extends TerminalOptions {
  /** How long a command may take. */
  timeoutMs: number;
  /** Whether a command failed for something else than itself, by what it showed: it is run once more then. @default - none is */
  again?: (shown: string) => Promise<boolean>;
}

/** The terminals of somebody who goes through a page. */
export class Session {
  readonly #options: SessionOptions;
  #front: Terminal;
  /** Those in which something serves. What served before makes way for the next of its kind. */
  readonly #serving = new Map<RegExp, Terminal>();

  private constructor(options: SessionOptions, front: Terminal) {
    this.#options = options;
    this.#front = front;
  }

  static async open(options: SessionOptions): Promise<Session> {
    return new Session(options, await Terminal.open(options));
  }

  /** Whether a command begins something that goes on in a terminal of its own. */
  static serves(text: string): boolean {
    return serverOf(text) !== undefined;
  }

  /** Runs a command of a page. @throws Error with its place, and what is not as the page has it */
  async run({ file, directive, commands }: Block, command: Command): Promise<void> {
    const { exit = 0, until: last } = directive.kind === "run" ? directive : {};
    const until = command === commands.at(-1) ? last : undefined;
    const { code, output } = await this.execute(command.text, until);
    const wrong: string[] = [];
    if (code === undefined) {
      wrong.push(`it did not end within ${this.#options.timeoutMs / 1000} s`);
    } else if (code !== exit) wrong.push(`exit code ${code}, not ${exit}`);
    if (until !== undefined && !output.some((line) => line.includes(until))) {
      wrong.push(`it did not show "${until}"`);
    }
    const lines = command.shown === undefined ? undefined : difference(command.shown, output);
    if (wrong.length === 0 && lines === undefined) return;
    if (wrong.length === 0) wrong.push(`exit code ${code}, as expected`);
    const came =
      lines === undefined
        ? output.slice(-mostLines)
        : ["- what the page shows, + what came:", lines];
    throw new Error([`${file}:${command.line}: ${command.text}`, ...wrong, ...came].join("\n"));
  }

  /** Runs a command as the page's reader does: what serves stays in its terminal, and another one is opened. */
  async execute(text: string, until?: string): Promise<Ended> {
    const server = serverOf(text);
    const { timeoutMs, again } = this.#options;
    if (server === undefined || until !== undefined) {
      const run = async () => await this.#front.run(text, { timeoutMs, until });
      const ended = await run();
      const lost = ended.code !== 0 && (await again?.(ended.output.join("\n")));
      return lost === true ? await run() : ended;
    }
    const [kind, ready] = server;
    await this.#serving.get(kind)?.close();
    this.#serving.delete(kind);
    const front = this.#front;
    front.begin(text);
    const begun = await front.until(ready, timeoutMs);
    const output = front.output();
    if (!begun) return { code: front.code, output };
    this.#serving.set(kind, front);
    this.#front = await Terminal.open(this.#options);
    return { code: 0, output };
  }

  async close(): Promise<void> {
    for (const terminal of [this.#front, ...this.#serving.values()]) await terminal.close();
  }
}
