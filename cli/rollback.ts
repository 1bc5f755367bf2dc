import { createInterface } from "node:readline/promises";
import { ECRClient, paginateDescribeImages } from "@aws-sdk/client-ecr";
import { Command } from "commander";
import { MillpondError } from "../app/errors.ts";
import { awsError } from "./aws-error.ts";
import {
  configFileOption,
  type DeployedStack,
  namedStack,
  readStack,
  stackArguments,
  stackOption,
} from "./deployed-stack.ts";
import { pulumi, showPulumi } from "./pulumi.ts";
import { UsageError } from "./usage-error.ts";

interface RollbackOptions {
  stack?: string;
  to?: string;
  yes: boolean;
  configFile?: string;
  json: boolean;
}

/** One entry of `pulumi stack history --json`. */
export interface Update {
  version: number;
  kind: string;
  result: string;
  /** ISO 8601. */
  endTime?: string;
  message?: string;
  config?: Record<string, { value?: string; secret?: boolean }>;
}

/** An image in the stack's own repository. */
export interface PushedImage {
  imageUri: string;
  /** In ISO 8601. */
  time: string;
}

/** An image that was deployed. */
export interface Deployment {
  imageUri: string;
  /** When it was deployed last, in ISO 8601. */
  time: string;
  /** What was said of that deployment. */
  message: string;
  current: boolean;
}

export function rollbackCommand(): Command {
  return new Command("rollback")
    .description("deploy an image that was deployed before, and stay with it")
    .addOption(stackOption())
    .option("--to <image>", "which: its number in the list, or the beginning of its digest")
    .option("--yes", "do not ask", false)
    .addOption(configFileOption())
    .option("--json", "one JSON object an image, and nothing else", false)
    .addHelpText(
      "after",
      `
Without --to it lists the images that the stack has run, the newest first, and
on a terminal asks which. It sets imageUri to the one chosen and runs pulumi up,
so that the next pulumi up does not undo it; pulumi config rm imageUri goes back
to building from the source. Data is not rolled back: what a newer image wrote
stays, and is made anew where an older one reads it otherwise.
With your rights on AWS: ecr:DescribeImages on the stack's repository.
Exit code: 0 done; 1 it failed; 2 the call is wrong.`,
    )
    .action(async (options: RollbackOptions) => {
      const stack = await readStack(namedStack(options.stack));
      const deployments = await deploymentsOf(stack);
      if (options.json && options.to === undefined) {
        for (const one of deployments) process.stdout.write(`${JSON.stringify(one)}\n`);
        return;
      }
      const to = options.to ?? (await chosen(deployments));
      if (to === undefined) return;
      const { imageUri } = deploymentCalled(to, deployments);
      await deploy(stack, imageUri, options);
    });
}

async function deploymentsOf(stack: DeployedStack): Promise<Deployment[]> {
  const text = await pulumi(["stack", "history", "--json", "--stack", stack.name]);
  const updates = JSON.parse(text) as Update[];
  const built = updates.some((update) => imageOf(update) === undefined);
  return deploymentsFrom(updates, built ? await pushedImages(stack) : [], stack.imageUri);
}

/**
 * The images that a stack has run, the one that was deployed last first.
 * @param updates of the stack, the newest first
 * @param pushed to its repository, the newest first
 */
export function deploymentsFrom(
  updates: readonly Update[],
  pushed: readonly PushedImage[],
  current: string,
): Deployment[] {
  const found = new Map<string, Deployment>();
  for (const update of updates) {
    const { kind, result, endTime, message = "" } = update;
    if (kind !== "update" || result !== "succeeded" || endTime === undefined) continue;
    const imageUri = imageOf(update) ?? pushed.find(({ time }) => time <= endTime)?.imageUri;
    if (imageUri === undefined || found.has(imageUri)) continue;
    found.set(imageUri, { imageUri, time: endTime, message, current: imageUri === current });
  }
  return [...found.values()];
}

/** The image that an update was told to deploy. Undefined where it built one. */
function imageOf({ config = {} }: Update): string | undefined {
  const [, setting] = Object.entries(config).find(([key]) => key.endsWith(":imageUri")) ?? [];
  return setting?.value === "" ? undefined : setting?.value;
}

/**
 * What was pushed to the stack's own repository, the newest first. An update that builds its image says nowhere which: it is the newest
 * that was there when it ended.
 */
async function pushedImages({ imageUri }: DeployedStack): Promise<PushedImage[]> {
  const [repository, registryId, region, repositoryName] =
    /^(\d{12})\.dkr\.ecr\.([\w-]+)\.[^/]+\/([^@:]+)(?=@)/.exec(imageUri) ?? [];
  if (registryId === undefined || region === undefined) return [];
  const client = new ECRClient({ region });
  const pushed: PushedImage[] = [];
  try {
    for await (const { imageDetails = [] } of paginateDescribeImages(
      { client },
      { registryId, repositoryName },
    )) {
      for (const { imageDigest, imagePushedAt } of imageDetails) {
        if (imageDigest === undefined || imagePushedAt === undefined) continue;
        const time = imagePushedAt.toISOString();
        pushed.push({ imageUri: `${repository}@${imageDigest}`, time });
      }
    }
  } catch (error) {
    // Those that the history names itself can be chosen all the same.
    const { message } = awsError(error, "ecr:DescribeImages", String(repository));
    process.stderr.write(`images that pulumi up built are not listed: ${message}\n`);
  } finally {
    client.destroy();
  }
  return pushed.sort((a, b) => b.time.localeCompare(a.time));
}

/** Shows the list, and asks where somebody can answer. */
async function chosen(deployments: readonly Deployment[]): Promise<string | undefined> {
  if (deployments.length === 0) {
    process.stdout.write("no image is known that this stack has run\n");
    return undefined;
  }
  for (const [i, { imageUri, time, message, current }] of deployments.entries()) {
    const about = [current ? "runs now" : "", message.split("\n")[0]].filter(Boolean);
    const day = time.slice(0, 16).replace("T", " ");
    const line = [String(i + 1).padStart(3), `${day} UTC`, shortName(imageUri), ...about];
    process.stdout.write(`${line.join("  ")}\n`);
  }
  if (!process.stdin.isTTY || !process.stdout.isTTY) return undefined;
  const asking = createInterface({ input: process.stdin, output: process.stdout });
  try {
    const answer = (
      await asking.question("which one? (its number; nothing leaves all as it is) ")
    ).trim();
    return answer === "" ? undefined : answer;
  } finally {
    asking.close();
  }
}

/** `repository@sha256:0123456789ab`. */
function shortName(imageUri: string): string {
  return imageUri.replace(/^.*\//, "").replace(/([0-9a-f]{12})[0-9a-f]{52}$/, "$1");
}

/** @param name its number in the list, or the beginning of its digest @throws UsageError where it is not one */
export function deploymentCalled(name: string, deployments: readonly Deployment[]): Deployment {
  const wanted = name.replace(/^.*sha256:/, "");
  const found = deployments.filter(({ imageUri }, i) =>
    /^\d{1,3}$/.test(name)
      ? i === Number(name) - 1
      : wanted.length >= 4 && imageUri.replace(/^.*sha256:/, "").startsWith(wanted),
  );
  const [one] = found;
  if (one === undefined || found.length > 1) {
    throw new UsageError(
      `--to takes a number from 1 to ${deployments.length}, or the beginning of a digest, 4 digits or more: ${found.length} match "${name}"`,
    );
  }
  return one;
}

async function deploy(
  stack: DeployedStack,
  imageUri: string,
  { yes, configFile }: RollbackOptions,
): Promise<void> {
  if (!yes && !process.stdin.isTTY) {
    throw new UsageError("nobody can be asked here: --yes deploys without asking");
  }
  const which = stackArguments(stack.name, configFile);
  await pulumi(["config", "set", ...which, "imageUri", imageUri]);
  const code = await showPulumi(["up", ...which, ...(yes ? ["--yes"] : [])]);
  const named = which.join(" ");
  if (code !== 0) {
    throw new MillpondError(
      "rollback",
      `pulumi up did not end well, and imageUri is set: pulumi up ${named} tries again, pulumi config rm imageUri ${named} takes it back`,
    );
  }
  process.stderr.write(
    `${shortName(imageUri)} runs, and stays: pulumi config rm imageUri ${named} lets the next pulumi up build from the source again\n`,
  );
}
