import { PublishCommand, SNSClient } from "@aws-sdk/client-sns";
import { MillpondError, messageOf } from "../errors.ts";

/**
 * Publishes a message to a topic.
 * @param topicArn `arn:aws:sns:<region>:<account>:<name>`
 * @throws MillpondError `topic-unavailable`, retryable
 */
export function topicPublisher(topicArn: string): (message: string) => Promise<void> {
  const client = new SNSClient({ retryMode: "adaptive", maxAttempts: 5 });
  return async (message) => {
    try {
      await client.send(new PublishCommand({ TopicArn: topicArn, Message: message }));
    } catch (error) {
      throw new MillpondError(
        "topic-unavailable",
        `can't publish to ${topicArn} (it takes sns:Publish): ${messageOf(error)}`,
        { retryable: true, cause: error },
      );
    }
  };
}
