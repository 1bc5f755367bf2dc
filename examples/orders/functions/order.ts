import type { SNSEvent } from "aws-lambda";
import * as v from "valibot";

const order = v.object({
  /** What happened to it. */
  event: v.picklist(["placed", "paid"]),
  orderId: v.pipe(v.string(), v.regex(/^[\w-]{1,64}$/, "letters, digits, _ and -, 64 at most")),
  /** In euro cents. */
  totalCents: v.pipe(v.number(), v.integer(), v.minValue(0)),
  delivery: v.picklist(["download", "pickup", "parcel"]),
  items: v.pipe(
    v.array(
      v.object({ sku: v.string(), quantity: v.pipe(v.number(), v.integer(), v.minValue(1)) }),
    ),
    v.minLength(1),
  ),
});

/** What the topic tells of an order. */
export type Order = v.InferOutput<typeof order>;

/**
 * The order that a message is about.
 * @throws Error with what is wrong: such a message ends in the failure queue, where somebody sees it
 */
export function orderOf({ Sns }: SNSEvent["Records"][number]): Order {
  const parsed = v.safeParse(order, JSON.parse(Sns.Message));
  if (parsed.success) return parsed.output;
  const [issue] = parsed.issues;
  throw new Error(`no order: ${v.getDotPath(issue) ?? "the message"}: ${issue.message}`);
}
