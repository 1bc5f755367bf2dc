import { DynamoDBClient } from "@aws-sdk/client-dynamodb";
import { PublishCommand, SNSClient } from "@aws-sdk/client-sns";
import { Claims } from "./claims.ts";
import { chargeNobody, paymentOf } from "./payment.ts";
import { shipping as shippingSubscriber } from "./shipping.ts";
import { stock as stockSubscriber } from "./stock.ts";
import { createHandler, type Subscriber } from "./subscriber.ts";

/** What the image runs: Lambda calls `index.payment`, `index.stock` and `index.shipping`. */
const dynamodb = new DynamoDBClient();
const sns = new SNSClient();

export const payment = handlerOf(
  "payment",
  paymentOf(
    chargeNobody,
    async (order) =>
      await sns.send(
        new PublishCommand({ TopicArn: setting("ORDERS_TOPIC"), Message: JSON.stringify(order) }),
      ),
  ),
);
export const stock = handlerOf("stock", stockSubscriber);
export const shipping = handlerOf("shipping", shippingSubscriber);

function handlerOf(subscriber: string, part: Subscriber) {
  return createHandler(
    new Claims({ client: dynamodb, table: setting("CLAIMS_TABLE"), subscriber }),
    part,
  );
}

/** Of the environment, which the stack sets. @throws Error with the name of one that is missing */
function setting(name: string): string {
  const value = process.env[name];
  if (!value) throw new Error(`${name} is missing in the function's environment`);
  return value;
}
