import {
  DeleteItemCommand,
  DescribeTableCommand,
  DynamoDBClient,
  GetItemCommand,
  UpdateItemCommand,
} from "@aws-sdk/client-dynamodb";
import { expect } from "chai";
import { emulatorOf } from "../../../test/s3/fixtures.ts";
import { ClaimHeld, ClaimLost, Claims } from "../functions/claims.ts";
import { createClaimTable } from "./claim-table.ts";

describe("Claims, on DynamoDB's protocol", () => {
  const TableName = "claims";
  const leftMs = 30_000;
  const day = 24 * 60 * 60 * 1000;
  const log = { info: () => {}, warn: () => {}, error: () => {} };
  let client: DynamoDBClient;
  let now: number;
  let orders = 0;
  let orderId: string;
  let payment: Claims;

  before(async function () {
    const { endpoint } = await emulatorOf(this);
    client = new DynamoDBClient({ endpoint });
    await createClaimTable(client, TableName);
    const { Table } = await client.send(new DescribeTableCommand({ TableName }));
    expect(Table?.TableStatus).to.equal("ACTIVE");
  });
  after(() => client?.destroy());
  beforeEach(() => {
    now = Date.now();
    orders += 1;
    orderId = `o-${orders}`;
    payment = claimsOf("payment");
  });

  const claimsOf = (subscriber: string) =>
    new Claims({ client, table: TableName, subscriber, now: () => now, log });
  const item = async () => {
    const Key = { id: { S: `payment#${orderId}` } };
    return (await client.send(new GetItemCommand({ TableName, Key }))).Item;
  };
  const thrownBy = async (work: Promise<unknown>) =>
    await work.then(
      (value) => value,
      (error: Error) => error,
    );
  /** Work that is under way until it is told to end. */
  function slow(claims: Claims) {
    const begun = Promise.withResolvers<void>();
    const end = Promise.withResolvers<string>();
    const ended = claims.once(orderId, leftMs, async () => {
      begun.resolve();
      return await end.promise;
    });
    return { begun: begun.promise, end, ended };
  }

  it("does an order once, and keeps what came of it", async () => {
    const keys: string[] = [];
    const work = async (key: string) => {
      keys.push(key);
      return { charged: 4200 };
    };

    const outcomes = [
      await payment.once(orderId, leftMs, work),
      await payment.once(orderId, leftMs, work),
    ];
    const made = now;
    // Long after the time of who did it.
    now += 14 * day;
    outcomes.push(await payment.once(orderId, leftMs, work));

    expect(outcomes).to.deep.equal(["done", "duplicate", "duplicate"]);
    expect(keys).to.deep.equal([`payment#${orderId}`]);
    const kept = await item();
    expect(kept?.["state"]).to.deep.equal({ S: "done" });
    expect(kept?.["result"]).to.deep.equal({ S: '{"charged":4200}' });
    // Longer than a message waits in a failure queue, and in the seconds that a time to live is counted in.
    const seconds = Number(kept?.["expires"]?.N);
    expect(seconds * 1000).to.be.within(made + 14.5 * day, made + 15 * day);
  });

  it("does it once for each subscriber, and each order", async () => {
    const done: string[] = [];
    const work = async (key: string) => done.push(key);

    await payment.once(orderId, leftMs, work);
    await claimsOf("stock").once(orderId, leftMs, work);
    await payment.once(`${orderId}b`, leftMs, work);

    expect(done).to.deep.equal([`payment#${orderId}`, `stock#${orderId}`, `payment#${orderId}b`]);
  });

  it("lets one of many that come at once do it, and sends the others to try again", async () => {
    const all = Array.from({ length: 8 }, () => slow(payment));
    const first = await Promise.race(all.map(async (one) => one.begun.then(() => one)));
    const others = await Promise.all(
      all.filter((one) => one !== first).map(async ({ ended }) => await thrownBy(ended)),
    );
    first.end.resolve("charged");

    expect(await first.ended).to.equal("done");
    for (const other of others) expect(other).to.be.instanceOf(ClaimHeld);
    expect((await item())?.["result"]).to.deep.equal({ S: '"charged"' });
  });

  it("gives the claim of work that fails back, for the next try", async () => {
    const failed = await thrownBy(
      payment.once(orderId, leftMs, async () => {
        throw new Error("no answer");
      }),
    );
    const between = await item();
    const again = await payment.once(orderId, leftMs, async () => "charged");

    expect(failed).to.have.property("message", "no answer");
    expect(between).to.equal(undefined);
    expect(again).to.equal("done");
  });

  it("keeps the claim of a function that was killed until its time is over, and no longer", async () => {
    const killed = slow(payment);
    await killed.begun;

    // Lambda ends a function some time after its time.
    now += leftMs + 1000;
    const early = await thrownBy(payment.once(orderId, leftMs, async () => "too early"));
    // It tries again a minute after the function began, at the earliest.
    now += 29_000;
    const later = await payment.once(orderId, leftMs, async () => "charged");

    expect(early).to.be.instanceOf(ClaimHeld);
    expect(later).to.equal("done");
    expect((await item())?.["result"]).to.deep.equal({ S: '"charged"' });
  });

  it("takes nothing from whoever came after, when work ends after its claim", async () => {
    const late = slow(payment);
    await late.begun;
    now += 60_000;
    const next = await payment.once(orderId, leftMs, async () => "the second's");
    late.end.resolve("the first's");

    expect(await thrownBy(late.ended)).to.be.instanceOf(ClaimLost);
    expect(next).to.equal("done");
    expect((await item())?.["result"]).to.deep.equal({ S: '"the second\'s"' });
  });

  it("gives back no claim but its own, when work fails after it", async () => {
    const late = slow(payment);
    await late.begun;
    now += 60_000;
    const next = slow(payment);
    await next.begun;
    late.end.reject(new Error("no answer"));
    await thrownBy(late.ended);

    const third = await thrownBy(payment.once(orderId, leftMs, async () => "the third's"));
    next.end.resolve("the second's");

    expect(third).to.be.instanceOf(ClaimHeld);
    expect(await next.ended).to.equal("done");
  });

  it("takes what has expired for gone, though DynamoDB has not removed it yet", async () => {
    await payment.once(orderId, leftMs, async () => "charged");
    now += 16 * day;

    expect(await payment.once(orderId, leftMs, async () => "anew")).to.equal("done");
  });

  it("says what the work failed with where the claim can't be given back either", async () => {
    const failed = await thrownBy(
      payment.once(orderId, leftMs, async () => {
        const Key = { id: { S: `payment#${orderId}` } };
        await client.send(new DeleteItemCommand({ TableName, Key }));
        throw new Error("no answer");
      }),
    );

    expect(failed).to.have.property("message", "no answer");
  });

  it("tries again what was done but not marked, with the same key", async () => {
    const keys: string[] = [];
    const half = await thrownBy(
      payment.once(orderId, leftMs, async (key) => {
        keys.push(key);
        // As where the function ends between its work and the mark.
        await client.send(
          new UpdateItemCommand({
            TableName,
            Key: { id: { S: key } },
            UpdateExpression: "SET holder = :nobody",
            ExpressionAttributeValues: { ":nobody": { S: "nobody" } },
          }),
        );
      }),
    );
    now += 60_000;
    const again = await payment.once(orderId, leftMs, async (key) => keys.push(key));

    expect(half).to.be.instanceOf(ClaimLost);
    expect(again).to.equal("done");
    expect(keys).to.deep.equal([`payment#${orderId}`, `payment#${orderId}`]);
  });
});
