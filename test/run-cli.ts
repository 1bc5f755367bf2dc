import { type ChildProcess, spawn } from "node:child_process";
import { fileURLToPath } from "node:url";

const program = fileURLToPath(new URL("../cli/millpond.ts", import.meta.url));

export interface CliRun {
  code: number | null;
  stdout: string;
  stderr: string;
  /** Both, as they came. */
  text: string;
}

export interface CliOptions {
  cwd?: string;
  /** All of its environment. @default this process's own */
  env?: Record<string, string | undefined>;
  /** Its standard input. @default "" */
  input?: string;
  /** Given the process as soon as it is there, to send it a signal. */
  onStart?: (child: ChildProcess) => void;
}

/** Runs `millpond` as a person would, and waits until it has ended. */
export async function runCli(
  args: readonly string[],
  { cwd, env = process.env, input = "", onStart }: CliOptions = {},
): Promise<CliRun> {
  const child = spawn(process.execPath, [program, ...args], { cwd, env });
  onStart?.(child);
  const written = { stdout: "", stderr: "", text: "" };
  for (const name of ["stdout", "stderr"] as const) {
    child[name].on("data", (chunk: Buffer) => {
      written[name] += String(chunk);
      written.text += String(chunk);
    });
  }
  // One that has ended before takes none.
  child.stdin.on("error", () => {});
  child.stdin.end(input);
  const code = await new Promise<number | null>((resolve) => child.once("close", resolve));
  return { code, ...written };
}
