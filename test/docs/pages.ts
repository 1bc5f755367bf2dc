import { execFileSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";
import type { Command } from "commander";
import { parse } from "yaml";
import { commands } from "../../cli/commands.ts";
import { type Blocks, ciSteps, type Project, ranByCi, repeated } from "./commands.ts";
import { type Environment, environments, type Visit } from "./environments.ts";
import { type Block, type EnvironmentName, readPage } from "./markdown.ts";

export const root = fileURLToPath(new URL("../../", import.meta.url));
const read = (file: string) => readFileSync(path.join(root, file), "utf8");

/** Where a block takes minutes. */
const slow: readonly EnvironmentName[] = ["stack", "deploy"];

/** As they are in the tree; what they tell to do is done in a clone of what is committed. */
export const pages = execFileSync(
  "git",
  ["ls-files", "--cached", "--others", "--exclude-standard", "*.md"],
  { cwd: root, encoding: "utf8" },
)
  .split("\n")
  .filter((file) => file !== "" && existsSync(path.join(root, file)))
  .map((file) => readPage(file, read(file)));
export const blocks = pages.flatMap((page) => page.blocks);

const programs = new Map<string, Command>();
/** What the pages' commands are checked against, once its programs are loaded. */
export const project: Project = {
  scripts: JSON.parse(read("package.json")).scripts,
  programs,
  settings: new Set(
    Object.keys(parse(read("Pulumi.yaml")).config).map((key) => key.replace("millpond:", "")),
  ),
  steps: [
    ...ciSteps(read(".ci/run")),
    ...read(".github/workflows/check.yml")
      .split("\n")
      .flatMap((line) => /^\s*- run: (.+)$/.exec(line)?.[1] ?? []),
  ],
};

/** Fills the project. */
export async function loadPrograms(): Promise<void> {
  for (const [name, load] of Object.entries(commands)) programs.set(name, await load());
}

/**
 * Tests that run the commands of all pages in an environment. Each has a file of its own, so that they run side by side.
 * @param file `<environment>.docs.ts`
 */
export function runPages(file: string): void {
  const name = path.basename(file, ".docs.ts") as EnvironmentName;
  describe(`commands in the environment "${name}"`, () => {
    const here = blocks.filter(
      ({ directive }) => directive.kind === "run" && directive.environment === name,
    );
    runBlocks(name, here);
  });
}

/** Page by page, each in an environment of its own. */
function runBlocks(name: EnvironmentName, all: readonly Block[]): void {
  let environment: Environment | undefined;
  before(async function () {
    // It may build an image.
    this.timeout(600_000);
    environment = await environments[name](this);
  });
  after(async function () {
    this.timeout(60_000);
    await environment?.close();
  });

  const done: Blocks[] = [];
  for (const [file, here] of Map.groupBy(all, (block) => block.file)) {
    const own = here.map(placed);
    const again = slow.includes(name) ? repeated(own, done) : new Map<string, string>();
    done.push(own);
    const left = here.filter((block) => isRun(block) && !again.has(placed(block).place));
    describe(file, function () {
      // Real updates of a real engine; a command has its own limit.
      this.timeout(1_000_000);
      let visit: Visit | undefined;
      before(async () => {
        // Where all is run elsewhere, nothing is needed.
        if (left.length > 0) visit = await environment?.enter();
      });
      after(async () => await visit?.leave());

      for (const block of here) {
        const where = again.get(placed(block).place);
        if (where !== undefined) {
          it(`${block.line}: its commands are run as those from ${where}`, () => {});
          continue;
        }
        const all = block.commands.map(({ text }) => text.split("\n")[0]).join("; ");
        it(`${block.line}: ${all.length > 100 ? `${all.slice(0, 100)}…` : all}`, async () => {
          if (left.includes(block)) await visit?.prepare?.(block);
          for (const command of block.commands) {
            const place = `${block.file}:${command.line}: ${command.text}`;
            const elsewhere = ranByCi(command.text, project);
            if (typeof elsewhere === "string") throw new Error(`${place}\n${elsewhere}`);
            if (!elsewhere) await visit?.session.run(block, command);
            else if (command.shown !== undefined) {
              throw new Error(`${place}\nCI runs it, and looks at no output: show none`);
            }
          }
        });
      }
    });
  }
}

/** For `repeated`; what shows output is run for that, again or not. */
function placed({ file, line, commands: all }: Block): Blocks[number] {
  const place = `${file}:${line}`;
  const lines = all.map(({ text, shown }) => (shown === undefined ? text : `${place} ${text}`));
  return { place, lines };
}

/** Whether there is anything in it that CI does not run by a step of its own. */
function isRun({ commands: all }: Block): boolean {
  return all.some(({ text }) => ranByCi(text, project) === false);
}
