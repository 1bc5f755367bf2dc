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
  { bucket: "data-1", rules: [{ applyServerSideEncryptionByDefault: { sseAlgorithm: "AES256" } }] },
);

/** What is wrong, the rule that says so, and what it says. */
const wrong: [string, Resource[], string, RegExp, RuleOptions?][] = [
  ["a bucket without a block", [bucket(), encryption], "no-public-bucket", /^data \(data-1\)/],
  [
    "a bucket whose block has a hole",
    [bucket(), encryption, access({ blockPublicPolicy: false })],
    "no-public-access",
    /^it does not set blockPublicPolicy/,
  ],
  [
    "a hole in the block of the account",
    [
      resource("aws:s3/accountPublicAccessBlock:AccountPublicAccessBlock", {
        ...{ blockPublicAcls: true, blockPublicPolicy: true, ignorePublicAcls: true },
      }),
    ],
    "no-public-access",
    /restrictPublicBuckets/,
  ],
  [
    "a bucket by its older name",
    [{ ...bucket(), type: "aws:s3/bucketV2:BucketV2" }, encryption],
    "no-public-bucket",
    /^data/,
  ],
  [
    "an access list for everybody",
    [resource("aws:s3/bucketAcl:BucketAcl", { acl: "public-read" })],
    "no-public-access",
    /everybody/,
  ],
  [
    "an access list for everybody with an account",
    [
      resource("aws:s3/bucketAcl:BucketAcl", {
        accessControlPolicy: {
          grants: [
            { grantee: { uri: "http://acs.amazonaws.com/groups/global/AuthenticatedUsers" } },
          ],
        },
      }),
    ],
    "no-public-access",
    /everybody/,
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
  [
    "everybody but some",
    [
      policy("aws:s3/bucketPolicy:BucketPolicy", "policy", {
        ...{
          Effect: "Allow",
          NotPrincipal: { AWS: "arn:aws:iam::1:root" },
          Action: "s3:GetObject",
        },
      }),
    ],
    "no-anonymous-access",
    /everybody/,
  ],
  [
    "everybody by a topic's own policy",
    [policy("aws:sns/topic:Topic", "policy", { Effect: "Allow", Principal: "*" })],
    "no-anonymous-access",
    /everybody/,
  ],
  [
    "a function that everybody may call",
    [resource("aws:lambda/permission:Permission", { principal: "*" })],
    "no-anonymous-access",
    /everybody/,
  ],
  ["all actions of a service", [role(allow("s3:*", "arn:aws:s3:::b/a"))], "no-wildcards", /s3:\*/],
  ["some actions by *", [role(allow(["s3:Get*"], "arn:aws:s3:::b/a"))], "no-wildcards", /s3:Get\*/],
  [
    "some actions by ?",
    [role(allow("s3:Get?bject", "arn:aws:s3:::b/a"))],
    "no-wildcards",
    /\?bject/,
  ],
  ...[
    "arn:aws:s3:::*/*",
    "arn:aws:s3:::*/lake/a",
    "arn:aws:s3:::mill*/a",
    "arn:aws:logs:*:*:log-group:*:*",
    "arn:aws:logs:r:1:log-group:*:*",
    "arn:aws:logs:r:1:log-group:/aws/lambda/*",
    "arn:aws:logs:*:1:log-group:/g:*",
    "arn:aws:lambda:r:*:function:f",
    "arn:aws:sns:r:1:t?",
    "arn:aws:ssm:r:1:parameter/*",
    "arn:*:s3:::b",
    "*:aws:s3:::b",
  ].map((on): (typeof wrong)[number] => [
    `all of ${on}`,
    [role(allow("s3:GetObject", on))],
    "no-wildcards",
    /^it allows .*:.*:/,
  ]),
  [
    "all resources to a role by its own policies",
    [
      resource("aws:iam/role:Role", {
        inlinePolicies: [{ policy: JSON.stringify({ Statement: allow("s3:GetObject", "*") }) }],
      }),
    ],
    "no-wildcards",
    /allows \*$/,
  ],
  [
    "all resources in a policy that is no JSON yet",
    [
      resource("aws:iam/policy:Policy", {
        policy: { Statement: [allow("s3:GetObject", ["arn:aws:s3:::b/a", "*"])] },
      }),
    ],
    "no-wildcards",
    /allows \*$/,
  ],
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
  [
    "one of AWS's own policies by a list",
    [
      resource("aws:iam/role:Role", {
        managedPolicyArns: ["arn:aws:iam::aws:policy/ReadOnlyAccess"],
      }),
    ],
    "no-managed-policy",
    /ReadOnlyAccess/,
  ],
  ["a bucket in plain", [bucket(), access({})], "encrypted-buckets", /^data is not/],
  ...[[], [{}], [{ applyServerSideEncryptionByDefault: {} }]].map(
    (none): (typeof wrong)[number] => [
      `a bucket that is encrypted by ${JSON.stringify(none)}`,
      [bucket(), access({}), { ...encryption, props: { ...encryption.props, rules: none } }],
      "encrypted",
      /^it is not/,
    ],
  ),
  ["a queue in plain", [queue({})], "encrypted", /^it is not/],
  ["a parameter in plain", [parameter({ type: "String" })], "encrypted", /^it is not/],
  ["a log without an end", [logGroup({})], "logs-end", /for ever/],
  [
    "a function that makes its own log",
    [fn({ architectures: ["arm64"] }), kept],
    "logs-of-the-stack",
    /no group of this stack/,
  ],
  [
    "a token of the stage in an environment",
    [kept, secret, fn({ ...arm, environment: { variables: { A: "x-0123456789abcdef" } } })],
    "no-parameter-in-environment",
    /^it has a secret of the stage in A$/,
  ],
  [
    "a key of AWS in an environment",
    [kept, fn({ ...arm, environment: { variables: { K: "AKIAIOSFODNN7EXAMPLE" } } })],
    "no-secret-in-environment",
    /in K: it has the form/,
  ],
  [
    "a password in an environment",
    [kept, fn({ ...arm, environment: { variables: { DB_PASSWORD: "correct-horse-battery" } } })],
    "no-secret-in-environment",
    /^it has a secret in DB_PASSWORD: its name says so$/,
  ],
  [
    "what Pulumi keeps secret",
    [
      kept,
      {
        ...fn({ ...arm, environment: { variables: { DSN: "x" } } }),
        secrets: ["environment.variables.DSN"],
      },
    ],
    "no-secret-in-environment",
    /^it has a secret in DSN: Pulumi keeps it as one$/,
  ],
  [
    "a bucket that is emptied",
    [bucket({ forceDestroy: true }), access({}), encryption],
    "data-stays",
    /forceDestroy/,
  ],
  [
    "a bucket that is emptied, by its older name",
    [
      { ...bucket({ forceDestroy: true }), type: "aws:s3/bucketV2:BucketV2" },
      access({}),
      encryption,
    ],
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
  [
    "protected data of somebody else's bucket for anybody",
    [
      resource("millpond:infra:DataBucket", { protect: true }),
      kept,
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
      role(allow("ssm:GetParameter", "arn:aws:ssm:r:1:parameter/millpond/dev/*")),
      role(allow("execute-api:Invoke", "arn:aws:execute-api:r:1:a1b2c3/*")),
      role(allow("lambda:InvokeFunction", "arn:aws:lambda:r:1:function:f:*")),
      resource("aws:lambda/permission:Permission", { principal: "s3.amazonaws.com" }),
      resource("aws:s3/bucketAcl:BucketAcl", { acl: "private" }),
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
