import fs from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";
import {
  CreateAccessKeyCommand,
  CreateUserCommand,
  IAMClient,
  PutUserPolicyCommand,
} from "@aws-sdk/client-iam";
import { CreateBucketCommand, S3Client } from "@aws-sdk/client-s3";
import { expect } from "chai";
import { deployerPolicy, stateAt } from "../../cli/deployer-policy.ts";
import { type PulumiRun, runPulumi } from "../../cli/pulumi.ts";
import { type Emulator, emulatorKeys, startEmulator } from "../../cli/rehearsal/emulator.ts";

const root = fileURLToPath(new URL("../../", import.meta.url));

/** Pulumi itself, with its state in a bucket of an emulator that enforces IAM, and a program that makes nothing. */
describe("whoever has the rights on a stack's state", function () {
  this.timeout(120_000);
  let folder: string;
  let emulator: Emulator;
  let backend: string;
  let iam: IAMClient;
  let deployer: Record<string, string>;
  let previewer: Record<string, string>;

  before(async function () {
    const started = await startEmulator({ enforceIam: true });
    if ("missing" in started) {
      process.stderr.write(`skipped: ${started.missing}\n`);
      this.skip();
    }
    emulator = started;
    const { AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_REGION: region } = emulatorKeys;
    const credentials = { accessKeyId: AWS_ACCESS_KEY_ID, secretAccessKey: AWS_SECRET_ACCESS_KEY };
    const { endpoint } = emulator;
    iam = new IAMClient({ endpoint, region, credentials });
    const s3 = new S3Client({ endpoint, region, credentials, forcePathStyle: true });
    await s3.send(new CreateBucketCommand({ Bucket: "states" }));
    s3.destroy();
    const query = new URLSearchParams({ region, endpoint, s3ForcePathStyle: "true" });
    backend = `s3://states/of/ours?${query}`;
    folder = await fs.mkdtemp(path.join(os.tmpdir(), "millpond-test-"));
    await fs.symlink(path.join(root, "node_modules"), path.join(folder, "node_modules"));
    await fs.writeFile(path.join(folder, "Pulumi.yaml"), "name: millpond\nruntime: nodejs\n");
    await fs.writeFile(path.join(folder, "package.json"), '{"type": "module"}');
    await fs.writeFile(path.join(folder, "index.js"), "export const nothing = 0;\n");
    for (const stack of ["dev", "dev2"]) {
      expect((await by(emulatorKeys, "stack", "init", stack)).code).to.equal(0);
    }
    deployer = await newUser("deployer", false);
    previewer = await newUser("previewer", true);
  });
  after(async () => {
    iam?.destroy();
    await emulator?.stop();
    if (folder !== undefined) await fs.rm(folder, { recursive: true });
  });

  async function by(keys: Record<string, string>, ...args: string[]): Promise<PulumiRun> {
    const environment = {
      ...emulatorKeys,
      ...keys,
      PULUMI_BACKEND_URL: backend,
      PULUMI_CONFIG_PASSPHRASE: "a passphrase",
    };
    return await runPulumi([...args, "--cwd", folder], { environment });
  }
  async function newUser(UserName: string, previewOnly: boolean): Promise<Record<string, string>> {
    const place = { partition: "aws", region: "eu-central-1", account: "000000000000" };
    const Statement = deployerPolicy(stateAt(backend, "millpond", "dev"), place, { previewOnly });
    const PolicyDocument = JSON.stringify({ Version: "2012-10-17", Statement });
    await iam.send(new CreateUserCommand({ UserName }));
    await iam.send(new PutUserPolicyCommand({ UserName, PolicyName: "state", PolicyDocument }));
    const { AccessKey } = await iam.send(new CreateAccessKeyCommand({ UserName }));
    return {
      AWS_ACCESS_KEY_ID: String(AccessKey?.AccessKeyId),
      AWS_SECRET_ACCESS_KEY: String(AccessKey?.SecretAccessKey),
    };
  }
  const said = ({ stdout, stderr }: PulumiRun) => `${stdout}${stderr}`;

  it("updates, looks and destroys", async () => {
    for (const args of [["up", "--yes"], ["stack", "export"], ["stack", "output"], ["preview"]]) {
      const ran = await by(deployer, ...args, "--stack", "dev");
      expect(ran.code, said(ran)).to.equal(0);
    }
    const ran = await by(deployer, "destroy", "--yes", "--stack", "dev");
    expect(ran.code, said(ran)).to.equal(0);
  });

  it("looks, and changes nothing, by the policy for previews", async () => {
    for (const args of [["preview"], ["stack", "output"]]) {
      const ran = await by(previewer, ...args, "--stack", "dev");
      expect(ran.code, said(ran)).to.equal(0);
    }

    const update = await by(previewer, "up", "--yes", "--skip-preview", "--stack", "dev");

    expect(update.code).to.not.equal(0);
    expect(said(update)).to.match(/s3:PutObject/);
  });

  it("is refused another stack's", async () => {
    for (const args of [["preview"], ["stack", "export"], ["up", "--yes", "--skip-preview"]]) {
      const ran = await by(deployer, ...args, "--stack", "dev2");
      expect(ran.code, args[0]).to.not.equal(0);
      expect(said(ran)).to.match(/PermissionDenied|Forbidden|AccessDenied/);
    }
  });
});
