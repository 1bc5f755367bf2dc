import fs from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { expect } from "chai";
import { makeFolder, openWorkspace } from "../app/workspace.ts";

describe("openWorkspace", () => {
  it("removes what processes left that are gone, and nothing else", async () => {
    const base = await fs.mkdtemp(path.join(os.tmpdir(), "millpond-test-"));
    // No process has the highest number there is. One with our own number was an earlier one.
    for (const name of [
      "4194304-0123abcd",
      `${process.pid}-0123abcd`,
      `${process.ppid}-0123abcd`,
      "notes",
    ]) {
      await fs.mkdir(path.join(base, name));
    }

    const first = openWorkspace(base);
    const second = openWorkspace(base);
    const names = await fs.readdir(base);
    first.remove();
    second.remove();
    await fs.rm(base, { recursive: true });

    expect(names).to.have.members([
      `${process.ppid}-0123abcd`,
      "notes",
      path.basename(first.path),
      path.basename(second.path),
    ]);
  });
});

describe("makeFolder", () => {
  it("makes a folder with all that it is in, and leaves one that is there", async () => {
    const base = await fs.mkdtemp(path.join(os.tmpdir(), "millpond-test-"));
    const folder = path.join(base, "a/b/c");
    makeFolder(folder);
    makeFolder(folder);

    expect((await fs.stat(folder)).isDirectory()).to.equal(true);
    await fs.rm(base, { recursive: true });
  });

  // Node's own would try for ever.
  for (const folder of ["/proc/millpond/a", "/dev/null/a", "/dev/fd/millpond"]) {
    it(`ends with an error for ${folder}`, () => {
      expect(() => makeFolder(folder)).to.throw(/ENOENT|ENOTDIR|EEXIST|EACCES|EPERM/);
    });
  }
});
