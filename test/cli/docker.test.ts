import fs from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { expect } from "chai";
import { leastDocker } from "../../cli/docker.ts";
import { runCli } from "../run-cli.ts";

describe("Docker, before an image is built", () => {
  let folder: string;
  before(async () => {
    folder = await fs.mkdtemp(path.join(os.tmpdir(), "millpond-test-"));
  });
  after(async () => await fs.rm(folder, { recursive: true }));

  /** With a Docker of that version and driver; without a driver it has no buildx. */
  async function run(args: string[], version: string, driver?: string) {
    const script = [
      "#!/bin/sh",
      `[ "$1" = version ] && echo ${version} && exit`,
      driver === undefined ? 'echo "unknown flag: --platform" >&2; exit 125' : "",
      '[ "$2" = version ] && echo v0.12.1 && exit',
      `[ "$2" = inspect ] && printf 'Name: default\\nDriver:        ${driver}\\n' && exit`,
      "echo builds >&2; exit 1",
    ];
    await fs.writeFile(path.join(folder, "docker"), script.join("\n"), { mode: 0o755 });
    await fs.writeFile(path.join(folder, "pulumi"), "#!/bin/sh\necho v3\n", { mode: 0o755 });
    return await runCli(args, { env: { PATH: folder } });
  }

  for (const args of [["image"], ["rehearse"]]) {
    it(`fails when ${args.join()} finds no buildx, or a builder that is too old`, async () => {
      const none = await run(args, "28.2.2");
      const old = await run(args, "20.10.24+dfsg1", "docker");

      expect(none.text).to.match(/there is no docker buildx: .*Docker 25 or newer with buildx/);
      expect(old.text).to.match(/this is Docker 20\.10\.24\+dfsg1: .*docker buildx create --use/);
      expect([none.code, old.code]).to.deep.equal([1, 1]);
    });
  }

  it("is named with its version by rehearse --help and the pages", async () => {
    const { text } = await runCli(["rehearse", "--help"]);
    const page = async (name: string) =>
      await fs.readFile(new URL(`../../${name}`, import.meta.url), "utf8");

    for (const said of [text, await page("README.md"), await page("docs/deploy.md")]) {
      expect(said.replaceAll(/\s+/g, " "))
        .to.match(
          new RegExp(`Python 3,? and Docker ${leastDocker} or newer with buildx.{1,40}older`),
        )
        .and.contain("of its own");
    }
  });

  it("takes a builder of its own, whatever Docker's version", async () => {
    const own = await run(["image"], "20.10.24", "docker-container");
    const recent = await run(["image"], "25.0.3", "docker");

    expect([own.text, recent.text]).to.deep.equal([
      "builds\nerror: docker buildx build ended with 1\n",
      "builds\nerror: docker buildx build ended with 1\n",
    ]);
  });
});
