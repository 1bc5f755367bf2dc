import {
  GetBucketNotificationConfigurationCommand,
  GetBucketTaggingCommand,
  HeadBucketCommand,
  S3Client,
} from "@aws-sdk/client-s3";
import * as aws from "@pulumi/aws";
import * as pulumi from "@pulumi/pulumi";
import { bucketNamePattern } from "../app/contract.ts";
import type { DataBucketArgs } from "./data-bucket.ts";
import { configCommand, stageName, stageTags } from "./names.ts";
import type { StageConfig } from "./stage-config.ts";

type Found = Pick<DataBucketArgs, "bucketName" | "mode">;

/**
 * Which bucket the stage has: one that config names; else the one of the stage's own name, which an earlier `pulumi destroy` may have
 * left behind.
 * @param topicName what this stage's topic is called, without the stage
 * @throws RunError where a bucket of that name is not this stage's, or somebody else has notifications on one that config names
 */
export async function findDataBucket(
  config: StageConfig["bucket"],
  topicName: string,
): Promise<Found> {
  if (config.existing !== undefined) {
    if (config.uploadsTopicArn === undefined) {
      const { accountId, region } = await whereTo();
      await checkNotifications(
        config.existing,
        `:sns:${region}:${accountId}:${stageName(topicName)}`,
      );
    }
    return { bucketName: config.existing, mode: "reference" };
  }
  return await findOwnBucket({ settable: true });
}

/**
 * The bucket of the stack's own name, `<project>-<stack>-<account>-<region>`: one to make, or one that an earlier `pulumi destroy` left.
 * @param settable whether the stack's setting `bucketName` can name another one, as errors then advise @default false
 * @throws RunError where a bucket of that name is not this stack's
 */
export async function findOwnBucket({ settable = false } = {}): Promise<Found> {
  const { accountId, region } = await whereTo();
  // Names are taken for the whole world, so the account is in it; and so that it is found again, nothing random.
  const bucketName =
    `${pulumi.getProject()}-${pulumi.getStack()}-${accountId}-${region}`.toLowerCase();
  if (!bucketNamePattern.test(bucketName)) {
    throw new pulumi.RunError(
      `${bucketName} can't be the name of a bucket (63 characters at most, and of letters, digits, "." and "-"): ` +
        `give the stack another name, pulumi stack rename <name>${settable ? `, or name a bucket, ${configCommand("set", "bucketName <bucket>")}` : ""}`,
    );
  }
  const remedy = settable
    ? `to use it as it is: ${configCommand("set", `bucketName ${bucketName}`)}`
    : "give the stack another name: pulumi stack rename <name>";
  return { bucketName, mode: (await isLeftBehind(bucketName, remedy)) ? "adopt" : "create" };
}

/**
 * Where the stack goes: the first that is asked of AWS, so that it is here where a missing region or keys show.
 * @throws RunError that names the command which gives them; the provider's own error is a page of its plumbing
 */
async function whereTo(): Promise<{ accountId: string; region: string }> {
  try {
    const [{ accountId }, { region }] = await Promise.all([
      aws.getCallerIdentity(),
      aws.getRegion(),
    ]);
    return { accountId, region };
  } catch (error) {
    const said = (error as Error).message;
    if (/invalid AWS region|region is not set|missing region/i.test(said)) {
      throw new pulumi.RunError(
        `no region to deploy to: ${configCommand("set", "aws:region eu-central-1")}, or AWS_REGION`,
      );
    }
    const why = said.replace(/^.*(?:failed|error):?\s*(?=\S)/is, "").split("\n")[0];
    throw new pulumi.RunError(
      `AWS does not say which account this is (${why}): give it keys, by aws sso login and AWS_PROFILE, or by AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY`,
    );
  }
}

async function isLeftBehind(bucketName: string, remedy: string): Promise<boolean> {
  const client = clientOfProvider();
  try {
    await client.send(new HeadBucketCommand({ Bucket: bucketName }));
  } catch (error) {
    const status = (error as { $metadata?: { httpStatusCode?: number } }).$metadata?.httpStatusCode;
    if (status === 404) return false;
    throw new pulumi.RunError(
      `can't tell whether there is a bucket ${bucketName}: ${(error as Error).name}: ${(error as Error).message}; ` +
        "who deploys needs s3:ListBucket on it; a name that somebody else has answers 403: rename the stack",
    );
  }
  const { TagSet } = await client
    .send(new GetBucketTaggingCommand({ Bucket: bucketName }))
    .catch((error: Error) => {
      if (error.name === "NoSuchTagSet") return { TagSet: [] };
      throw new pulumi.RunError(
        `can't read the tags of the bucket ${bucketName}: ${error.message}`,
      );
    });
  const tags = new Map((TagSet ?? []).map(({ Key, Value }) => [Key, Value]));
  const foreign = Object.entries(stageTags()).filter(([name, value]) => tags.get(name) !== value);
  if (foreign.length === 0) return true;
  const wanted = foreign.map(([name, value]) => `${name}=${value}`).join(", ");
  throw new pulumi.RunError(
    `the bucket ${bucketName} is there, but is not one that this stack left behind (it has no tags ${wanted}): ` +
      remedy,
  );
}

/** Setting a bucket's notifications replaces all that it has, and destroying the stack would remove them. */
async function checkNotifications(bucketName: string, ownTopic: string): Promise<void> {
  const found = await clientOfProvider()
    .send(new GetBucketNotificationConfigurationCommand({ Bucket: bucketName }))
    .catch((error: Error) => {
      throw new pulumi.RunError(
        `can't tell whom the bucket ${bucketName} notifies: ${error.name}: ${error.message}; ` +
          "who deploys needs s3:GetBucketNotification on it",
      );
    });
  const targets = [
    ...(found.TopicConfigurations ?? []).map(({ TopicArn }) => TopicArn),
    ...(found.QueueConfigurations ?? []).map(({ QueueArn }) => QueueArn),
    ...(found.LambdaFunctionConfigurations ?? []).map(({ LambdaFunctionArn }) => LambdaFunctionArn),
    ...(found.EventBridgeConfiguration === undefined ? [] : ["EventBridge"]),
  ];
  const others = targets.filter((target) => target?.endsWith(ownTopic) !== true);
  if (others.length === 0) return;
  throw new pulumi.RunError(
    `the bucket ${bucketName} notifies others, and setting its notifications would end that: ${others.join(", ")}; ` +
      `let them go to a topic, and name it: ${configCommand("set", "uploadsTopicArn <arn>")}, ${configCommand("set", "manageNotifications false")}`,
  );
}

/** Configured as the AWS provider is, so that both speak with the same account. */
function clientOfProvider(): S3Client {
  const config = new pulumi.Config("aws");
  for (const key of ["assumeRole", "assumeRoles", "sharedCredentialsFiles"]) {
    if (config.get(key) === undefined) continue;
    throw new pulumi.RunError(
      `aws:${key} is known to the provider, but not to the search for the bucket, which would ask another account: ` +
        `assume the role outside, by AWS_PROFILE or keys, and ${configCommand("rm", `aws:${key}`)}`,
    );
  }
  const region = config.get("region");
  const profile = config.get("profile");
  const accessKeyId = config.get("accessKey");
  const secretAccessKey = config.get("secretKey");
  const sessionToken = config.get("token");
  const endpoint = (config.getObject<{ s3?: string }[]>("endpoints") ?? []).find(
    ({ s3 }) => s3,
  )?.s3;
  return new S3Client({
    ...(region === undefined ? {} : { region }),
    ...(profile === undefined ? {} : { profile }),
    ...(endpoint === undefined ? {} : { endpoint }),
    ...(accessKeyId !== undefined && secretAccessKey !== undefined
      ? {
          credentials: {
            accessKeyId,
            secretAccessKey,
            ...(sessionToken === undefined ? {} : { sessionToken }),
          },
        }
      : {}),
    forcePathStyle: config.getBoolean("s3UsePathStyle") ?? false,
  });
}
