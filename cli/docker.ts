import { type ChildProcess, spawn } from "node:child_process";
import { MillpondError } from "../app/errors.ts";
import { endingSignals } from "./signals.ts";

export interface DockerOptions {
  /** Whether standard output is shown as it comes; else it is returned. */
  show: boolean;
  /** Whether standard error is kept for the error's message; else it is shown as it comes. @default false */
  quiet?: boolean;
  /** Beside this process's own. @default {} */
  environment?: Readonly<Record<string, string>>;
  /** Whether it ends what it does before a signal counts: half of it could not be taken back. @default false */
  whole?: boolean;
  /** What ends it where it does not end by a signal. @default - it is waited for */
  insist?: () => Promise<unknown>;
}

/** Milliseconds after a signal, until `insist`. */
const patienceMs = 2000;

/**
 * Runs Docker's command line. Signals are handed to it; it then ends in its own way.
 * @returns what it wrote to standard output, where that is not shown
 * @throws MillpondError `docker-missing` where it isn't there, `docker` where it ends with another exit code than 0,
 * `interrupted` where that is for a signal that we got
 */
export async function docker(
  args: readonly string[],
  { show, quiet = false, environment = {}, whole = false, insist }: DockerOptions,
): Promise<string> {
  let child: ChildProcess | undefined;
  let interrupted: NodeJS.Signals | undefined;
  // Ctrl-C in a terminal reaches Docker as well, and its second one does no harm.
  let insisting: NodeJS.Timeout | undefined;
  const hand = (signal: NodeJS.Signals) => {
    interrupted = signal;
    if (whole) return;
    child?.kill(signal);
    // Docker may have been too busy with its start to hear it.
    // Where that fails too, whoever called finds it in what it is to end.
    if (insist !== undefined) insisting ??= setTimeout(() => insist().catch(() => {}), patienceMs);
  };
  // Before there is anything that a signal could leave behind: to make a process takes milliseconds.
  for (const signal of endingSignals) process.on(signal, hand);
  const written: Buffer[] = [];
  const complaints: Buffer[] = [];
  try {
    const code = await new Promise<number | string>((resolve, reject) => {
      child = spawn("docker", args, {
        stdio: ["ignore", show ? "inherit" : "pipe", quiet ? "pipe" : "inherit"],
        env: { ...process.env, ...environment },
        // Out of reach of a terminal's Ctrl-C.
        detached: whole,
      });
      child.stdout?.on("data", (chunk: Buffer) => written.push(chunk));
      child.stderr?.on("data", (chunk: Buffer) => complaints.push(chunk));
      child.once("error", (error: NodeJS.ErrnoException) => {
        const missing = "there is no docker on the PATH: install Docker with buildx";
        reject(
          error.code === "ENOENT"
            ? new MillpondError("docker-missing", missing)
            : new MillpondError("docker", error.message),
        );
      });
      child.once("close", (code, signal) => resolve(code ?? signal ?? "no exit code"));
    });
    const what = `docker ${args.slice(0, 2).join(" ")}`;
    if (interrupted !== undefined) {
      throw new MillpondError("interrupted", `${what} was ended by ${interrupted}`);
    }
    if (code !== 0) {
      const said = Buffer.concat(complaints).toString("utf8").trim().split("\n").at(-1);
      throw new MillpondError("docker", said || `${what} ended with ${code}`);
    }
  } finally {
    clearTimeout(insisting);
    for (const signal of endingSignals) process.off(signal, hand);
  }
  return Buffer.concat(written).toString("utf8");
}

/** @throws MillpondError `docker-missing`, or `docker-unreachable` where its daemon does not answer */
export async function requireDocker(): Promise<void> {
  const ask = ["version", "--format", "{{.Server.Version}}"];
  await docker(ask, { show: false, quiet: true }).catch((error: MillpondError) => {
    if (error.code !== "docker") throw error;
    throw new MillpondError(
      "docker-unreachable",
      `Docker's daemon can't be reached: ${error.message}`,
      { cause: error },
    );
  });
}

/** Ids of the containers that run an image, or have. */
export async function containersOf(image: string): Promise<string[]> {
  const args = ["ps", "--all", "--quiet", "--filter", `ancestor=${image}`];
  const found = await docker(args, { show: false });
  return found.split("\n").filter((id) => id !== "");
}

/** Removes those of an image that were not there before: what an emulator has left. */
export async function removeContainers(image: string, before: readonly string[]): Promise<void> {
  const left = (await containersOf(image)).filter((id) => !before.includes(id));
  if (left.length > 0) await docker(["rm", "--force", ...left], { show: false });
}
