/** A resource of the stack, as Pulumi plans it. */
export interface PlannedResource {
  type: string;
  inputs: Record<string, unknown>;
  /** What AWS knows it by. Undefined before it is deployed. */
  id: string | undefined;
}

/** Where the stack is. */
export interface Place {
  partition: string;
  region: string;
  account: string;
}

/** What a deployer needs for resources of a type: one statement of a policy, once all that have its name are put together. */
export interface Rights {
  sid: string;
  resources: (resource: PlannedResource, place: Place) => string[];
  /** What the provider looks at while it deploys, refreshes and destroys. */
  read: readonly string[];
  /** To deploy and destroy. */
  write: readonly string[];
  /** To preview. A preview that refreshes nothing takes what there is from the state: it looks at what the program itself looks at. */
  preview?: readonly string[];
  /**
   * Whether it has a policy of its own, which a deployer writes and may name itself in. Then all else is denied it there: a Deny of its own
   * policy beats what any other policy allows.
   */
  closed?: true;
  /** What functions do with it, at most: the bound of what their roles may be given. */
  used?: readonly string[];
  condition?: Record<string, Record<string, string | string[]>>;
}

const text = ({ inputs }: PlannedResource, key: string) => String(inputs[key]);
const everything = () => ["*"];

const bucketArn =
  (key = "bucket") =>
  (resource: PlannedResource, { partition }: Place) => [
    `arn:${partition}:s3:::${text(resource, key)}`,
  ];
const named =
  (service: string, before = "", key = "name") =>
  (resource: PlannedResource, { partition, region, account }: Place) => [
    `arn:${partition}:${service}:${region}:${account}:${before}${text(resource, key)}`,
  ];
const roleArn = (resource: PlannedResource, { partition, account }: Place) => [
  `arn:${partition}:iam::${account}:role/${text(resource, "name")}`,
];

/**
 * Those of a bucket, with what its provider looks at beside what the stack sets. No right to delete the bucket, or an object: both stay.
 */
const bucketRead = [
  "s3:GetAccelerateConfiguration",
  "s3:GetBucketAcl",
  "s3:GetBucketCORS",
  "s3:GetBucketLocation",
  "s3:GetBucketLogging",
  "s3:GetBucketNotification",
  "s3:GetBucketObjectLockConfiguration",
  "s3:GetBucketOwnershipControls",
  "s3:GetBucketPolicy",
  "s3:GetBucketPublicAccessBlock",
  "s3:GetBucketRequestPayment",
  "s3:GetBucketTagging",
  "s3:GetBucketVersioning",
  "s3:GetBucketWebsite",
  "s3:GetEncryptionConfiguration",
  "s3:GetLifecycleConfiguration",
  "s3:GetReplicationConfiguration",
  "s3:ListBucket",
  "s3:ListTagsForResource",
];

const bucket: Rights = {
  sid: "Bucket",
  // The bucket's policy may speak of the objects, too.
  closed: true,
  resources: bucketArn(),
  read: bucketRead,
  // The program looks whether it is there, and one that an earlier stack left is imported.
  preview: bucketRead,
  write: [
    "s3:CreateBucket",
    "s3:PutBucketCORS",
    "s3:PutBucketNotification",
    "s3:PutBucketOwnershipControls",
    "s3:PutBucketPolicy",
    "s3:PutBucketPublicAccessBlock",
    "s3:PutBucketTagging",
    "s3:PutBucketVersioning",
    "s3:PutEncryptionConfiguration",
    "s3:PutLifecycleConfiguration",
    "s3:TagResource",
    "s3:UntagResource",
  ],
  used: ["s3:ListBucket"],
};

const objects: Rights = {
  sid: "Objects",
  resources: (resource, place) => bucketArn()(resource, place).map((arn) => `${arn}/*`),
  read: [],
  write: [],
  used: ["s3:AbortMultipartUpload", "s3:DeleteObject", "s3:GetObject", "s3:PutObject"],
};

const notificationRead = [
  "s3:GetBucketLocation",
  "s3:GetBucketNotification",
  "s3:GetBucketTagging",
  "s3:ListBucket",
];

/** Of a bucket that may be somebody else's. */
const notification: Rights = {
  sid: "Notifications",
  resources: bucketArn(),
  read: notificationRead,
  // The program looks whom a bucket tells that was there before.
  preview: ["s3:GetBucketNotification"],
  write: ["s3:PutBucketNotification"],
};

const role: Rights = {
  sid: "Roles",
  // Its own policy is who may take it on.
  closed: true,
  resources: roleArn,
  read: [
    "iam:GetRole",
    "iam:GetRolePolicy",
    "iam:ListAttachedRolePolicies",
    "iam:ListInstanceProfilesForRole",
    "iam:ListRolePolicies",
  ],
  write: ["iam:DeleteRole", "iam:TagRole", "iam:UntagRole", "iam:UpdateAssumeRolePolicy"],
};

/**
 * What changes a role's rights: apart, as a boundary is asked for here.
 * @see https://docs.aws.amazon.com/service-authorization/latest/reference/list_awsidentityandaccessmanagementiam.html which know that condition
 */
const roleGrants: Rights = {
  sid: "RoleGrants",
  resources: roleArn,
  read: [],
  write: [
    "iam:CreateRole",
    "iam:DeleteRolePolicy",
    "iam:PutRolePermissionsBoundary",
    "iam:PutRolePolicy",
  ],
};

const passRole: Rights = {
  sid: "PassRoles",
  resources: roleArn,
  read: [],
  write: ["iam:PassRole"],
  condition: {
    StringEquals: { "iam:PassedToService": ["lambda.amazonaws.com", "scheduler.amazonaws.com"] },
  },
};

const fn: Rights = {
  sid: "Functions",
  closed: true,
  resources: named("lambda", "function:"),
  read: [
    "lambda:GetFunction",
    "lambda:GetFunctionCodeSigningConfig",
    "lambda:GetFunctionConcurrency",
    "lambda:GetFunctionConfiguration",
    "lambda:GetFunctionEventInvokeConfig",
    "lambda:GetPolicy",
    "lambda:ListTags",
    "lambda:ListVersionsByFunction",
  ],
  write: [
    "lambda:AddPermission",
    "lambda:CreateFunction",
    "lambda:DeleteFunction",
    "lambda:DeleteFunctionConcurrency",
    "lambda:DeleteFunctionEventInvokeConfig",
    "lambda:PutFunctionConcurrency",
    "lambda:PutFunctionEventInvokeConfig",
    "lambda:RemovePermission",
    "lambda:TagResource",
    "lambda:UntagResource",
    "lambda:UpdateFunctionCode",
    "lambda:UpdateFunctionConfiguration",
    "lambda:UpdateFunctionEventInvokeConfig",
  ],
  used: ["lambda:InvokeFunction"],
};

const tracing: Rights = {
  sid: "Tracing",
  resources: ({ inputs }) =>
    (inputs["tracingConfig"] as { mode?: string } | undefined)?.mode === "Active" ? ["*"] : [],
  read: [],
  write: [],
  used: ["xray:PutTelemetryRecords", "xray:PutTraceSegments"],
};

const repositoryArn =
  (key: string) =>
  (resource: PlannedResource, { partition }: Place) => {
    const [, account, region, name] =
      /^(\d{12})\.dkr\.ecr\.([\w-]+)\.[^/]+\/([^@:]+)/.exec(text(resource, key)) ?? [];
    return name === undefined
      ? []
      : [`arn:${partition}:ecr:${region}:${account}:repository/${name}`];
  };

/**
 * Lambda looks for an image by the rights of whoever makes the function. It would write the repository's policy, too, where that does not
 * let it pull; but who may do so in a repository that others deploy from may let itself replace what they run.
 * @see https://docs.aws.amazon.com/lambda/latest/dg/images-create.html#gettingstarted-images-permissions
 */
const functionImage: Rights = {
  sid: "FunctionImage",
  resources: repositoryArn("imageUri"),
  read: [],
  write: ["ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer", "ecr:GetRepositoryPolicy"],
};

const repository: Rights = {
  sid: "Repository",
  resources: named("ecr", "repository/"),
  read: [
    "ecr:BatchGetImage",
    "ecr:DescribeImages",
    "ecr:DescribeRepositories",
    "ecr:GetLifecyclePolicy",
    "ecr:ListTagsForResource",
  ],
  write: [
    "ecr:BatchCheckLayerAvailability",
    "ecr:CompleteLayerUpload",
    "ecr:CreateRepository",
    "ecr:DeleteLifecyclePolicy",
    "ecr:DeleteRepository",
    "ecr:GetDownloadUrlForLayer",
    "ecr:GetRepositoryPolicy",
    "ecr:InitiateLayerUpload",
    "ecr:PutImage",
    "ecr:PutImageScanningConfiguration",
    "ecr:PutLifecyclePolicy",
    "ecr:SetRepositoryPolicy",
    "ecr:TagResource",
    "ecr:UntagResource",
    "ecr:UploadLayerPart",
  ],
};

const registry: Rights = {
  sid: "RegistryLogin",
  resources: everything,
  read: ["ecr:GetAuthorizationToken"],
  // awsx signs in before it knows whether there is anything to build.
  preview: ["ecr:GetAuthorizationToken"],
  write: [],
};

/** What pushing asks for, and looking at what was pushed: `docker buildx imagetools inspect` reads an image's own configuration. */
const push: Rights = {
  sid: "Push",
  resources: repositoryArn("repository"),
  read: ["ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"],
  write: [
    "ecr:BatchCheckLayerAvailability",
    "ecr:CompleteLayerUpload",
    "ecr:InitiateLayerUpload",
    "ecr:PutImage",
    "ecr:UploadLayerPart",
  ],
};

const queue: Rights = {
  sid: "Queues",
  closed: true,
  resources: named("sqs"),
  read: ["sqs:GetQueueAttributes", "sqs:GetQueueUrl", "sqs:ListQueueTags"],
  write: [
    "sqs:CreateQueue",
    "sqs:DeleteQueue",
    "sqs:SetQueueAttributes",
    "sqs:TagQueue",
    "sqs:UntagQueue",
  ],
  used: ["sqs:SendMessage"],
};

const topic: Rights = {
  sid: "Topics",
  closed: true,
  resources: named("sns"),
  read: ["sns:GetTopicAttributes", "sns:ListTagsForResource"],
  write: [
    "sns:CreateTopic",
    "sns:DeleteTopic",
    "sns:SetTopicAttributes",
    "sns:Subscribe",
    "sns:TagResource",
    "sns:UntagResource",
  ],
  used: ["sns:Publish"],
};

/** To a topic that may be somebody else's. Of one that is not there yet nothing is known. */
const subscribe: Rights = {
  sid: "Subscribe",
  resources: (resource) => [text(resource, "topic")].filter((arn) => arn.startsWith("arn:")),
  read: [],
  write: ["sns:Subscribe"],
};

/** @see https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazonsns.html */
const subscription: Rights = {
  sid: "Subscriptions",
  resources: everything,
  read: ["sns:GetSubscriptionAttributes"],
  write: ["sns:SetSubscriptionAttributes", "sns:Unsubscribe"],
};

const logGroup: Rights = {
  sid: "Logs",
  resources: (resource, place) =>
    named("logs", "log-group:")(resource, place).flatMap((arn) => [arn, `${arn}:*`]),
  read: ["logs:DescribeMetricFilters", "logs:ListTagsForResource"],
  write: [
    "logs:CreateLogGroup",
    "logs:DeleteLogGroup",
    "logs:DeleteMetricFilter",
    "logs:DeleteRetentionPolicy",
    "logs:PutMetricFilter",
    "logs:PutRetentionPolicy",
    "logs:TagResource",
    "logs:UntagResource",
  ],
  used: ["logs:CreateLogStream", "logs:PutLogEvents"],
};

const logGroups: Rights = {
  sid: "LogGroups",
  resources: everything,
  read: ["logs:DescribeLogGroups"],
  write: [],
};

/** @see https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazoncloudwatchlogs.html */
const insights: Rights = {
  sid: "SavedQueries",
  resources: everything,
  read: ["logs:DescribeQueryDefinitions"],
  write: ["logs:DeleteQueryDefinition", "logs:PutQueryDefinition"],
};

const alarm: Rights = {
  sid: "Alarms",
  resources: named("cloudwatch", "alarm:"),
  read: ["cloudwatch:DescribeAlarms", "cloudwatch:ListTagsForResource"],
  write: [
    "cloudwatch:DeleteAlarms",
    "cloudwatch:PutMetricAlarm",
    "cloudwatch:TagResource",
    "cloudwatch:UntagResource",
  ],
};

const dashboard: Rights = {
  sid: "Dashboards",
  resources: (resource, { partition, account }) => [
    `arn:${partition}:cloudwatch::${account}:dashboard/${text(resource, "dashboardName")}`,
  ],
  read: ["cloudwatch:GetDashboard"],
  write: ["cloudwatch:DeleteDashboards", "cloudwatch:PutDashboard"],
};

const parameter: Rights = {
  sid: "Parameters",
  resources: (resource, place) => named("ssm", "parameter")(resource, place),
  // The provider compares the value with what it is to be.
  read: ["ssm:GetParameter", "ssm:GetParameters", "ssm:ListTagsForResource"],
  write: [
    "ssm:AddTagsToResource",
    "ssm:DeleteParameter",
    "ssm:PutParameter",
    "ssm:RemoveTagsFromResource",
  ],
  used: ["ssm:GetParameter"],
};

/** @see https://docs.aws.amazon.com/service-authorization/latest/reference/list_awssystemsmanager.html */
const parameters: Rights = {
  sid: "ParameterList",
  resources: everything,
  read: ["ssm:DescribeParameters"],
  write: [],
};

const schedule: Rights = {
  sid: "Schedules",
  resources: named("scheduler", "schedule/default/"),
  read: ["scheduler:GetSchedule"],
  write: ["scheduler:CreateSchedule", "scheduler:DeleteSchedule", "scheduler:UpdateSchedule"],
};

const apiArn = (path: string, { partition, region }: Place) =>
  `arn:${partition}:apigateway:${region}::${path}`;

/** An API has no name that AWS knows it by: what it will be called is not known before it is there. */
const api: Rights = {
  sid: "Api",
  resources: ({ id = "*" }, place) => [
    apiArn(`/apis/${id}`, place),
    apiArn(`/apis/${id}/*`, place),
    apiArn(
      `/tags/arn%3A${place.partition}%3Aapigateway%3A${place.region}%3A%3A%2Fapis%2F${id}`,
      place,
    ),
    apiArn(
      `/tags/arn%3A${place.partition}%3Aapigateway%3A${place.region}%3A%3A%2Fapis%2F${id}%2Fstages%2F*`,
      place,
    ),
  ],
  read: ["apigateway:GET"],
  write: [
    "apigateway:DELETE",
    "apigateway:PATCH",
    "apigateway:POST",
    "apigateway:PUT",
    "apigateway:TagResource",
    "apigateway:UntagResource",
  ],
};

const newApi: Rights = {
  sid: "NewApi",
  resources: (_, place) => [apiArn("/apis", place)],
  read: [],
  write: ["apigateway:POST", "apigateway:TagResource"],
};

/** For its access log. @see https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/AWS-logs-and-resource-policy.html */
const apiLog: Rights = {
  sid: "ApiLog",
  resources: everything,
  read: [],
  write: [
    "logs:CreateLogDelivery",
    "logs:DeleteLogDelivery",
    "logs:DescribeResourcePolicies",
    "logs:GetLogDelivery",
    "logs:ListLogDeliveries",
    "logs:PutResourcePolicy",
    "logs:UpdateLogDelivery",
  ],
};

const keyArn = ({ id = "*" }: PlannedResource, { partition, region, account }: Place) => [
  `arn:${partition}:kms:${region}:${account}:key/${id}`,
];

/** What making one asks for. Before it has a name this is said of all keys. */
const key: Rights = {
  sid: "Keys",
  resources: keyArn,
  read: ["kms:DescribeKey", "kms:GetKeyPolicy", "kms:GetKeyRotationStatus", "kms:ListResourceTags"],
  write: ["kms:EnableKeyRotation", "kms:TagResource"],
  used: ["kms:Decrypt", "kms:GenerateDataKey"],
};

/** What may harm a key: of one that has a name alone. */
const namedKey: Rights = {
  sid: "NamedKeys",
  closed: true,
  resources: (resource, place) => (resource.id === undefined ? [] : keyArn(resource, place)),
  read: [],
  write: [
    "kms:DisableKeyRotation",
    "kms:PutKeyPolicy",
    "kms:ScheduleKeyDeletion",
    "kms:UntagResource",
    "kms:UpdateKeyDescription",
  ],
};

const newKey: Rights = {
  sid: "NewKeys",
  resources: everything,
  read: [],
  write: ["kms:CreateKey"],
};

/** A key that is somebody else's, of a bucket or a topic that was there before. */
const theirKey: Rights = {
  sid: "TheirKeys",
  resources: (resource) => [text(resource, "arn")],
  read: [],
  write: [],
  used: ["kms:Decrypt", "kms:GenerateDataKey"],
};

const stateArn =
  (...paths: readonly string[]) =>
  (resource: PlannedResource, place: Place) => {
    const [bucketOfState] = bucketArn()(resource, place);
    const named = (path: string) =>
      path.replace("PROJECT", text(resource, "project")).replace("STACK", text(resource, "stack"));
    return paths.map(
      (path) => `${bucketOfState}/${text(resource, "folder")}.pulumi/${named(path)}`,
    );
  };

/** The state of this stack alone, where Pulumi keeps it in a bucket: what is under its name, and locks, history and copies. */
const state: Rights = {
  sid: "State",
  resources: stateArn(
    "stacks/PROJECT/STACK.json*",
    "stacks/PROJECT/STACK.pulumi-tags",
    "locks/organization/PROJECT/STACK/*",
    "history/PROJECT/STACK/*",
    "backups/PROJECT/STACK/*",
  ),
  read: ["s3:GetObject"],
  // It locks nothing, and keeps nothing.
  preview: ["s3:GetObject"],
  write: ["s3:DeleteObject", "s3:PutObject"],
};

/** What kind of state it is. */
const stateLayout: Rights = {
  sid: "StateLayout",
  resources: stateArn("meta.yaml"),
  read: ["s3:GetObject"],
  preview: ["s3:GetObject"],
  write: [],
};

const stateList: Rights = {
  sid: "StateList",
  resources: bucketArn(),
  read: ["s3:ListBucket"],
  preview: ["s3:ListBucket"],
  write: [],
};

/** What other statements cover already: resources that are set on another one. */
const onAnother: readonly Rights[] = [];

/** What each type of resource needs. */
export const rightsOf: Readonly<Record<string, readonly Rights[]>> = {
  "aws:apigatewayv2/api:Api": [api, newApi],
  "aws:apigatewayv2/integration:Integration": onAnother,
  "aws:apigatewayv2/route:Route": onAnother,
  "aws:apigatewayv2/stage:Stage": [apiLog],
  "aws:cloudwatch/dashboard:Dashboard": [dashboard],
  "aws:cloudwatch/logGroup:LogGroup": [logGroup, logGroups],
  "aws:cloudwatch/logMetricFilter:LogMetricFilter": onAnother,
  "aws:cloudwatch/metricAlarm:MetricAlarm": [alarm],
  "aws:cloudwatch/queryDefinition:QueryDefinition": [insights],
  "aws:ecr/lifecyclePolicy:LifecyclePolicy": onAnother,
  "aws:ecr/repository:Repository": [repository],
  "aws:iam/role:Role": [role, roleGrants, passRole],
  "aws:iam/rolePolicy:RolePolicy": onAnother,
  "aws:kms/key:Key": [key, namedKey, newKey],
  "aws:lambda/function:Function": [fn, functionImage, tracing],
  "aws:lambda/functionEventInvokeConfig:FunctionEventInvokeConfig": onAnother,
  "aws:lambda/permission:Permission": onAnother,
  "aws:s3/bucket:Bucket": [bucket, objects],
  "aws:s3/bucketCorsConfiguration:BucketCorsConfiguration": onAnother,
  "aws:s3/bucketLifecycleConfiguration:BucketLifecycleConfiguration": onAnother,
  "aws:s3/bucketNotification:BucketNotification": [notification],
  "aws:s3/bucketOwnershipControls:BucketOwnershipControls": onAnother,
  "aws:s3/bucketPolicy:BucketPolicy": onAnother,
  "aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock": onAnother,
  "aws:s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration":
    onAnother,
  "aws:s3/bucketVersioning:BucketVersioning": onAnother,
  "aws:scheduler/schedule:Schedule": [schedule],
  "aws:sns/topic:Topic": [topic],
  "aws:sns/topicPolicy:TopicPolicy": onAnother,
  "aws:sns/topicSubscription:TopicSubscription": [subscription, subscribe],
  "aws:sqs/queue:Queue": [queue],
  "aws:sqs/queuePolicy:QueuePolicy": onAnother,
  "aws:ssm/parameter:Parameter": [parameter, parameters],
  "awsx:ecr:Image": [registry],
  "awsx:ecr:Repository": onAnother,
  "docker-build:index:Image": onAnother,
  // What is no resource of the stack, by names of this table's own.
  build: [push, registry],
  state: [state, stateLayout, stateList],
  theirKey: [theirKey],
};
