import fs from "node:fs/promises";
import http from "node:http";
import type { AddressInfo } from "node:net";
import { fileURLToPath } from "node:url";
import { expect } from "chai";
import { parse } from "yaml";
import { metricUnits } from "../../app/contract.ts";
import { boundaryPolicy, deployerPolicy, released, stateAt } from "../../cli/deployer-policy.ts";
import type { PlannedResource } from "../../cli/deployer-rights.ts";
import { found } from "../policy/found.ts";
import { account, type Built, build, region } from "./build.ts";

const root = fileURLToPath(new URL("../../", import.meta.url));

/** What a stage's file sets, which is all plain there. */
async function stackConfig(stack: string): Promise<Record<string, string>> {
  const text = await fs.readFile(`${root}Pulumi.${stack}.yaml`, "utf8");
  const { config } = parse(text) as { config: Record<string, unknown> };
  return Object.fromEntries(Object.entries(config).map(([key, value]) => [key, String(value)]));
}

describe("the program", () => {
  let server: http.Server;
  /** Names of buckets that are there. */
  const buckets = new Set<string>();
  let tags: Record<string, string>;
  /** What S3 answers to everything. Undefined: what there is. */
  let status: number | undefined;
  /** What the buckets' notifications are, in S3's XML. */
  let notifications: string;
  let runs = 0;

  before(async () => {
    // As much of S3 as the search for the bucket asks.
    server = http.createServer((request, response) => {
      const name = request.url?.split(/[/?]/)[1] ?? "";
      if (status !== undefined) {
        response.writeHead(status).end();
        return;
      }
      if (!buckets.has(name)) {
        response.writeHead(404).end();
        return;
      }
      if (request.url?.includes("?notification")) {
        response.end(`<NotificationConfiguration>${notifications}</NotificationConfiguration>`);
        return;
      }
      const set = Object.entries(tags).map(
        ([k, v]) => `<Tag><Key>${k}</Key><Value>${v}</Value></Tag>`,
      );
      response.end(`<Tagging><TagSet>${set.join("")}</TagSet></Tagging>`);
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  });
  after(async () => {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  });
  beforeEach(() => {
    buckets.clear();
    notifications = "";
    status = undefined;
    tags = { project: "millpond", stack: "dev", "managed-by": "pulumi" };
  });

  async function run(stack: string, more: Record<string, string> = {}): Promise<Built<unknown>> {
    const { port } = server.address() as AddressInfo;
    runs += 1;
    return await build(() => import(`../../index.ts?run=${runs}`), {
      stack,
      config: {
        ...(await stackConfig(stack)),
        "aws:endpoints": JSON.stringify([{ s3: `http://127.0.0.1:${port}` }]),
        "aws:s3UsePathStyle": "true",
        "aws:accessKey": "test",
        "aws:secretKey": "test",
        secrets: '{"tokens": "0123456789abcdef0123"}',
        ...more,
      },
    });
  }
  const functions = (built: Built<unknown>) =>
    Object.fromEntries(
      built.all("aws:lambda/function:Function").map(({ name, inputs }) => [name, inputs]),
    );
  const bucketOf = (stack: string) => `millpond-${stack}-${account}-${region}`;
  const bucketName = bucketOf("dev");

  for (const stack of ["dev", "prod"]) {
    describe(`for ${stack}`, () => {
      let built: Built<unknown>;
      before(async () => {
        built = await run(stack);
      });

      it("builds for arm64, and runs its functions on it", () => {
        expect(built.one("awsx:ecr:Image").inputs).to.include({ platform: "linux/arm64" });
        for (const inputs of Object.values(functions(built))) {
          expect(inputs["architectures"]).to.deep.equal(["arm64"]);
          const { variables } = inputs["environment"] as { variables: Record<string, string> };
          expect(variables).to.include({ MILLPOND_ARCHITECTURE: "arm64" });
        }
      });

      it("has the functions that the image has, each with its own role", () => {
        const commands = Object.values(functions(built)).map(
          ({ imageConfig }) => (imageConfig as { commands: string[] }).commands[0],
        );
        expect(commands).to.have.members([
          "index.hello",
          "index.ingest",
          "index.query",
          "index.sweep",
        ]);
        const roles = Object.values(functions(built)).map(({ role }) => role);
        expect(new Set(roles).size).to.equal(4);
      });

      it("gives no function a secret, or the deployer's configuration", () => {
        const everything = JSON.stringify(functions(built));

        expect(everything).to.not.contain("0123456789abcdef0123");
      });

      it("holds to the policy pack", () => {
        const resources = built.everything().map(({ type, name, inputs, options }) => {
          // Mocks know what they make by other ids than AWS does.
          const text = JSON.stringify(inputs).replaceAll("data-bucket-id", bucketOf(stack));
          const props = JSON.parse(text) as Record<string, unknown>;
          return { type, name, props, protect: options.protect === true };
        });

        expect(found(resources)).to.deep.equal({});
        // It has looked at something.
        expect(Object.keys(found(resources, { architecture: "x86_64" }))).to.deep.equal([
          "one-architecture",
        ]);
        expect(
          found(resources.filter(({ type }) => !/PublicAccessBlock|Encryption/.test(type))),
        ).to.have.keys("no-public-bucket", "encrypted-buckets");
      });

      it("grants exactly what each function needs", () => {
        const granted: Record<string, string[]> = {};
        for (const recorded of built.all("aws:iam/rolePolicy:RolePolicy")) {
          const { Statement } = built.policy(recorded) as {
            Statement: { Action: string[]; Resource: string[] }[];
          };
          const role = String(recorded.inputs["role"]);
          granted[role] ??= [];
          for (const { Action, Resource } of Statement) {
            for (const action of Action) {
              for (const resource of Resource) {
                const short = resource.replace(/^arn:aws:s3:::[^/]*/, "").replace(/^arn:.*:/, "");
                granted[role].push(`${action} ${short}`.trim());
              }
            }
          }
        }
        const reads = (prefix: string) => [`s3:GetObject /${prefix}/*`, "s3:ListBucket"];
        const writes = (prefix: string) => [
          `s3:PutObject /${prefix}/*`,
          `s3:AbortMultipartUpload /${prefix}/*`,
        ];
        const data = (role: string) =>
          (granted[role] ?? []).filter((one) => !/^(logs|xray|sqs):/.test(one));

        expect(data("hello-role-id")).to.deep.equal([]);
        expect(data("ingest-role-id")).to.have.members([
          ...reads("inbox"),
          ...reads("lake"),
          ...writes("lake"),
          ...reads("rejected"),
          ...writes("rejected"),
          "s3:DeleteObject /rejected/*",
        ]);
        expect(data("query-role-id")).to.have.members([
          ...reads("lake"),
          ...reads("rejected"),
          ...reads("results"),
          ...writes("results"),
          "s3:PutObject /inbox/*",
          `ssm:GetParameter /millpond/${stack}/tokens`,
        ]);
        expect(data("sweep-role-id")).to.have.members([
          "s3:ListBucket",
          ...reads("lake"),
          ...reads("rejected"),
          `sns:Publish millpond-${stack}-uploads`,
        ]);
      });

      it("writes down which image runs, once all functions run it", () => {
        const record = built.one("aws:ssm/parameter:Parameter", "functions-record");

        const { imageUri } = built.one("aws:lambda/function:Function", "query-function").inputs;
        expect(record.inputs["name"]).to.equal(`/millpond/${stack}/deployed/image`);
        // Beside it stands what Pulumi marks a secret by.
        expect(record.inputs["value"]).to.include({ value: imageUri });
        expect(record.after).to.deep.equal(["hello", "ingest", "query", "sweep"]);
      });

      it("lets answers go after a day, and nothing else", () => {
        const { inputs } = built.one(
          "aws:s3/bucketLifecycleConfiguration:BucketLifecycleConfiguration",
        );
        const rules = inputs["rules"] as { expiration?: object; filter: object }[];

        const days = rules.filter(
          ({ expiration }) => expiration !== undefined && "days" in expiration,
        );
        expect(days).to.deep.equal([
          {
            id: "results",
            status: "Enabled",
            filter: { prefix: "results/" },
            expiration: { days: 1 },
            noncurrentVersionExpiration: { noncurrentDays: 1 },
          },
        ]);
      });

      it("has each function called by what it is for, with what it is to know", () => {
        const arn = (name: string) =>
          built.one("aws:lambda/function:Function", `${name}-function`).inputs["name"];
        const of = (name: string) => {
          const { inputs } = built.one("aws:lambda/function:Function", `${name}-function`);
          const { environment, timeout, memorySize, tracingConfig } = inputs;
          const { variables } = environment as { variables: Record<string, string> };
          return { ...variables, timeout, memorySize, ...(tracingConfig as object) };
        };
        const store = { MILLPOND_STORE: `s3://${bucketOf(stack)}`, MILLPOND_ARCHITECTURE: "arm64" };
        const mode = stack === "prod" ? "Active" : "PassThrough";

        expect(of("hello")).to.deep.equal({ ...store, timeout: 30, memorySize: 1024, mode });
        expect(of("ingest")).to.deep.equal({
          ...store,
          MILLPOND_DISK_MIB: "2048",
          MILLPOND_EVENT_TOPICS: `arn:aws:sns:${region}:${account}:millpond-${stack}-uploads`,
          MILLPOND_MIRROR_DELETES: "false",
          timeout: 300,
          memorySize: 1769,
          mode,
        });
        expect(of("query")).to.deep.equal({
          ...store,
          MILLPOND_DISK_MIB: "1024",
          MILLPOND_QUERY_DEADLINE_SECONDS: "25",
          MILLPOND_AD_HOC_SQL: "true",
          MILLPOND_UPLOADS: "true",
          MILLPOND_AUTH: "token",
          MILLPOND_SECRETS: `/millpond/${stack}/`,
          timeout: 29,
          memorySize: 1769,
          mode,
        });
        expect(of("sweep")).to.deep.equal({
          ...store,
          MILLPOND_MIRROR_DELETES: "false",
          MILLPOND_TOPIC: `arn:aws:sns:${region}:${account}:millpond-${stack}-uploads`,
          timeout: 900,
          memorySize: 1024,
          mode,
        });

        const integrations = Object.fromEntries(
          built
            .all("aws:apigatewayv2/integration:Integration")
            .map(({ name, inputs }) => [`integrations/${name}-id`, inputs["integrationUri"]]),
        );
        const routes = built
          .all("aws:apigatewayv2/route:Route")
          .map(({ inputs }) => [inputs["routeKey"], integrations[String(inputs["target"])]]);
        expect(routes).to.have.deep.members([
          ["GET /hello", `invoke:${arn("hello")}`],
          ["$default", `invoke:${arn("query")}`],
        ]);
        for (const { name, after } of built.all("aws:apigatewayv2/integration:Integration")) {
          expect(after).to.deep.equal([name.replace(/integration$/, "permission")]);
        }
        const subscription = built.one("aws:sns/topicSubscription:TopicSubscription");
        expect(String(subscription.inputs["endpoint"])).to.match(/:millpond-\w+-ingest-image$/);
        const schedule = built.one("aws:scheduler/schedule:Schedule");
        const { arn: target } = schedule.inputs["target"] as { arn: string };
        expect(target).to.match(/:millpond-\w+-sweep-image$/);
        expect(schedule.after).to.deep.equal(["sweep-schedule-invoke"]);
        const { inputs } = built.one("aws:s3/bucketNotification:BucketNotification");
        expect(inputs["topics"]).to.deep.include.members([
          {
            topicArn: `arn:aws:sns:${region}:${account}:millpond-${stack}-uploads`,
            events: ["s3:ObjectCreated:*", "s3:ObjectRemoved:*"],
            filterPrefix: "inbox/",
          },
        ]);
        const retentions = built
          .all("aws:cloudwatch/logGroup:LogGroup")
          .map((group) => group.inputs["retentionInDays"]);
        expect(new Set(retentions)).to.deep.equal(new Set([stack === "prod" ? 90 : 7]));
        const failing = built
          .all("aws:lambda/functionEventInvokeConfig:FunctionEventInvokeConfig")
          .map(({ inputs: { maximumRetryAttempts }, name, after }) => [
            name,
            maximumRetryAttempts,
            after,
          ]);
        expect(failing).to.have.deep.members([
          ["ingest-events", 2, ["ingest-basics"]],
          ["sweep-events", 1, ["sweep-basics"]],
        ]);
        expect(built.one("aws:apigatewayv2/stage:Stage").inputs["autoDeploy"]).to.equal(true);
        expect(built.one("aws:s3/bucketPolicy:BucketPolicy").after).to.deep.equal(["data-access"]);
        expect(
          built.one("aws:s3/bucketLifecycleConfiguration:BucketLifecycleConfiguration").after,
        ).to.deep.equal(["data-versioning"]);
      });

      it("protects the data as its configuration says, and keeps it in any case", () => {
        const { options } = built.one("aws:s3/bucket:Bucket");

        expect(options).to.include({ protect: stack === "prod", retainOnDelete: true });
      });
    });
  }

  it("adopts the bucket that an earlier destroy left", async () => {
    buckets.add(bucketName);

    const built = await run("dev");

    expect(built.one("aws:s3/bucket:Bucket").options.import).to.equal(bucketName);
  });

  it("takes no bucket of its name that is not its own", async () => {
    buckets.add(bucketName);
    tags = { project: "something-else" };

    const message = await run("dev").then(
      () => "it was taken",
      (error: Error) => error.message,
    );

    expect(message).to.contain(
      `the bucket ${bucketName} is there, but is not one that this stack left behind`,
    );
    expect(message).to.contain(`pulumi config set --stack dev bucketName ${bucketName}`);
  });

  it("uses a bucket and a topic that are there, changes neither, and announces on its own", async () => {
    const topic = `arn:aws:sns:${region}:${account}:theirs`;
    const built = await run("dev", { bucketName: "theirs", uploadsTopicArn: topic });

    expect(built.all("aws:s3/bucket:Bucket")).to.deep.equal([]);
    expect(built.all("aws:s3/bucketNotification:BucketNotification")).to.deep.equal([]);
    expect(built.all("aws:sns/topicPolicy:TopicPolicy")).to.deep.equal([]);
    const own = `arn:aws:sns:${region}:${account}:millpond-dev-uploads`;
    const subscriptions = built
      .all("aws:sns/topicSubscription:TopicSubscription")
      .map(({ inputs }) => [inputs["topic"], inputs["filterPolicy"], inputs["filterPolicyScope"]]);
    expect(subscriptions).to.have.deep.members([
      [own, undefined, undefined],
      [topic, '{"Records":{"s3":{"object":{"key":[{"prefix":"inbox/"}]}}}}', "MessageBody"],
    ]);
    const sweep = built.one("aws:lambda/function:Function", "sweep-function").inputs["environment"];
    expect(sweep).to.have.nested.property("variables.MILLPOND_TOPIC", own);
    const ingest = built.one("aws:lambda/function:Function", "ingest-function").inputs;
    expect(ingest["environment"]).to.have.nested.property(
      "variables.MILLPOND_EVENT_TOPICS",
      `${own},${topic}`,
    );
  });

  it("lets rows be deleted only where deletes are mirrored", async () => {
    const deleting = (built: Awaited<ReturnType<typeof run>>) =>
      built
        .all("aws:iam/rolePolicy:RolePolicy")
        .filter(({ inputs }) => String(inputs["policy"]).includes("s3:DeleteObject"))
        .map(({ name }) => name);

    const mirrored = await run("dev", { mirrorDeletes: "true" });

    expect(deleting(mirrored)).to.have.members(["ingest-rejected-delete", "ingest-lake-delete"]);
    expect(deleting(await run("dev"))).to.deep.equal(["ingest-rejected-delete"]);
    for (const name of ["ingest-function", "sweep-function"]) {
      const { inputs } = mirrored.one("aws:lambda/function:Function", name);
      expect(inputs["environment"]).to.have.nested.property(
        "variables.MILLPOND_MIRROR_DELETES",
        "true",
      );
    }
  });

  it("sets the notifications of a bucket that is there only where it is told to", async () => {
    buckets.add("theirs");
    const built = await run("dev", { bucketName: "theirs", manageNotifications: "true" });

    expect(built.one("aws:s3/bucketNotification:BucketNotification").inputs["bucket"]).to.equal(
      "theirs",
    );
  });

  it("sets them again where they are its own", async () => {
    buckets.add("theirs");
    const own = `arn:aws:sns:${region}:${account}:millpond-dev-uploads`;
    notifications = `<TopicConfiguration><Topic>${own}</Topic><Event>s3:ObjectCreated:*</Event></TopicConfiguration>`;

    const built = await run("dev", { bucketName: "theirs", manageNotifications: "true" });

    expect(built.all("aws:s3/bucketNotification:BucketNotification")).to.have.length(1);
  });

  for (const [whom, xml] of [
    [
      `arn:aws:sns:${region}:${account}:another`,
      `<TopicConfiguration><Topic>arn:aws:sns:${region}:${account}:another</Topic></TopicConfiguration>`,
    ],
    [
      `arn:aws:sqs:${region}:${account}:queue`,
      `<QueueConfiguration><Queue>arn:aws:sqs:${region}:${account}:queue</Queue></QueueConfiguration>`,
    ],
    [
      `arn:aws:lambda:${region}:${account}:function:f`,
      `<CloudFunctionConfiguration><CloudFunction>arn:aws:lambda:${region}:${account}:function:f</CloudFunction></CloudFunctionConfiguration>`,
    ],
    ["EventBridge", "<EventBridgeConfiguration/>"],
  ] as const) {
    it(`leaves the notifications of a bucket alone that go to ${whom}`, async () => {
      buckets.add("theirs");
      notifications = xml;

      const message = await run("dev", { bucketName: "theirs", manageNotifications: "true" }).then(
        () => "it was taken",
        (error: Error) => error.message,
      );

      expect(message).to.contain(`the bucket theirs notifies others`).and.to.contain(whom);
      expect(message).to.contain("pulumi config set --stack dev uploadsTopicArn <arn>");
    });
  }

  it("gives the engine half of a disk, in whole MiB", async () => {
    const built = await run("dev", { ingestDiskMiB: "1025", queryDiskMiB: "2048" });

    const spill = (name: string) => {
      const environment = built.one("aws:lambda/function:Function", name).inputs["environment"];
      return (environment as { variables: Record<string, string> }).variables["MILLPOND_DISK_MIB"];
    };
    expect(spill("ingest-function")).to.equal("512");
    expect(spill("query-function")).to.equal("1024");
  });

  it("searches in no other account than the provider's", async () => {
    for (const key of ["assumeRole", "assumeRoles"]) {
      const message = await run("dev", { [`aws:${key}`]: "{}" }).then(
        () => "it was searched",
        (error: Error) => error.message,
      );

      expect(message).to.contain(`aws:${key} is known to the provider, but not to the search`);
    }
  });

  it("says what a bucket of its name that it may not see can be", async () => {
    status = 403;

    const message = await run("dev").then(
      () => "it was taken",
      (error: Error) => error.message,
    );

    expect(message).to.contain(`can't tell whether there is a bucket ${bucketName}`);
  });

  const queryEnvironment = (built: Awaited<ReturnType<typeof run>>) => {
    const { environment } = built.one("aws:lambda/function:Function", "query-function").inputs;
    return (environment as { variables: Record<string, string> }).variables;
  };

  it("asks for signatures in place of tokens where config says so", async () => {
    const built = await run("dev", { auth: "iam", secrets: "{}" });

    const routes = built
      .all("aws:apigatewayv2/route:Route")
      .map(({ inputs }) => inputs["authorizationType"]);
    expect(routes).to.deep.equal(["AWS_IAM", "AWS_IAM"]);
    const parameters = built.all("aws:ssm/parameter:Parameter").map(({ name }) => name);
    expect(parameters).to.deep.equal(["functions-record"]);
    // The function asks, too, for what API Gateway says of who signed.
    expect(queryEnvironment(built)).to.include({ MILLPOND_AUTH: "iam" });
  });

  it("leaves saved queries alone where config says so", async () => {
    const open = await run("dev");
    const closed = await run("dev", { adHocSql: "false" });

    expect(queryEnvironment(open)).to.include({ MILLPOND_AD_HOC_SQL: "true" });
    expect(queryEnvironment(closed)).to.include({ MILLPOND_AD_HOC_SQL: "false" });
  });

  it("takes no files from callers where config says so, or where anybody may call", async () => {
    const puts = (built: Awaited<ReturnType<typeof run>>) =>
      built
        .all("aws:iam/rolePolicy:RolePolicy")
        .map(({ inputs }) => String(inputs["policy"]))
        .filter((policy) => policy.includes("inbox/*") && policy.includes("s3:PutObject"));
    for (const config of [{ uploads: "false" }, { auth: "none", public: "true", secrets: "{}" }]) {
      const off = await run("dev", config);

      expect(queryEnvironment(off)).to.include({ MILLPOND_UPLOADS: "false" });
      expect(puts(off)).to.deep.equal([]);
    }
    expect(puts(await run("dev"))).to.have.length(1);
  });

  it("lets pages of its own API reach the bucket", async () => {
    const built = await run("dev", { corsOrigins: '["https://example.com"]' });

    const { inputs } = built.one("aws:s3/bucketCorsConfiguration:BucketCorsConfiguration");
    const [rule] = inputs["corsRules"] as { allowedOrigins: string[] }[];
    expect(rule?.allowedOrigins).to.have.length(2).and.include("https://example.com");
    expect(rule?.allowedOrigins[0]).to.match(/^https:\/\/[^/]+$/);
  });

  it("is watched, by somebody where one is named, unless it is not to be", async () => {
    const watched = await run("dev", { alarmEmail: "ops@example.com" });
    const unwatched = await run("dev", { monitoring: "false" });
    const type = "aws:cloudwatch/metricAlarm:MetricAlarm";

    const functionsWatched = watched
      .all(type)
      .flatMap(({ inputs }) => (inputs["metricName"] === "Errors" ? [inputs["dimensions"]] : []));
    expect(functionsWatched).to.have.deep.members(
      ["hello", "ingest", "query", "sweep"].map((name) => ({
        FunctionName: `millpond-dev-${name}-image`,
      })),
    );
    expect(
      watched.all("aws:sns/topicSubscription:TopicSubscription").map(({ name }) => name),
    ).to.include("alarms-email-subscription");
    expect(unwatched.all(type)).to.deep.equal([]);
    expect(unwatched.all("aws:cloudwatch/dashboard:Dashboard")).to.deep.equal([]);
  });

  it("bounds each role where a boundary is named", async () => {
    const permissionsBoundary = "arn:aws:iam::111122223333:policy/millpond";
    const roles = (built: Built<unknown>) =>
      built.all("aws:iam/role:Role").map(({ inputs }) => inputs["permissionsBoundary"]);

    expect(new Set(roles(await run("dev", { permissionsBoundary })))).to.deep.equal(
      new Set([permissionsBoundary]),
    );
    expect(new Set(roles(await run("dev")))).to.deep.equal(new Set([undefined]));
  });

  it("is watched by as many alarms and metrics as the docs put a price on", async () => {
    const built = await run("dev");
    const docs = await fs.readFile(`${root}docs/operations.md`, "utf8");
    const told = (what: string) =>
      Number(new RegExp(`<!-- ${what} -->(\\d+) ${what} `).exec(docs)?.[1]);
    const alarms = built.all("aws:cloudwatch/metricAlarm:MetricAlarm");
    const filters = built.all("aws:cloudwatch/logMetricFilter:LogMetricFilter");

    expect(told("alarms")).to.equal(alarms.length);
    expect(told("metrics")).to.equal(filters.length + Object.keys(metricUnits).length);
    for (const { inputs } of alarms) {
      const name = String(inputs["name"]).replace("millpond-dev-", "");
      // In the table of symptoms by its own name, or that of its family.
      const shown = [name, name.replace(/^[a-z]+-/, "…-"), name.replace(/-age$/, "-depth")];
      expect(
        shown.some((one) => docs.includes(`\`${one}\``)),
        name,
      ).to.equal(true);
    }
  });

  it("has for each symptom in the docs a command that shows it and one that mends it, with settings that there are", async () => {
    const [docs, settings] = await Promise.all(
      ["docs/operations.md", "Pulumi.yaml"].map((file) => fs.readFile(`${root}${file}`, "utf8")),
    );
    const section = /\n## How a failure shows itself\n(.*?)\n## /s.exec(docs as string)?.[1] ?? "";
    const rows = section
      .split("\n")
      .filter((line) => line.startsWith("| "))
      .slice(2)
      .map((line) => line.split(" | ").map((cell) => cell.replace(/^\| | \|$/g, "")));

    expect(rows.length).to.be.above(15);
    const command = /`(npm run|pulumi|aws|curl) [^`]+`/;
    for (const [symptom, shows, means, mends, ...more] of rows) {
      expect(shows, symptom).to.match(command);
      expect(means, symptom).to.match(/\w/);
      expect(mends, symptom).to.match(command);
      expect(more, symptom).to.deep.equal([]);
      for (const [, setting] of String(mends).matchAll(/pulumi config set (\w+)/g)) {
        expect(settings, symptom).to.match(new RegExp(`^  ${setting}:`, "m"));
      }
    }
  });

  describe("its deployer's policy", () => {
    const place = { partition: "aws", region, account };
    const planned = (built: Built<unknown>) =>
      built
        .everything()
        .filter(({ type }) => !/^(millpond|pulumi):/.test(type))
        .map(({ type, inputs }) => ({ type, inputs, id: undefined }));

    const imageUri = `${account}.dkr.ecr.${region}.amazonaws.com/millpond-dev-functions@sha256:${"a".repeat(64)}`;
    type Policy = ReturnType<typeof deployerPolicy>;
    const allowedBy = (policy: Policy) =>
      policy.flatMap((one) => (one.Effect === "Allow" ? [one] : []));
    const deniedBy = (policy: Policy) =>
      policy.flatMap((one) => (one.Effect === "Deny" ? [one] : []));

    it("names what the stack has, and nothing of others but where AWS knows no name", async () => {
      const built = await run("dev", { encryptTopic: "true", imageUri });
      const policy = allowedBy(deployerPolicy(planned(built), place));

      const wide = policy.filter(({ Resource = [] }) =>
        Resource.some((arn) => !/millpond-dev-|\/millpond\/dev\//.test(arn)),
      );
      expect(wide.map(({ Sid }) => Sid)).to.deep.equal([
        ...["Api", "ApiLog", "Keys", "LogGroups", "NewApi", "NewKeys", "ParameterList"],
        ...["SavedQueries", "Subscriptions"],
      ]);
      const actions = policy.flatMap(({ Action }) => Action);
      expect(actions.filter((action) => action.includes("*"))).to.deep.equal([]);
      // The data stays.
      expect(actions).to.not.include("s3:DeleteBucket");
      expect(actions).to.not.include("s3:DeleteObject");
    });

    it("harms no key before it knows which is the stack's", async () => {
      const built = await run("dev", { encryptTopic: "true", imageUri });
      const keyActions = (resources: PlannedResource[]) =>
        allowedBy(deployerPolicy(resources, place))
          .filter(({ Sid }) => Sid !== "NewKeys")
          .flatMap(({ Action, Resource = [] }) =>
            Action.filter((one) => one.startsWith("kms:")).map((one) => `${one} ${Resource}`),
          );
      const arn = (id: string) => `arn:aws:kms:${region}:${account}:key/${id}`;

      expect(keyActions(planned(built))).to.have.members(
        [
          ...["kms:DescribeKey", "kms:GetKeyPolicy", "kms:GetKeyRotationStatus"],
          ...["kms:ListResourceTags", "kms:EnableKeyRotation", "kms:TagResource"],
        ].map((action) => `${action} ${arn("*")}`),
      );
      const known = planned(built).map((one) => ({
        ...one,
        id: one.type === "aws:kms/key:Key" ? "1234-abcd" : undefined,
      }));
      expect(keyActions(known)).to.include(`kms:ScheduleKeyDeletion ${arn("1234-abcd")}`);
      expect(keyActions(known).filter((one) => !one.endsWith(arn("1234-abcd")))).to.deep.equal([]);
    });

    it("leaves nothing to gain in the policies that it writes: on the stack's own it denies all else", async () => {
      const built = await run("dev", { encryptTopic: "true", imageUri });
      const resources = planned(built).map((one) => ({
        ...one,
        id: one.type === "aws:kms/key:Key" ? "1234-abcd" : undefined,
      }));
      // Its rights on objects are none on those of the data.
      const state = stateAt("s3://states", "millpond", "dev");
      const policy = deployerPolicy([...resources, ...state], place);

      const denied = deniedBy(policy);
      const data = `arn:aws:s3:::${bucketName}`;
      expect(denied.map(({ Sid }) => Sid)).to.deep.equal([
        ...[
          "BucketOnly",
          "FunctionsOnly",
          "NamedKeysOnly",
          "QueuesOnly",
          "RolesOnly",
          "TopicsOnly",
        ],
      ]);
      expect(denied[0]?.Resource).to.deep.equal([data, `${data}/*`]);
      const everything = denied.flatMap(({ NotAction }) => NotAction);
      for (const gained of [
        ...["s3:GetObject", "s3:PutObject", "s3:DeleteObject", "s3:DeleteBucket"],
        ...["lambda:InvokeFunction", "sts:AssumeRole", "iam:AttachRolePolicy"],
        ...["sqs:ReceiveMessage", "sns:Publish", "kms:Decrypt"],
      ]) {
        expect(everything).to.not.include(gained);
      }
      // Whoever can set a policy there is denied the rest; and what is allowed is not denied.
      const setting =
        /:(PutBucketPolicy|AddPermission|PutKeyPolicy|UpdateAssumeRolePolicy)$|^(sqs:SetQueue|sns:SetTopic)Attributes$/;
      for (const { Action, Resource = [] } of allowedBy(policy)) {
        for (const arn of Resource.filter((one) =>
          denied.some((deny) => deny.Resource.includes(one)),
        )) {
          const deny = denied.find((one) => one.Resource.includes(arn));
          const service = String(deny?.NotAction[0]?.split(":")[0]);
          expect(deny?.NotAction).to.include.members(
            Action.filter((action) => action.startsWith(`${service}:`)),
          );
        }
        if (!Action.some((action) => setting.test(action))) continue;
        for (const arn of Resource) {
          expect(
            denied.some((deny) => deny.Resource.includes(arn)),
            arn,
          ).to.equal(true);
        }
      }
    });

    it("reads what the program itself looks at where it is for previews, and no secret", async () => {
      const previewOf = async (more: Record<string, string>) =>
        deployerPolicy(planned(await run("dev", more)), place, { previewOnly: true });
      const existing = { bucketName: "theirs", manageNotifications: "true", imageUri };

      const [bucket, ...others] = allowedBy(await previewOf({ imageUri }));
      expect(others).to.deep.equal([]);
      expect(bucket?.Sid).to.equal("Bucket");
      for (const action of bucket?.Action ?? [])
        expect(action).to.match(/^s3:(Get(?!Object)|List)/);
      expect(allowedBy(await previewOf({})).map(({ Sid }) => Sid)).to.deep.equal([
        ...["Bucket", "RegistryLogin"],
      ]);
      buckets.add("theirs");
      expect(await previewOf(existing)).to.deep.equal([
        {
          Sid: "Notifications",
          Effect: "Allow",
          Action: ["s3:GetBucketNotification"],
          Resource: ["arn:aws:s3:::theirs"],
        },
      ]);
    });

    it("gives roles rights only within the boundary, and hands them to services alone", async () => {
      const boundary = "arn:aws:iam::111122223333:policy/millpond";
      const policy = allowedBy(deployerPolicy(planned(await run("dev")), place, { boundary }));

      // Those of iam's actions that know the condition.
      const granting = policy.filter(({ Action }) =>
        Action.some((action) => /^iam:(CreateRole|Put|Attach|Detach|DeleteRoleP)/.test(action)),
      );
      expect(granting.map(({ Condition }) => Condition)).to.deep.equal([
        { StringEquals: { "iam:PermissionsBoundary": boundary } },
      ]);
      const actions = policy.flatMap(({ Action }) => Action);
      expect(actions).to.not.include("iam:DeleteRolePermissionsBoundary");
      const passing = policy.find(({ Action }) => Action.includes("iam:PassRole"));
      expect(passing?.Condition).to.deep.equal({
        StringEquals: {
          "iam:PassedToService": ["lambda.amazonaws.com", "scheduler.amazonaws.com"],
        },
      });
    });

    it("has a boundary within which all roles do their work, and nothing else", async () => {
      const built = await run("dev", { tracing: "true", encryptTopic: "true" });
      const boundary = boundaryPolicy(planned(built), place);

      const [deny, ...others] = deniedBy(boundary);
      expect(others).to.deep.equal([]);
      expect(deny?.Resource).to.deep.equal(["*"]);
      for (const recorded of built.all("aws:iam/rolePolicy:RolePolicy")) {
        const { Statement } = built.policy(recorded) as {
          Statement: { Action: string[]; Resource: string[] }[];
        };
        for (const action of Statement.flatMap(({ Action }) => Action)) {
          const within = allowedBy(boundary).filter(({ Action }) => Action.includes(action));
          expect(within, action).to.have.length(1);
          expect(deny?.NotAction).to.include(action);
        }
      }
      expect(deny?.NotAction.filter((one) => /^(iam|sts):|Bucket|Policy/.test(one))).to.deep.equal([
        "s3:ListBucket",
      ]);
    });

    it("lets functions use a key that is somebody else's, if the boundary is told of it", () => {
      const theirs = `arn:aws:kms:${region}:${account}:key/1234-abcd`;
      const [keys, deny] = boundaryPolicy([], place, { keys: [theirs] });

      expect(keys).to.deep.include({ Resource: [theirs], Effect: "Allow" });
      expect(keys).to.deep.include({ Action: ["kms:Decrypt", "kms:GenerateDataKey"] });
      expect(deny).to.deep.include({ NotAction: ["kms:Decrypt", "kms:GenerateDataKey"] });
    });

    it("can change no policy of a repository that other stages deploy from", async () => {
      const releases = `${account}.dkr.ecr.${region}.amazonaws.com/releases`;
      // What it would build is not built.
      const resources = released(planned(await run("dev")), releases);
      const policy = allowedBy(deployerPolicy(resources, place));

      const ecr = policy.filter(({ Action }) => Action.some((one) => one.startsWith("ecr:")));
      expect(ecr).to.deep.equal([
        {
          Sid: "FunctionImage",
          Effect: "Allow",
          Action: ["ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer", "ecr:GetRepositoryPolicy"],
          Resource: [`arn:aws:ecr:${region}:${account}:repository/releases`],
        },
      ]);
    });

    it("refuses a type of which it knows nothing", () => {
      const queue = { type: "aws:sqs/other:Other", inputs: {}, id: undefined };

      expect(() => deployerPolicy([queue], place)).to.throw(/nothing is known of the rights/);
    });
  });
});
