import { randomBytes } from "node:crypto";
import fs from "node:fs/promises";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { CloudWatchLogsClient, DeleteLogGroupCommand } from "@aws-sdk/client-cloudwatch-logs";
import { DeleteParameterCommand, SSMClient } from "@aws-sdk/client-ssm";
import { type PulumiOptions, type PulumiRun, pulumi, runPulumi, succeeded } from "../pulumi.ts";
import { emulatorKeys } from "./emulator.ts";

const root = fileURLToPath(new URL("../../", import.meta.url));

/** Of the endpoints in Pulumi.rehearsal.yaml. */
export const standardPort = 4566;

/** Now and then the emulator's answer to a request gets lost: the provider asks again, and hears that what it made exists. */
const lostAnswer = /ResourceConflict|AlreadyExists|already exists/;
/** Of what the provider does not find again by itself. A terminal breaks lines at blanks. */
const lostLogGroup = lost("CloudWatch Logs Log Group", "ResourceAlreadyExists");
const lostParameter = lost("SSM Parameter", "ParameterAlreadyExists");

function lost(what: string, error: string): RegExp {
  const words = `creating ${what} `.replaceAll(" ", "\\s+");
  return new RegExp(`${words}\\((\\S+?)\\):(?:(?!creating\\s)[^])*?${error}`, "g");
}

/**
 * Whether an update failed for an answer that was lost, so that another one goes on from there. A log group or a parameter that was made
 * so is in no state, and would stand in the way for good: it goes.
 * @param shown what the update showed
 * @param endpoint of the emulator
 * @returns the line that says so
 */
export async function lostAnswerIn(shown: string, endpoint: string): Promise<string | undefined> {
  const line = shown.split("\n").find((one) => lostAnswer.test(one));
  if (line === undefined) return undefined;
  const namesIn = (pattern: RegExp) =>
    new Set([...shown.matchAll(pattern)].map(([, name]) => name));
  const { AWS_REGION: region, AWS_ACCESS_KEY_ID: accessKeyId } = emulatorKeys;
  const credentials = { accessKeyId, secretAccessKey: emulatorKeys.AWS_SECRET_ACCESS_KEY };
  const logs = new CloudWatchLogsClient({ endpoint, region, credentials });
  const ssm = new SSMClient({ endpoint, region, credentials });
  try {
    for (const logGroupName of namesIn(lostLogGroup))
      await logs.send(new DeleteLogGroupCommand({ logGroupName }));
    for (const Name of namesIn(lostParameter)) await ssm.send(new DeleteParameterCommand({ Name }));
  } finally {
    logs.destroy();
    ssm.destroy();
  }
  return line.trim();
}

/** What one update did, by the kind of step. */
export interface Changes {
  create?: number;
  update?: number;
  delete?: number;
  replace?: number;
  same?: number;
  import?: number;
}

/** What two updates did, of which the second went on where the first failed. */
function sumOf(first: Changes, second: Changes): Changes {
  const done = { ...second };
  for (const kind of ["create", "update", "delete", "replace", "import"] as const) {
    const count = (first[kind] ?? 0) + (second[kind] ?? 0);
    if (count > 0) done[kind] = count;
  }
  return done;
}

/** A stack of a project whose state and configuration are in a folder of their own, and not in the tree. */
export class PulumiStack {
  readonly name: string;
  /** What Pulumi finds the state by, and its secrets. */
  readonly environment: Readonly<Record<string, string>>;
  readonly #stopped: AbortSignal | undefined;
  readonly #folder: string;
  readonly #project: string;
  #endpoint = "";
  /** Its configuration, for commands that change it. */
  readonly configFile: string;

  /**
   * @param folder whoever made it removes it
   * @param stopped ends what runs
   * @param project folder of the project, with its Pulumi.yaml and Pulumi.rehearsal.yaml @default this repository's own
   */
  constructor(name: string, folder: string, stopped?: AbortSignal, project = root) {
    this.name = name;
    this.#stopped = stopped;
    this.#folder = folder;
    this.#project = project;
    this.configFile = path.join(folder, `Pulumi.${name}.yaml`);
    this.environment = {
      PULUMI_BACKEND_URL: `file://${folder}`,
      PULUMI_CONFIG_PASSPHRASE: randomBytes(16).toString("hex"),
    };
  }

  /** Makes the stack, with the configuration of rehearsals. @param endpoint where it finds AWS */
  async init(endpoint: string): Promise<void> {
    this.#endpoint = endpoint;
    // Making a stack writes the salt of its secrets beside the project's file.
    await fs.copyFile(
      path.join(this.#project, "Pulumi.yaml"),
      path.join(this.#folder, "Pulumi.yaml"),
    );
    await this.#succeed("stack", "init", this.name, "--cwd", this.#folder);
    const salt = await fs.readFile(this.configFile, "utf8");
    const config = await fs.readFile(path.join(this.#project, "Pulumi.rehearsal.yaml"), "utf8");
    const { protocol, port } = new URL(endpoint);
    const own = config.replaceAll(
      `http://localhost:${standardPort}`,
      `${protocol}//localhost:${port}`,
    );
    await fs.writeFile(this.configFile, `${salt.trim()}\n${own}`);
  }

  async setConfig(...args: string[]): Promise<void> {
    await this.#succeed("config", "set", ...this.#which(), ...args);
  }

  /**
   * Updates the stack. Now and then the emulator's answer to a request gets lost: the provider asks again, for five minutes,
   * and hears that what it made exists. A second update goes on from there, as it does on AWS; what it is for is said.
   * @param program folder of another program, with a Pulumi.yaml of the same project @default - this project's own
   */
  async up(program = this.#project): Promise<Changes> {
    const args = [...this.#updateArgs("up", program), "--skip-preview"];
    const first = await runPulumi(args, this.#options);
    const lost = first.code === 0 ? undefined : await lostAnswerIn(first.stdout, this.#endpoint);
    if (lost === undefined) {
      succeeded(args, first);
      return await this.#lastChanges();
    }
    process.stderr.write(`an answer was lost, so pulumi up once more: ${lost}\n`);
    const before = await this.#lastChanges();
    await this.#succeed(...args);
    return sumOf(before, await this.#lastChanges());
  }

  /** As `up` and `destroy`, for one that may fail; with the preview that people get, too. @param more arguments of Pulumi's */
  async attempt(what: "up" | "refresh" | "destroy", ...more: string[]): Promise<PulumiRun> {
    return await runPulumi([...this.#updateArgs(what), ...more], this.#options);
  }

  async destroy(): Promise<Changes> {
    await this.#succeed(...this.#updateArgs("destroy"), "--skip-preview");
    return await this.#lastChanges();
  }

  /** Whether a preview runs, and finds nothing to do. */
  async isCurrent(): Promise<boolean> {
    const args = ["preview", ...this.#which(), "--expect-no-changes"];
    return (await runPulumi(args, this.#options)).code === 0;
  }

  async outputs(): Promise<Record<string, unknown>> {
    return JSON.parse(await this.#succeed("stack", "output", "--json", ...this.#named())) as Record<
      string,
      unknown
    >;
  }

  /** The state as Pulumi keeps it, and as it shows it to others. */
  async state(): Promise<string> {
    return await this.#succeed("stack", "export", ...this.#named());
  }

  /** A stack is known by its name and by the project of the folder. */
  #named(folder = this.#project): string[] {
    return ["--stack", this.name, "--cwd", folder];
  }

  #which(folder?: string): string[] {
    return [...this.#named(folder), "--config-file", this.configFile];
  }

  #updateArgs(what: "up" | "refresh" | "destroy", folder?: string): string[] {
    return [what, "--yes", ...this.#which(folder)];
  }

  async #lastChanges(): Promise<Changes> {
    const args = ["stack", "history", "--json", "--page-size", "1"];
    const [last] = JSON.parse(await this.#succeed(...args, ...this.#named())) as [
      { resourceChanges?: Changes },
    ];
    return last.resourceChanges ?? {};
  }

  async #succeed(...args: string[]): Promise<string> {
    return await pulumi(args, this.#options);
  }

  get #options(): PulumiOptions {
    return { environment: this.environment, stopped: this.#stopped };
  }
}
