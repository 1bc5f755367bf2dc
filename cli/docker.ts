import { spawn } from "node:child_process";
import { MillpondError } from "../app/errors.ts";

/**
 * Runs Docker's command line. What it writes to standard error is shown as it comes, unless `quiet`. Signals are handed
 * to it; it then ends in its own way.
 * @returns what it wrote to standard output, where that is not shown
 * @throws MillpondError `docker-missing` where it isn't there, `docker` where it ends with another exit code than 0,
 * `interrupted` where that is for a signal that we got
 */
export async function docker(
  args: readonly string[],
  { show, quiet = false }: { show: boolean; quiet?: boolean },
): Promise<string> {
  const child = spawn("docker", args, {
    stdio: ["ignore", show ? "inherit" : "pipe", quiet ? "ignore" : "inherit"],
  });
  const written: Buffer[] = [];
  child.stdout?.on("data", (chunk: Buffer) => written.push(chunk));
  let interrupted: NodeJS.Signals | undefined;
  // Ctrl-C in a terminal reaches Docker as well, and its second one does no harm.
  const hand = (signal: NodeJS.Signals) => {
    interrupted = signal;
    child.kill(signal);
  };
  process.on("SIGINT", hand);
  process.on("SIGTERM", hand);
  try {
    const code = await new Promise<number | string>((resolve, reject) => {
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
    if (code !== 0) throw new MillpondError("docker", `${what} ended with ${code}`);
  } finally {
    process.off("SIGINT", hand);
    process.off("SIGTERM", hand);
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
      "Docker's daemon does not answer: start it; docker version says more",
      { cause: error },
    );
  });
}
