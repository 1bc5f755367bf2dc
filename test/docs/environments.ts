import { execFile } from "node:child_process";
import { randomBytes } from "node:crypto";
import { accessSync, constants } from "node:fs";
import fs from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import sharp from "sharp";
import { architectureNames, environmentNames as variables } from "../../app/contract.ts";
import { removeContainers } from "../../cli/docker.ts";
import { freePort } from "../../cli/free-port.ts";
import { findPulumi } from "../../cli/pulumi.ts";
import {
  emulatorKeys,
  extensionFor,
  installPython,
  labelAt,
  ownPlatform,
  startEmulator,
} from "../../cli/rehearsal/emulator.ts";
import { lostAnswerIn, standardPort } from "../../cli/rehearsal/pulumi-stack.ts";
import { defaultPort } from "../../cli/target.ts";
import { buildExample, exampleFolder, exampleTag } from "../examples/image.ts";
import { substitutes } from "../image/build.ts";
import { docker, dockerMissing } from "../image/docker.ts";
import { host, otherImage, rehearseStage, requireTools, stackImage, tag } from "../stack/build.ts";
import type { Block, EnvironmentName } from "./markdown.ts";
import { Session, type SessionOptions } from "./session.ts";

const run = promisify(execFile);
const root = fileURLToPath(new URL("../../", import.meta.url));

/** Where the commands of pages run. */
export interface Environment {
  /** For a page, whose commands are to be run in their order. */
  enter(): Promise<Visit>;
  /** What all pages shared goes. */
  close(): Promise<void>;
}

/** One page's stay. */
export interface Visit {
  session: Session;
  /** Brings what a block takes for granted. */
  prepare?(block: Block): Promise<void>;
  leave(): Promise<void>;
}

/** A clone of what is committed, with dependencies; the shell's home is empty. */
class Clone {
  readonly folder: string;
  /** All of the environment of a shell in it. */
  readonly environment: Record<string, string>;

  private constructor(work: string) {
    const home = process.env["HOME"] ?? os.homedir();
    const searched = (process.env["PATH"] ?? "")
      .split(path.delimiter)
      .filter((folder) => !folder.includes("node_modules"));
    this.folder = path.join(work, "millpond");
    this.environment = {
      ...ownEnvironment(),
      HOME: path.join(work, "home"),
      // Deploying takes a Node.js that runs TypeScript, first on the PATH.
      PATH: [path.join(work, "bin"), path.dirname(process.execPath), ...searched].join(
        path.delimiter,
      ),
      DOCKER_CONFIG: process.env["DOCKER_CONFIG"] ?? path.join(home, ".docker"),
      // Its programs are fetched once for all; who is logged in to what is the clone's own.
      PULUMI_HOME: process.env["PULUMI_HOME"] ?? path.join(home, ".pulumi"),
      PULUMI_CREDENTIALS_PATH: path.join(work, "home/.pulumi"),
      // Where it would ask whether to go on, and after a login what else one would like to do.
      PULUMI_CI_SYSTEM: "pages",
      PULUMI_SKIP_CONFIRMATIONS: "true",
      // What spins, and news of npm's, are no output of a command.
      npm_config_progress: "false",
      npm_config_update_notifier: "false",
    };
  }

  static async make(): Promise<Clone> {
    const work = await fs.realpath(await fs.mkdtemp(path.join(os.tmpdir(), "millpond-docs-")));
    const clone = new Clone(work);
    await fs.mkdir(path.join(work, "home"));
    await fs.mkdir(path.join(work, "bin"));
    await run("git", ["clone", "--quiet", root, clone.folder]);
    // The emulator in .cache/, too, is installed once for all.
    for (const made of ["node_modules", ".cache"]) {
      await fs.mkdir(path.join(root, made), { recursive: true });
      await fs.symlink(path.join(root, made), path.join(clone.folder, made));
    }
    // CI installs once, by the same command; and what `pulumi new` installs, without a package's name, is the same.
    const modules = path.join(root, "node_modules");
    const install = `[[ "\${*:2}" =~ (^| )[^-] ]] || { ln -sfn "${modules}" node_modules && exit 0; }`;
    await clone.standIn("npm", `case "$1" in ci) exit 0 ;; install) ${install} ;; esac`);
    await clone.standInPulumi();
    return clone;
  }

  /**
   * Puts a script before a program on the PATH.
   * @param lines of bash, which may end it, or change its arguments
   * @param real the program @default - the first of its name on the PATH
   */
  async standIn(program: string, lines: string, real?: string): Promise<void> {
    const [own = "", ...folders] = (this.environment["PATH"] ?? "").split(path.delimiter);
    const found = real ?? folders.map((folder) => path.join(folder, program)).find(isProgram);
    const script = `#!/usr/bin/env bash\n${lines}\nexec "${found}" "$@"\n`;
    await fs.writeFile(path.join(own, program), script, { mode: 0o755 });
  }

  /** @param lines as in `standIn` @default "" */
  async standInPulumi(lines = ""): Promise<void> {
    // It takes ~ from the list of users, whatever HOME says.
    const login = `[ "$*" = "login --local" ] && set -- login "file://$HOME"`;
    await this.standIn("pulumi", `${login}\n${lines}`, findPulumi());
  }

  /** For a page that has the clone for itself. */
  async visit(options: Pick<SessionOptions, "timeoutMs" | "again">): Promise<Visit> {
    const { folder, environment } = this;
    const session = await Session.open({ folder, environment, ...options });
    const leave = async () => {
      await session.close();
      await this.remove();
    };
    return { session, leave };
  }

  async remove(): Promise<void> {
    await fs.rm(path.dirname(this.folder), { recursive: true, force: true });
  }
}

/** This process's, without what npm, mocha or a stack of the developer's own put there. */
function ownEnvironment(): Record<string, string> {
  const foreign =
    /^(npm_|INIT_CWD|NODE$|NODE_OPTIONS|AWS_|MILLPOND_|LOG_LEVEL|PULUMI_(BACKEND|CONFIG|ACCESS|STACK))/;
  return Object.fromEntries(
    Object.entries(process.env).filter(
      (entry): entry is [string, string] => entry[1] !== undefined && !foreign.test(entry[0]),
    ),
  );
}

function isProgram(file: string): boolean {
  try {
    accessSync(file, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

/** Skips the blocks that need it, and says why. */
function skip(context: Mocha.Context, missing: string): never {
  process.stderr.write(`skipped: ${missing}\n`);
  return context.skip();
}

async function openClone(context: Mocha.Context): Promise<Environment> {
  await run("script", ["--version"]).catch(() =>
    skip(context, "there is no script of util-linux on this machine, which makes a terminal"),
  );
  return {
    enter: async () => await (await Clone.make()).visit({ timeoutMs: 60_000 }),
    close: async () => {},
  };
}

/** @throws Error where a port is taken that pages name */
async function free(port: number): Promise<void> {
  await freePort(port).catch(() => {
    throw new Error(`port ${port} is taken: end what listens there, as the pages name it`);
  });
}

/** `npm start` in a clone, at its own port: begun before the first block, unless that one itself begins it. */
async function openPond(context: Mocha.Context): Promise<Environment> {
  const clones = await openClone(context);
  await free(defaultPort);
  const enter = async (): Promise<Visit> => {
    const visit = await clones.enter();
    let begun = false;
    const prepare = async ({ commands }: Block) => {
      if (begun) return;
      begun = true;
      if (commands.some(({ text }) => Session.serves(text))) return;
      const { code, output } = await visit.session.execute("npm start");
      if (code !== 0) throw new Error(`npm start did not begin:\n${output.join("\n")}`);
    };
    return { ...visit, prepare };
  };
  return { ...clones, enter };
}

/** A clone beside Docker. Images that were there keep their names. */
async function openImage(context: Mocha.Context): Promise<Environment> {
  await openClone(context);
  // A rehearsal is one command of a page.
  const missing = (await dockerMissing()) ?? (await installPython());
  if (missing !== undefined) skip(context, missing);
  await free(standardPort);
  const options = await substitutes(architectureNames);
  const before = await imagesHere();
  const enter = async () => {
    const clone = await Clone.make();
    // What stands in for hosts that this machine doesn't reach.
    const more = options.map((word) => `'${word}'`).join(" ");
    const build = `[ "$1 $2" = "buildx build" ] && set -- buildx build ${more} "\${@:3}"`;
    if (options.length > 0) await clone.standIn("docker", build);
    // For a rehearsal.
    return await clone.visit({ timeoutMs: 900_000 });
  };
  const close = async () => {
    const built = [...(await imagesHere()).keys()].filter((name) => !before.has(name));
    if (built.length > 0) await docker("image", "rm", "--force", ...built);
    for (const [name, id] of before) await docker("tag", id, name).catch(() => {});
  };
  return { enter, close };
}

/** This machine's own images, by their names. */
async function imagesHere(): Promise<Map<string, string>> {
  const format = ["--filter", "reference=millpond", "--format", "{{.Repository}}:{{.Tag}} {{.ID}}"];
  const lines = (await docker("image", "ls", ...format)).split("\n").filter((line) => line !== "");
  return new Map(lines.map((line) => line.split(" ") as [string, string]));
}

/** How long a command may take on an account, and when it is run once more. */
function deploying({ clone }: Account) {
  const endpoint = clone.environment["AWS_ENDPOINT_URL"] ?? "";
  const again = async (shown: string) => (await lostAnswerIn(shown, endpoint)) !== undefined;
  return { timeoutMs: 300_000, again };
}

/** The emulator, with nothing deployed, for each page. */
async function openDeploy(context: Mocha.Context): Promise<Environment> {
  await requireAccounts(context);
  return await openEmpty(context, await pond(context));
}

/** The same with the image of an example. */
async function openExample(context: Mocha.Context, name: string): Promise<Environment> {
  await requireAccounts(context);
  const folder = path.relative(root, exampleFolder(name));
  const imageId = await buildExample(name, host);
  const project = { folder, stages: ["dev"], imageId, tags: [exampleTag(name, host)] };
  return await openEmpty(context, project, async (clone) => {
    const create = { width: 800, height: 600, channels: 3, background: "tan" } as const;
    await sharp({ create })
      .jpeg()
      .toFile(path.join(clone.folder, folder, "tom.jpg"));
  });
}

async function openEmpty(
  context: Mocha.Context,
  project: Project,
  furnish: (clone: Clone) => Promise<void> = async () => {},
): Promise<Environment> {
  const accounts = openAccounts(context, project);
  const enter = async (): Promise<Visit> => {
    const account = await accounts.open();
    await furnish(account.clone);
    const visit = await account.clone.visit(deploying(account));
    const leave = async () => {
      await visit.leave();
      await account.close();
    };
    return { ...visit, leave };
  };
  return { enter, close: accounts.close };
}

/** The emulator with a stack dev, which has run another image before, for all pages. */
async function openStack(context: Mocha.Context): Promise<Environment> {
  await requireAccounts(context);
  const project = await pond(context);
  const earlier = await otherImage();
  const accounts = openAccounts(context, { ...project, tags: [...project.tags, earlier] });
  const account = await accounts.open();
  const { folder, environment } = account.clone;
  const TOKEN = randomBytes(24).toString("hex");
  const execute = async (...commands: string[]) => {
    const session = await Session.open({ folder, environment, ...deploying(account) });
    try {
      for (const command of commands) {
        const { code, output } = await session.execute(command);
        if (code !== 0) throw new Error([command, ...output].join("\n"));
      }
    } finally {
      await session.close();
    }
  };
  const outputs = async (): Promise<Record<string, string>> => {
    const file = path.join(folder, "..", "outputs.json");
    await execute(`pulumi stack output --json --stack dev > ${file}`);
    const { apiUrl: URL, bucketName: BUCKET } = JSON.parse(await fs.readFile(file, "utf8"));
    if (URL === undefined)
      throw new Error("a page has destroyed dev: such a block is for run: deploy");
    return { URL, BUCKET, TOKEN };
  };
  let made: Promise<void> | undefined;
  const make = async () => {
    const deploy = (imageUri: string) => [
      `pulumi config set --stack dev imageUri ${imageUri}`,
      "pulumi up --stack dev",
    ];
    await execute(
      "pulumi login --local",
      "pulumi stack init dev",
      `pulumi config set --stack dev --secret --path secrets.tokens ${TOKEN}`,
      ...deploy(earlier),
      ...deploy(project.imageId),
    );
  };
  const enter = async (): Promise<Visit> => {
    made ??= make();
    await made;
    const here = { folder, environment: { ...environment, ...(await outputs()) } };
    const session = await Session.open({ ...here, ...deploying(account) });
    return { session, leave: async () => await session.close() };
  };
  const close = async () => {
    await account.clone.remove();
    await account.close();
    await accounts.close();
  };
  return { enter, close };
}

interface Account {
  clone: Clone;
  /** Its clone is whoever's uses it. */
  close(): Promise<void>;
}

/** A project of Pulumi's in the repository. */
interface Project {
  /** In the repository. */
  folder: string;
  /** Stacks that get the AWS of rehearsals. */
  stages: readonly string[];
  /** Of the image that its functions run. */
  imageId: string;
  /** Names of images that go in the end. */
  tags: readonly string[];
}

async function pond(context: Mocha.Context): Promise<Project> {
  return { folder: ".", stages: ["dev", "prod"], imageId: await stackImage(context), tags: [tag] };
}

/** Looks for what accounts take, before anything is built. */
async function requireAccounts(context: Mocha.Context): Promise<void> {
  await openClone(context);
  await run("aws", ["--version"]).catch(() => skip(context, "there is no AWS CLI on this machine"));
  await requireTools(context);
  const missing = await installPython();
  if (missing !== undefined) skip(context, missing);
}

/** Emulators of AWS, each beside a clone whose stacks go there. */
function openAccounts(context: Mocha.Context, { folder, stages, imageId, tags }: Project) {
  const open = async (): Promise<Account> => {
    const emulator = await startEmulator();
    if ("missing" in emulator) return skip(context, emulator.missing);
    const clone = await Clone.make();
    // What comes before an update, rehearsals have: only rules need it, which refuse by it.
    await clone.standInPulumi(
      `case "$*" in *--policy-pack*) ;; up | "up "* | destroy | "destroy "*) set -- "$@" --skip-preview ;; esac`,
    );
    Object.assign(clone.environment, emulatorKeys, {
      // For AWS's own command line.
      AWS_DEFAULT_REGION: emulatorKeys.AWS_REGION,
      AWS_ENDPOINT_URL: emulator.endpoint,
      // Whatever it shows is to stay there.
      AWS_PAGER: "",
      PULUMI_CONFIG_PASSPHRASE: randomBytes(16).toString("hex"),
      [variables.extensions]: await extensionFor(await ownPlatform()),
    });
    const project = path.join(clone.folder, folder);
    for (const name of stages) {
      const file = path.join(project, `Pulumi.${name}.yaml`);
      await fs.appendFile(file, "");
      const own = { architecture: host, imageUri: imageId };
      await rehearseStage(file, emulator.endpoint, own, project);
    }
    const close = async () => {
      await emulator.stop();
      await removeContainers(labelAt(emulator.endpoint));
    };
    return { clone, close };
  };
  return { open, close: async () => void (await docker("image", "rm", ...tags)) };
}

/** Each opens what all its pages share, and skips them where something is missing. */
export const environments: Readonly<
  Record<EnvironmentName, (context: Mocha.Context) => Promise<Environment>>
> = {
  pond: openPond,
  clone: openClone,
  stack: openStack,
  deploy: openDeploy,
  image: openImage,
  orders: (context) => openExample(context, "orders"),
  thumbnails: (context) => openExample(context, "thumbnails"),
};
