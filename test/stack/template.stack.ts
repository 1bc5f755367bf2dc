import { execFile } from "node:child_process";
import fs from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { expect } from "chai";
import { emulatorOf } from "../s3/fixtures.ts";
import { pulumiIn, rehearseStage, requirePulumi } from "./build.ts";

const run = promisify(execFile);
const root = fileURLToPath(new URL("../../", import.meta.url));

/** The repository as whoever clones it has it, with what is changed here. */
async function copyTree(to: string): Promise<void> {
  const listing = ["ls-files", "-z", "--cached", "--others", "--exclude-standard"];
  const { stdout } = await run("git", listing, { cwd: root });
  for (const file of stdout.split("\0").filter((one) => one !== "")) {
    await fs.mkdir(path.dirname(path.join(to, file)), { recursive: true });
    await fs.copyFile(path.join(root, file), path.join(to, file));
  }
}

describe("the repository as a template", function () {
  this.timeout(180_000);
  let folder: string;
  let project: string;
  let inProject: ReturnType<typeof pulumiIn>;
  let endpoint: string;

  before(async function () {
    await requirePulumi(this);
    ({ endpoint } = await emulatorOf(this));
    folder = await fs.mkdtemp(path.join(os.tmpdir(), "millpond-test-"));
    project = path.join(folder, "warehouse");
    inProject = pulumiIn(project, folder);
    await copyTree(path.join(folder, "template"));
    await fs.mkdir(project);
  });

  after(async () => {
    if (folder !== undefined) await fs.rm(folder, { recursive: true, force: true });
  });

  it("makes a project of another name by pulumi new", async () => {
    const said = await inProject(
      "new",
      path.join(folder, "template"),
      ...["--name", "warehouse", "--generate-only", "--yes"],
    );

    expect(said).to.contain("Created project 'warehouse'");
    const file = await fs.readFile(path.join(project, "Pulumi.yaml"), "utf8");
    expect(file).to.match(/^name: warehouse$/m);
    expect(file).not.to.contain("quickstart");
  });

  it("whose stages have the settings of the files, and which plans the whole stack", async () => {
    await fs.symlink(path.join(root, "node_modules"), path.join(project, "node_modules"));
    await inProject("stack", "init", "dev");
    await rehearseStage(path.join(project, "Pulumi.dev.yaml"), endpoint);
    await inProject("config", "set", "imageUri", `a/b@sha256:${"0".repeat(64)}`);
    await inProject(
      "config",
      "set",
      "--secret",
      "--path",
      "secrets.tokens",
      "0123456789abcdef0123",
    );

    const plan = JSON.parse(await inProject("preview", "--stack", "dev", "--json")) as {
      config: Record<string, string>;
      steps: { urn: string; newState?: { type: string; inputs: Record<string, unknown> } }[];
    };

    expect(plan.config).to.include({ "warehouse:logLevel": "debug", "warehouse:auth": "token" });
    const functions = plan.steps.filter(
      ({ newState }) => newState?.type === "aws:lambda/function:Function",
    );
    const called = ["hello", "ingest", "query", "sweep"].map((name) => `${name}-function`);
    expect(functions.map(({ urn }) => urn.split("::").at(-1))).to.have.members(called);
  });
});
