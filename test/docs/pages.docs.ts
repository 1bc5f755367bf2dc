import { existsSync } from "node:fs";
import path from "node:path";
import { expect } from "chai";
import { unknownIn } from "./commands.ts";
import { environmentNames, type Page } from "./markdown.ts";
import { blocks, loadPrograms, pages, project, root } from "./pages.ts";

describe("the pages", () => {
  before(loadPrograms);

  for (const page of pages) {
    it(`${page.file} is right in what can be seen without running it`, () => {
      const { file, codes, problems } = page;
      const called = [...codes, ...page.blocks.flatMap((block) => block.commands)];
      const wrong = [
        ...problems,
        ...called.flatMap(({ line, text }) =>
          unknownIn(text, project).map((problem) => `${file}:${line}: ${problem}`),
        ),
        ...deadLinks(page),
      ];

      if (wrong.length > 0) throw new Error(wrong.join("\n"));
    });
  }

  for (const name of environmentNames) {
    it(`have commands in the environment "${name}", and a test that runs them`, () => {
      const here = blocks.filter(
        ({ directive }) => directive.kind === "run" && directive.environment === name,
      );

      expect(here).to.not.deep.equal([]);
      expect(existsSync(path.join(import.meta.dirname, `${name}.docs.ts`))).to.equal(true);
    });
  }
});

/** Links into the repository that lead nowhere. */
function deadLinks({ file, links }: Page): string[] {
  return links.flatMap(({ line, text }) => {
    if (/^[a-z][a-z+.-]*:/i.test(text)) return [];
    const [target = "", anchor] = decodeURIComponent(text).split("#");
    const found = target === "" ? file : path.normalize(path.join(path.dirname(file), target));
    if (found.startsWith("..") || !existsSync(path.join(root, found))) {
      return [`${file}:${line}: there is no ${target}`];
    }
    const page = pages.find((one) => one.file === found);
    if (anchor === undefined || page === undefined || page.anchors.has(anchor)) return [];
    return [`${file}:${line}: ${found} has no #${anchor}`];
  });
}

const notRun = blocks.filter(({ directive }) => directive.kind === "not run");
describe(`blocks that are not run: ${notRun.length}`, () => {
  for (const { file, line, directive } of notRun) {
    it(`${file}:${line}: ${"reason" in directive ? directive.reason : ""}`);
  }
});
