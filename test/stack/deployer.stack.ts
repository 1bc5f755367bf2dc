import fs from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";
import {
  CreateAccessKeyCommand,
  CreatePolicyCommand,
  CreateRoleCommand,
  CreateUserCommand,
  DeleteUserPolicyCommand,
  IAMClient,
  PutRolePolicyCommand,
  PutUserPolicyCommand,
  UpdateAssumeRolePolicyCommand,
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
import { PublishCommand, SetTopicAttributesCommand, SNSClient } from "@aws-sdk/client-sns";
import {
  GetQueueUrlCommand,
  ReceiveMessageCommand,
  SetQueueAttributesCommand,
  SQSClient,
} from "@aws-sdk/client-sqs";
import { GetParameterCommand, SSMClient } from "@aws-sdk/client-ssm";
import { AssumeRoleCommand, STSClient } from "@aws-sdk/client-sts";
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
/** What asks for them is no look, but making one anew, changing rights, or harm. */
const notLookedAt = ["NamedKeys", "NewApi", "NewKeys", "RoleGrants"];
/**
 * What changes something, and was not asked for here, though others of its statement were: the emulator asks for no right to it, or this
 * life of a stack has no use for it. docs/rights.md names them, too.
 */
const unusedHere = {
  neverAsked: [
    ...["lambda:PutFunctionEventInvokeConfig", "lambda:UpdateFunctionEventInvokeConfig"],
    "lambda:DeleteFunctionEventInvokeConfig",
    // With the call that makes what is tagged it asks for the right to that call alone.
    ...["apigateway:TagResource", "iam:TagRole", "kms:TagResource", "lambda:TagResource"],
    ...["logs:TagResource", "s3:PutBucketTagging", "s3:TagResource", "sns:TagResource"],
    ...["sqs:TagQueue", "ssm:AddTagsToResource", "apigateway:PUT"],
  ],
  tagsStay: [
    ...["apigateway:UntagResource", "iam:UntagRole", "kms:UntagResource", "lambda:UntagResource"],
    ...["logs:UntagResource", "s3:UntagResource", "sns:UntagResource", "sqs:UntagQueue"],
    "ssm:RemoveTagsFromResource",
  ],
  sameAsItWas: [
    ...["iam:PutRolePermissionsBoundary", "kms:DisableKeyRotation", "kms:PutKeyPolicy"],
    ...["kms:UpdateKeyDescription", "lambda:DeleteFunctionConcurrency"],
    ...["logs:DeleteRetentionPolicy", "sns:SetSubscriptionAttributes"],
  ],
};

interface Statement {
  Sid: string;
  Effect: "Allow" | "Deny";
  Action?: string[];
  Resource?: string[];
  Condition?: object;
}

interface Keys {
  accessKeyId: string;
  secretAccessKey: string;
}

/** A request of which the emulator decided. */
interface Asked {
  key: string;
  action: string;
  resource: string;
  allowed: boolean;
}

/** Somebody who has the printed policy and nothing else lives a stack's whole life. In its order: each test begins where the one before ended. */
describe("whoever has the deployer's policy", function () {
  this.timeout(600_000);
  let folder: string;
  let emulator: Emulator;
  let stack: PulumiStack;
  let iam: IAMClient;
  let owner: S3Client;
  let keys: Keys;
  let policy: Statement[] = [];
  let bucketName: string;
  const kept: Record<string, string | undefined> = {};

  before(async function () {
    folder = await fs.mkdtemp(path.join(os.tmpdir(), "millpond-test-"));
    const changed = {
      NODE_TLS_REJECT_UNAUTHORIZED: "0",
      NODE_NO_WARNINGS: "1",
      // The emulator writes down what it is asked to allow.
      PYTHONPATH: fileURLToPath(new URL("asked", import.meta.url)),
      MILLPOND_ASKED: path.join(folder, "asked"),
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
    stack = new PulumiStack("deployer", folder);
    await stack.init(emulator.endpoint);
    await stack.setConfig("aws:insecure", "true");
    await stack.setConfig("aws:maxRetries", "2");
    const image = `${account}.dkr.ecr.eu-central-1.amazonaws.com/millpond@sha256:${"0".repeat(64)}`;
    await stack.setConfig("imageUri", image);
    // So that there are keys.
    await stack.setConfig("encryptTopic", "true");
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
  const allow = async (who: string, PolicyName: string, statement: object) => {
    const PolicyDocument = JSON.stringify({ Version: "2012-10-17", Statement: [statement] });
    await iam.send(new PutUserPolicyCommand({ UserName: who, PolicyName, PolicyDocument }));
  };
  const disallow = async (who: string, PolicyName: string) => {
    await iam.send(new DeleteUserPolicyCommand({ UserName: who, PolicyName }));
  };
  /** Runs something while a statement is missing. */
  async function without<T>(Sid: string, run: () => Promise<T>): Promise<T> {
    await disallow(UserName, Sid);
    const result = await run();
    await allow(UserName, Sid, policy.find((one) => one.Sid === Sid) as Statement);
    return result;
  }
  /** From here on it is somebody else who works. */
  function become({ accessKeyId, secretAccessKey }: Keys): void {
    process.env["AWS_ACCESS_KEY_ID"] = accessKeyId;
    process.env["AWS_SECRET_ACCESS_KEY"] = secretAccessKey;
  }
  async function newUser(who: string): Promise<Keys> {
    await iam.send(new CreateUserCommand({ UserName: who }));
    const { AccessKey } = await iam.send(new CreateAccessKeyCommand({ UserName: who }));
    return {
      accessKeyId: String(AccessKey?.AccessKeyId),
      secretAccessKey: String(AccessKey?.SecretAccessKey),
    };
  }
  /** `deployer-policy` for this stack, as an administrator runs it. */
  async function print(...more: string[]) {
    const { AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY } = emulatorKeys;
    return await runCli(
      ["deployer-policy", "--stack", stack.name, "--config-file", stack.configFile, ...more],
      { env: { ...process.env, AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, ...stack.environment } },
    );
  }
  async function printed(...more: string[]): Promise<Statement[]> {
    const { code, stdout, stderr } = await print(...more, "--output", folder);

    expect(code, stderr).to.equal(0);
    const files = [...stdout.matchAll(/file:\/\/(\S+)/g)].map(([, file]) => String(file));
    const parts = await Promise.all(files.map((file) => fs.readFile(file, "utf8")));
    for (const part of parts) expect(part.trim().length).to.be.at.most(6144);
    return parts.flatMap((part) => (JSON.parse(part) as { Statement: Statement[] }).Statement);
  }
  /** Gives it what is printed, in place of what it has. */
  async function grant(): Promise<void> {
    const before = policy;
    policy = (await printed()).map(({ Condition, ...statement }) =>
      // The emulator does not know iam:PermissionsBoundary, and takes it for unmet.
      JSON.stringify(Condition)?.includes("iam:PermissionsBoundary") || Condition === undefined
        ? statement
        : { ...statement, Condition },
    );
    for (const { Sid } of before) await disallow(UserName, Sid);
    for (const statement of policy) await allow(UserName, statement.Sid, statement);
  }
  async function asked(): Promise<Asked[]> {
    const lines = (await fs.readFile(path.join(folder, "asked"), "utf8")).trim().split("\n");
    return lines.map((line) => JSON.parse(line) as Asked);
  }
  const denied = /not authorized to perform/;

  it("gets none while the functions' roles have no boundary", async () => {
    const { code, stdout, stderr } = await print();

    expect(code).to.equal(1);
    expect(stdout).to.equal("");
    const told = `pulumi config set --stack deployer permissionsBoundary arn:aws:iam::${account}:policy/millpond-deployer-boundary`;
    expect(stderr).to.contain(told);
    const Statement = await printed("--boundary");
    const { Policy } = await iam.send(
      new CreatePolicyCommand({
        PolicyName: "millpond-deployer-boundary",
        PolicyDocument: JSON.stringify({ Version: "2012-10-17", Statement }),
      }),
    );
    await stack.setConfig("permissionsBoundary", String(Policy?.Arn));
    expect(told).to.contain(String(Policy?.Arn));
  });

  it("gets it as managed policies that IAM takes", async () => {
    keys = await newUser(UserName);

    await grant();

    expect(policy.length).to.be.above(20);
    await allow(UserName, "emulator", { Effect: "Allow", Action: namelessHere, Resource: "*" });
    become(keys);
  });

  it("deploys", async () => {
    await stack.up();

    expect(await stack.isCurrent()).to.equal(true);
    bucketName = String((await stack.outputs())["bucketName"]);
  });

  it("gets it again, with what has a name by now", async () => {
    await grant();

    const named = ({ Resource = [] }: Statement) => Resource.every((arn) => !/\/\*$/.test(arn));
    for (const Sid of ["Keys", "NamedKeys"]) {
      expect(
        policy.some((one) => one.Sid === Sid && named(one)),
        Sid,
      ).to.equal(true);
    }
    expect(JSON.stringify(policy)).to.not.contain("/apis/*");
    expect(await stack.isCurrent()).to.equal(true);
  });

  it("lets another one look by the policy for previews, who reads no secret", async () => {
    const previewer = await newUser("previewer");
    const statements = await printed("--preview-only");
    for (const statement of statements) await allow("previewer", statement.Sid, statement);

    become(previewer);
    expect(await stack.isCurrent()).to.equal(true);
    for (const { Sid } of statements) {
      await disallow("previewer", Sid);
      expect(await stack.isCurrent(), Sid).to.equal(false);
    }
    become(keys);

    const refused = (await asked()).filter(
      ({ key, allowed }) => key === previewer.accessKeyId && !allowed,
    );
    // The provider asks for its own user, and goes on without an answer.
    expect(new Set(refused.map(({ action }) => action))).to.deep.equal(
      new Set(["iam:GetUser", "s3:ListBucket"]),
    );
    expect(JSON.stringify(statements)).to.not.match(/ssm:|s3:GetObject|s3:Put/);
  });

  it("fails to look at it without any one of the others", async () => {
    const fine: string[] = [];
    for (const { Sid, Effect } of policy) {
      if (Effect === "Deny" || notLookedAt.includes(Sid)) continue;
      const { code, stdout, stderr } = await without(
        Sid,
        async () => await stack.attempt("refresh", "--skip-preview"),
      );
      if (code === 0) fine.push(Sid);
      else expect(`${stdout}${stderr}`, Sid).to.match(denied);
    }
    expect(fine).to.have.members(neverAskedHere);
  });

  it("can't make another API or key, or give a role another right, without the statement for it", async () => {
    const { deployment } = JSON.parse(await stack.state()) as {
      deployment: { resources: { urn: string; type: string }[] };
    };
    const urnOf = (wanted: string) =>
      String(deployment.resources.find(({ type }) => type === wanted)?.urn);
    await stack.setConfig("mirrorDeletes", "true");
    for (const [Sid, ...more] of [
      ["NewApi", "--target-replace", urnOf("aws:apigatewayv2/api:Api")],
      ["NewKeys", "--target-replace", urnOf("aws:kms/key:Key")],
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
    await stack.setConfig("requestsPerSecond", "20");
    await stack.setConfig("ingestConcurrency", "5");

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

  describe("gains nothing by the policies that it may write", () => {
    const me = `arn:aws:iam::${account}:user/${UserName}`;
    const region = emulatorKeys.AWS_REGION;
    const to = (...Action: string[]) => ({ Effect: "Allow", Principal: { AWS: me }, Action });
    const policyOf = (...Statement: object[]) =>
      JSON.stringify({ Version: "2012-10-17", Statement });
    const queueName = "millpond-deployer-ingest-failures";
    const topicArn = `arn:aws:sns:${region}:${account}:millpond-deployer-alarms`;
    const RoleName = "millpond-deployer-ingest";
    const mine = () => ({ credentials: keys, region });
    const s3 = () => new S3Client({ ...mine(), forcePathStyle: true });
    const queueUrl = async () =>
      String(
        (await new SQSClient(mine()).send(new GetQueueUrlCommand({ QueueName: queueName })))
          .QueueUrl,
      );
    const cases: {
      what: string;
      /** The statement that forbids it. */
      Sid: string;
      write: () => Promise<unknown>;
      attempt: () => Promise<unknown>;
    }[] = [
      {
        what: "the data, by the bucket's",
        Sid: "BucketOnly",
        write: async () => {
          const Resource = [`arn:aws:s3:::${bucketName}`, `arn:aws:s3:::${bucketName}/*`];
          const Policy = policyOf({ ...to("s3:*"), Resource });
          await s3().send(new PutBucketPolicyCommand({ Bucket: bucketName, Policy }));
          const Key = "lake/secret.parquet";
          await owner.send(new PutObjectCommand({ Bucket: bucketName, Key, Body: "rows" }));
        },
        attempt: () =>
          s3().send(new GetObjectCommand({ Bucket: bucketName, Key: "lake/secret.parquet" })),
      },
      {
        what: "to delete the bucket, by its own",
        Sid: "BucketOnly",
        write: async () => {},
        attempt: async () => {
          // That anything is in it is told to whoever may.
          const error = await s3()
            .send(new DeleteBucketCommand({ Bucket: bucketName }))
            .catch((thrown: Error) => thrown);
          if (error instanceof Error && error.name !== "BucketNotEmpty") throw error;
        },
      },
      {
        what: "what its functions may do, by who may take on their roles",
        Sid: "RolesOnly",
        write: async () => {
          const PolicyDocument = policyOf(to("sts:AssumeRole"));
          await new IAMClient(mine()).send(
            new UpdateAssumeRolePolicyCommand({ RoleName, PolicyDocument }),
          );
          // On AWS the role's word is enough, and the emulator wants the user's, too.
          const { Principal, ...own } = { ...to("sts:AssumeRole"), Resource: "*" };
          await allow(UserName, "assume", own);
        },
        attempt: () =>
          new STSClient(mine()).send(
            new AssumeRoleCommand({
              RoleArn: `arn:aws:iam::${account}:role/${RoleName}`,
              RoleSessionName: "me",
            }),
          ),
      },
      {
        what: "what waits in a queue, by the queue's",
        Sid: "QueuesOnly",
        write: async () => {
          const Resource = `arn:aws:sqs:${region}:${account}:${queueName}`;
          const Policy = policyOf({ ...to("sqs:ReceiveMessage"), Resource });
          const QueueUrl = await queueUrl();
          await new SQSClient(mine()).send(
            new SetQueueAttributesCommand({ QueueUrl, Attributes: { Policy } }),
          );
        },
        attempt: async () =>
          new SQSClient(mine()).send(new ReceiveMessageCommand({ QueueUrl: await queueUrl() })),
      },
      {
        what: "to tell of an alarm, by the topic's",
        Sid: "TopicsOnly",
        write: async () => {
          const AttributeValue = policyOf({ ...to("sns:Publish"), Resource: topicArn });
          await new SNSClient(mine()).send(
            new SetTopicAttributesCommand({
              ...{ TopicArn: topicArn, AttributeName: "Policy", AttributeValue },
            }),
          );
        },
        attempt: () =>
          new SNSClient(mine()).send(new PublishCommand({ TopicArn: topicArn, Message: "x" })),
      },
    ];

    for (const { what, Sid, write, attempt } of cases) {
      it(what, async () => {
        await write();

        const error = await attempt().then(
          () => expect.fail("it was allowed"),
          (thrown: Error) => thrown,
        );
        expect(`${error.name} ${error.message}`).to.match(/^(AccessDenied|AuthorizationError)/);
        // And it is this statement that refuses it.
        await without(Sid, attempt);
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

    it("has used each right to change something, but for those that are named here", async () => {
      const used = new Set(
        (await asked())
          .filter(({ key, allowed }) => key === keys.accessKeyId && allowed)
          .map(({ action }) => action),
      );

      const unused = policy
        .filter(({ Effect, Sid }) => Effect === "Allow" && !neverAskedHere.includes(Sid))
        .flatMap(({ Action = [] }) => Action)
        .filter((action) => !/:(Get|List|Describe|GET$)/.test(action) && !used.has(action));
      expect(new Set(unused)).to.deep.equal(new Set(Object.values(unusedHere).flat()));
    });
  });
});
