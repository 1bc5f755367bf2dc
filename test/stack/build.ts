import { execFile } from "node:child_process";
import fs from "node:fs/promises";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { expect } from "chai";
import { parse, stringify } from "yaml";
import { type Architecture, architectureCalled, architectures } from "../../app/contract.ts";
import { findPulumi, pulumi } from "../../cli/pulumi.ts";
import { standardPort } from "../../cli/rehearsal/pulumi-stack.ts";
import { image, substitutes } from "../image/build.ts";
import { docker, dockerMissing } from "../image/docker.ts";

const run = promisify(execFile);

export const host = architectureCalled("node", process.arch) as Architecture;
/** Not the one that whoever runs the tests may have built, nor of a suite that runs beside. */
export const tag = `millpond-test:stack-${process.pid}`;

/** Skips the suite, and says why, where there is no Docker or no Pulumi. */
export async function requireTools(context: Mocha.Context): Promise<void> {
  skipWhere(context, await dockerMissing());
  await requirePulumi(context);
}

/** Skips the suite, and says why, where there is no Pulumi. */
export async function requirePulumi(context: Mocha.Context): Promise<void> {
  const missing = await pulumi(["version"]).then(
    () => undefined,
    (error: Error) => error.message,
  );
  skipWhere(context, missing);
}

function skipWhere(context: Mocha.Context, missing: string | undefined): void {
  if (missing === undefined) return;
  process.stderr.write(`skipped: ${missing}\n`);
  context.skip();
}

/**
 * Pulumi in a project's folder.
 * @param state folder of its state
 * @returns runs it with arguments, and gives what it wrote to standard output
 */
export function pulumiIn(cwd: string, state: string): (...args: string[]) => Promise<string> {
  const env = {
    ...process.env,
    PULUMI_BACKEND_URL: `file://${state}`,
    PULUMI_CONFIG_PASSPHRASE: "none",
    PULUMI_SKIP_UPDATE_CHECK: "true",
  };
  return async (...args) => (await run(findPulumi(), args, { cwd, env, maxBuffer: 1e8 })).stdout;
}

const root = fileURLToPath(new URL("../../", import.meta.url));

/**
 * Gives a stage's file the AWS of rehearsals, at an emulator, and what else it is to have.
 * @param project folder with the settings of rehearsals @default this repository's own
 */
export async function rehearseStage(
  stageFile: string,
  endpoint: string,
  more: Readonly<Record<string, string>> = {},
  project = root,
): Promise<void> {
  const stage = parse(await fs.readFile(stageFile, "utf8"));
  const { config } = parse(
    (await fs.readFile(path.join(project, "Pulumi.rehearsal.yaml"), "utf8")).replaceAll(
      `localhost:${standardPort}`,
      `localhost:${new URL(endpoint).port}`,
    ),
  );
  const all = { ...stage, config: { ...stage?.config, ...config, ...more } };
  await fs.writeFile(stageFile, stringify(all));
}

/** Builds what the stack runs, once a run, or skips the suite and says why. @returns the image's id */
export async function stackImage(context: Mocha.Context): Promise<string> {
  await requireTools(context);
  process.stderr.write(`the functions run on ${host}, as this machine does\n`);
  const given = await substitutes([host]);
  const built = await image("--platform", architectures[host].platform, "--tag", tag, ...given);
  expect(built.code, built.text).to.equal(0);
  return await docker("image", "inspect", tag, "--format", "{{.Id}}");
}

/** Another image, which does the same, for what replaces one. @returns its id, which whoever asked removes */
export async function otherImage(): Promise<string> {
  const container = await docker("create", tag);
  try {
    return await docker("commit", "--change", "LABEL changed=yes", container);
  } finally {
    await docker("rm", container);
  }
}
