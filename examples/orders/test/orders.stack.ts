import { randomUUID } from "node:crypto";
import {
  DescribeTableCommand,
  DynamoDBClient,
  type DynamoDBClientConfig,
  GetItemCommand,
  PutItemCommand,
  ScanCommand,
} from "@aws-sdk/client-dynamodb";
import { InvokeCommand, LambdaClient } from "@aws-sdk/client-lambda";
import {
  ListTopicsCommand,
  PublishCommand,
  SNSClient,
  SubscribeCommand,
} from "@aws-sdk/client-sns";
import { CreateQueueCommand, ReceiveMessageCommand, SQSClient } from "@aws-sdk/client-sqs";
import { expect } from "chai";
import { eventually } from "../../../cli/steps.ts";
import { DeployedExample } from "../../../test/examples/deployed-example.ts";
import type { Order } from "../functions/order.ts";
import { order } from "./order.ts";

/** In the order of a stack's life: each test begins where the one before it ended. */
describe("the stack of examples/orders", function () {
  this.timeout(600_000);
  let example: DeployedExample;
  let outputs: {
    topicArn: string;
    tableName: string;
    functionNames: Record<"payment" | "stock" | "shipping", string>;
    failureQueues: Record<"payment" | "stock" | "shipping", string[]>;
  };
  let dynamodb: DynamoDBClient;
  let sns: SNSClient;
  let sqs: SQSClient;
  /** Hears all that the topic tells. */
  let listenerUrl: string;
  const heard: Order[] = [];

  before(async function () {
    example = await DeployedExample.prepare("orders", this);
    dynamodb = new DynamoDBClient();
    sns = new SNSClient();
    sqs = new SQSClient({ useQueueUrlAsEndpoint: false });
  });
  after(async () => {
    for (const client of [dynamodb, sns, sqs]) client?.destroy();
    await example?.remove();
  });

  const publish = async (one: Order) =>
    await sns.send(
      new PublishCommand({ TopicArn: outputs.topicArn, Message: JSON.stringify(one) }),
    );
  /** A message as Lambda hands it to a function. */
  const delivered = (message: unknown) => ({
    Records: [
      {
        EventSource: "aws:sns",
        Sns: { MessageId: randomUUID(), Message: JSON.stringify(message) },
      },
    ],
  });
  const claims = async () => {
    const { Items = [] } = await dynamodb.send(new ScanCommand({ TableName: outputs.tableName }));
    return Items.sort((a, b) => String(a["id"]?.S).localeCompare(String(b["id"]?.S)));
  };
  const done = async () =>
    (await claims()).filter(({ state }) => state?.S === "done").map(({ id }) => id?.S);
  /** What came since, added to what was heard before. */
  const listen = async () => {
    for (;;) {
      const { Messages = [] } = await sqs.send(
        new ReceiveMessageCommand({ QueueUrl: listenerUrl, MaxNumberOfMessages: 10 }),
      );
      if (Messages.length === 0) return heard;
      heard.push(...Messages.map(({ Body }) => JSON.parse(String(Body)) as Order));
    }
  };
  const placed = [
    order({ orderId: "a", delivery: "download" }),
    order({ orderId: "b", delivery: "pickup" }),
    order({ orderId: "c", delivery: "parcel" }),
  ];

  it("comes up from nothing, and a second time there is nothing to do", async () => {
    const { create = 0 } = await example.stack.up();

    outputs = (await example.stack.outputs()) as typeof outputs;
    expect(create).to.be.above(30);
    expect(await example.stack.isCurrent()).to.equal(true);
    const { topicArn } = outputs;
    const queueArn = topicArn.replace(":sns:", ":sqs:").replace(/[^:]+$/, "listener");
    const Policy = JSON.stringify({
      Version: "2012-10-17",
      Statement: [
        {
          ...{ Effect: "Allow", Principal: { Service: "sns.amazonaws.com" } },
          ...{ Action: "sqs:SendMessage", Resource: queueArn },
        },
      ],
    });
    const made = await sqs.send(
      new CreateQueueCommand({ QueueName: "listener", Attributes: { Policy } }),
    );
    listenerUrl = String(made.QueueUrl);
    await sns.send(
      new SubscribeCommand({
        TopicArn: topicArn,
        Protocol: "sqs",
        Endpoint: queueArn,
        Attributes: { RawMessageDelivery: "true" },
      }),
    );
  });

  it("tells each subscriber of its orders, and shipping once they are paid", async () => {
    for (const one of placed) await publish(one);

    const wanted = [
      ...["payment#a", "payment#b", "payment#c"],
      // Nothing is put aside for a download, and nothing is sent of what is picked up.
      ...["shipping#c", "stock#b", "stock#c"],
    ];
    await eventually(120, "they were not done", async () =>
      (await done()).length >= wanted.length ? true : undefined,
    );
    expect(await done()).to.deep.equal(wanted);
    const results = new Map((await claims()).map(({ id, result }) => [id?.S, result?.S]));
    expect(JSON.parse(String(results.get("payment#c")))).to.deep.equal({
      ...{ chargedCents: 4200, reference: "charge:payment#c" },
    });
    expect(JSON.parse(String(results.get("shipping#c")))).to.include({ pieces: 3 });
  });

  it("does nothing twice, whoever is told twice", async () => {
    const before = await claims();
    const { payment, stock, shipping } = outputs.functionNames;
    const [a, b, c] = placed as [Order, Order, Order];

    // SNS may deliver twice, as may whoever places an order.
    for (const one of placed) await publish(one);
    const answers = [];
    for (const [name, one] of [
      [payment, a],
      [payment, c],
      [stock, b],
      [shipping, { ...c, event: "paid" }],
    ] as const) {
      answers.push(await example.invoke(name, delivered(one)));
    }
    // A filter that changed a moment ago lets others through.
    const ignored = await example.invoke(stock, delivered(a));

    for (const { answer } of answers) {
      expect(answer).to.deep.equal({ done: 0, duplicate: 1, ignored: 0 });
    }
    expect(ignored.answer).to.deep.equal({ done: 0, duplicate: 0, ignored: 1 });
    expect(await claims()).to.deep.equal(before);
    await eventually(60, "the listener did not hear them", async () =>
      (await listen()).filter(({ event }) => event === "placed").length === 6 ? true : undefined,
    );
    const paid = heard.filter(({ event }) => event === "paid").map(({ orderId }) => orderId);
    expect(paid.sort()).to.deep.equal(["a", "b", "c"]);
  });

  it("waits for who has a claim, and goes on when that was killed", async () => {
    const { payment } = outputs.functionNames;
    const one = delivered(order({ orderId: "d", delivery: "download" }));
    const claimedUntil = async (heldUntil: number) =>
      await dynamodb.send(
        new PutItemCommand({
          TableName: outputs.tableName,
          Item: {
            ...{ id: { S: "payment#d" }, state: { S: "claimed" }, holder: { S: "killed" } },
            heldUntil: { N: String(heldUntil) },
            expires: { N: String(Math.floor(Date.now() / 1000) + 3600) },
          },
        }),
      );

    await claimedUntil(Date.now() + 30_000);
    const early = await example.invoke(payment, one);
    await claimedUntil(Date.now() - 1);
    const later = await example.invoke(payment, one);

    expect(early.failed).to.equal(true);
    expect(early.answer["errorMessage"]).to.contain("another invocation is at payment#d");
    expect(later.answer).to.deep.equal({ done: 1, duplicate: 0, ignored: 0 });
  });

  it("keeps what fails for good in the failure queue", async () => {
    const lambda = new LambdaClient();
    // The emulator tries again, and at last lets wait, what is invoked by others than its SNS.
    await lambda.send(
      new InvokeCommand({
        FunctionName: outputs.functionNames.payment,
        InvocationType: "Event",
        Payload: Buffer.from(JSON.stringify(delivered({ event: "placed" }))),
      }),
    );
    lambda.destroy();

    const QueueUrl = outputs.failureQueues.payment.find((url) => url.endsWith("-failures"));
    const failure = await eventually(120, "no failure came to wait", async () => {
      const { Messages = [] } = await sqs.send(new ReceiveMessageCommand({ QueueUrl }));
      return Messages[0]?.Body;
    });
    const { requestPayload, responsePayload } = JSON.parse(failure) as {
      requestPayload: ReturnType<typeof delivered>;
      responsePayload: { errorMessage: string };
    };
    expect(requestPayload.Records[0]?.Sns.Message).to.equal('{"event":"placed"}');
    expect(responsePayload.errorMessage).to.contain("no order: orderId");
  });

  it("gives the functions no more rights than their work takes", async () => {
    const { payment, stock } = outputs.functionNames;
    const { topicArn: TopicArn, tableName: TableName } = outputs;
    // Those that nobody asks have no container after a while.
    for (const name of [payment, stock]) await example.invoke(name, delivered(placed[2]));
    const as = async (name: string): Promise<Pick<DynamoDBClientConfig, "credentials">> => ({
      credentials: await example.keysOf(name),
    });
    const table = new DynamoDBClient(await as(payment));
    const topic = new SNSClient(await as(stock));
    const attempt = async (work: () => Promise<unknown>) =>
      await work().then(
        () => "it was let",
        (error: Error) => error.name,
      );

    for (const forbidden of [
      () => table.send(new ScanCommand({ TableName })),
      () => table.send(new GetItemCommand({ TableName, Key: { id: { S: "payment#c" } } })),
      () => topic.send(new PublishCommand({ TopicArn, Message: "{}" })),
    ]) {
      expect(await attempt(forbidden), String(forbidden)).to.match(
        // SNS has a name of its own for it.
        /^(AccessDenied|AuthorizationError)/,
      );
    }
    const Item = { id: { S: "payment#rights" } };
    expect(await attempt(() => table.send(new PutItemCommand({ TableName, Item })))).to.equal(
      "it was let",
    );
    table.destroy();
    topic.destroy();
  });

  it("goes, with all that it was", async () => {
    const gone = await example.stack.destroy();

    expect(gone.delete).to.be.above(30);
    const table = await dynamodb
      .send(new DescribeTableCommand({ TableName: outputs.tableName }))
      .catch((error: Error) => error.name);
    expect(table).to.equal("ResourceNotFoundException");
    const { Topics } = await sns.send(new ListTopicsCommand());
    expect(Topics).to.deep.equal([]);
  });
});
