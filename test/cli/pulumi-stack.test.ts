import fs from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { expect } from "chai";
import { PulumiStack } from "../../cli/rehearsal/pulumi-stack.ts";
import { rejection } from "../failure.ts";

describe("a rehearsal's pulumi up", () => {
  let folder: string;
  const before = process.env["PATH"];

  /** A command that fails the first of its updates as told, and tells what it did as Pulumi does. */
  async function pretend(said: string): Promise<PulumiStack> {
    const script = [
      "#!/bin/sh",
      `cd '${folder}'`,
      'if [ "$1" = up ]; then',
      "  echo up >> calls",
      `  [ "$(wc -l < calls)" -gt 1 ] && exit 0`,
      `  echo '${said}'`,
      "  exit 255",
      "fi",
      `[ "$(wc -l < calls)" -gt 1 ] && changes='{"create":2,"same":70}' || changes='{"create":70}'`,
      'echo "[{\\"resourceChanges\\":$changes}]"',
    ];
    await fs.writeFile(path.join(folder, "pulumi"), script.join("\n"), { mode: 0o755 });
    return new PulumiStack("some", folder);
  }
  const updates = async () =>
    (await fs.readFile(path.join(folder, "calls"), "utf8")).trim().split("\n").length;

  beforeEach(async () => {
    folder = await fs.mkdtemp(path.join(os.tmpdir(), "millpond-test-"));
    process.env["PATH"] = `${folder}:${before}`;
  });
  afterEach(async () => {
    process.env["PATH"] = before;
    await fs.rm(folder, { recursive: true });
  });

  it("goes on once where an answer of the emulator was lost", async () => {
    const stack = await pretend(
      "error: StatusCode: 409, ResourceConflictException: The statement id provided already exists.",
    );

    expect(await stack.up()).to.deep.equal({ create: 72, same: 70 });
    expect(await updates()).to.equal(2);
  });

  it("ends with any other failure", async () => {
    const stack = await pretend("error: AccessDenied: sns:Publish");

    expect((await rejection(stack.up())).message).to.contain("AccessDenied: sns:Publish");
    expect(await updates()).to.equal(1);
  });
});
