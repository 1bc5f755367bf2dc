import { type Architecture, environmentNames } from "../app/contract.ts";

/** A resource as a stack asks for it. */
export interface Resource {
  type: string;
  name: string;
  props: Record<string, unknown>;
  /** Whether `pulumi destroy` is to refuse to begin. */
  protect: boolean;
}

/** What a rule may be told: `pulumi up --policy-pack-config`. */
export interface RuleOptions {
  /** @default "arm64" */
  architecture?: Architecture;
}

interface About {
  name: string;
  description: string;
  configurable?: readonly (keyof RuleOptions)[];
}

/** A rule of one resource, or of all together. Both give what is wrong. */
export type Rule = About &
  (
    | { resource: (resource: Resource, options: RuleOptions) => string[] }
    | { stack: (resources: readonly Resource[]) => string[] }
  );

const types = {
  bucket: "aws:s3/bucket:Bucket",
  bucketAccess: "aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock",
  bucketEncryption:
    "aws:s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration",
  function: "aws:lambda/function:Function",
  logGroup: "aws:cloudwatch/logGroup:LogGroup",
  parameter: "aws:ssm/parameter:Parameter",
  queue: "aws:sqs/queue:Queue",
} as const;

/** Where policies stand that say what somebody may do. */
const identityPolicies: Readonly<Record<string, string>> = {
  "aws:iam/groupPolicy:GroupPolicy": "policy",
  "aws:iam/policy:Policy": "policy",
  "aws:iam/rolePolicy:RolePolicy": "policy",
  "aws:iam/userPolicy:UserPolicy": "policy",
};

/** Where policies stand that say who may. */
const resourcePolicies: Readonly<Record<string, string>> = {
  "aws:iam/role:Role": "assumeRolePolicy",
  "aws:kms/key:Key": "policy",
  "aws:s3/bucketPolicy:BucketPolicy": "policy",
  "aws:sns/topicPolicy:TopicPolicy": "policy",
  "aws:sqs/queuePolicy:QueuePolicy": "policy",
};

/** Actions for which AWS knows no resource. @see https://docs.aws.amazon.com/service-authorization/latest/reference/list_awsx-ray.html */
const ofNoResource = new Set(["xray:PutTraceSegments", "xray:PutTelemetryRecords"]);

export const rules: readonly Rule[] = [
  {
    name: "no-public-bucket",
    description: "A bucket is closed to the public by its own access block, and its policy.",
    stack: (resources) => {
      const blocked = bucketsOf(resources, types.bucketAccess, ({ props }) =>
        ["blockPublicAcls", "blockPublicPolicy", "ignorePublicAcls", "restrictPublicBuckets"].every(
          (key) => props[key] === true,
        ),
      );
      return resources
        .filter(({ type }) => type === types.bucket)
        .filter(({ props }) => !blocked.has(props["bucket"]))
        .map(
          ({ name, props }) => `${name} (${String(props["bucket"])}) does not block public access`,
        );
    },
  },
  {
    name: "no-anonymous-access",
    description: "No policy of a resource lets everybody in.",
    resource: (resource) =>
      statementsOf(resource, resourcePolicies)
        .filter(({ Effect }) => Effect === "Allow")
        .filter(({ Principal }) => Principal === "*" || list(aws(Principal)).includes("*"))
        .map(({ Sid }) => `${resource.name}: the statement ${Sid ?? ""} lets everybody in`),
  },
  {
    name: "no-wildcards",
    description: "Who may do something may do it by name, on named resources.",
    resource: (resource) =>
      statementsOf(resource, identityPolicies)
        .filter(({ Effect }) => Effect === "Allow")
        .flatMap(({ Action, Resource: on, NotAction, NotResource }) => {
          const all = list(on).filter(isEverything);
          const actions = list(Action);
          return [
            ...(NotAction === undefined ? [] : ["all actions but some"]),
            ...(NotResource === undefined ? [] : ["all resources but some"]),
            ...actions.filter((action) => action.includes("*")),
            ...(actions.every((action) => ofNoResource.has(action)) ? [] : all),
          ].map((what) => `${resource.name} allows ${what}`);
        }),
  },
  {
    name: "no-managed-policy",
    description: "No role has one of AWS's own policies, which allow more than it needs.",
    resource: ({ type, name, props }) => {
      const attached = type === "aws:iam/rolePolicyAttachment:RolePolicyAttachment";
      const arns = attached ? [props["policyArn"]] : list(props["managedPolicyArns"]);
      return arns
        .filter((arn) => /^arn:[\w-]+:iam::aws:policy\//.test(String(arn)))
        .map((arn) => `${name} has ${String(arn)}`);
    },
  },
  {
    name: "encrypted",
    description: "Buckets, queues and parameters are encrypted.",
    stack: (resources) => {
      const encrypted = bucketsOf(resources, types.bucketEncryption, ({ props }) =>
        Array.isArray(props["rules"]),
      );
      return resources
        .filter(({ type, props }) => {
          if (type === types.bucket) return !encrypted.has(props["bucket"]);
          if (type === types.queue) {
            return props["sqsManagedSseEnabled"] !== true && !props["kmsMasterKeyId"];
          }
          return type === types.parameter && props["type"] !== "SecureString";
        })
        .map(({ name }) => `${name} is not encrypted`);
    },
  },
  {
    name: "logs-end",
    description: "Logs are kept for a time that somebody chose, and no function makes its own.",
    stack: (resources) => {
      const groups = resources.filter(({ type }) => type === types.logGroup);
      const names = new Set(groups.map(({ props }) => props["name"]));
      return [
        ...groups
          .filter(({ props }) => !(Number(props["retentionInDays"]) > 0))
          .map(({ name }) => `${name} keeps its lines for ever`),
        ...functionsOf(resources)
          .filter(({ props }) => {
            const logging = props["loggingConfig"] as { logGroup?: string } | undefined;
            return !names.has(logging?.logGroup);
          })
          .map(({ name }) => `${name} logs to no group of this stack`),
      ];
    },
  },
  {
    name: "no-secret-in-environment",
    description:
      "No function has a secret in its environment, which everybody can read who may look at it.",
    stack: (resources) => {
      const secrets = resources
        .filter(({ type }) => type === types.parameter)
        .flatMap(({ props }) => parts(String(props["value"] ?? "")));
      return functionsOf(resources).flatMap(({ name, props }) =>
        Object.entries(environmentOf(props))
          .filter(
            ([, value]) => looksSecret.test(value) || secrets.some((one) => value.includes(one)),
          )
          .map(([key]) => `${name} has a secret in ${key}`),
      );
    },
  },
  {
    name: "data-stays",
    description: "No bucket is emptied when its stack goes.",
    resource: ({ type, name, props }) =>
      type === types.bucket && props["forceDestroy"] === true
        ? [`${name} is emptied by pulumi destroy (forceDestroy)`]
        : [],
  },
  {
    name: "one-architecture",
    description: "All functions run on the same architecture, arm64 unless told otherwise.",
    configurable: ["architecture"],
    resource: ({ type, name, props }, { architecture = "arm64" }) => {
      if (type !== types.function) return [];
      // Lambda's own default.
      const on = list(props["architectures"]).join(", ") || "x86_64";
      return on === architecture ? [] : [`${name} runs on ${on}, not on ${architecture}`];
    },
  },
  {
    name: "protected-data-is-not-public",
    description: "Where data is protected (protectData), nobody may query without being asked who.",
    stack: (resources) =>
      resources.some(({ type, protect }) => type === types.bucket && protect)
        ? functionsOf(resources)
            .filter(({ props }) => environmentOf(props)[environmentNames.auth] === "none")
            .map(({ name }) => `${name} answers anybody (auth none), and its data is protected`)
        : [],
  },
];

/** Keys of AWS, private keys, and tokens of well-known services. */
const looksSecret =
  /\b(AKIA|ASIA)[A-Z0-9]{16}\b|-----BEGIN [A-Z ]*PRIVATE KEY|\bgh[pousr]_\w{36}|\bxox[bpas]-\w{10}/;

/** What is short is found everywhere. */
const leastSecretLength = 8;

/** A secret may be one text, or a JSON object of texts: each of them is secret. */
function parts(value: string): string[] {
  const texts = [value];
  if (value.startsWith("{")) {
    try {
      texts.push(...Object.values(JSON.parse(value) as object).map(String));
    } catch {
      // No JSON: it is one text.
    }
  }
  return texts.filter(({ length }) => length >= leastSecretLength);
}

interface PolicyStatement {
  Sid?: string;
  Effect?: string;
  Action?: unknown;
  NotAction?: unknown;
  Resource?: unknown;
  NotResource?: unknown;
  Principal?: unknown;
}

function statementsOf(
  { type, props }: Resource,
  where: Readonly<Record<string, string>>,
): PolicyStatement[] {
  const policy = Object.hasOwn(where, type) ? props[where[type] ?? ""] : undefined;
  // In a preview what depends on others is not known yet.
  if (typeof policy !== "string") return [];
  const { Statement } = JSON.parse(policy) as { Statement?: PolicyStatement | PolicyStatement[] };
  return Array.isArray(Statement) ? Statement : Statement === undefined ? [] : [Statement];
}

function aws(principal: unknown): unknown {
  return (principal as { AWS?: unknown } | undefined)?.AWS;
}

function list(value: unknown): string[] {
  if (value === undefined) return [];
  return (Array.isArray(value) ? value : [value]).map(String);
}

/** `*`, or an ARN whose last part is it: the type of resource may stand before. */
function isEverything(resource: string): boolean {
  return resource === "*" || /^(arn:([^:]*:){4})([\w-]+[:/])?\*$/.test(resource);
}

function functionsOf(resources: readonly Resource[]): Resource[] {
  return resources.filter(({ type }) => type === types.function);
}

function environmentOf(props: Record<string, unknown>): Record<string, string> {
  const { variables = {} } = (props["environment"] ?? {}) as {
    variables?: Record<string, unknown>;
  };
  return Object.fromEntries(Object.entries(variables).map(([key, value]) => [key, String(value)]));
}

/** Names of the buckets that have a resource of this type that does. */
function bucketsOf(
  resources: readonly Resource[],
  type: string,
  does: (resource: Resource) => boolean,
): Set<unknown> {
  return new Set(
    resources.filter((one) => one.type === type && does(one)).map(({ props }) => props["bucket"]),
  );
}
