import fs from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { expect } from "chai";
import { runCli } from "../run-cli.ts";

describe("millpond, called wrongly", () => {
  let folder: string;
  before(async () => {
    folder = await fs.mkdtemp(path.join(os.tmpdir(), "millpond-test-"));
  });
  after(async () => await fs.rm(folder, { recursive: true }));

  /** With a PATH without Docker: what is wrong with a call is found before. */
  const run = async (args: readonly string[], environment: Record<string, string> = {}) =>
    await runCli(args, { cwd: folder, env: { PATH: folder, ...environment } });

  const wrong: [string, Record<string, string>, RegExp][] = [
    ["start --dir s3://my-pond", {}, /start serves a folder, not s3:\/\/my-pond: .*image:run/],
    ["start --dir S3://my-pond", {}, /--dir must be .* s3:\/\/<bucket>, got "S3:\/\/my-pond"/],
    ["start", { MILLPOND_STORE: "s3://my-pond" }, /start serves a folder, not s3:\/\/my-pond/],
    ["start", { MILLPOND_STORE: "gs://my-pond" }, /MILLPOND_STORE must be .*"gs:\/\/my-pond"/],
    ["invoke -f sweep --dir https://x.io/a", {}, /--dir must be .* got "https:\/\/x\.io\/a"/],
    [
      "invoke -f sweep --dir s3://my-pond/lake/",
      {},
      /--dir must be a whole bucket, such as s3:\/\/my-pond, got a part of one/,
    ],
    ["invoke -f sweep --dir s3:/my-pond", {}, /--dir must be .* got "s3:\/my-pond"/],
    ["invoke -f sweep --dir s3//my-pond", {}, /--dir must be .* got "s3\/\/my-pond"/],
    ["image --check millpond", {}, /--check takes <registry>\/<name>:<tag> of a pushed image/],
    ["invoke --all --dir s3://my-pond", {}, /--all runs in a folder/],
    ["image-run hello --port 65536", {}, /--port takes a number from 0 to 65535, got "65536"/],
    ["image-run hello --memory 0", {}, /--memory takes a number from 128 to 10240, got "0"/],
    ["image-run hello --dir none", {}, /--dir: there is no folder .*none/],
    ["image-run hello --dir /dev/null", {}, /--dir: not a folder \/dev\/null/],
    ["image-run hello", { MILLPOND_STORE: "/none" }, /MILLPOND_STORE: there is no folder \/none/],
    ["invoke -f sweep --dir", {}, /argument missing/],
    ["image-run hello --env A\u00a0B=x", {}, /--env takes <name>=<value>/],
    ["image-run hello --tag ../a", {}, /--tag takes/],
    ["image-run hello --tag --help/a", {}, /--tag takes/],
    [`image --tag a@sha256:${"0".repeat(64)}`, {}, /--tag takes/],
    ["image-run hello --env x", {}, /--env takes <name>=<value>, got "x"/],
    ["image-run hello --tag A:b", {}, /--tag takes <name>\[:<tag>\] in lower case, got "A:b"/],
    ["redrive", {}, /which stack\? --stack <name>/],
    [
      "redrive --stack dev --rate fast",
      {},
      /--rate takes events a second, 0\.1 to 100, got "fast"/,
    ],
    ["redrive --stack dev --rate 0", {}, /--rate takes events a second/],
    ["sweep --dir none", {}, /there is no folder .*none/],
    ["sweep --stack dev --dir pond", {}, /'--stack <name>' cannot be used with option '--dir/],
    ["smoke", {}, /which stack\? --stack <name>/],
    [
      "smoke --stack dev --timeout soon",
      {},
      /--timeout takes a number from 1 to 86400, got "soon"/,
    ],
    ["query --url localhost:8686 x", {}, /--url takes http:\/\/<host>\[:<port>\], got "local/],
    ["put /etc", {}, /\/etc is a folder: name the files in it/],
    ["rehearse --port high", {}, /--port takes a number from 0 to 65535, got "high"/],
    [
      "invoke -f hello --stack dev --dir pond",
      {},
      /'--stack <name>' cannot be used with option '--dir <folder>'/,
    ],
    ["image-run goodbye", {}, /there is no function "goodbye": hello, ingest/],
    ["image --tag a:b:c:d", {}, /--tag takes/],
    ["image --build-context extensions", {}, /--build-context takes <name>=<value>/],
    ["image --build-context e=none", {}, /--build-context: there is no folder none/],
    ["image --check x --tag y", {}, /'--check <uri>' cannot be used with option '--tag <name>'/],
    [
      "image --platform linux/arm",
      {},
      /Allowed choices are linux\/arm64, linux\/amd64; see --help/,
    ],
  ];
  for (const [args, environment, message] of wrong) {
    const given = Object.entries(environment).map(([name, value]) => `${name}=${value} `);
    it(`ends with 2 for ${given.join("")}${args}, in one line`, async () => {
      const { code, text } = await run(args.split(" "), environment);

      expect(text).to.match(message);
      expect(text.trim().split("\n")).to.have.length(1);
      expect(code).to.equal(2);
      expect(await fs.readdir(folder)).to.deep.equal([]);
    });
  }

  it("takes an empty --dir for no other pond", async () => {
    const environment = { MILLPOND_STORE: folder };
    const { code, text } = await run(["invoke", "-f", "sweep", "--dir", ""], environment);

    expect(text).to.equal("error: --dir is empty: name a folder, or s3://<bucket>\n");
    expect(code).to.equal(2);
  });

  it("takes names of images as Docker has them", async () => {
    const digest = `@sha256:${"0".repeat(64)}`;
    for (const tag of [
      "a",
      "a/b:v1",
      "reg.io:5000/a_b/c-d:V1",
      "[::1]:5000/a",
      `r.io/a:1${digest}`,
    ]) {
      const { text } = await run(["image-run", "hello", "--port", "0", "--tag", tag]);

      expect(text, tag).to.match(/there is no docker on the PATH/);
    }
  });

  it("says that Docker is missing, with 1", async () => {
    for (const args of [
      ["image"],
      ["image-run", "hello", "--port", "0"],
      ["image", "--check", "r.io/x"],
    ]) {
      const { code, text } = await run(args);

      expect(text).to.equal("error: there is no docker on the PATH: install Docker with buildx\n");
      expect(code).to.equal(1);
    }
  });

  it("says that Pulumi is missing, with 1", async () => {
    for (const args of [
      ["smoke", "--stack", "dev"],
      ["invoke", "-f", "hello", "--stack", "dev"],
    ]) {
      const { code, text } = await run(args);

      expect(text).to.match(/^error: there is no pulumi on the PATH: npm ci brings it/);
      expect(code).to.equal(1);
    }
  });

  it("shows how each command is called, as npm has it, within 80 columns", async () => {
    const { scripts } = JSON.parse(
      await fs.readFile(new URL("../../package.json", import.meta.url), "utf8"),
    ) as { scripts: Record<string, string> };
    const { text } = await run(["--help"]);
    const names = [...text.matchAll(/^ {2}([a-z-]+) (?=\[| )/gm)].map(([, name = ""]) => name);

    expect(text).to.match(/^Usage: npm run <command> -- /);
    const shown = await Promise.all(
      names
        .filter((one) => one !== "help")
        .map(async (name) => [name, (await run([name, "--help"])).text] as const),
    );
    for (const [name, help] of shown) {
      const usage = help.split("\n")[0] ?? "";
      const script = /^Usage: npm (?:run )?(\S+) -- /.exec(usage)?.[1] ?? "";

      expect(scripts[script], usage).to.match(new RegExp(`millpond\\.ts ${name}$`));
      expect(
        help.split("\n").filter((line) => line.length > 80),
        name,
      ).to.deep.equal([]);
      expect(help, name).not.to.match(/default: (false|\[\])/);
    }
    expect(names).to.include.members(["start", "put", "image-run"]);
  });
});
