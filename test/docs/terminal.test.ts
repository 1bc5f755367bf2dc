import { spawnSync } from "node:child_process";
import { expect } from "chai";
import { Terminal } from "./terminal.ts";

describe("Terminal", () => {
  const timeoutMs = 10_000;
  let terminal: Terminal;
  before(async function () {
    if (spawnSync("script", ["--version"]).status !== 0) {
      process.stderr.write("skipped: there is no script of util-linux on this machine\n");
      this.skip();
    }
    const environment = { PATH: process.env["PATH"] ?? "" };
    terminal = await Terminal.open({ folder: "/", environment });
  });
  after(async () => await terminal?.close());

  it("runs one command after the other in one shell, and tells how each ended", async () => {
    const first = await terminal.run("A=1; cd /tmp; false", { timeoutMs });
    const second = await terminal.run('echo "$A\n$PWD" # it\'s', { timeoutMs });

    expect(first).to.deep.equal({ code: 1, output: [] });
    expect(second).to.deep.equal({ code: 0, output: ["1", "/tmp"] });
  });

  it("is a terminal to what runs in it, which shows both outputs as they came", async () => {
    const { output } = await terminal.run("tty -s && stty size; echo a; echo b >&2; echo c", {
      timeoutMs,
    });

    expect(output).to.deep.equal(["24 140", "a", "b", "c"]);
  });

  it("ends by Ctrl-C what does not end, once it has shown a text", async () => {
    const trap = `bash -c 'trap "echo bye; exit 3" INT; echo ready; while :; do sleep 0.1; done'`;

    expect(await terminal.run(trap, { timeoutMs, until: "ready" })).to.deep.equal({
      code: 3,
      output: ["ready", "bye"],
    });
    expect(await terminal.run("echo still here", { timeoutMs })).to.deep.include({ code: 0 });
  });

  it("ends what takes too long, and says so by no exit code", async () => {
    const { code } = await terminal.run("sleep 60", { timeoutMs: 200 });

    expect(code).to.equal(undefined);
    expect(await terminal.run("echo still here", { timeoutMs })).to.deep.include({ code: 0 });
  });
});
