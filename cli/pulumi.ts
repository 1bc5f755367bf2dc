import { spawn } from "node:child_process";
import fs from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { MillpondError } from "../app/errors.ts";

const root = fileURLToPath(new URL("../", import.meta.url));

const installPage = "https://www.pulumi.com/docs/install/";

/** Milliseconds in which Pulumi may end by itself. */
const patienceMs = 3000;

export interface PulumiOptions {
  /** Beside this process's own. @default {} */
  environment?: Readonly<Record<string, string>>;
  /** Ends it. @default - it runs until it is done */
  stopped?: AbortSignal | undefined;
}

export interface PulumiRun {
  code: number | null;
  stdout: string;
  stderr: string;
}

/**
 * Pulumi's command line: the one that a person has installed, before the package `pulumi` of this project. npm's scripts have the
 * folders of packages first on their PATH, and that package has to fetch Pulumi when it first runs.
 * @throws MillpondError `pulumi-missing` where there is none
 */
export function findPulumi(searched = process.env["PATH"] ?? ""): string {
  const folders = searched.split(path.delimiter).filter((folder) => folder !== "");
  const ofPackages = (folder: string) => /[\\/]node_modules[\\/]\.bin[\\/]?$/.test(folder);
  const ordered = [
    ...folders.filter((folder) => !ofPackages(folder)),
    ...folders.filter(ofPackages),
  ];
  const found = ordered.map((folder) => path.join(folder, "pulumi")).find(isProgram);
  if (found !== undefined) return found;
  throw new MillpondError(
    "pulumi-missing",
    `there is no pulumi on the PATH: npm ci brings it to npm's scripts; see ${installPage}`,
  );
}

function isProgram(file: string): boolean {
  try {
    fs.accessSync(file, fs.constants.X_OK);
    return fs.statSync(file).isFile();
  } catch {
    return false;
  }
}

/**
 * Runs Pulumi's command line on this project.
 * @throws MillpondError `pulumi-missing` where there is none
 */
export async function runPulumi(
  args: readonly string[],
  { environment = {}, stopped }: PulumiOptions = {},
): Promise<PulumiRun> {
  const child = spawn(findPulumi(), [...args, "--non-interactive"], {
    cwd: root,
    env: { ...process.env, ...environment, PULUMI_SKIP_UPDATE_CHECK: "true" },
    stdio: ["ignore", "pipe", "pipe"],
  });
  const written = { stdout: "", stderr: "" };
  child.stdout.on("data", (chunk: Buffer) => {
    written.stdout += chunk.toString();
  });
  child.stderr.on("data", (chunk: Buffer) => {
    written.stderr += chunk.toString();
  });
  const stop = () => {
    // It ends in good order by the first; what it waits for may not be there any more.
    child.kill("SIGINT");
    setTimeout(() => child.kill("SIGKILL"), patienceMs).unref();
  };
  stopped?.addEventListener("abort", stop, { once: true });
  const code = await new Promise<number | null>((resolve, reject) => {
    child.once("error", reject);
    child.once("close", resolve);
  }).finally(() => stopped?.removeEventListener("abort", stop));
  return { code, ...written };
}

/**
 * Runs it before somebody's eyes, who may answer what it asks.
 * @returns its exit code
 */
export async function showPulumi(args: readonly string[]): Promise<number | null> {
  const child = spawn(findPulumi(), args, { cwd: root, stdio: "inherit" });
  // Ctrl-C goes to it, too, and it ends in good order by itself.
  const wait = () => {};
  process.on("SIGINT", wait);
  return await new Promise<number | null>((resolve, reject) => {
    child.once("error", reject);
    child.once("close", resolve);
  }).finally(() => process.removeListener("SIGINT", wait));
}

/** @throws MillpondError `pulumi` with what Pulumi said, where it ends with another exit code than 0 */
export async function pulumi(
  args: readonly string[],
  options: PulumiOptions = {},
): Promise<string> {
  return succeeded(args, await runPulumi(args, options));
}

/** @throws MillpondError as `pulumi` */
export function succeeded(args: readonly string[], { code, stdout, stderr }: PulumiRun): string {
  if (code === 0) return stdout;
  const said = (planErrors(stdout) ?? (stderr.trim() || stdout.trim())).replace(/^error: /, "");
  const advice = remedies.find(([sign]) => sign.test(said))?.[1];
  const what = `pulumi ${args.slice(0, 2).join(" ")}: ${said}`;
  throw new MillpondError("pulumi", advice === undefined ? what : `${what}; ${advice}`);
}

/** What Pulumi does not say of what it lacks. */
const remedies: readonly [RegExp, string][] = [
  [
    /fetch failed|Downloading pulumi/,
    `the package of npm's fetches Pulumi when it first runs, and could not; install it: ${installPage}`,
  ],
  [
    /no stack named/,
    "pulumi stack ls lists those of the backend that you are logged in to (pulumi whoami -v); pulumi stack init makes one",
  ],
  [
    /PULUMI_ACCESS_TOKEN must be set/,
    "that is for Pulumi's own service; log in to where the stack's state is: pulumi login --local, or pulumi login s3://<bucket>",
  ],
];

/** What `preview --json` found wrong, of all that it says. Undefined where it says nothing of the kind, or was stopped half-way. */
function planErrors(stdout: string): string | undefined {
  let plan: { diagnostics?: { message: string; severity: string }[] };
  try {
    plan = JSON.parse(stdout);
  } catch {
    return undefined;
  }
  const errors = plan.diagnostics?.filter(({ severity }) => severity === "error") ?? [];
  return errors.length === 0 ? undefined : errors.map(({ message }) => message.trim()).join("\n");
}
