import fs from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { Command, Option } from "commander";
import {
  type Architecture,
  architectureCalled,
  architectures,
  environmentNames,
  type FunctionName,
  functionNames,
  handlerOf,
} from "../app/contract.ts";
import { MillpondError } from "../app/errors.ts";
import { docker } from "./docker.ts";
import { UsageError } from "./usage-error.ts";

const root = fileURLToPath(new URL("../", import.meta.url));
const platforms = Object.values(architectures).map(({ platform }) => platform);
const defaultArchitecture: Architecture = "arm64";

interface ImageOptions {
  platform?: string;
  tag?: string;
  check?: string;
  builder?: string;
  buildContext: string[];
  cache: boolean;
}

export function imageCommand(): Command {
  return new Command("image")
    .description("build the image that all functions run, or check one that was pushed")
    .addOption(platformOption("what to build for, or to expect"))
    .option("--tag <name>", "what to call the image (default: millpond:<architecture>)")
    .option("--check <uri>", "build nothing: read what a pushed image was built for")
    .option("--builder <name>", "the builder of docker buildx (default: its own)")
    .option(
      "--build-context <name=value>",
      "another source of a stage or base of docker/Dockerfile, such as extensions=<folder>; can be given several times",
      collect,
      [],
    )
    .option("--no-cache", "build all anew")
    .addHelpText(
      "after",
      `
The registry's certificate, where a proxy has one of its own, is npm's cafile, or NODE_EXTRA_CA_CERTS.
Exit code: 0 built, or as expected; 1 it failed, or is for another architecture; 2 the call is wrong.`,
    )
    .action(async (options: ImageOptions) => {
      if (options.check !== undefined) await checkImage(options.check, options.platform);
      else await buildImage(options);
    });
}

/** Of an option that can be given several times. */
function collect(value: string, before: string[]): string[] {
  return [...before, value];
}

function platformOption(what: string): Option {
  return new Option("--platform <platform>", what)
    .choices(platforms)
    .default(undefined, architectures[defaultArchitecture].platform);
}

function architectureOf(platform: string | undefined): Architecture {
  return architectureCalled("platform", platform) ?? defaultArchitecture;
}

async function buildImage(options: ImageOptions): Promise<void> {
  const architecture = architectureOf(options.platform);
  const { platform } = architectures[architecture];
  const tag = options.tag ?? `millpond:${architecture}`;
  // As npm knows it, or Node.
  const certificate = process.env["npm_config_cafile"] ?? process.env["NODE_EXTRA_CA_CERTS"];
  await docker(
    [
      "buildx",
      "build",
      ...(options.builder === undefined ? [] : ["--builder", options.builder]),
      ...["--platform", platform, "--file", path.join(root, "docker/Dockerfile"), "--tag", tag],
      // Lambda refuses an image with attestations.
      ...["--provenance=false", "--sbom=false", "--load"],
      ...options.buildContext.flatMap((context) => ["--build-context", context]),
      ...(certificate ? ["--secret", `id=ca,src=${certificate}`] : []),
      ...(options.cache ? [] : ["--no-cache"]),
      root,
    ],
    { show: true },
  );
  process.stdout.write(
    `${tag} is built for ${platform}. Run a function of it: npm run image:run -- hello --platform ${platform}\n`,
  );
}

/** What a registry tells of an image, as `docker buildx imagetools inspect` prints it. */
interface Inspected {
  manifest: { manifests?: { platform?: { os: string; architecture: string } }[] };
  image: { os?: string; architecture?: string } | Record<string, unknown>;
}

/** @throws MillpondError `architecture` where the image is for another one, or for several */
async function checkImage(uri: string, expected: string | undefined): Promise<void> {
  const wanted = architectures[architectureOf(expected)].platform;
  const printed = await docker(["buildx", "imagetools", "inspect", uri, "--format", "{{json .}}"], {
    show: false,
  });
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
  port: string;
  memory: string;
  dir?: string;
  env: string[];
}

/** What a container calls the machine that it runs on. */
const hostInContainer = "host.docker.internal";
/** A user and a group without rights, as Lambda's. */
const unprivileged = "993:990";

/** Variables of the caller that make sense in a container: no paths of this machine. */
const passedOn =
  /^(AWS_(ACCESS_KEY_ID|SECRET_ACCESS_KEY|SESSION_TOKEN|REGION|DEFAULT_REGION|ENDPOINT_URL\w*)|LOG_LEVEL|MILLPOND_(?!EXTENSIONS|SEALED_|QUERIES|IMAGE_)\w+)$/;

export function imageRunCommand(): Command {
  return new Command("image-run")
    .description("run one function of the image, behind Lambda's runtime interface emulator")
    .argument("<function>", `one of ${functionNames.join(", ")}`)
    .addOption(
      new Option("--platform <platform>", "the image to run (default: this machine's)").choices(
        platforms,
      ),
    )
    .option("--tag <name>", "the image (default: millpond:<architecture>)")
    .option("--port <number>", "the port on this machine", "9000")
    .option("--memory <MiB>", "what the function may use", "1769")
    .option("--dir <folder>", "a pond on this machine (default: an empty one in the container)")
    .option(
      "--env <name=value>",
      "an environment variable; can be given several times",
      collect,
      [],
    )
    .addHelpText(
      "after",
      `
As in Lambda, all but /tmp is read-only. Keys, region and endpoints (AWS_*), MILLPOND_* and LOG_LEVEL are passed on from
your environment, so MILLPOND_STORE=s3://<bucket> works on a bucket with your rights. With a profile, first:
  eval "$(aws configure export-credentials --format env)"`,
    )
    .action(async (name: string, options: RunOptions) => {
      const known = functionNames.find((one) => one === name);
      if (known === undefined) {
        throw new UsageError(`there is no function "${name}": ${functionNames.join(", ")}`);
      }
      for (const [option, value] of [
        ["port", options.port],
        ["memory", options.memory],
      ] as const) {
        if (!/^\d+$/.test(value))
          throw new UsageError(`--${option} takes a number, got "${value}"`);
      }
      await runImage(known, options);
    });
}

async function runImage(name: FunctionName, options: RunOptions): Promise<void> {
  // Without one named, what this machine runs without an emulator.
  const own = architectureCalled("node", process.arch);
  const architecture =
    options.platform === undefined && own !== undefined ? own : architectureOf(options.platform);
  const { platform } = architectures[architecture];
  const tag = options.tag ?? `millpond:${architecture}`;
  await docker(["image", "inspect", tag, "--format", "{{.Id}}"], {
    show: false,
    quiet: true,
  }).catch((error: MillpondError) => {
    if (error.code === "docker-missing") throw error;
    throw new UsageError(
      `there is no image ${tag} here: build it first, npm run image -- --platform ${platform}`,
    );
  });
  const mounted = options.dir === undefined ? undefined : path.resolve(options.dir);
  const environment = new Map<string, string>([
    [environmentNames.store, mounted === undefined ? "/tmp/pond" : "/pond"],
    [environmentNames.auth, "none"],
    [environmentNames.architecture, architecture],
    ...Object.entries(process.env).filter(
      (entry): entry is [string, string] => passedOn.test(entry[0]) && entry[1] !== undefined,
    ),
    ...options.env.map((text): [string, string] => {
      const at = text.indexOf("=");
      if (at < 1) throw new UsageError(`--env takes <name>=<value>, got "${text}"`);
      return [text.slice(0, at), text.slice(at + 1)];
    }),
    ["AWS_LAMBDA_FUNCTION_NAME", name],
    ["AWS_LAMBDA_FUNCTION_MEMORY_SIZE", options.memory],
    ["AWS_LAMBDA_FUNCTION_TIMEOUT", "900"],
  ]);
  for (const [key, value] of environment) {
    if (/[\r\n]/.test(value))
      throw new UsageError(`${key} has several lines, which Docker does not take`);
    if (!key.startsWith("AWS_ENDPOINT_URL")) continue;
    // In the container these names are the container's own.
    environment.set(key, value.replace(/\/\/(127\.0\.0\.1|localhost)\b/, `//${hostInContainer}`));
  }
  // In a file that only we can read: values on a command line can be read by everybody on the machine.
  const folder = await fs.mkdtemp(path.join(os.tmpdir(), "millpond-run-"));
  const environmentFile = path.join(folder, "environment");
  const lines = [...environment].map(([key, value]) => `${key}=${value}\n`);
  await fs.writeFile(environmentFile, lines.join(""), { mode: 0o600 });
  const url = `http://127.0.0.1:${options.port}/2015-03-31/functions/function/invocations`;
  const user = mounted === undefined ? unprivileged : `${process.getuid?.()}:${process.getgid?.()}`;
  process.stdout.write(
    `${name} waits for events: curl --data @events/<event>.json ${url}\nCtrl-C ends it.\n`,
  );
  try {
    await docker(
      [
        ...["run", "--rm", "--platform", platform, "--publish", `127.0.0.1:${options.port}:8080`],
        ...["--read-only", "--tmpfs", "/tmp:mode=1777", "--memory", `${options.memory}m`],
        ...["--user", user, "--env-file", environmentFile],
        ...["--add-host", `${hostInContainer}:host-gateway`],
        ...(mounted === undefined ? [] : ["--volume", `${mounted}:/pond`]),
        tag,
        handlerOf(name),
      ],
      { show: true },
    );
  } finally {
    await fs.rm(folder, { recursive: true, force: true });
  }
}
