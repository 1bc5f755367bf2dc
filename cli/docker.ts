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

/**
 * @returns the daemon's version
 * @throws MillpondError `docker-missing`, or `docker-unreachable` where its daemon does not answer
 */
export async function requireDocker(): Promise<string> {
  const said = await asked(
    ["version", "--format", "{{.Server.Version}}"],
    "docker-unreachable",
    (reason) => `Docker's daemon can't be reached: ${reason}`,
  );
  return said.trim();
}

/** Docker's first version whose own builder knows both `ADD --checksum` and named contexts. */
export const leastDocker = 25;

/**
 * Also that images can be built.
 * @param builder of buildx's @default - the one that it uses
 * @returns the daemon's version
 * @throws MillpondError as `requireDocker`, and `docker-builder` where there is no builder, or one that is too old
 */
export async function requireBuilder(builder?: string): Promise<string> {
  const version = await requireDocker();
  const needed = `the image takes Docker ${leastDocker} or newer with buildx`;
  await asked(
    ["buildx", "version"],
    "docker-builder",
    () => `there is no docker buildx: ${needed}`,
  );
  const inspect = ["buildx", "inspect", ...(builder === undefined ? [] : [builder])];
  const said = await asked(
    inspect,
    "docker-builder",
    (reason) => `docker buildx has no builder that answers: ${reason}`,
  );
  // Any other driver brings a builder of its own, whatever Docker's version.
  if (/^Driver:\s*docker$/m.test(said) && Number.parseInt(version, 10) < leastDocker) {
    throw new MillpondError(
      "docker-builder",
      `this is Docker ${version}: ${needed}, or a builder of its own, which docker buildx create --use makes`,
    );
  }
  return version;
}

/** What it says. @throws MillpondError of that code where it fails */
async function asked(
  args: readonly string[],
  code: string,
  problem: (reason: string) => string,
): Promise<string> {
  return await docker(args, { show: false, quiet: true }).catch((error: MillpondError) => {
    if (error.code !== "docker") throw error;
    throw new MillpondError(code, problem(error.message), { cause: error });
  });
}

/** Ids of the containers that have a label, running or ended. */
export async function containersOf(label: string): Promise<string[]> {
  const args = ["ps", "--all", "--quiet", "--filter", `label=${label}`];
  const found = await docker(args, { show: false });
  return found.split("\n").filter((id) => id !== "");
}

/** Removes them, whether they run or not. */
export async function removeContainers(label: string): Promise<void> {
  const left = await containersOf(label);
  if (left.length > 0) await docker(["rm", "--force", ...left], { show: false });
}
