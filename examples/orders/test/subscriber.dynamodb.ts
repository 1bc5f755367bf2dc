import { DynamoDBClient } from "@aws-sdk/client-dynamodb";
import type { SNSEvent } from "aws-lambda";
import { expect } from "chai";
import { emulatorOf } from "../../../test/s3/fixtures.ts";
import { Claims } from "../functions/claims.ts";
import type { Order } from "../functions/order.ts";
import { createHandler, type Subscriber } from "../functions/subscriber.ts";
import { createClaimTable } from "./claim-table.ts";
import { order } from "./order.ts";

describe("createHandler, on DynamoDB's protocol", () => {
  const TableName = "subscribers";
  const context = { getRemainingTimeInMillis: () => 30_000 };
  let client: DynamoDBClient;
  /** What was charged, and what is to fail. */
  let charged: string[];
  let failing: Set<string>;
  /** Messages of the lines that it logged. */
  let logged: string[];
  let handler: ReturnType<typeof createHandler>;

  before(async function () {
    const { endpoint } = await emulatorOf(this);
    client = new DynamoDBClient({ endpoint });
    await createClaimTable(client, TableName);
  });
  after(() => client?.destroy());
  beforeEach(function () {
    charged = [];
    failing = new Set();
    logged = [];
    const note = ({ message }: { message: string }) => logged.push(message);
    const log = { info: note, warn: note, error: note };
    // A subscriber for each test: nobody else's claims.
    const subscriber = String(this.currentTest?.title);
    const part: Subscriber = {
      wants: ({ event }) => event === "placed",
      work: async ({ orderId }) => {
        if (failing.has(orderId)) throw new Error(`no answer for ${orderId}`);
        charged.push(orderId);
      },
    };
    handler = createHandler(new Claims({ client, table: TableName, subscriber, log }), part, log);
  });
  const sns = (...messages: (Partial<Order> | string)[]) =>
    ({
      Records: messages.map((one, i) => ({
        Sns: {
          MessageId: `m-${i}`,
          Message: typeof one === "string" ? one : JSON.stringify(order(one)),
        },
      })),
    }) as SNSEvent;

  it("does orders once, and says how many", async () => {
    const event = sns({ orderId: "a" }, { orderId: "b" }, { orderId: "a" }, { event: "paid" });

    const first = await handler(event, context);
    const redelivered = await handler(event, context);

    expect(first).to.deep.equal({ done: 2, duplicate: 1, ignored: 1 });
    expect(redelivered).to.deep.equal({ done: 0, duplicate: 3, ignored: 1 });
    expect(charged).to.deep.equal(["a", "b"]);
  });

  it("goes on behind one that fails, and does that one alone when all come again", async () => {
    const event = sns({ orderId: "a" }, { orderId: "b" }, { orderId: "c" });
    failing.add("b");

    const thrown = await handler(event, context).catch((error: Error) => error.message);
    failing.clear();
    const again = await handler(event, context);

    expect(thrown).to.equal("1 of 3 messages failed: no answer for b");
    expect(again).to.deep.equal({ done: 1, duplicate: 2, ignored: 0 });
    expect(charged).to.deep.equal(["a", "c", "b"]);
    expect(logged).to.deep.equal(["done", "failed", "done", "duplicate", "done", "duplicate"]);
  });

  it("fails for a message that is no order, so that somebody sees it in the failure queue", async () => {
    for (const message of ["no JSON", '{"event":"placed"}']) {
      const thrown = await handler(sns(message, { orderId: "a" }), context).catch(
        (error: Error) => error.message,
      );

      expect(thrown).to.match(/^1 of 2 messages failed: /);
    }
    expect(charged).to.deep.equal(["a"]);
  });
});
