import { execFile } from "node:child_process";
import { randomBytes } from "node:crypto";
import { setTimeout as pause } from "node:timers/promises";
import { promisify } from "node:util";

const run = promisify(execFile);

export async function docker(...args: string[]): Promise<string> {
  const { stdout } = await run("docker", args, { maxBuffer: 1 << 26 });
  return stdout.trim();
}

/** Why no image can be built here. Undefined where one can. */
export async function dockerMissing(): Promise<string | undefined> {
  try {
    await docker("info", "--format", "{{.ServerVersion}}");
    await docker("buildx", "version");
    return undefined;
  } catch (error) {
    return `Docker with buildx does not run here: ${(error as Error).message.split("\n")[0]}`;
  }
}

const namePrefix = "millpond-test-";

/** Those that a run has left that was killed. */
export async function removeTestContainers(): Promise<void> {
  const left = await docker("ps", "--all", "--quiet", "--filter", `name=^${namePrefix}`);
  if (left !== "") await docker("rm", "--force", ...left.split("\n"));
}

export interface ContainerOptions {
  image: string;
  handler: string;
  platform: string;
  memoryMiB: number;
  environment: Record<string, string>;
  /** Bytes of /tmp. @default 512 MiB, as Lambda's */
  tmpBytes?: number;
}

/** One function in a container, as Lambda runs it: read-only but for /tmp, as a user without rights. */
export class FunctionContainer {
  readonly name: string;
  readonly #url: string;

  private constructor(name: string, url: string) {
    this.name = name;
    this.#url = url;
  }

  static async start(options: ContainerOptions): Promise<FunctionContainer> {
    const name = `${namePrefix}${randomBytes(6).toString("hex")}`;
    const tmpBytes = options.tmpBytes ?? 512 * 1024 * 1024;
    const environment = {
      ...options.environment,
      AWS_LAMBDA_FUNCTION_MEMORY_SIZE: String(options.memoryMiB),
      AWS_LAMBDA_FUNCTION_TIMEOUT: "120",
    };
    await docker(
      ...["run", "--detach", "--name", name, "--platform", options.platform],
      ...["--read-only", "--tmpfs", `/tmp:mode=1777,size=${tmpBytes}`, "--user", "993:990"],
      ...["--memory", `${options.memoryMiB}m`, "--publish", "127.0.0.1::8080"],
      ...["--add-host", "host.docker.internal:host-gateway"],
      ...Object.entries(environment).flatMap(([key, value]) => ["--env", `${key}=${value}`]),
      options.image,
      options.handler,
    );
    const published = await docker("port", name, "8080/tcp");
    const url = `http://${published.split("\n")[0]}/2015-03-31/functions/function/invocations`;
    return new FunctionContainer(name, url);
  }

  /** What the function returns, or the error that Lambda reports. */
  async invoke(event: unknown): Promise<Record<string, unknown>> {
    const body = typeof event === "string" ? event : JSON.stringify(event);
    for (let attempt = 1; ; attempt += 1) {
      try {
        const response = await fetch(this.#url, { method: "POST", body });
        return (await response.json()) as Record<string, unknown>;
      } catch (error) {
        // The emulator inside takes a moment before it listens.
        if (attempt === 200) throw error;
        await pause(50);
      }
    }
  }

  /** The lines of its log that are the function's own. */
  async log(): Promise<Record<string, unknown>[]> {
    const { stdout, stderr } = await run("docker", ["logs", this.name]);
    return `${stdout}\n${stderr}`
      .split("\n")
      .filter((line) => line.startsWith("{"))
      .map((line) => JSON.parse(line) as Record<string, unknown>);
  }

  async execute(script: string): Promise<string> {
    return await docker("exec", this.name, "/bin/sh", "-c", script);
  }

  async remove(): Promise<void> {
    await docker("rm", "--force", this.name);
  }
}
