import * as aws from "@pulumi/aws";
import * as pulumi from "@pulumi/pulumi";
import {
  environmentNames,
  type FunctionName,
  handlerOf,
  prefixes,
  secretNames,
} from "./app/contract.ts";
import { ContainerFunction } from "./infra/container-function.ts";
import { DataBucket } from "./infra/data-bucket.ts";
import { EventTopic, uploadsUnder } from "./infra/event-topic.ts";
import { findDataBucket } from "./infra/find-bucket.ts";
import { HttpApi } from "./infra/http-api.ts";
import { LambdaImage } from "./infra/lambda-image.ts";
import { Monitoring } from "./infra/monitoring.ts";
import { boundRoles } from "./infra/permissions-boundary.ts";
import { requireRetainedBuckets } from "./infra/retained-buckets.ts";
import { Schedule } from "./infra/schedule.ts";
import { spillMiB, stageConfig } from "./infra/stage-config.ts";
import { StageSecrets } from "./infra/stage-secrets.ts";

/** The stack, from top to bottom. */
const stage = stageConfig();
requireRetainedBuckets();
boundRoles(stage.permissionsBoundary);

const topicName = "uploads";

// ── data ────────────────────────────────────────────────────────────────────
const data = new DataBucket("data", {
  ...(await findDataBucket(stage.bucket, topicName)),
  protect: stage.bucket.protect,
  noncurrentDays: stage.bucket.noncurrentDays,
  shortLived: [prefixes.results],
});
const secrets = new StageSecrets("secrets", { values: stage.secrets });
const uploads = new EventTopic(topicName, { encrypt: stage.encryptTopic });
// Somebody else's, of a bucket that is there already. It may tell of the whole bucket, and others listen.
const theirs =
  stage.bucket.uploadsTopicArn === undefined
    ? undefined
    : new EventTopic("theirs", { existingArn: stage.bucket.uploadsTopicArn });

// ── functions ───────────────────────────────────────────────────────────────
const image = new LambdaImage("functions", {
  architecture: stage.architecture,
  imageUri: stage.imageUri,
});
const common = {
  imageUri: image.uri,
  architecture: stage.architecture,
  logLevel: stage.logLevel,
  logRetentionDays: stage.logRetentionDays,
  tracing: stage.tracing,
};
const environment = {
  ...stage.environment,
  [environmentNames.store]: pulumi.interpolate`s3://${data.name}`,
  [environmentNames.architecture]: stage.architecture,
};

const mirroring = { [environmentNames.mirrorDeletes]: String(stage.bucket.mirrorDeletes) };

const hello = new ContainerFunction("hello", {
  ...common,
  handler: handlerOf("hello"),
  environment,
});
const ingest = new ContainerFunction("ingest", {
  ...common,
  ...stage.ingest,
  handler: handlerOf("ingest"),
  environment: {
    ...environment,
    ...mirroring,
    [environmentNames.diskMiB]: spillMiB(stage.ingest),
    [environmentNames.eventTopics]: pulumi
      .all([uploads.arn, ...(theirs === undefined ? [] : [theirs.arn])])
      .apply((arns) => arns.join(",")),
  },
  events: { retries: 2 },
});
const query = new ContainerFunction("query", {
  ...common,
  ...stage.query,
  handler: handlerOf("query"),
  environment: {
    ...environment,
    [environmentNames.diskMiB]: spillMiB(stage.query),
    [environmentNames.queryDeadlineSeconds]: String(stage.query.timeoutSeconds - 4),
    [environmentNames.auth]: stage.api.auth,
    [environmentNames.adHocSql]: String(stage.api.adHocSql),
    [environmentNames.uploads]: String(stage.api.uploads),
    [environmentNames.secrets]: secrets.prefix,
  },
});
const sweep = new ContainerFunction("sweep", {
  ...common,
  handler: handlerOf("sweep"),
  timeoutSeconds: 900,
  environment: { ...environment, ...mirroring, [environmentNames.topic]: uploads.arn },
  events: { retries: 1 },
});

// ── what each may do ────────────────────────────────────────────────────────
data.grants.read(ingest, { prefix: prefixes.inbox });
data.grants.read(ingest, { prefix: prefixes.lake });
data.grants.write(ingest, { prefix: prefixes.lake });
data.grants.read(ingest, { prefix: prefixes.rejected });
data.grants.write(ingest, { prefix: prefixes.rejected });
data.grants.delete(ingest, { prefix: prefixes.rejected });
if (stage.bucket.mirrorDeletes) data.grants.delete(ingest, { prefix: prefixes.lake });

data.grants.read(query, { prefix: prefixes.lake });
data.grants.read(query, { prefix: prefixes.rejected });
// A URL by which a large answer is fetched has the rights of whoever signed it.
data.grants.read(query, { prefix: prefixes.results });
data.grants.write(query, { prefix: prefixes.results });
// So does one by which somebody uploads.
if (stage.api.uploads) data.grants.write(query, { prefix: prefixes.inbox, parts: false });
if (stage.api.auth === "token") secrets.grantRead(query, secretNames.tokens);

data.grants.list(sweep, { prefix: prefixes.inbox });
data.grants.read(sweep, { prefix: prefixes.lake });
data.grants.read(sweep, { prefix: prefixes.rejected });
uploads.grants.publish(sweep);

// ── what calls them ─────────────────────────────────────────────────────────
uploads.subscribe("ingest", ingest);
if (theirs === undefined) data.notify(uploads, { prefix: prefixes.inbox });
// The sweep announces on our own.
else theirs.subscribe("ingest-theirs", ingest, { filter: uploadsUnder(prefixes.inbox) });
const sweeps = new Schedule("sweep-schedule", { fn: sweep, everyMinutes: stage.sweepEveryMinutes });

const api = new HttpApi("api", { ...stage.api, logRetentionDays: stage.logRetentionDays });
api.route("GET /hello", hello);
api.route("$default", query);
// The console is a page of the API; what it uploads, and large answers, go past that, to the bucket itself.
data.allowPages([api.url, ...stage.api.corsOrigins]);

// ── what watches them ───────────────────────────────────────────────────────
const monitoring = stage.monitoring.enabled
  ? new Monitoring("monitoring", {
      ...stage.monitoring,
      functions: { hello, ingest, query, sweep },
      schedules: { sweep: sweeps },
      api,
      encrypt: stage.encryptTopic,
      logLevel: stage.logLevel,
    })
  : undefined;

// ── what people need ────────────────────────────────────────────────────────
export const region = aws.getRegionOutput().region;
/** Of curl, beside the URL. */
const tryOptions = {
  token: ' -H "Authorization: Bearer $TOKEN"',
  iam: pulumi.interpolate` --aws-sigv4 "aws:amz:${region}:execute-api" --user "$AWS_ACCESS_KEY_ID:$AWS_SECRET_ACCESS_KEY" -H "x-amz-security-token: $AWS_SESSION_TOKEN"`,
  none: "",
};
export const apiUrl = api.url;
export const bucketName = data.name;
export const topicArn = uploads.arn;
export const functionNames = {
  hello: hello.name,
  ingest: ingest.name,
  query: query.name,
  sweep: sweep.name,
} satisfies Record<FunctionName, pulumi.Input<string>>;
export const logGroups = {
  hello: hello.logGroupName,
  ingest: ingest.logGroupName,
  query: query.logGroupName,
  sweep: sweep.logGroupName,
  api: api.logGroupName,
} satisfies Record<FunctionName | "api", pulumi.Input<string>>;
/** What `npm run redrive` hands back, by the function that was to do it. */
export const failureQueues = {
  ingest: pulumi.all(Object.values(ingest.failureQueues).map(({ url }) => url)),
  sweep: pulumi.all(Object.values(sweep.failureQueues).map(({ url }) => url)),
};
export const { mirrorDeletes } = stage.bucket;
export const imageUri = image.uri;
/** What `npm run rollback` lists. */
export const imageRecord = image.record([hello, ingest, query, sweep]);
/** Where alarms are told, for whoever is to hear of them beside the e-mail. */
export const alarmTopicArn = monitoring?.topicArn;
export const dashboardUrl = monitoring?.dashboardUrl;
export const tryIt = pulumi.interpolate`curl${tryOptions[stage.api.auth]} ${api.url}/tables`;
