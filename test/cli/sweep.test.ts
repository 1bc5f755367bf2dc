import fs from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { expect } from "chai";
import { runCli } from "../run-cli.ts";

describe("millpond sweep", () => {
  let folder: string;

  beforeEach(async () => {
    folder = await fs.mkdtemp(path.join(os.tmpdir(), "millpond-test-"));
    await fs.mkdir(path.join(folder, "inbox/t"), { recursive: true });
    await fs.writeFile(path.join(folder, "inbox/t/a.csv"), "id\n1\n");
    await fs.writeFile(path.join(folder, "inbox/t/b.csv"), "id,b\n1\n");
  });
  afterEach(async () => await fs.rm(folder, { recursive: true }));

  const sweep = async (...args: string[]) => await runCli(["sweep", "--dir", folder, ...args]);

  it("lists what it would ingest, and changes nothing", async () => {
    const plain = await sweep("--dry-run");
    const json = await sweep("--dry-run", "--json");

    expect(plain.stdout.trim().split("\n")).to.have.members(["inbox/t/a.csv", "inbox/t/b.csv"]);
    expect(plain.stderr).to.contain("to ingest: 2 new, 0 changed, 0 gone");
    const lines = json.stdout
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line) as object);
    expect(lines.slice(0, 2)).to.have.deep.members([
      { key: "inbox/t/a.csv" },
      { key: "inbox/t/b.csv" },
    ]);
    expect(lines[2]).to.include({ sources: 2, announced: 0 });
    expect([plain.code, json.code]).to.deep.equal([0, 0]);
    for (const prefix of ["lake", "rejected"]) {
      expect(await fs.readdir(path.join(folder, prefix)).catch(() => [])).to.deep.equal([]);
    }
  });

  it("ends in silence when nobody reads on", async () => {
    const { code, stderr } = await runCli(["sweep", "--dir", folder, "--dry-run"], {
      onStart: (child) => void child.stdout?.destroy(),
    });

    expect({ code, stderr }).to.deep.equal({ code: 0, stderr: "" });
  });

  it("refuses a folder that is no pond, and leaves nothing in it", async () => {
    await fs.rm(path.join(folder, "inbox"), { recursive: true });

    const { code, stderr } = await sweep("--dry-run");

    expect(stderr).to.contain("is no pond: it has neither inbox/ nor lake/");
    expect(code).to.equal(2);
    expect(await fs.readdir(folder)).to.deep.equal([]);
  });

  it("takes a file, or a setting that is none, for a wrong call", async () => {
    const file = await runCli(["sweep", "--dir", path.join(folder, "inbox/t/a.csv")]);
    const setting = await runCli(["sweep", "--dir", folder], {
      env: { ...process.env, MILLPOND_MIRROR_DELETES: "yes" },
    });

    expect(file.stderr).to.contain("there is no folder");
    expect(setting.stderr).to.contain('MILLPOND_MIRROR_DELETES must be true or false, got "yes"');
    expect([file.code, setting.code]).to.deep.equal([2, 2]);
  });

  it("says that --force does nothing where no rows go", async () => {
    const without = await sweep("--dry-run", "--force");
    const withIt = await runCli(["sweep", "--dir", folder, "--dry-run", "--force"], {
      env: { ...process.env, MILLPOND_MIRROR_DELETES: "true" },
    });

    expect(without.stderr).to.contain("--force changes nothing here");
    expect(withIt.stderr).not.to.contain("--force");
  });

  it("says what else it did when rows were to go with the whole inbox", async () => {
    await sweep();
    await fs.rm(path.join(folder, "inbox/t"), { recursive: true });

    const { code, stdout, stderr } = await runCli(["sweep", "--dir", folder, "--json"], {
      env: { ...process.env, MILLPOND_MIRROR_DELETES: "true" },
    });

    expect(JSON.parse(stdout)).to.include({ sources: 0, outputs: 1, spared: 1, announced: 1 });
    expect(stderr).to.contain("no rows were deleted");
    expect(code).to.equal(1);
  });

  it("ingests it, and says what became of it; and nothing the next time", async () => {
    const first = await sweep();
    const second = await sweep("--json");
    const third = await sweep();

    expect(first.stderr).to.contain(
      "ingested 2 (2 new, 0 changed, 0 gone): 1 converted, 1 rejected",
    );
    expect(first.stdout).to.equal("");
    expect(JSON.parse(second.stdout)).to.deep.equal({
      ...{ sources: 2, outputs: 1, rejections: 1, looked: 2, announced: 0 },
      ...{ stale: { missing: 0, outdated: 0, gone: 0 }, spared: 0 },
    });
    expect(third.stderr).to.contain("nothing to ingest");
    expect([first.code, second.code]).to.deep.equal([0, 0]);
  });
});
