import { randomBytes } from "node:crypto";
import fs from "node:fs/promises";
import path from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { Command, Option } from "commander";
import {
  type Architecture,
  architectureCalled,
  architectureNames,
  architectures,
  environmentNames,
  type FunctionName,
  functionNames,
  handlerOf,
} from "../app/contract.ts";
import { MillpondError } from "../app/errors.ts";
import { docker, requireBuilder, requireDocker } from "./docker.ts";
import { freePort } from "./free-port.ts";
import { type NamedStore, namedStore } from "./named-store.ts";
import { endingSignals } from "./signals.ts";
import { UsageError } from "./usage-error.ts";
import { wholeNumber } from "./whole-number.ts";

const root = fileURLToPath(new URL("../", import.meta.url));
const platforms = Object.values(architectures).map(({ platform }) => platform);
const defaultArchitecture: Architecture = "arm64";

interface ImageOptions extends BuildOptions {
  platform?: string;
  check?: string;
}

export function imageCommand(): Command {
  return new Command("image")
    .description("build the image that all functions run, or check one that was pushed")
    .addOption(
      platformOption(
        `what to build for, or to expect (default: ${architectures[defaultArchitecture].platform})`,
      ),
    )
    .option("--tag <name>", `what to call the image (default: ${defaultTags()})`)
    .addOption(
      new Option(
        "--check <uri>",
        "build nothing: ask the registry what a pushed image was built for",
      ).conflicts(["tag", "builder", "buildContext"]),
    )
    .option("--builder <name>", "the builder of docker buildx (default: its own)")
    .option(
      "--build-context <name=value>",
      "another source of a stage or base of docker/Dockerfile, such as extensions=<folder>; can be given several times",
      collect,
    )
    .option("--no-cache", "build all anew")
    .addHelpText(
      "after",
      `
The registry's certificate, where a proxy has one of its own, is npm's cafile,
or NODE_EXTRA_CA_CERTS.
Exit code: 0 built, or as expected; 1 it failed; 2 the call is wrong; 3 the
image is for another architecture, or for several.`,
    )
    .action(async (options: ImageOptions) => {
      checkTag(options.tag, { digest: false });
      if (options.check !== undefined) {
        await checkImage(options.check, options.platform);
        return;
      }
      const architecture = architectureOf(options.platform);
      const { platform } = architectures[architecture];
      const tag = await buildImage(architecture, options);
      const which = [
        ...(architecture === hostArchitecture() ? [] : ["--platform", platform]),
        ...(options.tag === undefined ? [] : ["--tag", tag]),
      ];
      const run = ["npm run image:run -- hello", ...which].join(" ");
      process.stdout.write(`${tag} is built for ${platform}. Run a function of it: ${run}\n`);
    });
}

/** `millpond:arm64 or millpond:x86_64` */
function defaultTags(): string {
  return architectureNames.map(tagOf).join(" or ");
}

function tagOf(architecture: Architecture): string {
  return `millpond:${architecture}`;
}

/**
 * As Docker takes them, so that a slip is not found after the build.
 * @param digest whether it may name one: what is run, not what is built
 * @see https://pkg.go.dev/github.com/distribution/reference
 */
function checkTag(tag: string | undefined, { digest }: { digest: boolean }): void {
  const label = "[a-zA-Z0-9]([a-zA-Z0-9-]*[a-zA-Z0-9])?";
  const host = `(${label}(\\.${label})*|\\[[0-9a-fA-F:]+\\])(:\\d+)?`;
  const component = "[a-z0-9]+((\\.|_|__|-+)[a-z0-9]+)*";
  const behind = `(:\\w[\\w.-]{0,127})?${digest ? "(@sha256:[0-9a-f]{64})?" : ""}`;
  const name = new RegExp(`^(${host}/)?${component}(/${component})*${behind}$`);
  if (tag === undefined || name.test(tag)) return;
  throw new UsageError(`--tag takes <name>[:<tag>] in lower case, got "${tag}"`);
}

/** `<name>=<value>`, and what is behind `oci-layout://`, … is for Docker to find. */
async function checkContext(context: string): Promise<void> {
  const [name = "", value = ""] = context.split(/=(.*)/s);
  if (name === "" || value === "") {
    throw new UsageError(`--build-context takes <name>=<value>, got "${context}"`);
  }
  // Of what is no folder Docker knows more kinds.
  if (/:\/\/|^git@|^[\w.-]+\.[a-z]+\//.test(value)) return;
  await requireFolder("--build-context", value);
}

async function requireFolder(option: string, folder: string): Promise<void> {
  const found = await fs.stat(folder).catch((error: NodeJS.ErrnoException) => {
    if (error.code === "ENOENT") throw new UsageError(`${option}: there is no folder ${folder}`);
    throw new UsageError(`${option}: ${error.message}`);
  });
  if (!found.isDirectory()) throw new UsageError(`${option}: not a folder ${folder}`);
}

/** Of an option that can be given several times. */
function collect(value: string, before: string[] | undefined): string[] {
  return [...(before ?? []), value];
}

function platformOption(what: string): Option {
  return new Option("--platform <platform>", what).choices(platforms);
}

function architectureOf(platform: string | undefined): Architecture {
  return architectureCalled("platform", platform) ?? defaultArchitecture;
}

/** What is built with, beside the standard. */
export interface BuildOptions {
  tag?: string;
  builder?: string;
  buildContext?: string[];
  /** @default true */
  cache?: boolean;
}

/** @returns what the image is called */
export async function buildImage(
  architecture: Architecture,
  { tag = tagOf(architecture), builder, buildContext = [], cache = true }: BuildOptions = {},
): Promise<string> {
  for (const context of buildContext) await checkContext(context);
  await requireBuilder(builder);
  // As npm knows it, or Node.
  const certificate = process.env["npm_config_cafile"] ?? process.env["NODE_EXTRA_CA_CERTS"];
  await docker(
    [
      "buildx",
      "build",
      ...(builder === undefined ? [] : ["--builder", builder]),
      ...["--platform", architectures[architecture].platform],
      ...["--file", path.join(root, "docker/Dockerfile"), "--tag", tag],
      // Lambda refuses an image with attestations.
      ...["--provenance=false", "--sbom=false", "--load"],
      ...buildContext.flatMap((context) => ["--build-context", context]),
      ...(certificate ? ["--secret", `id=ca,src=${certificate}`] : []),
      ...(cache ? [] : ["--no-cache"]),
      root,
    ],
    { show: false },
  );
  return tag;
}

/** What a registry tells of an image, as `docker buildx imagetools inspect` prints it. */
interface Inspected {
  manifest: { manifests?: { platform?: { os: string; architecture: string } }[] };
  image: { os?: string; architecture?: string } | Record<string, unknown>;
}

/** What this machine runs without an emulator. */
export function hostArchitecture(): Architecture {
  return architectureCalled("node", process.arch) ?? defaultArchitecture;
}

/** @throws MillpondError `architecture` where the image is for another one, or for several */
async function checkImage(uri: string, expected: string | undefined): Promise<void> {
  const wanted = architectures[architectureOf(expected)].platform;
  if (!/^([^/]*[.:][^/]*|localhost)\//.test(uri)) {
    throw new UsageError(`--check takes <registry>/<name>:<tag> of a pushed image, got "${uri}"`);
  }
  const inspect = ["buildx", "imagetools", "inspect", uri, "--format", "{{json .}}"];
  const printed = await docker(inspect, { show: false, quiet: true }).catch(
    (error: MillpondError) => {
      if (error.code !== "docker") throw error;
      const registry = uri.split("/")[0];
      throw new MillpondError(
        "registry",
        `can't read ${uri}: ${error.message.replace(/^ERROR: /, "")}; is it there, and are you signed in? For ECR: aws ecr get-login-password | docker login --username AWS --password-stdin ${registry}`,
        { cause: error },
      );
    },
  );
  const { manifest, image } = JSON.parse(printed) as Inspected;
  if (manifest.manifests !== undefined) {
    const found = manifest.manifests.map(
      ({ platform }) => `${platform?.os}/${platform?.architecture}`,
    );
    throw new MillpondError(
      "architecture",
      `${uri} is an index of ${found.join(", ")}, and Lambda takes an image of one architecture: push one that was built with --provenance=false for ${wanted}`,
    );
  }
  const found = `${image["os"]}/${image["architecture"]}`;
  if (found !== wanted) {
    throw new MillpondError(
      "architecture",
      `${uri} is for ${found}, not ${wanted}: build it with npm run image -- --platform ${wanted}, or set the stage's architecture`,
    );
  }
  process.stdout.write(`${uri} is for ${found}\n`);
}

interface RunOptions {
  platform?: string;
  tag?: string;
  port: number;
  memory: number;
  dir?: string;
  env?: string[];
}

/** What a container calls the machine that it runs on. */
const hostInContainer = "host.docker.internal";
/** A user and a group without rights, as Lambda's. */
const unprivileged = "993:990";

/** Variables of the caller that make sense in a container: no paths of this machine, and no token of another pond. */
const passedOn =
  /^(AWS_(ACCESS_KEY_ID|SECRET_ACCESS_KEY|SESSION_TOKEN|REGION|DEFAULT_REGION|ENDPOINT_URL\w*)|LOG_LEVEL|MILLPOND_(?!EXTENSIONS|SEALED_|QUERIES|IMAGE_|STORE$|TOKEN$)\w+)$/;

export function imageRunCommand(): Command {
  return (
    new Command("image-run")
      .description("run one function of the image, behind Lambda's runtime interface emulator")
      .argument("<function>", `one of ${functionNames.join(", ")}`)
      .addOption(
        platformOption(
          `what the image is for (default: this machine's, ${architectures[hostArchitecture()].platform})`,
        ),
      )
      .option("--tag <name>", `the image (default: ${defaultTags()})`)
      .option(
        "--port <number>",
        "the port on this machine; 0 takes a free one",
        wholeNumber("--port", 0, 65_535),
        9000,
      )
      // Lambda's own limits.
      .option(
        "--memory <MiB>",
        "what the function may use",
        wholeNumber("--memory", 128, 10_240),
        1769,
      )
      .option(
        "--dir <folder>",
        `the folder of the pond, or s3://<bucket> (default: ${environmentNames.store}, else an empty folder in the container)`,
      )
      .option("--env <name=value>", "an environment variable; can be given several times", collect)
      .addHelpText(
        "after",
        `
As in Lambda, all but /tmp is read-only. Keys, region and endpoints (AWS_*),
MILLPOND_* and LOG_LEVEL are passed on from your environment, so a bucket is
read with your rights. With a profile, first:
  eval "$(aws configure export-credentials --format env)"
Exit code: 0 ended by Ctrl-C, or told to end; 1 it failed; 2 the call is wrong.`,
      )
      .action(async (name: string, options: RunOptions) => {
        const known = functionNames.find((one) => one === name);
        if (known === undefined) {
          throw new UsageError(`there is no function "${name}": ${functionNames.join(", ")}`);
        }
        checkTag(options.tag, { digest: true });
        await runImage(known, options);
      })
  );
}

async function runImage(name: FunctionName, options: RunOptions): Promise<void> {
  const architecture =
    options.platform === undefined ? hostArchitecture() : architectureOf(options.platform);
  const { platform } = architectures[architecture];
  const tag = options.tag ?? tagOf(architecture);
  const store = namedStore(options.dir);
  const folder = store?.kind === "folder" ? store.path : undefined;
  // Docker would make one, of root's.
  if (folder !== undefined)
    await requireFolder(options.dir === undefined ? environmentNames.store : "--dir", folder);
  const given = (options.env ?? []).map((text) => {
    if (!/^[A-Za-z_]\w*=/.test(text)) {
      throw new UsageError(`--env takes <name>=<value>, got "${text}"`);
    }
    return text;
  });
  const environment = containerEnvironment(name, architecture, store, options.memory);
  const port = await freePort(options.port);
  const user = folder === undefined ? unprivileged : `${process.getuid?.()}:${process.getgid?.()}`;
  const container = `millpond-${name}-${randomBytes(4).toString("hex")}`;
  const ended = new AbortController();
  let ready: Promise<void> | undefined;
  let made = false;
  const remove = async () => {
    const args = ["rm", "--force", container];
    await docker(args, { show: false, quiet: true, whole: true }).catch((error: MillpondError) => {
      // Interrupted means done, here.
      if (error.code !== "interrupted" && !/no such container/i.test(error.message)) throw error;
    });
  };
  // What runs at that moment hears of a signal by itself; between two commands nobody would, and the container stayed.
  for (const signal of endingSignals) process.on(signal, () => {});
  try {
    await requireDocker();
    await requireImage(tag, platform, options.tag);
    made = true;
    await docker(
      [
        // Never one of that name that is somebody else's.
        ...["create", "--pull", "never"],
        ...["--init", "--name", container, "--platform", platform],
        ...["--publish", `127.0.0.1:${port}:8080`],
        ...["--read-only", "--tmpfs", "/tmp:mode=1777", "--memory", `${options.memory}m`],
        ...["--user", user, "--add-host", `${hostInContainer}:host-gateway`],
        // Values on a command line can be read by everybody on the machine, but for those that are on ours already.
        ...Object.keys(environment).flatMap((key) => ["--env", key]),
        ...given.flatMap((text) => ["--env", text]),
        ...(folder === undefined ? [] : ["--mount", mountOf(folder)]),
        tag,
        handlerOf(name),
      ],
      { show: false, environment, whole: true },
    );
    ready = announce(name, port, ended.signal);
    await docker(["start", "--attach", container], { show: true, insist: remove });
  } catch (error) {
    // That is how it ends.
    if ((error as MillpondError).code !== "interrupted") throw error;
  } finally {
    ended.abort();
    // All that is left is the process's own end, which takes milliseconds: a signal that comes then changes nothing.
    await Promise.all([ready, made ? remove() : undefined]);
  }
}

async function requireImage(tag: string, platform: string, given: string | undefined) {
  const ask = ["image", "inspect", tag, "--format", "{{.Os}}/{{.Architecture}}"];
  const found = await docker(ask, { show: false, quiet: true }).catch((error: MillpondError) => {
    if (error.code !== "docker") throw error;
    const advice = given?.includes("@")
      ? `docker pull ${tag}`
      : `build it first, npm run image -- --platform ${platform}${given === undefined ? "" : ` --tag ${tag}`}`;
    throw new UsageError(`there is no image ${tag} here: ${advice}`);
  });
  if (found.trim() === platform) return;
  throw new UsageError(
    `${tag} is for ${found.trim()}, not ${platform}: run it with --platform ${found.trim()}, or build one for ${platform}`,
  );
}

/** In CSV, as Docker reads it: a folder's name may hold what separates. */
function mountOf(folder: string): string {
  return `type=bind,"source=${folder.replaceAll('"', '""')}",target=/pond`;
}

/** What the container gets: what it must have, and what the caller has. */
function containerEnvironment(
  name: FunctionName,
  architecture: Architecture,
  store: NamedStore | undefined,
  memoryMiB: number,
): Record<string, string> {
  const where = store?.kind === "bucket" ? store.url : store === undefined ? "/tmp/pond" : "/pond";
  const passed = Object.entries(process.env).flatMap(([key, value]): [string, string][] => {
    if (value === undefined || !passedOn.test(key)) return [];
    return [[key, key.startsWith("AWS_ENDPOINT_URL") ? fromContainer(value) : value]];
  });
  return {
    [environmentNames.auth]: "none",
    [environmentNames.architecture]: architecture,
    ...Object.fromEntries(passed),
    [environmentNames.store]: where,
    AWS_LAMBDA_FUNCTION_NAME: name,
    AWS_LAMBDA_FUNCTION_MEMORY_SIZE: String(memoryMiB),
    AWS_LAMBDA_FUNCTION_TIMEOUT: "900",
  };
}

/** In the container this machine's names for itself are the container's own. */
function fromContainer(endpoint: string): string {
  const url = URL.canParse(endpoint) ? new URL(endpoint) : undefined;
  if (url === undefined || !["localhost", "127.0.0.1", "[::1]"].includes(url.hostname)) {
    return endpoint;
  }
  url.hostname = hostInContainer;
  return url.href;
}

/** Says how to call the function, as soon as what waits for calls answers. */
async function announce(name: FunctionName, port: number, ended: AbortSignal): Promise<void> {
  const base = `http://127.0.0.1:${port}`;
  while (!ended.aborted) {
    // Any answer will do: this is no call of the function.
    const answers = await fetch(base, { signal: ended }).then(
      () => true,
      () => false,
    );
    if (answers) {
      process.stdout.write(
        `${name} waits for events: curl --data @events/<event>.json ${base}/2015-03-31/functions/function/invocations\nCtrl-C ends it.\n`,
      );
      return;
    }
    await pause(100, undefined, { signal: ended }).catch(() => undefined);
  }
}
