import { execFile } from "node:child_process";
import fs from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { expect } from "chai";
import MarkdownIt from "markdown-it";
import { emulatorOf } from "../s3/fixtures.ts";
import { pulumiIn, rehearseStage, requirePulumi } from "./build.ts";

const run = promisify(execFile);
const root = fileURLToPath(new URL("../../", import.meta.url));

/** The files that a page shows, by their names: `<!-- file: … -->` stands before the block of each. */
async function filesOf(page: string): Promise<Map<string, string>> {
  const text = await fs.readFile(path.join(root, page), "utf8");
  const files = new Map<string, string>();
  let name: string | undefined;
  for (const token of new MarkdownIt({ html: true }).parse(text, {})) {
    if (token.type === "fence" && name !== undefined) files.set(name, token.content);
    name = /^<!--\s*file:\s*(\S+)\s*-->/.exec(token.content)?.[1];
  }
  return files;
}

describe("the program of docs/components.md", function () {
  this.timeout(180_000);
  let folder: string;
  let files: Map<string, string>;
  let endpoint: string;

  before(async function () {
    await requirePulumi(this);
    ({ endpoint } = await emulatorOf(this));
    files = await filesOf("docs/components.md");
    folder = await fs.mkdtemp(path.join(os.tmpdir(), "millpond-test-"));
    for (const [name, content] of files) {
      await fs.mkdir(path.dirname(path.join(folder, name)), { recursive: true });
      await fs.writeFile(path.join(folder, name), content);
    }
    // As the page says, where there is no submodule; and its packages are those that are here.
    await fs.cp(path.join(root, "infra"), path.join(folder, "millpond/infra"), { recursive: true });
    await fs.mkdir(path.join(folder, "millpond/app"));
    await fs.copyFile(
      path.join(root, "app/contract.ts"),
      path.join(folder, "millpond/app/contract.ts"),
    );
    await fs.symlink(path.join(root, "node_modules"), path.join(folder, "node_modules"));
  });
  after(async () => {
    if (folder !== undefined) await fs.rm(folder, { recursive: true, force: true });
  });

  it("asks for the packages that the components are written for", async () => {
    const own = JSON.parse(files.get("package.json") ?? "");
    const { dependencies, devDependencies } = JSON.parse(
      await fs.readFile(path.join(root, "package.json"), "utf8"),
    );
    const wanted = { ...own.dependencies, ...own.devDependencies };

    expect({ ...dependencies, ...devDependencies }).to.include(wanted);
  });

  it("has right types", async () => {
    const tsc = path.join(root, "node_modules/typescript/bin/tsc");
    const { code, stdout } = await run(process.execPath, [tsc, "--noEmit"], { cwd: folder }).then(
      ({ stdout: text }) => ({ code: 0, stdout: text }),
      (error: { code: number; stdout: string }) => error,
    );

    expect({ code, stdout }).to.deep.equal({ code: 0, stdout: "" });
  });

  it("plans the bucket, the topic, the function and what joins them", async () => {
    const inFolder = pulumiIn(folder, folder);
    await inFolder("stack", "init", "dev");
    await fs.writeFile(path.join(folder, "Pulumi.dev.yaml"), "config: {}\n");
    await rehearseStage(path.join(folder, "Pulumi.dev.yaml"), endpoint);
    // No registry here takes what it would build.
    const program = path.join(folder, "index.ts");
    const built = 'context: "image"';
    const source = await fs.readFile(program, "utf8");
    expect(source).to.contain(built);
    const imageUri = `imageUri: "a/b@sha256:${"0".repeat(64)}"`;
    await fs.writeFile(program, source.replace(built, imageUri));

    const plan = JSON.parse(await inFolder("preview", "--stack", "dev", "--json")) as {
      steps: { newState?: { type: string; inputs: Record<string, unknown> } }[];
    };

    const of = (type: string) =>
      plan.steps.flatMap(({ newState }) => (newState?.type === type ? [newState.inputs] : []));
    const [made] = of("aws:lambda/function:Function");
    expect(made).to.include({ name: "uploads-dev-resize-image", memorySize: 1769 });
    expect(made?.["imageConfig"]).to.deep.include({ commands: ["index.resize"] });
    expect(of("aws:s3/bucket:Bucket")).to.have.length(1);
    expect(of("aws:sns/topicSubscription:TopicSubscription")).to.have.length(1);
    expect(of("aws:s3/bucketNotification:BucketNotification")).to.have.length(1);
  });
});
