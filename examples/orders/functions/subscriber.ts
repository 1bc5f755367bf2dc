import type { Context, SNSEvent } from "aws-lambda";
import type { Claims, Log } from "./claims.ts";
import { type Order, orderOf } from "./order.ts";

/** One of those that the topic tells. */
export interface Subscriber {
  /**
   * Whether an order is its business. The subscription's filter says the same, but a change of one takes SNS up to 15 minutes.
   * @see https://docs.aws.amazon.com/sns/latest/dg/sns-message-filtering.html
   */
  wants(order: Order): boolean;
  /**
   * Its part of an order.
   * @param key the same each time that it is tried, for what it calls to know it by
   * @returns what is kept with the claim
   */
  work(order: Order, key: string): Promise<unknown>;
}

/** How many orders of one invocation ended how. */
export type Summary = Record<"done" | "duplicate" | "ignored", number>;

/** Takes the topic's messages, and has a subscriber do each order once. */
export function createHandler(claims: Claims, { wants, work }: Subscriber, log: Log = console) {
  return async (
    event: SNSEvent,
    context: Pick<Context, "getRemainingTimeInMillis">,
  ): Promise<Summary> => {
    const summary = { done: 0, duplicate: 0, ignored: 0 };
    const failures: unknown[] = [];
    for (const record of event.Records) {
      try {
        const order = orderOf(record);
        const { orderId } = order;
        const outcome = wants(order)
          ? await claims.once(orderId, context.getRemainingTimeInMillis(), (key) =>
              work(order, key),
            )
          : "ignored";
        summary[outcome] += 1;
        log.info({ message: outcome, orderId });
      } catch (error) {
        // The others go on. Lambda hands all in again, where what is done is a duplicate, and in the end to the failure queue.
        log.error({ message: "failed", messageId: record.Sns.MessageId, error });
        failures.push(error);
      }
    }
    if (failures.length === 0) return summary;
    const [first] = failures as [Error];
    throw new Error(
      `${failures.length} of ${event.Records.length} messages failed: ${first.message}`,
      { cause: first },
    );
  };
}
