import { type Architecture, environmentNames } from "../app/contract.ts";
import { secretLike } from "./secret-like.ts";

/** What a preview doesn't know yet, as an ID that AWS will give. */
export const notYet: unique symbol = Symbol("not yet known");

/** A resource as a stack asks for it. */
export interface Resource {
  type: string;
  name: string;
  urn?: string;
  /** Values that a preview doesn't know are `notYet`. */
  props: Record<string, unknown>;
  /** Whether `pulumi destroy` is to refuse to begin. */
  protect: boolean;
  /** URNs of the resources that a property comes from, by its name. @default {} */
  uses?: Readonly<Record<string, readonly string[]>>;
  /** Where Pulumi keeps a secret, as `environment.variables.A`. @default [] */
  secrets?: readonly string[];
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

/**
 * A rule of one resource, or of all together. Both give what is wrong. What one resource shows is a rule of one: it holds before that
 * resource is made even where there was no preview, and where a preview didn't know enough.
 */
export type Rule = About &
  (
    | {
        resource: (resource: Resource, options: RuleOptions) => string[];
        /** Whether it asks for `secrets`. @default false */
        seesSecrets?: boolean;
      }
    | { stack: (resources: readonly Resource[]) => string[] }
  );

const types = {
  dataBucket: "millpond:infra:DataBucket",
  function: "aws:lambda/function:Function",
  logGroup: "aws:cloudwatch/logGroup:LogGroup",
  parameter: "aws:ssm/parameter:Parameter",
  permission: "aws:lambda/permission:Permission",
  queue: "aws:sqs/queue:Queue",
} as const;

/** Some have an older name, too. */
const bucket = /^aws:s3\/bucket(V2)?:/;
const bucketEncryption = /^aws:s3\/bucketServerSideEncryptionConfiguration(V2)?:/;
const bucketAccess = /^aws:s3\/bucketPublicAccessBlock:/;
/** Of a bucket, or of all of the account. */
const access = /^aws:s3\/(bucket|account)PublicAccessBlock:/;

/** Where policies stand that say what somebody may do. */
const identityPolicies: Readonly<Record<string, string>> = {
  "aws:iam/groupPolicy:GroupPolicy": "policy",
  "aws:iam/policy:Policy": "policy",
  "aws:iam/role:Role": "inlinePolicies",
  "aws:iam/rolePolicy:RolePolicy": "policy",
  "aws:iam/userPolicy:UserPolicy": "policy",
};

/** Where policies stand that say who may. */
const resourcePolicies: Readonly<Record<string, string>> = {
  "aws:ecr/repositoryPolicy:RepositoryPolicy": "policy",
  "aws:iam/role:Role": "assumeRolePolicy",
  "aws:kms/key:Key": "policy",
  "aws:kms/keyPolicy:KeyPolicy": "policy",
  "aws:s3/bucket:Bucket": "policy",
  "aws:s3/bucketPolicy:BucketPolicy": "policy",
  "aws:s3/bucketV2:BucketV2": "policy",
  "aws:sns/topic:Topic": "policy",
  "aws:sns/topicPolicy:TopicPolicy": "policy",
  "aws:sqs/queue:Queue": "policy",
  "aws:sqs/queuePolicy:QueuePolicy": "policy",
};

/** Actions for which AWS knows no resource. @see https://docs.aws.amazon.com/service-authorization/latest/reference/list_awsx-ray.html */
const ofNoResource = new Set(["xray:PutTraceSegments", "xray:PutTelemetryRecords"]);

export const rules: readonly Rule[] = [
  {
    name: "no-public-bucket",
    description: "A bucket has an access block of its own.",
    stack: (resources) => {
      const blocks = resources.filter(({ type }) => bucketAccess.test(type));
      return resources
        .filter(({ type }) => bucket.test(type))
        .filter((one) => !blocks.some((block) => isOf(block, one)))
        .map(
          ({ name, props }) => `${name} (${String(props["bucket"])}) does not block public access`,
        );
    },
  },
  {
    name: "no-public-access",
    description: "An access block has no hole, and no access list lets everybody in.",
    resource: ({ type, name, props }) => {
      const holes = access.test(type)
        ? ["blockPublicAcls", "blockPublicPolicy", "ignorePublicAcls", "restrictPublicBuckets"]
            .filter((key) => props[key] !== true && props[key] !== notYet)
            .map((key) => `${name} does not set ${key}`)
        : [];
      return isPublicList(type, props)
        ? [...holes, `${name} has an access list for everybody`]
        : holes;
    },
  },
  {
    name: "no-anonymous-access",
    description: "No policy of a resource lets everybody in.",
    resource: (resource) => [
      ...statementsOf(resource, resourcePolicies)
        .filter(({ Effect }) => Effect === "Allow")
        .filter(
          // Everybody but some is everybody.
          ({ Principal, NotPrincipal }) => NotPrincipal !== undefined || isEverybody(Principal),
        )
        .map(({ Sid }) => `${resource.name}: the statement ${Sid ?? ""} lets everybody in`),
      ...(resource.type === types.permission && resource.props["principal"] === "*"
        ? [`${resource.name} lets everybody in`]
        : []),
    ],
  },
  {
    name: "no-wildcards",
    description: "Who may do something may do it by name, on named resources.",
    resource: (resource) =>
      statementsOf(resource, identityPolicies)
        .filter(({ Effect }) => Effect === "Allow")
        .flatMap(({ Action, Resource: on, NotAction, NotResource }) => {
          const all = list(on).filter(namesNothing);
          const actions = list(Action);
          return [
            ...(NotAction === undefined ? [] : ["all actions but some"]),
            ...(NotResource === undefined ? [] : ["all resources but some"]),
            ...actions.filter((action) => wildcard.test(action)),
            ...(actions.every((action) => ofNoResource.has(action)) ? [] : all),
          ].map((what) => `${resource.name} allows ${what}`);
        }),
  },
  {
    name: "no-managed-policy",
    description: "Nobody has one of AWS's own policies, which allow more than is needed.",
    resource: ({ type, name, props }) =>
      (type.startsWith("aws:iam/")
        ? ["policyArn", "policyArns", "managedPolicyArns"].flatMap((key) => list(props[key]))
        : []
      )
        .filter((arn) => /^arn:[\w-]+:iam::aws:policy\//.test(arn))
        .map((arn) => `${name} has ${arn}`),
  },
  {
    name: "encrypted",
    description: "Queues and parameters are encrypted, and what encrypts a bucket says how.",
    resource: ({ type, name, props }) => {
      const inPlain =
        (type === types.queue &&
          props["sqsManagedSseEnabled"] !== true &&
          props["sqsManagedSseEnabled"] !== notYet &&
          !props["kmsMasterKeyId"]) ||
        (type === types.parameter &&
          props["type"] !== "SecureString" &&
          props["type"] !== notYet) ||
        (bucketEncryption.test(type) && !encrypts(props["rules"]));
      return inPlain ? [`${name} is not encrypted`] : [];
    },
  },
  {
    name: "encrypted-buckets",
    description: "A bucket says how it is encrypted.",
    stack: (resources) => {
      const encryptions = resources.filter(({ type }) => bucketEncryption.test(type));
      return resources
        .filter(({ type }) => bucket.test(type))
        .filter((one) => !encryptions.some((encryption) => isOf(encryption, one)))
        .map(({ name }) => `${name} is not encrypted`);
    },
  },
  {
    name: "logs-end",
    description: "Logs are kept for a time that somebody chose.",
    resource: ({ type, name, props: { retentionInDays: days } }) =>
      type === types.logGroup && days !== notYet && !(Number(days) > 0)
        ? [`${name} keeps its lines for ever`]
        : [],
  },
  {
    name: "logs-of-the-stack",
    description: "No function makes a log group of its own, which would keep its lines for ever.",
    stack: (resources) => {
      const groups = resources.filter(({ type }) => type === types.logGroup);
      const named = new Set(groups.map(({ props }) => props["name"]));
      return functionsOf(resources)
        .filter(({ props, uses }) => {
          const group = record(props["loggingConfig"])["logGroup"];
          if (group !== notYet && props["loggingConfig"] !== notYet) return !named.has(group);
          return !groups.some(
            ({ urn }) => urn !== undefined && uses?.["loggingConfig"]?.includes(urn),
          );
        })
        .map(({ name }) => `${name} logs to no group of this stack`);
    },
  },
  {
    name: "no-secret-in-environment",
    description:
      "No function has a secret in its environment, which everybody can read who may look at it.",
    seesSecrets: true,
    resource: ({ type, name, props, secrets = [] }) => {
      if (type !== types.function) return [];
      const [whole, variables] = ["environment", "environment.variables"] as const;
      // Also where a preview doesn't know it.
      const kept = secrets.flatMap((path) => {
        if (path === whole || path === variables) return ["its environment"];
        return path.startsWith(`${variables}.`) ? [path.slice(variables.length + 1)] : [];
      });
      return [
        ...kept.map((key) => `${name} has a secret in ${key}: Pulumi keeps it as one`),
        ...environmentOf(props)
          .filter(([key]) => !kept.includes(key))
          .flatMap(([key, value]) => {
            const why = secretLike(key, value);
            return why === undefined ? [] : [`${name} has a secret in ${key}: ${why}`];
          }),
      ];
    },
  },
  {
    name: "no-parameter-in-environment",
    description: "No function has the value of one of the stage's secrets in its environment.",
    stack: (resources) => {
      const secrets = resources
        .filter(({ type }) => type === types.parameter)
        .flatMap(({ props: { value } }) => (typeof value === "string" ? parts(value) : []));
      return functionsOf(resources).flatMap(({ name, props }) =>
        environmentOf(props)
          .filter(([, value]) => secrets.some((one) => value.includes(one)))
          .map(([key]) => `${name} has a secret of the stage in ${key}`),
      );
    },
  },
  {
    name: "data-stays",
    description: "No bucket is emptied when its stack goes.",
    resource: ({ type, name, props }) =>
      bucket.test(type) && props["forceDestroy"] === true
        ? [`${name} is emptied by pulumi destroy (forceDestroy)`]
        : [],
  },
  {
    name: "one-architecture",
    description: "All functions run on the same architecture, arm64 unless told otherwise.",
    configurable: ["architecture"],
    resource: ({ type, name, props }, { architecture = "arm64" }) => {
      if (type !== types.function || props["architectures"] === notYet) return [];
      // Lambda's own default.
      const on = list(props["architectures"]).join(", ") || "x86_64";
      return on === architecture ? [] : [`${name} runs on ${on}, not on ${architecture}`];
    },
  },
  {
    name: "protected-data-is-not-public",
    description: "Where data is protected (protectData), nobody may query without being asked who.",
    stack: (resources) =>
      resources.some(
        ({ type, protect, props }) =>
          (bucket.test(type) && protect) ||
          // Somebody else's bucket is no resource of the stack; the component of it is.
          (type === types.dataBucket && props["protect"] === true),
      )
        ? functionsOf(resources)
            .filter(({ props }) =>
              environmentOf(props).some(
                ([key, value]) => key === environmentNames.auth && value === "none",
              ),
            )
            .map(({ name }) => `${name} answers anybody (auth none), and its data is protected`)
        : [],
  },
];

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
  NotPrincipal?: unknown;
}

function statementsOf(
  { type, props }: Resource,
  where: Readonly<Record<string, string>>,
): PolicyStatement[] {
  return Object.hasOwn(where, type) ? statementsIn(props[where[type] ?? ""]) : [];
}

/** @param policy JSON, or what it is made of, or a list of roles' inline policies. Unknown: none */
function statementsIn(policy: unknown): PolicyStatement[] {
  if (typeof policy === "string") return policy === "" ? [] : statementsIn(JSON.parse(policy));
  if (Array.isArray(policy)) return policy.flatMap((one) => statementsIn(record(one)["policy"]));
  const { Statement: all } = record(policy);
  return (
    Array.isArray(all) ? all : all === undefined || all === notYet ? [] : [all]
  ) as PolicyStatement[];
}

/** `*`, or by the kind of principal: a list with it. */
function isEverybody(principal: unknown): boolean {
  return principal === "*" || Object.values(record(principal)).flatMap(list).includes("*");
}

/** S3's canned lists for everybody, and its names of everybody, and of everybody with an account at AWS. */
function isPublicList(type: string, props: Record<string, unknown>): boolean {
  if (!type.startsWith("aws:s3/")) return false;
  const { acl } = props;
  if (typeof acl === "string" && /^(public-|authenticated-)/.test(acl)) return true;
  return JSON.stringify(props).includes("http://acs.amazonaws.com/groups/global/");
}

/** Whether each rule names its algorithm, and there is one. */
function encrypts(encryption: unknown): boolean {
  if (encryption === notYet) return true;
  return (
    Array.isArray(encryption) &&
    encryption.length > 0 &&
    encryption.every((rule) => {
      const { applyServerSideEncryptionByDefault: by } = record(rule);
      return rule === notYet || by === notYet || Boolean(record(by)["sseAlgorithm"]);
    })
  );
}

function list(value: unknown): string[] {
  if (value === undefined) return [];
  return (Array.isArray(value) ? value : [value]).map(String);
}

/** Nothing in what is no object. */
function record(value: unknown): Record<string, unknown> {
  return typeof value === "object" && value !== null ? (value as Record<string, unknown>) : {};
}

const wildcard = /[*?]/;

/** Services whose ARNs begin with the name, where others have the type of resource before it. */
const ofOneType = /^(s3|sns|sqs|execute-api)$/;

/** Whether a wildcard stands before or in the name of a resource. Below that, as in the keys of a bucket, it is one of many parts. */
function namesNothing(resource: string): boolean {
  const [arn, partition, service = "", region, account, ...rest] = resource.split(":");
  // Log groups have slashes in their names.
  const parts = rest
    .join(":")
    .split(service === "logs" ? ":" : /[:/]/)
    .filter(Boolean);
  const name = parts.slice(0, ofOneType.test(service) ? 1 : 2);
  return wildcard.test([arn, partition, service, region, account, ...name].join(":"));
}

function functionsOf(resources: readonly Resource[]): Resource[] {
  return resources.filter(({ type }) => type === types.function);
}

/** Variables and their values, without those that are not known yet. */
function environmentOf(props: Record<string, unknown>): [string, string][] {
  return Object.entries(record(record(props["environment"])["variables"])).flatMap(
    ([key, value]) => (typeof value === "symbol" ? [] : [[key, String(value)]]),
  );
}

/**
 * Whether something is a bucket's: by its name, or, where a preview doesn't know that, by coming from the bucket, or from where the
 * bucket's own name comes from.
 */
function isOf(part: Resource, whole: Resource): boolean {
  const { bucket: named } = part.props;
  if (named !== notYet) {
    return named !== undefined && [whole.props["bucket"], whole.props["id"]].includes(named);
  }
  const from = part.uses?.["bucket"] ?? [];
  return from.some((urn) => urn === whole.urn || whole.uses?.["bucket"]?.includes(urn));
}
