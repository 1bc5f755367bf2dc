import { expect } from "chai";
import { ContainerFunction } from "../../infra/container-function.ts";
import { EventTopic, type EventTopicArgs, type SubscribeOptions } from "../../infra/event-topic.ts";
import { account, build } from "./build.ts";

describe("EventTopic", () => {
  const topicArn = `arn:aws:sns:eu-central-1:${account}:millpond-dev-uploads`;
  const queueArn = `arn:aws:sqs:eu-central-1:${account}:millpond-dev-ingest-undelivered`;
  const made = (args: EventTopicArgs = {}, options?: SubscribeOptions) =>
    build(() => {
      const topic = new EventTopic("uploads", args);
      const fn = new ContainerFunction("ingest", {
        imageUri: "image",
        architecture: "arm64",
        handler: "index.ingest",
      });
      topic.subscribe("ingest", fn, options);
      topic.grants.publish(fn);
    });
  const subscription = "aws:sns/topicSubscription:TopicSubscription";

  it("hands messages to a function that it may invoke, from the start", async () => {
    const { one } = await made();

    expect(one("aws:lambda/permission:Permission").inputs).to.deep.include({
      action: "lambda:InvokeFunction",
      function: "millpond-dev-ingest-image",
      principal: "sns.amazonaws.com",
      sourceArn: topicArn,
    });
    expect(one(subscription).inputs).to.include({ protocol: "lambda", topic: topicArn });
    expect(one(subscription).inputs).to.not.have.any.keys("filterPolicy", "filterPolicyScope");
    // The permission, and the policy of the queue.
    expect(one(subscription).after).to.deep.equal([
      "ingest-permission",
      "ingest-undelivered-policy",
    ]);
  });

  it("keeps what can't be delivered in a queue that only it may write to", async () => {
    const { one, policy } = await made();

    expect(JSON.parse(String(one(subscription).inputs["redrivePolicy"]))).to.deep.equal({
      deadLetterTargetArn: queueArn,
    });
    expect(one("aws:sqs/queue:Queue").inputs).to.include({
      messageRetentionSeconds: 14 * 24 * 3600,
      // Not a key of KMS, which would shut SNS out.
      sqsManagedSseEnabled: true,
    });
    expect(policy(one("aws:sqs/queuePolicy:QueuePolicy"))).to.deep.equal({
      Version: "2012-10-17",
      Statement: [
        {
          Sid: "Topic",
          Effect: "Allow",
          Principal: { Service: "sns.amazonaws.com" },
          Action: ["sqs:SendMessage"],
          Resource: [queueArn],
          Condition: { ArnEquals: { "aws:SourceArn": topicArn } },
        },
      ],
    });
  });

  it("filters by the body of messages", async () => {
    const { one } = await made({}, { filter: { Records: { eventName: [{ prefix: "Object" }] } } });

    expect(one(subscription).inputs).to.include({
      filterPolicy: '{"Records":{"eventName":[{"prefix":"Object"}]}}',
      filterPolicyScope: "MessageBody",
    });
  });

  it("lets a function publish to it alone", async () => {
    const { one, policy } = await made();

    expect(policy(one("aws:iam/rolePolicy:RolePolicy", "ingest-uploads-publish"))).to.deep.equal({
      Version: "2012-10-17",
      Statement: [
        { Sid: "Publish", Effect: "Allow", Action: ["sns:Publish"], Resource: [topicArn] },
      ],
    });
  });

  it("is encrypted by a key of its own, which S3, alarms and its publishers may use", async () => {
    const { one, policy } = await made({ encrypt: true });

    const keyArn = `arn:aws:kms:eu-central-1:${account}:uploads-key`;
    const service = (Sid: string, name: string) => ({
      Sid,
      Effect: "Allow",
      Principal: { Service: name },
      Action: ["kms:GenerateDataKey*", "kms:Decrypt"],
      Resource: ["*"],
      Condition: { StringEquals: { "aws:SourceAccount": account } },
    });
    expect(one("aws:sns/topic:Topic").inputs["kmsMasterKeyId"]).to.equal(keyArn);
    expect(one("aws:kms/key:Key").inputs).to.include({ enableKeyRotation: true });
    expect(policy(one("aws:kms/key:Key"))).to.deep.equal({
      Version: "2012-10-17",
      Statement: [
        {
          Sid: "Account",
          Effect: "Allow",
          Principal: { AWS: `arn:aws:iam::${account}:root` },
          Action: ["kms:*"],
          Resource: ["*"],
        },
        service("Bucket", "s3.amazonaws.com"),
        service("Alarms", "cloudwatch.amazonaws.com"),
      ],
    });
    expect(policy(one("aws:iam/rolePolicy:RolePolicy", "ingest-uploads-publish"))).to.deep.equal({
      Version: "2012-10-17",
      Statement: [
        { Sid: "Publish", Effect: "Allow", Action: ["sns:Publish"], Resource: [topicArn] },
        {
          Sid: "Encrypt",
          Effect: "Allow",
          Action: ["kms:GenerateDataKey", "kms:Decrypt"],
          Resource: [keyArn],
        },
      ],
    });
  });

  it("subscribes to somebody else's topic without changing it", async () => {
    const existingArn = `arn:aws:sns:eu-central-1:${account}:theirs`;
    const { one, all } = await made({ existingArn });

    expect(all("aws:sns/topic:Topic")).to.deep.equal([]);
    expect(all("aws:sns/topicPolicy:TopicPolicy")).to.deep.equal([]);
    expect(one(subscription).inputs["topic"]).to.equal(existingArn);
  });
});
