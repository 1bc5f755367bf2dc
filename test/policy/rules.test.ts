import { expect } from "chai";
import { type Resource, type RuleOptions, rules } from "../../policy/rules.ts";
import { found } from "./found.ts";

const bucket = (props: object = {}, protect = false): Resource => ({
  type: "aws:s3/bucket:Bucket",
  name: "data",
  props: { bucket: "data-1", ...props },
  protect,
});
const resource = (type: string, props: Record<string, unknown>): Resource => ({
  type,
  name: "it",
  props,
  protect: false,
});
const fn = (props: Record<string, unknown>) => resource("aws:lambda/function:Function", props);
const access = (props: object) =>
  resource("aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock", {
    ...{ bucket: "data-1", blockPublicAcls: true, blockPublicPolicy: true },
    ...{ ignorePublicAcls: true, restrictPublicBuckets: true },
    ...props,
  });
const policy = (type: string, key: string, ...Statement: object[]) =>
  resource(type, { [key]: JSON.stringify({ Version: "2012-10-17", Statement }) });
const role = (...statements: object[]) =>
  policy("aws:iam/rolePolicy:RolePolicy", "policy", ...statements);
const allow = (Action: unknown, Resource: unknown) => ({ Effect: "Allow", Action, Resource });
const topic = (Principal: unknown, Effect = "Allow") =>
  policy("aws:sns/topicPolicy:TopicPolicy", "policy", {
    ...{ Sid: "Who", Effect, Principal, Action: "sns:Publish", Resource: "arn:aws:sns:x:1:t" },
  });

const queue = (props: Record<string, unknown>) => resource("aws:sqs/queue:Queue", props);
const parameter = (props: Record<string, unknown>) =>
  resource("aws:ssm/parameter:Parameter", props);
const logGroup = (props: Record<string, unknown>) =>
  resource("aws:cloudwatch/logGroup:LogGroup", { name: "/g", ...props });
const arm = { architectures: ["arm64"], loggingConfig: { logGroup: "/g" } };
const kept = logGroup({ retentionInDays: 30 });
const secret = parameter({ type: "SecureString", value: '{"alice": "0123456789abcdef"}' });
const encryption = resource(
  "aws:s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration",
  { bucket: "data-1", rules: [{}] },
);

/** What is wrong, the rule that says so, and what it says. */
const wrong: [string, Resource[], string, RegExp, RuleOptions?][] = [
  ["a bucket without a block", [bucket(), encryption], "no-public-bucket", /^data \(data-1\)/],
  [
    "a bucket whose block has a hole",
    [bucket(), encryption, access({ blockPublicPolicy: false })],
    "no-public-bucket",
    /^data/,
  ],
  [
    "a block of another bucket",
    [bucket(), encryption, access({ bucket: "data-2" })],
    "no-public-bucket",
    /^data/,
  ],
  ["everybody by *", [topic("*")], "no-anonymous-access", /^it: the statement Who lets everybody/],
  ["everybody of AWS", [topic({ AWS: ["*"] })], "no-anonymous-access", /everybody/],
  [
    "a role that everybody may take on",
    [
      policy("aws:iam/role:Role", "assumeRolePolicy", {
        Effect: "Allow",
        Principal: { AWS: "*" },
        Action: "sts:AssumeRole",
      }),
    ],
    "no-anonymous-access",
    /everybody/,
  ],
  ["all actions of a service", [role(allow("s3:*", "arn:aws:s3:::b/a"))], "no-wildcards", /s3:\*/],
  ["some actions by *", [role(allow(["s3:Get*"], "arn:aws:s3:::b/a"))], "no-wildcards", /s3:Get\*/],
  ["all resources", [role(allow("s3:GetObject", "*"))], "no-wildcards", /allows \*$/],
  [
    "all buckets",
    [role(allow("s3:GetObject", ["arn:aws:s3:::b/a", "arn:aws:s3:::*"]))],
    "no-wildcards",
    /arn:aws:s3:::\*$/,
  ],
  [
    "all functions",
    [role(allow("lambda:InvokeFunction", "arn:aws:lambda:r:1:function:*"))],
    "no-wildcards",
    /function:\*$/,
  ],
  [
    "X-Ray beside something else on all resources",
    [role(allow(["xray:PutTraceSegments", "s3:GetObject"], "*"))],
    "no-wildcards",
    /allows \*$/,
  ],
  [
    "all actions but some",
    [role({ Effect: "Allow", NotAction: "iam:*", Resource: "arn:aws:s3:::b" })],
    "no-wildcards",
    /all actions but some/,
  ],
  [
    "one of AWS's own policies",
    [
      resource("aws:iam/rolePolicyAttachment:RolePolicyAttachment", {
        policyArn: "arn:aws:iam::aws:policy/AdministratorAccess",
      }),
    ],
    "no-managed-policy",
    /it has arn:aws:iam::aws:policy\/AdministratorAccess/,
  ],
  ["a bucket in plain", [bucket(), access({})], "encrypted", /^data is not/],
  ["a queue in plain", [queue({})], "encrypted", /^it is not/],
  ["a parameter in plain", [parameter({ type: "String" })], "encrypted", /^it is not/],
  ["a log without an end", [logGroup({})], "logs-end", /for ever/],
  [
    "a function that makes its own log",
    [fn({ architectures: ["arm64"] }), kept],
    "logs-end",
    /no group of this stack/,
  ],
  [
    "a token of the stage in an environment",
    [kept, secret, fn({ ...arm, environment: { variables: { A: "x-0123456789abcdef" } } })],
    "no-secret-in-environment",
    /^it has a secret in A$/,
  ],
  [
    "a key of AWS in an environment",
    [kept, fn({ ...arm, environment: { variables: { K: "AKIAIOSFODNN7EXAMPLE" } } })],
    "no-secret-in-environment",
    /in K$/,
  ],
  [
    "a bucket that is emptied",
    [bucket({ forceDestroy: true }), access({}), encryption],
    "data-stays",
    /forceDestroy/,
  ],
  [
    "another architecture",
    [kept, fn({ ...arm, architectures: ["x86_64"] })],
    "one-architecture",
    /runs on x86_64, not on arm64/,
  ],
  [
    "no architecture, which is Lambda's own",
    [kept, fn({ ...arm, architectures: undefined })],
    "one-architecture",
    /x86_64/,
  ],
  [
    "arm64 where all is x86_64",
    [kept, fn(arm)],
    "one-architecture",
    /not on x86_64/,
    { architecture: "x86_64" },
  ],
  [
    "protected data for anybody",
    [
      bucket({}, true),
      ...[access({}), encryption, kept],
      fn({ ...arm, environment: { variables: { MILLPOND_AUTH: "none" } } }),
    ],
    "protected-data-is-not-public",
    /auth none/,
  ],
];

describe("the policy pack", () => {
  for (const [what, resources, rule, message, options] of wrong) {
    it(`refuses ${what}`, () => {
      const violations = found(resources, options);

      expect(Object.keys(violations)).to.deep.equal([rule]);
      expect(violations[rule]).to.have.length(1);
      expect(violations[rule]?.[0]).to.match(message);
    });
  }

  it("has a case for each rule", () => {
    const tried = new Set(wrong.map(([, , rule]) => rule));

    expect([...tried]).to.have.members(rules.map(({ name }) => name));
  });

  it("takes what only looks alike", () => {
    const fine = [
      topic("*", "Deny"),
      topic({ Service: "s3.amazonaws.com" }),
      role(allow("s3:GetObject", "arn:aws:s3:::b/lake/*")),
      role(allow("logs:PutLogEvents", "arn:aws:logs:r:1:log-group:/g:*")),
      role(allow(["xray:PutTraceSegments", "xray:PutTelemetryRecords"], "*")),
      role({ Effect: "Deny", Action: "*", Resource: "*" }),
      // Not known before it is deployed.
      resource("aws:iam/rolePolicy:RolePolicy", { policy: undefined }),
      queue({ kmsMasterKeyId: "k" }),
      ...[bucket(), access({}), encryption, kept, secret],
      fn({ ...arm, environment: { variables: { MILLPOND_AUTH: "none", P: "/millpond/dev/" } } }),
    ];

    expect(found(fine)).to.deep.equal({});
  });
});
