import * as aws from "@pulumi/aws";
import type * as pulumi from "@pulumi/pulumi";
import { stageName, stageTags } from "./names.ts";

/** How long what failed waits for somebody: as long as SQS lets it. */
const retentionSeconds = 14 * 24 * 60 * 60;

/** A queue for what could not be delivered, or not be done. */
export function failureQueue(name: string, parent: pulumi.Resource): aws.sqs.Queue {
  return new aws.sqs.Queue(
    name,
    {
      name: stageName(name),
      messageRetentionSeconds: retentionSeconds,
      // Not a key of KMS: AWS's own would shut SNS out.
      sqsManagedSseEnabled: true,
      tags: stageTags(),
    },
    { parent },
  );
}
