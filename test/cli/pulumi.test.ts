import fs from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { expect } from "chai";
import { findPulumi } from "../../cli/pulumi.ts";
import { runCli } from "../run-cli.ts";

describe("Pulumi's command line", () => {
  let folder: string;
  const place = (name: string) => path.join(folder, name);

  before(async () => {
    folder = await fs.mkdtemp(path.join(os.tmpdir(), "millpond-test-"));
    for (const name of ["node_modules/.bin", "installed", "empty", "a-folder/pulumi", "plain"]) {
      await fs.mkdir(place(name), { recursive: true });
    }
    const program = '#!/bin/sh\necho "$SAYS" >&2\nexit 255\n';
    for (const name of ["node_modules/.bin", "installed"]) {
      await fs.writeFile(place(`${name}/pulumi`), program, { mode: 0o755 });
    }
    await fs.writeFile(place("plain/pulumi"), "no program");
  });
  after(async () => await fs.rm(folder, { recursive: true }));

  const found = (...names: string[]) =>
    path.relative(folder, findPulumi(names.map(place).join(path.delimiter)));

  it("is the one that is installed, wherever npm puts the package's on the PATH", () => {
    expect(found("node_modules/.bin", "empty", "installed")).to.equal("installed/pulumi");
    expect(found("empty", "node_modules/.bin")).to.equal("node_modules/.bin/pulumi");
    expect(found("a-folder", "plain", "installed")).to.equal("installed/pulumi");
  });

  it("fails when there is none", () => {
    expect(() => found("empty", "plain")).to.throw(/there is no pulumi on the PATH/);
  });

  for (const [said, remedy] of [
    [
      "error: no stack named 'nosuch' found",
      /no stack named 'nosuch' found; pulumi stack ls lists/,
    ],
    [
      "Downloading pulumi v3.259.0...\npulumi: fetch failed",
      /fetch failed; .* install it: https:\/\/www\.pulumi\.com\/docs\/install\/$/m,
    ],
    [
      "error: PULUMI_ACCESS_TOKEN must be set for login during non-interactive CLI sessions",
      /sessions; .*: pulumi login --local, or/,
    ],
  ] as const) {
    it(`says what to do where it says "${said}"`, async () => {
      const { code, stderr } = await runCli(["query", "--stack", "nosuch", "SELECT 1"], {
        env: { PATH: place("installed"), SAYS: said },
      });

      expect(stderr).to.match(remedy);
      expect(code).to.equal(1);
    });
  }
});
