import { expect } from "chai";
import { account, type Built, build, region } from "../../../test/infra/build.ts";
import { found } from "../../../test/policy/found.ts";

describe("the program of examples/orders", () => {
  const subscribers = ["payment", "stock", "shipping"] as const;
  const topicArn = `arn:aws:sns:${region}:${account}:orders-dev-orders`;
  const functionType = "aws:lambda/function:Function";
  let runs = 0;
  let built: Built<unknown>;

  before(async () => {
    built = await run();
  });

  async function run(config: Record<string, string> = {}): Promise<Built<unknown>> {
    runs += 1;
    return await build(() => import(`../index.ts?run=${runs}`), {
      project: "orders",
      config: { architecture: "arm64", ...config },
    });
  }

  it("tells each subscriber of its orders alone, by their message", () => {
    const filters = built
      .all("aws:sns/topicSubscription:TopicSubscription")
      .map(({ name, inputs }) => [
        name,
        inputs["topic"],
        inputs["filterPolicyScope"],
        JSON.parse(String(inputs["filterPolicy"])),
      ]);

    expect(filters).to.have.deep.members([
      ["payment-subscription", topicArn, "MessageBody", { event: ["placed"] }],
      [
        "stock-subscription",
        topicArn,
        "MessageBody",
        { event: ["placed"], delivery: ["pickup", "parcel"] },
      ],
      ["shipping-subscription", topicArn, "MessageBody", { event: ["paid"], delivery: ["parcel"] }],
    ]);
  });

  it("keeps claims in a table whose items go by themselves", () => {
    expect(built.one("aws:dynamodb/table:Table").inputs).to.deep.equal({
      name: "orders-dev-claims",
      billingMode: "PAY_PER_REQUEST",
      hashKey: "id",
      attributes: [{ name: "id", type: "S" }],
      ttl: { attributeName: "expires", enabled: true },
      tags: { project: "orders", stack: "dev", "managed-by": "pulumi" },
    });
  });

  for (const name of subscribers) {
    it(`lets ${name} claim under its own keys${name === "payment" ? ", publish," : ""} and nothing else`, () => {
      const statements = built
        .all("aws:iam/rolePolicy:RolePolicy")
        .filter(({ inputs }) => inputs["role"] === `${name}-role-id`)
        .flatMap((one) => (built.policy(one) as { Statement: unknown[] }).Statement);

      expect(statements).to.have.deep.members([
        {
          Sid: "Log",
          Effect: "Allow",
          Action: ["logs:CreateLogStream", "logs:PutLogEvents"],
          Resource: [
            `arn:aws:cloudwatch:${region}:${account}:/aws/lambda/orders-dev-${name}-image:*`,
          ],
        },
        {
          Sid: "Failures",
          Effect: "Allow",
          Action: ["sqs:SendMessage"],
          Resource: [`arn:aws:sqs:${region}:${account}:orders-dev-${name}-failures`],
        },
        {
          Sid: "Claim",
          Effect: "Allow",
          Action: ["dynamodb:PutItem", "dynamodb:UpdateItem", "dynamodb:DeleteItem"],
          Resource: [`arn:aws:dynamodb:${region}:${account}:orders-dev-claims`],
          Condition: { "ForAllValues:StringLike": { "dynamodb:LeadingKeys": [`${name}#*`] } },
        },
        ...(name === "payment"
          ? [{ Sid: "Publish", Effect: "Allow", Action: ["sns:Publish"], Resource: [topicArn] }]
          : []),
      ]);
    });
  }

  it("runs a function of one image for each, which has less time than Lambda waits to try again", () => {
    const functions = built.all(functionType).map(({ inputs }) => inputs);

    expect(functions.map(({ imageConfig }) => imageConfig)).to.have.deep.members(
      subscribers.map((name) => ({ commands: [`index.${name}`] })),
    );
    for (const inputs of functions) expect(inputs["timeout"]).to.be.below(60);
    for (const { inputs } of built.all(
      "aws:lambda/functionEventInvokeConfig:FunctionEventInvokeConfig",
    )) {
      expect(inputs["maximumRetryAttempts"]).to.equal(2);
    }
  });

  it("builds this folder's image, for what the functions run on", async () => {
    const other = await run({ architecture: "x86_64" });

    expect(built.one("awsx:ecr:Image").inputs).to.include({
      context: ".",
      dockerfile: "Dockerfile",
      platform: "linux/arm64",
    });
    expect(other.one("awsx:ecr:Image").inputs["platform"]).to.equal("linux/amd64");
    for (const { inputs } of other.all(functionType)) {
      expect(inputs["architectures"]).to.deep.equal(["x86_64"]);
    }
  });

  it("holds to the policy pack", () => {
    const resources = built.everything().map(({ type, name, inputs }) => ({
      ...{ type, name, protect: false },
      props: JSON.parse(JSON.stringify(inputs)) as Record<string, unknown>,
    }));

    expect(found(resources)).to.deep.equal({});
  });
});
