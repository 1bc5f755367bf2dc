import { expect } from "chai";
import { readPage } from "./markdown.ts";

const page = (...lines: string[]) => readPage("a.md", lines.join("\n"));

describe("readPage", () => {
  it("takes a command from each line of a sh block, and none from comments", () => {
    const { blocks, problems } = page(
      "# Title",
      "",
      "```sh",
      "npm ci   # it's once",
      "# it's a comment",
      "",
      "npm start",
      "```",
    );

    expect(problems).to.deep.equal([]);
    expect(blocks).to.deep.equal([
      {
        file: "a.md",
        line: 3,
        directive: { kind: "run", environment: "pond", exit: 0 },
        commands: [
          { line: 4, text: "npm ci   # it's once" },
          { line: 7, text: "npm start" },
        ],
      },
    ]);
  });

  for (const [how, lines] of [
    ["a backslash", ["curl a \\", "  -d b"]],
    ["single quotes", ["aws x '{", '  "a": "\\"}', "' # isn't"]],
    ["a pipe", ["a=$(b |   # isn't", "  c) &&", "d"]],
    ["double quotes", ['echo "a \\" # b', 'c"']],
  ] as const) {
    it(`goes on over lines by ${how}`, () => {
      const { blocks } = page("```sh", ...lines, "true", "```");

      expect(blocks[0]?.commands).to.deep.equal([
        { line: 2, text: lines.join("\n") },
        { line: 2 + lines.length, text: "true" },
      ]);
    });
  }

  it("takes commands and what they show from a console block", () => {
    const { blocks } = page(
      "```console",
      "$ curl a \\",
      ">   -d b",
      "x,y",
      "  1,2  ",
      "",
      "$ true",
      "```",
    );

    expect(blocks[0]?.commands).to.deep.equal([
      { line: 2, text: "curl a \\\n  -d b", shown: ["x,y", "  1,2"] },
      { line: 7, text: "true", shown: [] },
    ]);
  });

  it("reads a block within a list, at its own line", () => {
    const { blocks } = page("1. First", "", "   ```sh", "   ls", "   ```");

    expect(blocks[0]).to.deep.include({ line: 3, commands: [{ line: 4, text: "ls" }] });
  });

  it("reads where a block runs, how it ends, and until when", () => {
    const of = (comment: string) =>
      page(`<!-- ${comment} -->`, "```sh", "ls", "```").blocks[0]?.directive;

    expect(of("run: stack")).to.deep.equal({ kind: "run", environment: "stack", exit: 0 });
    expect(of("run: pond, exit: 130, until: a, b")).to.deep.equal({
      kind: "run",
      environment: "pond",
      exit: 130,
      until: "a, b",
    });
    expect(of("not run: it is for AWS")).to.deep.equal({
      kind: "not run",
      reason: "it is for AWS",
    });
    expect(of("alarms")).to.deep.include({ environment: "pond" });
  });

  for (const [lines, problem] of [
    [["```", "ls", "```"], "1: a block without a language"],
    [["Text", "", "    ls"], "3: a block without a language"],
    [["```bash", "ls", "```"], '1: "bash" is none of sh, console, sql'],
    [["```sh", "# ls", "```"], "1: a block of commands without a command"],
    [["```console", "ls", "```"], "1: output stands before the first command"],
    [["<!-- not run: -->", "```sh", "ls", "```"], "1: <!-- not run: … --> says no reason"],
    [["<!-- not run -->", "```sh", "ls", "```"], "1: <!-- not run: … --> says no reason"],
    [["<!-- run: ponds -->", "```sh", "ls", "```"], "1: <!-- run: ponds --> is not as <!-- run: p"],
    [["<!-- run: pond, exit: x -->", "```sh", "ls", "```"], "1: <!-- run: pond, exit: x --> is no"],
    [["<!-- run: pond -->", "```sql", "SELECT", "```"], "1: a block of sql runs nothing"],
    [["<!-- run: pond -->", "Text"], "1: <!-- run: pond --> stands before no block"],
    [["Text", "", "<!-- run: pond -->"], "3: <!-- run: pond --> stands before no block"],
  ] as const) {
    it(`says of ${JSON.stringify(lines.join("\n"))} what is wrong, and where`, () => {
      const { problems } = page(...lines);

      expect(problems).to.have.length(1);
      expect(problems[0]).to.satisfy((text: string) => text.startsWith(`a.md:${problem}`));
    });
  }

  it("finds inline code and links, with their lines", () => {
    const { codes, links } = page(
      "A [link](b.md#c) and",
      "`npm test`, ![image](d%20e.png)",
      "",
      "| a | b |",
      "| --- | --- |",
      "| `one` | [two](f) |",
      "",
      "<picture>",
      '  <img src="g.png">',
      "</picture>",
    );

    expect(codes).to.deep.equal([
      { line: 2, text: "npm test" },
      { line: 6, text: "one" },
    ]);
    expect(links).to.deep.equal([
      { line: 1, text: "b.md#c" },
      { line: 2, text: "d%20e.png" },
      { line: 6, text: "f" },
      { line: 9, text: "g.png" },
    ]);
  });

  it("makes anchors of headings, as GitHub does", () => {
    const { anchors } = page(
      "# What `npm start` does, and *why*",
      "## Twice",
      "## Twice",
      "## A_b–c",
    );

    expect([...anchors]).to.deep.equal(["what-npm-start-does-and-why", "twice", "twice-1", "a_bc"]);
  });
});
