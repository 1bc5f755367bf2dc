import * as aws from "@pulumi/aws";
import * as pulumi from "@pulumi/pulumi";
import type { ContainerFunction } from "./container-function.ts";
import { failureQueue } from "./failure-queue.ts";
import { stageName, stageTags } from "./names.ts";
import { policyJson, type Statement } from "./policy.ts";

export interface EventTopicArgs {
  /** A topic that is there already, and whose policy is somebody else's. @default - one is made */
  existingArn?: string | undefined;
  /** Whether messages at rest are encrypted, with a key of this stage's own. @default false */
  encrypt?: boolean;
}

export interface SubscribeOptions {
  /** Which messages, by their body. @default - all of them */
  filter?: Record<string, unknown>;
}

/** Events of S3 about keys that begin so. @see https://docs.aws.amazon.com/sns/latest/dg/string-value-matching.html */
export function uploadsUnder(prefix: string): Record<string, unknown> {
  return { Records: { s3: { object: { key: [{ prefix }] } } } };
}

/** A topic of SNS: publishers on one side, functions that subscribe on the other. */
export class EventTopic extends pulumi.ComponentResource {
  readonly arn: pulumi.Output<string>;
  readonly grants: { publish(fn: ContainerFunction): void };
  readonly nodes: { topic?: aws.sns.Topic; key?: aws.kms.Key };
  readonly #name: string;
  readonly #accountId: pulumi.Output<string>;

  constructor(name: string, args: EventTopicArgs = {}, opts?: pulumi.ComponentResourceOptions) {
    super("millpond:infra:EventTopic", name, {}, opts);
    this.#name = name;
    this.#accountId = aws.getCallerIdentityOutput({}, { parent: this }).accountId;
    if (args.existingArn === undefined) {
      const key = args.encrypt === true ? this.#key(name) : undefined;
      const topic = new aws.sns.Topic(
        `${name}-topic`,
        {
          name: stageName(name),
          ...(key === undefined ? {} : { kmsMasterKeyId: key.arn }),
          tags: stageTags(),
        },
        { parent: this },
      );
      this.arn = topic.arn;
      this.nodes = { topic, ...(key === undefined ? {} : { key }) };
    } else {
      this.arn = pulumi.output(args.existingArn);
      this.nodes = {};
    }
    this.grants = { publish: (fn) => this.#grantPublish(fn) };
    this.registerOutputs({ arn: this.arn });
  }

  /** Lets one bucket of this account publish. */
  acceptFrom(bucketArn: pulumi.Input<string>): aws.sns.TopicPolicy {
    return new aws.sns.TopicPolicy(
      `${this.#name}-policy`,
      {
        arn: this.arn,
        policy: policyJson({
          sid: "Bucket",
          principal: { service: "s3.amazonaws.com" },
          actions: ["sns:Publish"],
          resources: [this.arn],
          condition: {
            ArnEquals: { "aws:SourceArn": bucketArn },
            StringEquals: { "aws:SourceAccount": this.#accountId },
          },
        }),
      },
      { parent: this },
    );
  }

  /** Mails each message to somebody, who is asked by mail first whether that is wanted. */
  subscribeEmail(
    name: string,
    address: string,
    { dependsOn = [] }: { dependsOn?: pulumi.Resource[] } = {},
  ): aws.sns.TopicSubscription {
    return new aws.sns.TopicSubscription(
      `${name}-subscription`,
      { topic: this.arn, protocol: "email", endpoint: address },
      { parent: this, dependsOn },
    );
  }

  /** Hands messages to a function. Those that can't be delivered wait in a queue. */
  subscribe(
    name: string,
    fn: ContainerFunction,
    { filter }: SubscribeOptions = {},
  ): aws.sns.TopicSubscription {
    const queueName = `${name}-undelivered`;
    const undelivered = failureQueue(queueName, this);
    fn.failureQueues[queueName] = undelivered;
    const accepted = new aws.sqs.QueuePolicy(
      `${queueName}-policy`,
      {
        queueUrl: undelivered.id,
        policy: policyJson({
          sid: "Topic",
          principal: { service: "sns.amazonaws.com" },
          actions: ["sqs:SendMessage"],
          resources: [undelivered.arn],
          condition: { ArnEquals: { "aws:SourceArn": this.arn } },
        }),
      },
      { parent: this },
    );
    const permission = new aws.lambda.Permission(
      `${name}-permission`,
      {
        function: fn.name,
        action: "lambda:InvokeFunction",
        principal: "sns.amazonaws.com",
        sourceArn: this.arn,
      },
      { parent: this },
    );
    return new aws.sns.TopicSubscription(
      `${name}-subscription`,
      {
        topic: this.arn,
        protocol: "lambda",
        endpoint: fn.arn,
        ...(filter === undefined
          ? {}
          : { filterPolicy: JSON.stringify(filter), filterPolicyScope: "MessageBody" }),
        redrivePolicy: pulumi.jsonStringify({ deadLetterTargetArn: undelivered.arn }),
      },
      { parent: this, dependsOn: [permission, accepted] },
    );
  }

  #grantPublish(fn: ContainerFunction): void {
    const { key } = this.nodes;
    const statements: Statement[] = [
      { sid: "Publish", actions: ["sns:Publish"], resources: [this.arn] },
    ];
    if (key !== undefined) {
      statements.push({
        sid: "Encrypt",
        actions: ["kms:GenerateDataKey", "kms:Decrypt"],
        resources: [key.arn],
      });
    }
    fn.allow(`${this.#name}-publish`, ...statements);
  }

  /** AWS's own key for SNS lets neither S3 nor alarms publish, so that it takes one whose policy does. */
  #key(name: string): aws.kms.Key {
    const { partition } = aws.getPartitionOutput({}, { parent: this });
    return new aws.kms.Key(
      `${name}-key`,
      {
        description: `messages of ${stageName(name)}`,
        enableKeyRotation: true,
        policy: policyJson(
          {
            sid: "Account",
            principal: { arn: pulumi.interpolate`arn:${partition}:iam::${this.#accountId}:root` },
            // Without this nobody could ever change the key: from here on the account's own policies decide.
            actions: ["kms:*"],
            resources: ["*"],
          },
          ...["s3.amazonaws.com", "cloudwatch.amazonaws.com"].map(
            (service): Statement => ({
              sid: service.startsWith("s3") ? "Bucket" : "Alarms",
              principal: { service },
              actions: ["kms:GenerateDataKey*", "kms:Decrypt"],
              resources: ["*"],
              condition: { StringEquals: { "aws:SourceAccount": this.#accountId } },
            }),
          ),
        ),
        tags: stageTags(),
      },
      { parent: this },
    );
  }
}
