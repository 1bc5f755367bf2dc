import { createInterface } from "node:readline/promises";
import { DescribeImagesCommand, ECRClient } from "@aws-sdk/client-ecr";
import { paginateGetParameterHistory, SSMClient } from "@aws-sdk/client-ssm";
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
  /** In ISO 8601, of whole seconds. */
  startTime?: string;
  endTime?: string;
  message?: string;
  config?: Record<string, { value?: string; secret?: boolean }>;
}

/** An image, and when all functions began to run it, as the stack's record has it. */
export interface RecordedImage {
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
Commit the stack's file then: the workflows of .github leave a stage at the
imageUri that it has there.
The list comes from a record that the stack keeps of its last 100 images, in the
parameter that its output imageRecord names. Older images come from Pulumi's
history, which knows those that imageUri named, and none that an update built.
With your rights on AWS: ssm:GetParameterHistory on that record, and
ecr:DescribeImages on the image's repository.
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
  const updates = await updatesOf(stack.name);
  const record = await recordOf(stack);
  const unknown = unknownBuilds(updates, record);
  if (unknown > 0) {
    const which = unknown === 1 ? "1 update" : `${unknown} updates`;
    process.stderr.write(`${which} built an image that nothing names: it is not listed\n`);
  }
  return deploymentsFrom(updates, record, stack.imageUri);
}

const pageSize = 100;
/** So that the list comes in seconds where a bucket holds the history, one object an update. */
const mostPages = 10;

/** The last updates of a stack, the newest first. Pulumi shows ten where it is not asked for more. */
async function updatesOf(name: string): Promise<Update[]> {
  const updates: Update[] = [];
  for (let page = 1; page <= mostPages; page++) {
    const which = ["--page-size", String(pageSize), "--page", String(page)];
    const text = await pulumi(["stack", "history", "--json", ...which, "--stack", name]);
    const found = JSON.parse(text) as Update[];
    updates.push(...found);
    // Whoever keeps the history may give less than a page.
    if (found.length === 0) return updates;
  }
  process.stderr.write(`of Pulumi's history the last ${updates.length} updates were looked at\n`);
  return updates;
}

/**
 * The images that a stack has run, the one that was deployed last first: what its record says, and, of the time before that began, what
 * updates were told to deploy.
 * @param updates of the stack, the newest first
 * @param record of the stack, the newest first
 */
export function deploymentsFrom(
  updates: readonly Update[],
  record: readonly RecordedImage[],
  current: string,
): Deployment[] {
  const recorded = record.map((one) => ({ ...one, message: messageAt(one.time, updates) }));
  const told = beforeRecord(updates, record).flatMap(({ endTime: time, message = "", config }) => {
    const imageUri = imageOf(config);
    return imageUri === undefined || time === undefined ? [] : [{ imageUri, time, message }];
  });
  const found = new Map<string, Deployment>();
  for (const { imageUri, time, message } of [...recorded, ...told]) {
    if (found.has(imageUri)) continue;
    found.set(imageUri, { imageUri, time, message, current: imageUri === current });
  }
  return [...found.values()];
}

/** How many updates built an image themselves, and left no trace of which. */
export function unknownBuilds(
  updates: readonly Update[],
  record: readonly RecordedImage[],
): number {
  return beforeRecord(updates, record).filter(({ config }) => imageOf(config) === undefined).length;
}

/** Those that succeeded before the record begins. */
function beforeRecord(
  updates: readonly Update[],
  record: readonly RecordedImage[],
): readonly Update[] {
  const begin = record.at(-1)?.time ?? "9999";
  return updates.filter(
    ({ kind, result, endTime }) =>
      kind === "update" &&
      result === "succeeded" &&
      endTime !== undefined &&
      seconds(endTime) < seconds(begin),
  );
}

/** What was said of the update that was under way: a stack has one at a time. */
function messageAt(time: string, updates: readonly Update[]): string {
  const at = seconds(time);
  const update = updates.find(
    ({ kind, startTime = "", endTime = "" }) =>
      kind === "update" && seconds(startTime) <= at && at <= seconds(endTime),
  );
  return update?.message ?? "";
}

/** As Pulumi has them, without what is behind the point. */
function seconds(time: string): number {
  return Math.floor(Date.parse(time) / 1000);
}

/** The image that an update was told to deploy. Undefined where it built one. */
function imageOf(config: Update["config"] = {}): string | undefined {
  const [, setting] = Object.entries(config).find(([key]) => key.endsWith(":imageUri")) ?? [];
  return setting?.value === "" ? undefined : setting?.value;
}

/** What the stack wrote down of its images, the newest first. */
async function recordOf({ region, imageRecord }: DeployedStack): Promise<RecordedImage[]> {
  // One that an older version deployed has none.
  if (imageRecord === undefined) return [];
  const client = new SSMClient({ region });
  const record: RecordedImage[] = [];
  try {
    for await (const { Parameters = [] } of paginateGetParameterHistory(
      { client },
      { Name: imageRecord, WithDecryption: true },
    )) {
      for (const { Value, LastModifiedDate } of Parameters) {
        if (Value === undefined || LastModifiedDate === undefined) continue;
        record.push({ imageUri: Value, time: LastModifiedDate.toISOString() });
      }
    }
  } catch (error) {
    // Those that Pulumi's history names can be chosen all the same.
    const { message } = awsError(error, "ssm:GetParameterHistory", imageRecord);
    process.stderr.write(`images that pulumi up built are not listed: ${message}\n`);
    return [];
  } finally {
    client.destroy();
  }
  return record.sort((a, b) => b.time.localeCompare(a.time));
}

/** @throws MillpondError `image-gone` where the image's repository in ECR has it no more */
export async function requireImage(imageUri: string): Promise<void> {
  const [, registryId, region, repositoryName, imageDigest] =
    /^(\d{12})\.dkr\.ecr\.([\w-]+)\.[^/]+\/([^@:]+)@(sha256:[0-9a-f]{64})$/.exec(imageUri) ?? [];
  if (region === undefined) return;
  const client = new ECRClient({ region });
  try {
    const imageIds = [{ imageDigest }];
    await client.send(new DescribeImagesCommand({ registryId, repositoryName, imageIds }));
  } catch (error) {
    if (/^(Image|Repository)NotFoundException$/.test((error as Error).name)) {
      throw new MillpondError(
        "image-gone",
        `${imageUri} is in its repository no more, and nothing was changed: choose another, or deploy that commit anew`,
        { cause: error },
      );
    }
    const { message } = awsError(error, "ecr:DescribeImages", String(repositoryName));
    process.stderr.write(`whether the image is still there was not looked at: ${message}\n`);
  } finally {
    client.destroy();
  }
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
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ABORT_ERR") throw error;
    process.stdout.write("\n");
    throw new MillpondError("interrupted", "interrupted: nothing was changed", { cause: error });
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
  await requireImage(imageUri);
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
    `${shortName(imageUri)} runs, and stays: commit ${configFile ?? `Pulumi.${stack.name}.yaml`}, so that GitHub's workflows leave it, too; pulumi config rm imageUri ${named} ends that\n`,
  );
}
