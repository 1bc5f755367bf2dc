import fs from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { expect } from "chai";
import { openWorkspace } from "../app/workspace.ts";

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
