import { type ChildProcess, spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { setTimeout as pause } from "node:timers/promises";
import { shownBy } from "./output.ts";

/** How a command ended. */
export interface Ended {
  /** Undefined where it did not end in time. */
  code: number | undefined;
  /** Lines of what the terminal showed, standard output and error as they came. */
  output: string[];
}

export interface TerminalOptions {
  folder: string;
  /** All of the shell's environment. */
  environment: Readonly<Record<string, string>>;
}

/** Milliseconds in which what runs may end by Ctrl-C. */
const patienceMs = 15_000;

/**
 * A shell in a terminal, as a reader has it: programs see a terminal's width, and no pipe; Ctrl-C goes to what runs in front. `script`
 * of util-linux makes the terminal, as Node.js can't.
 */
export class Terminal {
  readonly #child: ChildProcess;
  readonly #mark: RegExp;
  #written = "";
  #ended: Promise<unknown>;

  private constructor(child: ChildProcess, mark: RegExp) {
    this.#child = child;
    this.#mark = mark;
    this.#ended = once(child, "close");
    child.stdout?.setEncoding("utf8").on("data", (text: string) => {
      this.#written += text;
    });
    // Also where this process ends without closing it: what runs in it hears that the terminal is gone.
    const orphaned = () => child.kill("SIGKILL");
    process.once("exit", orphaned);
    child.once("exit", () => process.off("exit", orphaned));
    // It may be gone when somebody presses Ctrl-C.
    child.stdin?.on("error", () => {});
  }

  static async open({ folder, environment }: TerminalOptions): Promise<Terminal> {
    const id = randomBytes(8).toString("hex");
    const shell = "bash --noprofile --norc --noediting -i";
    const child = spawn("script", ["--quiet", "--flush", "--command", shell, "/dev/null"], {
      cwd: folder,
      env: {
        ...environment,
        TERM: "xterm",
        // Told after each command, in a sequence that no terminal shows.
        PROMPT_COMMAND: `printf '\\e]${id};%s\\a' "$?"`,
        SHELL: "/bin/bash",
      },
      stdio: ["pipe", "pipe", "inherit"],
      // Of no terminal that the tests run in.
      detached: true,
    });
    const terminal = new Terminal(child, new RegExp(`\u001b\\]${id};(\\d+)\u0007`));
    await terminal.#prompt(patienceMs);
    await terminal.run("stty -echo cols 140 rows 24; PS1= PS2=", { timeoutMs: patienceMs });
    return terminal;
  }

  /** Runs a command, and waits for its end. @param until text after which Ctrl-C ends it */
  async run(
    command: string,
    { timeoutMs, until }: { timeoutMs: number; until?: string | undefined },
  ): Promise<Ended> {
    this.begin(command);
    if (until !== undefined) {
      await this.#wait(timeoutMs, () => this.code !== undefined || this.shows(until));
      if (this.code === undefined) this.#interrupt();
    }
    const code = await this.#prompt(timeoutMs);
    if (code === undefined) {
      this.#interrupt();
      await this.#prompt(patienceMs);
    }
    return { code, output: this.output() };
  }

  /** Begins a command, whose end nobody waits for. */
  begin(command: string): void {
    this.#written = "";
    this.#child.stdin?.write(`${command}\n`);
  }

  /** Waits until what runs shows a text. @returns whether it did; not where it ended, or took too long */
  async until(text: string, timeoutMs: number): Promise<boolean> {
    await this.#wait(timeoutMs, () => this.code !== undefined || this.shows(text));
    return this.shows(text);
  }

  shows(text: string): boolean {
    return this.output().some((line) => line.includes(text));
  }

  output(): string[] {
    return shownBy(this.#written.replace(this.#mark, ""));
  }

  /** Ends what runs, by Ctrl-C, and the shell. */
  async close(): Promise<void> {
    if (this.code === undefined) this.#interrupt();
    await this.#prompt(patienceMs);
    this.#child.stdin?.end("exit\n");
    await Promise.race([this.#ended, pause(patienceMs, undefined, { ref: false })]);
    // Its session, whatever is left of it, hears that the terminal is gone.
    this.#child.kill("SIGKILL");
  }

  #interrupt(): void {
    this.#child.stdin?.write("\u0003");
  }

  /** Of the command that was begun last. Undefined while it runs. */
  get code(): number | undefined {
    const [, code] = this.#mark.exec(this.#written) ?? [];
    return code === undefined ? undefined : Number(code);
  }

  async #prompt(timeoutMs: number): Promise<number | undefined> {
    await this.#wait(timeoutMs, () => this.code !== undefined);
    return this.code;
  }

  async #wait(timeoutMs: number, done: () => boolean): Promise<void> {
    const end = Date.now() + timeoutMs;
    while (!done() && Date.now() < end && this.#child.exitCode === null) await pause(20);
  }
}
