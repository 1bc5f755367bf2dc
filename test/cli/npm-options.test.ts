import { execFile } from "node:child_process";
import fs from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { expect } from "chai";
import { Command } from "commander";
import { callBehindDashes, npmsOwn } from "../../cli/npm-options.ts";

const root = fileURLToPath(new URL("../../", import.meta.url));

describe("options before npm's --", () => {
  let folder: string;
  before(async () => {
    folder = await fs.mkdtemp(path.join(os.tmpdir(), "millpond-test-"));
  });
  after(async () => await fs.rm(folder, { recursive: true }));

  /** With npm itself, as people call it; of what npm was told before nothing stays. */
  async function npm(...args: string[]) {
    const plain = Object.entries(process.env).filter(([name]) => !/^npm_/i.test(name));
    const env = { ...Object.fromEntries(plain), MILLPOND_STORE: path.join(folder, "pond") };
    return await promisify(execFile)("npm", ["--prefix", root, ...args], { env, cwd: root }).then(
      ({ stdout, stderr }) => ({ code: 0, stdout, stderr }),
      (error: { code: number; stdout: string; stderr: string }) => error,
    );
  }

  for (const [args, meant] of [
    [["start", "-s", "--port", "9000"], "npm start -- --port 9000 …"],
    [["start", "-s", "--port=9000"], "npm start -- --port 9000 …"],
    [["start", "-s", "--no-sample"], "npm start -- --no-sample …"],
    [["run", "-s", "query", "--stack", "dev", "SELECT 1"], "npm run query -- --stack <name> …"],
    // Which is short for one of npm's own, so that nothing of it is left.
    [["run", "-s", "query", "--format", "table", "SELECT 1"], "npm run query -- --<option> …"],
    [["run", "-s", "query", "-f", "table", "SELECT 1"], "npm run query -- --<option> …"],
  ] as const) {
    it(`says how to write npm ${args.join(" ")}`, async function () {
      this.timeout(30_000);
      const { code, stderr } = await npm(...args);

      const said = stderr.split("\n").filter((line) => !line.startsWith("npm warn"));
      expect(said.join("\n").trim()).to.match(/^error: .*$/);
      expect(said.join("\n")).to.contain(`options come after --: ${meant}`);
      expect(code).to.equal(2);
    });
  }

  it("has no objection to options behind it, nor to npm's own", async function () {
    this.timeout(30_000);
    const right = await npm("run", "-s", "query", "--", "--url", "http://127.0.0.1:1", "SELECT 1");
    const own = await npm("run", "-s", "query", "--json", "--force", "--tag=x", "SELECT 1", "2");
    const unquoted = await npm("run", "-s", "query", "--", "-q", "SELECT", "1");

    expect(right.stderr).to.contain("does not answer");
    expect(own.stderr).to.contain("options come after --: npm run query -- --<option>");
    expect(unquoted.stderr).to.contain("too many arguments").and.not.contain("options come after");
  });

  it("knows which of ours npm has, too", async function () {
    this.timeout(30_000);
    const { stdout } = await npm("config", "ls", "-l", "--json");
    const npms = Object.keys(JSON.parse(stdout) as object);
    const { scripts } = JSON.parse(await fs.readFile(path.join(root, "package.json"), "utf8")) as {
      scripts: Record<string, string>;
    };
    const files = Object.values(scripts).flatMap((script) => {
      const [, name] = /millpond\.ts (\S+)$/.exec(script) ?? [];
      return name === undefined ? [] : [name.replace("image-run", "image")];
    });
    const modules = (await Promise.all(
      files.map(async (name) => await import(`../../cli/${name}.ts`)),
    )) as Record<string, () => Command>[];
    const commands = modules.flatMap((one) =>
      Object.entries(one).flatMap(([name, make]) => (name.endsWith("Command") ? [make()] : [])),
    );
    const ours = commands.flatMap(({ options }) =>
      options.map(({ long }) => String(long).replace(/^--(no-)?/, "")),
    );

    expect(ours).to.include.members(["port", "format"]);
    expect(ours.filter((name) => npms.includes(name) && !npmsOwn.has(name))).to.deep.equal([]);
  });

  const command = new Command("put").argument("<file>").option("--table <name>").option("--json");

  it("is of the command that npm runs, and of no other", () => {
    const taken = { npm_lifecycle_event: "put", npm_config_table: "t" };

    expect(callBehindDashes(command, ["a.csv"], taken)).to.equal("npm run put -- --table t …");
    for (const environment of [
      {},
      { npm_config_table: "t" },
      { ...taken, npm_lifecycle_event: "load-all" },
      { npm_lifecycle_event: "put", npm_config_json: "true" },
    ]) {
      expect(callBehindDashes(command, ["a.csv"], environment)).to.equal(undefined);
    }
    expect(callBehindDashes(command, ["a.csv", "--table", "x"], taken)).to.equal(undefined);
  });

  it("prints no token", () => {
    const secret = new Command("start").option("--token <token>");
    const environment = { npm_lifecycle_event: "start", npm_config_token: "a-secret" };

    expect(callBehindDashes(secret, [], environment)).to.equal("npm start -- --token <token> …");
    expect(
      callBehindDashes(secret, ["a-secret"], { ...environment, npm_config_token: "true" }),
    ).to.equal("npm start -- --token <token> …");
  });
});
