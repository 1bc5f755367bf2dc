import { expect } from "chai";
import { ContainerFunction } from "../../infra/container-function.ts";
import { DataBucket, type DataBucketArgs } from "../../infra/data-bucket.ts";
import { EventTopic } from "../../infra/event-topic.ts";
import { account, build } from "./build.ts";

const bucketType = "aws:s3/bucket:Bucket";
const guards = [
  "aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock",
  "aws:s3/bucketOwnershipControls:BucketOwnershipControls",
  "aws:s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration",
  "aws:s3/bucketVersioning:BucketVersioning",
  "aws:s3/bucketPolicy:BucketPolicy",
];

describe("DataBucket", () => {
  const bucket = (args: Partial<DataBucketArgs> = {}) =>
    build(() => new DataBucket("data", { bucketName: "my-bucket", ...args }));

  it("stays when the stack goes, with all that guards it", async () => {
    const { one } = await bucket();

    for (const type of [bucketType, ...guards]) {
      expect(one(type).options.retainOnDelete, type).to.equal(true);
    }
    expect(one(bucketType).options).to.include({ protect: false }).and.not.have.property("import");
  });

  it("is private, encrypted and versioned", async () => {
    const { one } = await bucket();

    expect(one(guards[0] as string).inputs).to.include({
      blockPublicAcls: true,
      blockPublicPolicy: true,
      ignorePublicAcls: true,
      restrictPublicBuckets: true,
    });
    expect(one(guards[1] as string).inputs["rule"]).to.deep.equal({
      objectOwnership: "BucketOwnerEnforced",
    });
    expect(one(guards[2] as string).inputs["rules"]).to.deep.equal([
      { applyServerSideEncryptionByDefault: { sseAlgorithm: "AES256" } },
    ]);
    expect(one(guards[3] as string).inputs["versioningConfiguration"]).to.deep.equal({
      status: "Enabled",
    });
  });

  it("says whether its data is protected, as policies ask, also of somebody else's bucket", async () => {
    const told: unknown[] = [];
    class Telling extends DataBucket {
      protected override registerOutputs(outputs: Record<string, unknown>): void {
        told.push(outputs["protect"]);
        super.registerOutputs(outputs);
      }
    }

    await build(() => {
      new Telling("own", { bucketName: "own" });
      new Telling("theirs", { bucketName: "theirs", mode: "reference", protect: true });
    });

    expect(told).to.deep.equal([false, true]);
  });

  it("refuses whoever comes without TLS, and nobody else", async () => {
    const { one, policy } = await bucket();

    expect(policy(one("aws:s3/bucketPolicy:BucketPolicy"))).to.deep.equal({
      Version: "2012-10-17",
      Statement: [
        {
          Sid: "TlsOnly",
          Effect: "Deny",
          Principal: { AWS: "*" },
          Action: ["s3:*"],
          Resource: ["arn:aws:s3:::my-bucket", "arn:aws:s3:::my-bucket/*"],
          Condition: { Bool: { "aws:SecureTransport": "false" } },
        },
      ],
    });
  });

  it("clears half uploads, old versions and what is short-lived", async () => {
    const { one } = await bucket({ noncurrentDays: 7, shortLived: ["results/"] });

    const { inputs, options } = one(
      "aws:s3/bucketLifecycleConfiguration:BucketLifecycleConfiguration",
    );
    expect(inputs["rules"]).to.deep.equal([
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
        noncurrentVersionExpiration: { noncurrentDays: 7 },
        expiration: { expiredObjectDeleteMarker: true },
      },
      {
        id: "results",
        status: "Enabled",
        filter: { prefix: "results/" },
        expiration: { days: 1 },
        noncurrentVersionExpiration: { noncurrentDays: 1 },
      },
    ]);
    expect(options.retainOnDelete).to.equal(true);
  });

  it("comes back as it was left, with nothing but its name and its tags", async () => {
    const { one } = await bucket({ mode: "adopt" });

    const { inputs, options } = one(bucketType);
    expect(options.import).to.equal("my-bucket");
    expect(inputs).to.deep.equal({
      bucket: "my-bucket",
      tags: { project: "millpond", stack: "dev", "managed-by": "pulumi" },
    });
  });

  it("leaves somebody else's bucket as it is", async () => {
    const built = await bucket({ mode: "reference" });

    for (const type of [bucketType, ...guards]) expect(built.all(type)).to.deep.equal([]);
  });

  it("refuses to be destroyed where config says so", async () => {
    const { one } = await bucket({ protect: true });

    expect(one(bucketType).options).to.include({ protect: true, retainOnDelete: true });
  });

  it("lets only pages of named origins in, and none of somebody else's bucket", async () => {
    const pagesOf = (args: Partial<DataBucketArgs>) =>
      build(() => {
        const data = new DataBucket("data", { bucketName: "my-bucket", ...args });
        data.allowPages(["https://example.com"]);
      });
    const none = await pagesOf({ mode: "reference" });
    const some = await pagesOf({});

    const cors = "aws:s3/bucketCorsConfiguration:BucketCorsConfiguration";
    expect(none.all(cors)).to.deep.equal([]);
    expect(some.one(cors).inputs["corsRules"]).to.deep.equal([
      {
        allowedOrigins: ["https://example.com"],
        allowedMethods: ["GET", "PUT"],
        allowedHeaders: ["content-type"],
        exposeHeaders: ["ETag"],
        maxAgeSeconds: 3600,
      },
    ]);
  });

  describe("its notification", () => {
    it("is told to a topic that lets just this bucket publish, and is made after that", async () => {
      const { one, policy } = await build(() => {
        const data = new DataBucket("data", { bucketName: "my-bucket" });
        data.notify(new EventTopic("uploads"), { prefix: "inbox/" });
      });

      const topic = `arn:aws:sns:eu-central-1:${account}:millpond-dev-uploads`;
      const notification = one("aws:s3/bucketNotification:BucketNotification");
      expect(notification.inputs["topics"]).to.deep.equal([
        {
          topicArn: topic,
          events: ["s3:ObjectCreated:*", "s3:ObjectRemoved:*"],
          filterPrefix: "inbox/",
        },
      ]);
      expect(notification.after).to.deep.equal(["uploads-policy"]);
      expect(policy(one("aws:sns/topicPolicy:TopicPolicy"))).to.deep.equal({
        Version: "2012-10-17",
        Statement: [
          {
            Sid: "Bucket",
            Effect: "Allow",
            Principal: { Service: "s3.amazonaws.com" },
            Action: ["sns:Publish"],
            Resource: [topic],
            Condition: {
              ArnEquals: { "aws:SourceArn": "arn:aws:s3:::my-bucket" },
              StringEquals: { "aws:SourceAccount": account },
            },
          },
        ],
      });
    });
  });

  describe("its grants", () => {
    const granted = (grant: (data: DataBucket, fn: ContainerFunction) => void) =>
      build(() => {
        const data = new DataBucket("data", { bucketName: "my-bucket" });
        const fn = new ContainerFunction("reader", {
          imageUri: "image",
          architecture: "arm64",
          handler: "index.reader",
        });
        grant(data, fn);
      });
    const list = (operator: string) => ({
      Sid: "List",
      Effect: "Allow",
      Action: ["s3:ListBucket"],
      Resource: ["arn:aws:s3:::my-bucket"],
      Condition: { [operator]: { "s3:prefix": ["lake/*"] } },
    });
    const objects = (Sid: string, ...Action: string[]) => ({
      Sid,
      Effect: "Allow",
      Action,
      Resource: ["arn:aws:s3:::my-bucket/lake/*"],
    });
    for (const [what, statements] of [
      ["read", [objects("Read", "s3:GetObject"), list("StringLikeIfExists")]],
      ["write", [objects("Write", "s3:PutObject", "s3:AbortMultipartUpload")]],
      ["delete", [objects("Delete", "s3:DeleteObject")]],
      ["list", [list("StringLike")]],
    ] as const) {
      it(`to ${what} are these actions on these resources, and no others`, async () => {
        const { one, policy } = await granted((data, fn) =>
          data.grants[what](fn, { prefix: "lake/" }),
        );

        const granting = one("aws:iam/rolePolicy:RolePolicy", `reader-lake-${what}`);
        expect(policy(granting)).to.deep.equal({ Version: "2012-10-17", Statement: statements });
        expect(granting.inputs["role"]).to.equal("reader-role-id");
      });
    }
  });
});
