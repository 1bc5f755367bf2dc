import fs from "node:fs/promises";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import os from "node:os";
import path from "node:path";
import { expect } from "chai";
import { pulumi } from "../../cli/pulumi.ts";
import { runCli } from "../run-cli.ts";
import { requirePulumi } from "./build.ts";

const image = (digit: string) => `repository/functions@sha256:${digit.repeat(64)}`;
const stack = "rollback";

/** A stack of Pulumi's own making in a folder, and of SSM what the record's history takes. */
describe("millpond rollback, by Pulumi's own history", function () {
  this.timeout(120_000);
  let folder: string;
  let ssm: Server;
  let environment: Record<string, string>;
  let recorded: { Value: string; LastModifiedDate: number }[] | undefined;
  let asked: Record<string, unknown>[];

  before(async function () {
    await requirePulumi(this);
    folder = await fs.mkdtemp(path.join(os.tmpdir(), "millpond-test-"));
    ssm = createServer(async (request, response) => {
      const { NextToken = "0", ...input } = JSON.parse((await request.toArray()).join(""));
      asked.push(input);
      response.writeHead(recorded === undefined ? 400 : 200);
      const next = Number(NextToken) + 1;
      response.end(
        JSON.stringify(
          recorded === undefined
            ? { __type: "AccessDeniedException" }
            : {
                Parameters: recorded.slice(next - 1, next),
                ...(next < recorded.length ? { NextToken: String(next) } : {}),
              },
        ),
      );
    });
    await new Promise<void>((resolve) => ssm.listen(0, "127.0.0.1", resolve));
    const { port } = ssm.address() as AddressInfo;
    environment = {
      PULUMI_BACKEND_URL: `file://${folder}`,
      PULUMI_CONFIG_PASSPHRASE: "none",
      AWS_ENDPOINT_URL_SSM: `http://127.0.0.1:${port}`,
      AWS_ACCESS_KEY_ID: "test",
      AWS_SECRET_ACCESS_KEY: "test",
    };

    const outputs = {
      apiUrl: "https://api.example",
      failureQueues: {},
      region: "eu-central-1",
      imageUri: image("c"),
      imageRecord: "/millpond/rollback/deployed/image",
    };
    await fs.mkdir(path.join(folder, "program"));
    await fs.writeFile(
      path.join(folder, "program/Pulumi.yaml"),
      "name: millpond\nruntime: nodejs\nmain: index.js\n",
    );
    await fs.writeFile(
      path.join(folder, "program/index.js"),
      `module.exports = ${JSON.stringify(outputs)};\n`,
    );
    await fs.symlink(
      path.resolve(import.meta.dirname, "../../node_modules"),
      path.join(folder, "program/node_modules"),
    );
    await run("stack", "init", stack);
    for (const [digit, message] of [
      ["a", "the first"],
      ["b", "the second"],
    ] as const) {
      await up(message, "--config", `imageUri=${image(digit)}`);
    }
    // Many that changed something else, as their history would be.
    const [file = ""] = (await history())
      .filter((name) => name.endsWith(".history.json"))
      .reverse();
    const text = await fs.readFile(path.join(historyFolder(), file), "utf8");
    for (let i = 1; i <= 120; i++) {
      const later = file.replace(/\d{19}/, (time) => String(BigInt(time) + BigInt(i)));
      await fs.writeFile(path.join(historyFolder(), later), text);
    }
    await run("config", "rm", "imageUri", "--stack", stack);
    await up("the third");
  });
  beforeEach(() => {
    asked = [];
  });
  after(async () => {
    ssm?.close();
    if (folder !== undefined) await fs.rm(folder, { recursive: true });
  });

  async function run(...args: string[]) {
    return await pulumi(["--cwd", path.join(folder, "program"), ...args], { environment });
  }
  const up = async (message: string, ...args: string[]) =>
    await run("up", "--stack", stack, "--yes", "--message", message, ...args);
  const historyFolder = () => path.join(folder, ".pulumi/history/millpond", stack);
  const history = async () => (await fs.readdir(historyFolder())).sort();
  async function rollback(...args: string[]) {
    const ended = await runCli(["rollback", "--stack", stack, ...args], {
      env: { ...process.env, ...environment },
    });
    const lines = ended.stdout.split("\n").filter((line) => line.startsWith("{"));
    return { ...ended, values: lines.map((line) => JSON.parse(line) as Record<string, unknown>) };
  }
  const listed = ({ values }: Awaited<ReturnType<typeof rollback>>) =>
    values.map(({ imageUri, message, current }) => [imageUri, message, current]);

  it("lists what the record has, and what updates of long before were told to deploy", async () => {
    const last = (await history()).findLast((name) => name.endsWith(".history.json")) ?? "";
    const { endTime } = JSON.parse(await fs.readFile(path.join(historyFolder(), last), "utf8"));
    recorded = [{ Value: image("c"), LastModifiedDate: endTime + 0.4 }];

    const ended = await rollback("--json");

    expect(ended.code, ended.stderr).to.equal(0);
    expect(listed(ended)).to.deep.equal([
      [image("c"), "the third", true],
      [image("b"), "the second", false],
      [image("a"), "the first", false],
    ]);
    expect(asked).to.deep.equal([
      { Name: "/millpond/rollback/deployed/image", WithDecryption: true },
    ]);
  });

  it("lists all of a record that comes in parts, each image once", async () => {
    const begin = Date.now() / 1000 - 1e6;
    recorded = ["d", "e", "d", "c"].map((digit, i) => ({
      Value: image(digit),
      LastModifiedDate: begin + i,
    }));

    expect(listed(await rollback("--json"))).to.deep.equal([
      [image("c"), "", true],
      [image("d"), "", false],
      [image("e"), "", false],
    ]);
  });

  it("lists what the history alone can tell, and says what is missing", async () => {
    recorded = undefined;

    const ended = await rollback("--json");

    expect(listed(ended).map(([imageUri]) => imageUri)).to.deep.equal([image("b"), image("a")]);
    expect(ended.stderr).to.contain("ssm:GetParameterHistory");
    expect(ended.stderr).to.contain("1 update built an image that nothing names");
  });
});
