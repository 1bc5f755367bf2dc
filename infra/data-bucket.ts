import * as aws from "@pulumi/aws";
import * as pulumi from "@pulumi/pulumi";
import type { EventTopic } from "./event-topic.ts";
import { BucketGrants } from "./grants.ts";
import { stageTags } from "./names.ts";
import { policyJson } from "./policy.ts";
import { type Transform, transformed } from "./transform.ts";

export interface DataBucketArgs {
  /** What the bucket is called; the same for the same stage each time, so that it is found again. */
  bucketName: string;
  /**
   * `create`: there is none of that name. `adopt`: an earlier `pulumi destroy` of this stack left it, and it comes back with all that is
   * in it. `reference`: it is somebody else's, and stays as it is. @default "create"
   */
  mode?: "create" | "adopt" | "reference";
  /** Whether `pulumi destroy` refuses to begin. The data stays in any case. @default false */
  protect?: boolean;
  /** Days that old versions of objects are kept. @default 30 */
  noncurrentDays?: number;
  /** Prefixes whose objects go after a day, and their last versions a day later. @default [] */
  shortLived?: readonly string[];
  transform?: { bucket?: Transform<aws.s3.BucketArgs> };
}

/**
 * A private bucket that outlives its stack: destroying leaves it, what is in it, and all that guards it. Nothing is told about an
 * existing bucket's settings, and none of them is changed.
 */
export class DataBucket extends pulumi.ComponentResource {
  readonly arn: pulumi.Output<string>;
  readonly name: pulumi.Output<string>;
  readonly grants: BucketGrants;
  readonly nodes: { bucket?: aws.s3.Bucket };
  readonly #name: string;

  constructor(name: string, args: DataBucketArgs, opts?: pulumi.ComponentResourceOptions) {
    super("millpond:infra:DataBucket", name, {}, opts);
    this.#name = name;
    if (args.mode === "reference") {
      const { partition } = aws.getPartitionOutput({}, { parent: this });
      this.name = pulumi.output(args.bucketName);
      this.arn = pulumi.interpolate`arn:${partition}:s3:::${args.bucketName}`;
      this.nodes = {};
    } else {
      const bucket = this.#own(name, args);
      this.name = bucket.bucket;
      this.arn = bucket.arn;
      this.nodes = { bucket };
    }
    this.grants = new BucketGrants(this.arn);
    // The policy pack asks for the last: somebody else's bucket is no resource of the stack that could say so.
    const protect = args.protect ?? false;
    this.registerOutputs({ arn: this.arn, name: this.name, protect });
  }

  /** Tells a topic of what is written and deleted under a prefix. It replaces whatever other notifications the bucket has. */
  notify(topic: EventTopic, { prefix }: { prefix: string }): aws.s3.BucketNotification {
    const accepted = topic.acceptFrom(this.arn);
    return new aws.s3.BucketNotification(
      `${this.#name}-notification`,
      {
        bucket: this.name,
        topics: [
          {
            topicArn: topic.arn,
            events: ["s3:ObjectCreated:*", "s3:ObjectRemoved:*"],
            filterPrefix: prefix,
          },
        ],
      },
      // S3 tries the topic when it is told of it.
      { parent: this, dependsOn: [accepted] },
    );
  }

  /** Lets pages of some origins read and upload, by the presigned URLs that they are given. Somebody else's bucket stays as it is. */
  allowPages(origins: readonly pulumi.Input<string>[]): void {
    if (this.nodes.bucket === undefined) return;
    new aws.s3.BucketCorsConfiguration(
      `${this.#name}-cors`,
      {
        bucket: this.name,
        corsRules: [
          {
            allowedOrigins: [...origins],
            allowedMethods: ["GET", "PUT"],
            allowedHeaders: ["content-type"],
            exposeHeaders: ["ETag"],
            maxAgeSeconds: 3600,
          },
        ],
      },
      { parent: this },
    );
  }

  #own(name: string, args: DataBucketArgs): aws.s3.Bucket {
    const bucket = new aws.s3.Bucket(
      `${name}-bucket`,
      transformed<aws.s3.BucketArgs>(
        // Nothing else: what an adopted bucket is to be must be what it is.
        { bucket: args.bucketName, tags: stageTags() },
        args.transform?.bucket,
      ),
      {
        parent: this,
        retainOnDelete: true,
        protect: args.protect ?? false,
        ...(args.mode === "adopt" ? { import: args.bucketName } : {}),
      },
    );
    // Removing any of these would undo it on the bucket that stays.
    const guard = { parent: this, retainOnDelete: true };
    const access = new aws.s3.BucketPublicAccessBlock(
      `${name}-access`,
      {
        bucket: bucket.id,
        blockPublicAcls: true,
        blockPublicPolicy: true,
        ignorePublicAcls: true,
        restrictPublicBuckets: true,
      },
      guard,
    );
    new aws.s3.BucketOwnershipControls(
      `${name}-ownership`,
      { bucket: bucket.id, rule: { objectOwnership: "BucketOwnerEnforced" } },
      guard,
    );
    new aws.s3.BucketServerSideEncryptionConfiguration(
      `${name}-encryption`,
      {
        bucket: bucket.id,
        rules: [{ applyServerSideEncryptionByDefault: { sseAlgorithm: "AES256" } }],
      },
      guard,
    );
    const versioning = new aws.s3.BucketVersioning(
      `${name}-versioning`,
      { bucket: bucket.id, versioningConfiguration: { status: "Enabled" } },
      guard,
    );
    new aws.s3.BucketPolicy(
      `${name}-policy`,
      {
        bucket: bucket.id,
        policy: policyJson({
          sid: "TlsOnly",
          effect: "Deny",
          principal: { aws: "*" },
          actions: ["s3:*"],
          resources: [bucket.arn, pulumi.interpolate`${bucket.arn}/*`],
          condition: { Bool: { "aws:SecureTransport": "false" } },
        }),
      },
      // S3 takes one change of who may get in at a time.
      { ...guard, dependsOn: [access] },
    );
    new aws.s3.BucketLifecycleConfiguration(
      `${name}-lifecycle`,
      { bucket: bucket.id, rules: lifecycleRules(args) },
      // Without it what is short-lived would stay for ever in the bucket that stays.
      { ...guard, dependsOn: [versioning] },
    );
    return bucket;
  }
}

function lifecycleRules({ noncurrentDays = 30, shortLived = [] }: DataBucketArgs) {
  return [
    {
      id: "half-uploads",
      status: "Enabled",
      filter: { prefix: "" },
      abortIncompleteMultipartUpload: { daysAfterInitiation: 1 },
    },
    {
      id: "old-versions",
      status: "Enabled",
      filter: { prefix: "" },
      noncurrentVersionExpiration: { noncurrentDays },
      // What is left of an object when its last old version is gone.
      expiration: { expiredObjectDeleteMarker: true },
    },
    ...shortLived.map((prefix) => ({
      id: prefix.replace(/\/$/, ""),
      status: "Enabled",
      filter: { prefix },
      expiration: { days: 1 },
      // Expired means one version older, in a bucket with versions.
      noncurrentVersionExpiration: { noncurrentDays: 1 },
    })),
  ];
}
