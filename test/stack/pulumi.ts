import { spawn } from "node:child_process";
import fs from "node:fs/promises";
import path from "node:path";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("../../", import.meta.url));

/** What one update did, by the kind of step. */
export interface Changes {
  create?: number;
  update?: number;
  delete?: number;
  replace?: number;
  same?: number;
  import?: number;
}

export interface Run {
  code: number | null;
  text: string;
}

/** The Pulumi command line over a state of its own, and configuration that is not in the tree. */
export class PulumiStack {
  readonly name: string;
  readonly #configFile: string;
  readonly #environment: NodeJS.ProcessEnv;

  /** @param folder for state and configuration; whoever made it removes it */
  constructor(name: string, folder: string, environment: NodeJS.ProcessEnv) {
    this.name = name;
    this.#configFile = path.join(folder, `Pulumi.${name}.yaml`);
    this.#environment = {
      ...process.env,
      ...environment,
      PULUMI_BACKEND_URL: `file://${folder}`,
      PULUMI_CONFIG_PASSPHRASE: "only for tests",
      PULUMI_SKIP_UPDATE_CHECK: "true",
    };
  }

  /** Makes the stack. @param config lines below `config:` of its file */
  async init(config: readonly string[]): Promise<void> {
    await this.#succeed("stack", "init", this.name);
    // Making it wrote the salt of its secrets into a file of the tree.
    const written = path.join(root, `Pulumi.${this.name}.yaml`);
    const salt = await fs.readFile(written, "utf8");
    await fs.rm(written);
    const lines = ["config:", ...config.map((line) => `  ${line}`)];
    await fs.writeFile(this.#configFile, `${salt.trim()}\n${lines.join("\n")}\n`);
  }

  async setConfig(...args: string[]): Promise<void> {
    await this.#succeed(
      "config",
      "set",
      "--stack",
      this.name,
      "--config-file",
      this.#configFile,
      ...args,
    );
  }

  async up(): Promise<Changes> {
    await this.#update("up");
    return await this.#lastChanges();
  }

  async destroy(): Promise<Changes> {
    await this.#update("destroy");
    return await this.#lastChanges();
  }

  /** As `up` and `destroy`, for one that is to fail; with the preview that people get, too. */
  async attempt(what: "up" | "destroy"): Promise<Run> {
    return await this.#run(...this.#updateArgs(what).filter((arg) => arg !== "--skip-preview"));
  }

  /** Whether a preview runs, and finds nothing to do. */
  async isCurrent(): Promise<boolean> {
    const { code } = await this.#run(
      ...["preview", "--non-interactive", "--stack", this.name],
      ...["--config-file", this.#configFile, "--expect-no-changes"],
    );
    return code === 0;
  }

  async outputs(): Promise<Record<string, unknown>> {
    const text = await this.#succeed("stack", "output", "--json", "--stack", this.name);
    return JSON.parse(text) as Record<string, unknown>;
  }

  /** The state as Pulumi keeps it, and as it shows it to others. */
  async state(): Promise<string> {
    return await this.#succeed("stack", "export", "--stack", this.name);
  }

  #updateArgs(what: "up" | "destroy"): string[] {
    const common = ["--yes", "--skip-preview", "--non-interactive", "--stack", this.name];
    return [what, ...common, "--config-file", this.#configFile];
  }

  async #update(what: "up" | "destroy"): Promise<void> {
    await this.#succeed(...this.#updateArgs(what));
  }

  async #lastChanges(): Promise<Changes> {
    const text = await this.#succeed(
      "stack",
      "history",
      "--json",
      "--page-size",
      "1",
      "--stack",
      this.name,
    );
    const [last] = JSON.parse(text) as [{ resourceChanges: Changes }];
    return last.resourceChanges;
  }

  async #succeed(...args: string[]): Promise<string> {
    const { code, text } = await this.#run(...args);
    if (code !== 0) throw new Error(`pulumi ${args.join(" ")} ended with ${code}:\n${text}`);
    return text;
  }

  async #run(...args: string[]): Promise<Run> {
    const child = spawn("pulumi", args, {
      cwd: root,
      env: this.#environment,
      stdio: ["ignore", "pipe", "pipe"],
    });
    let text = "";
    let errors = "";
    child.stdout.on("data", (chunk: Buffer) => {
      text += chunk.toString();
    });
    child.stderr.on("data", (chunk: Buffer) => {
      errors += chunk.toString();
    });
    const code = await new Promise<number | null>((resolve, reject) => {
      child.once("error", reject);
      child.once("close", resolve);
    });
    return { code, text: code === 0 ? text : `${text}${errors}` };
  }
}

/** Why no stack can be deployed here. Undefined where one can. */
export async function pulumiMissing(): Promise<string | undefined> {
  const child = spawn("pulumi", ["version"], { stdio: "ignore" });
  return await new Promise((resolve) => {
    child.once("error", () => resolve("there is no pulumi on the PATH"));
    child.once("close", (code) => resolve(code === 0 ? undefined : "pulumi does not run here"));
  });
}
