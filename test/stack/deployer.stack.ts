import fs from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import {
  CreateAccessKeyCommand,
  CreateRoleCommand,
  CreateUserCommand,
  DeleteUserPolicyCommand,
  IAMClient,
  PutRolePolicyCommand,
  PutUserPolicyCommand,
} from "@aws-sdk/client-iam";
import { DeleteFunctionCommand, LambdaClient } from "@aws-sdk/client-lambda";
import {
  CreateBucketCommand,
  DeleteBucketCommand,
  GetObjectCommand,
  HeadBucketCommand,
  PutBucketPolicyCommand,
  PutObjectCommand,
  S3Client,
} from "@aws-sdk/client-s3";
import { GetParameterCommand, SSMClient } from "@aws-sdk/client-ssm";
import { expect } from "chai";
import { type Emulator, emulatorKeys, startEmulator } from "../../cli/rehearsal/emulator.ts";
import { PulumiStack } from "../../cli/rehearsal/pulumi-stack.ts";
import { runCli } from "../run-cli.ts";

const token = "a-token-of-the-journey-0123456789";
const account = "000000000000";
const UserName = "deployer";

/** For these the emulator looks at no resource, though AWS does: they can't be bound to names here. */
const namelessHere = [
  "lambda:CreateFunction",
  "sns:ListTagsForResource",
  "sns:TagResource",
  "sns:UntagResource",
];
/** And for these it never asks who wants it: what of the policy only AWS can prove. */
const neverAskedHere = ["Alarms", "ApiLog", "Dashboards", "FunctionImage", "PassRoles"];

interface Statement {
  Sid: string;
  Action: string[];
  Resource?: string[];
}

/** Somebody who has the printed policy and nothing else lives a stack's whole life. In its order: each test begins where the one before ended. */
describe("whoever has the deployer's policy", function () {
  this.timeout(600_000);
  let folder: string;
  let emulator: Emulator;
  let stack: PulumiStack;
  let iam: IAMClient;
  let owner: S3Client;
  let keys: { accessKeyId: string; secretAccessKey: string };
  let policy: Statement[];
  let bucketName: string;
  const kept: Record<string, string | undefined> = {};

  before(async function () {
    const changed = {
      NODE_TLS_REJECT_UNAUTHORIZED: "0",
      NODE_NO_WARNINGS: "1",
      ...emulatorKeys,
    };
    for (const name of [...Object.keys(changed), "AWS_ENDPOINT_URL"]) {
      kept[name] = process.env[name];
    }
    Object.assign(process.env, changed);
    // With TLS, as the bucket's own policy demands it of everybody but the account's root.
    const started = await startEmulator({ enforceIam: true, tls: true });
    if ("missing" in started) {
      process.stderr.write(`skipped: ${started.missing}\n`);
      this.skip();
    }
    emulator = started;
    process.env["AWS_ENDPOINT_URL"] = emulator.endpoint;
    iam = new IAMClient({ credentials: rootKeys });
    owner = new S3Client({ credentials: rootKeys, forcePathStyle: true });
    folder = await fs.mkdtemp(path.join(os.tmpdir(), "millpond-test-"));
    stack = new PulumiStack("deployer", folder);
    await stack.init(emulator.endpoint);
    await stack.setConfig("aws:insecure", "true");
    await stack.setConfig("aws:maxRetries", "2");
    const image = `${account}.dkr.ecr.eu-central-1.amazonaws.com/millpond@sha256:${"0".repeat(64)}`;
    await stack.setConfig("imageUri", image);
    await stack.setConfig("--secret", "--path", "secrets.tokens", token);
  });
  after(async () => {
    for (const [name, value] of Object.entries(kept)) {
      if (value === undefined) delete process.env[name];
      else process.env[name] = value;
    }
    iam?.destroy();
    owner?.destroy();
    await emulator?.stop();
    if (folder !== undefined) await fs.rm(folder, { recursive: true });
  });

  const rootKeys = {
    accessKeyId: emulatorKeys.AWS_ACCESS_KEY_ID,
    secretAccessKey: emulatorKeys.AWS_SECRET_ACCESS_KEY,
  };
  const allow = async (PolicyName: string, statement: object) => {
    const PolicyDocument = JSON.stringify({ Version: "2012-10-17", Statement: [statement] });
    await iam.send(new PutUserPolicyCommand({ UserName, PolicyName, PolicyDocument }));
  };
  /** Runs something while a statement is missing. */
  async function without<T>(Sid: string, run: () => Promise<T>): Promise<T> {
    await iam.send(new DeleteUserPolicyCommand({ UserName, PolicyName: Sid }));
    const result = await run();
    await allow(Sid, policy.find((one) => one.Sid === Sid) as Statement);
    return result;
  }
  const denied = /not authorized to perform/;

  it("gets it as managed policies that IAM takes", async () => {
    const { code, stdout, stderr } = await runCli(
      [
        ...["deployer-policy", "--stack", stack.name, "--config-file", stack.configFile],
        ...["--output", folder],
      ],
      { env: { ...process.env, ...stack.environment } },
    );

    expect(code, stderr).to.equal(0);
    const files = [...stdout.matchAll(/file:\/\/(\S+)/g)].map(([, file]) => String(file));
    const parts = await Promise.all(files.map((file) => fs.readFile(file, "utf8")));
    for (const part of parts) expect(part.trim().length).to.be.at.most(6144);
    policy = parts.flatMap((part) => (JSON.parse(part) as { Statement: Statement[] }).Statement);
    expect(policy.length).to.be.above(15);

    await iam.send(new CreateUserCommand({ UserName }));
    for (const statement of policy) await allow(statement.Sid, statement);
    await allow("emulator", { Effect: "Allow", Action: namelessHere, Resource: "*" });
    const { AccessKey } = await iam.send(new CreateAccessKeyCommand({ UserName }));
    keys = {
      accessKeyId: String(AccessKey?.AccessKeyId),
      secretAccessKey: String(AccessKey?.SecretAccessKey),
    };
    process.env["AWS_ACCESS_KEY_ID"] = keys.accessKeyId;
    process.env["AWS_SECRET_ACCESS_KEY"] = keys.secretAccessKey;
  });

  it("deploys", async () => {
    await stack.up();

    expect(await stack.isCurrent()).to.equal(true);
    bucketName = String((await stack.outputs())["bucketName"]);
  });

  it("fails to look at it without any one of the others", async () => {
    const fine: string[] = [];
    for (const { Sid } of policy) {
      if (["NewApi", "RoleGrants"].includes(Sid)) continue;
      const { code, stdout, stderr } = await without(
        Sid,
        async () => await stack.attempt("refresh", "--skip-preview"),
      );
      if (code === 0) fine.push(Sid);
      else expect(`${stdout}${stderr}`, Sid).to.match(denied);
    }
    expect(fine).to.have.members(neverAskedHere);
  });

  it("can't make another API, or give a role another right, without the statement for it", async () => {
    const { deployment } = JSON.parse(await stack.state()) as {
      deployment: { resources: { urn: string; type: string }[] };
    };
    const api = deployment.resources.find(({ type }) => type === "aws:apigatewayv2/api:Api");
    await stack.setConfig("mirrorDeletes", "true");
    for (const [Sid, ...more] of [
      ["NewApi", "--target-replace", String(api?.urn)],
      ["RoleGrants"],
    ]) {
      const { code, stdout, stderr } = await without(
        String(Sid),
        async () => await stack.attempt("up", "--skip-preview", ...more),
      );
      expect(code, Sid).to.not.equal(0);
      expect(`${stdout}${stderr}`, Sid).to.match(denied);
    }
  });

  it("updates", async () => {
    await stack.setConfig("logRetentionDays", "7");
    await stack.setConfig("sweepEveryMinutes", "30");

    const changes = await stack.up();

    expect(changes).to.include({ create: 1 });
    expect(changes.update).to.be.above(5);
    expect(await stack.isCurrent()).to.equal(true);
  });

  describe("is refused", () => {
    const Policy = JSON.stringify({ Version: "2012-10-17", Statement: [] });
    const all = { Effect: "Allow", Action: "*", Resource: "*" };
    const PolicyDocument = JSON.stringify({ Version: "2012-10-17", Statement: [all] });
    const AssumeRolePolicyDocument = PolicyDocument;
    const other = "millpond-other-stack";
    const mine = () => ({ credentials: keys, forcePathStyle: true });
    const cases: [string, () => Promise<unknown>][] = [
      [
        "another stack's bucket",
        () => new S3Client(mine()).send(new PutBucketPolicyCommand({ Bucket: other, Policy })),
      ],
      [
        "what lies in another stack's bucket",
        () => new S3Client(mine()).send(new GetObjectCommand({ Bucket: other, Key: "a" })),
      ],
      [
        "the data of its own",
        () =>
          new S3Client(mine()).send(new PutObjectCommand({ Bucket: bucketName, Key: "lake/x" })),
      ],
      [
        "to delete its own bucket",
        () => new S3Client(mine()).send(new DeleteBucketCommand({ Bucket: bucketName })),
      ],
      [
        "another stack's function",
        () =>
          new LambdaClient(mine()).send(
            new DeleteFunctionCommand({ FunctionName: "millpond-other-query" }),
          ),
      ],
      [
        "another stack's secret",
        () =>
          new SSMClient(mine()).send(new GetParameterCommand({ Name: "/millpond/other/tokens" })),
      ],
      [
        "to grant itself more",
        () =>
          new IAMClient(mine()).send(
            new PutUserPolicyCommand({ UserName, PolicyName: "more", PolicyDocument }),
          ),
      ],
      [
        "to make a role of another name",
        () =>
          new IAMClient(mine()).send(
            new CreateRoleCommand({ RoleName: "millpond-other-query", AssumeRolePolicyDocument }),
          ),
      ],
      [
        "to grant another stack's role more",
        () =>
          new IAMClient(mine()).send(
            new PutRolePolicyCommand({
              ...{ RoleName: "millpond-other-query", PolicyName: "more", PolicyDocument },
            }),
          ),
      ],
    ];

    before(async () => {
      await owner.send(new CreateBucketCommand({ Bucket: other }));
      await owner.send(new PutObjectCommand({ Bucket: other, Key: "a", Body: "a" }));
      const RoleName = "millpond-other-query";
      await iam.send(new CreateRoleCommand({ RoleName, AssumeRolePolicyDocument }));
    });
    for (const [what, attempt] of cases) {
      it(what, async () => {
        const error = await attempt().then(
          () => expect.fail("it was allowed"),
          (thrown: Error) => thrown,
        );
        expect(error.name).to.match(/^AccessDenied/);
      });
    }
  });

  // Mocha runs what stands in a block of its own after all that does not.
  describe("at last", () => {
    it("destroys all but the data", async () => {
      await stack.destroy();

      const state = JSON.parse(await stack.state()) as { deployment: { resources?: unknown[] } };
      expect(state.deployment.resources ?? []).to.deep.equal([]);
      await owner.send(new HeadBucketCommand({ Bucket: bucketName }));
    });
  });
});
