import { spawn } from "node:child_process";
import { MillpondError } from "../app/errors.ts";

/**
 * Runs Docker's command line. What it writes to standard error is shown as it comes, unless `quiet`.
 * @returns what it wrote to standard output, where that is not shown
 * @throws MillpondError `docker-missing` where it isn't there, `docker` where it ends with another exit code than 0
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
  // Ctrl-C reaches Docker as well: it ends by itself, and then so do we.
  const wait = () => {};
  process.on("SIGINT", wait);
  process.on("SIGTERM", wait);
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
    if (code !== 0) {
      throw new MillpondError("docker", `docker ${args.slice(0, 2).join(" ")} ended with ${code}`);
    }
  } finally {
    process.off("SIGINT", wait);
    process.off("SIGTERM", wait);
  }
  return Buffer.concat(written).toString("utf8");
}
