import { randomUUID } from "node:crypto";
import {
  type AttributeValue,
  ConditionalCheckFailedException,
  DeleteItemCommand,
  type DynamoDBClient,
  PutItemCommand,
  UpdateItemCommand,
} from "@aws-sdk/client-dynamodb";

/** Lambda makes a line of JSON of each object. */
export type Log = Pick<Console, "info" | "warn" | "error">;

export interface ClaimsOptions {
  client: DynamoDBClient;
  table: string;
  /** Who claims. Each does its own part of an order, once. */
  subscriber: string;
  /** Milliseconds since 1970. @default Date.now */
  now?: () => number;
  /** @default console */
  log?: Log;
}

/** Whether the work was done now, or had been before. */
export type Outcome = "done" | "duplicate";

/** Another invocation is at it, and may yet fail: whoever hears this is to try again later. */
export class ClaimHeld extends Error {
  override readonly name = "ClaimHeld";
}

/** The claim ended before the work did, and another invocation may have begun. */
export class ClaimLost extends Error {
  override readonly name = "ClaimLost";
}

/** Lambda ends a function up to a second after its time, and clocks differ a little. */
const graceMs = 2000;

/** A message waits in a failure queue for 14 days at most, and is known again a day longer. */
const rememberedSeconds = 15 * 24 * 60 * 60;

/**
 * Does what is asked once for each order, however often the message comes: DynamoDB lets one invocation have the claim at a time, and
 * nobody after it is done.
 *
 * - Work that fails gives its claim back, for the next try.
 * - A function that is killed can't: its claim ends with the time that it had.
 * - The moment between the work and the mark remains. So the work is given a key, the same each time, for what it calls to know it by.
 *
 * @see https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Expressions.ConditionExpressions.html
 */
export class Claims {
  readonly #client: DynamoDBClient;
  readonly #table: string;
  readonly #subscriber: string;
  readonly #now: () => number;
  readonly #log: Log;

  constructor({ client, table, subscriber, now = Date.now, log = console }: ClaimsOptions) {
    this.#client = client;
    this.#table = table;
    this.#subscriber = subscriber;
    this.#now = now;
    this.#log = log;
  }

  /**
   * @param leftMs milliseconds that the invocation has left: the claim holds a little longer
   * @param work gets the key, `<subscriber>#<order>`
   * @throws ClaimHeld where another invocation has the claim; ClaimLost; what the work throws
   */
  async once(
    orderId: string,
    leftMs: number,
    work: (key: string) => Promise<unknown>,
  ): Promise<Outcome> {
    const key = `${this.#subscriber}#${orderId}`;
    const holder = randomUUID();
    const before = await this.#take(key, holder, this.#now() + leftMs + graceMs);
    if (before?.["state"]?.S === "done") return "duplicate";
    if (before !== undefined) throw new ClaimHeld(`another invocation is at ${key}`);
    let result: unknown;
    try {
      result = await work(key);
    } catch (error) {
      // Where that fails, too, the claim ends by itself.
      await this.#giveBack(key, holder).catch((failed: Error) => {
        this.#log.warn({ message: "could not give the claim back", key, error: failed });
      });
      throw error;
    }
    await this.#finish(key, holder, result);
    return "done";
  }

  /** @returns what is there, where that is not to be taken */
  async #take(
    key: string,
    holder: string,
    heldUntil: number,
  ): Promise<Record<string, AttributeValue> | undefined> {
    const now = this.#now();
    try {
      await this.#client.send(
        new PutItemCommand({
          TableName: this.#table,
          Item: {
            id: { S: key },
            state: { S: "claimed" },
            holder: { S: holder },
            heldUntil: { N: String(heldUntil) },
            expires: this.#expires(),
          },
          // DynamoDB removes what has expired when it comes to it, which may be days later.
          ConditionExpression:
            "attribute_not_exists(#id) OR #expires < :seconds OR (#state = :claimed AND #heldUntil < :now)",
          ExpressionAttributeNames: names("id", "expires", "state", "heldUntil"),
          ExpressionAttributeValues: {
            ":claimed": { S: "claimed" },
            ":now": { N: String(now) },
            ":seconds": { N: String(Math.floor(now / 1000)) },
          },
          // It says what there is without a second request, or the right to read.
          ReturnValuesOnConditionCheckFailure: "ALL_OLD",
        }),
      );
      return undefined;
    } catch (error) {
      if (error instanceof ConditionalCheckFailedException) return error.Item ?? {};
      throw error;
    }
  }

  async #finish(key: string, holder: string, result: unknown): Promise<void> {
    try {
      await this.#client.send(
        new UpdateItemCommand({
          TableName: this.#table,
          Key: { id: { S: key } },
          UpdateExpression: "SET #state = :done, #result = :result, #expires = :expires",
          ConditionExpression: "#holder = :holder",
          ExpressionAttributeNames: names("state", "result", "expires", "holder"),
          ExpressionAttributeValues: {
            ":done": { S: "done" },
            // For whoever looks into the table.
            ":result": { S: JSON.stringify(result ?? null) },
            ":expires": this.#expires(),
            ":holder": { S: holder },
          },
        }),
      );
    } catch (error) {
      if (!(error instanceof ConditionalCheckFailedException)) throw error;
      throw new ClaimLost(`the claim of ${key} ended before its work`, { cause: error });
    }
  }

  async #giveBack(key: string, holder: string): Promise<void> {
    await this.#client.send(
      new DeleteItemCommand({
        TableName: this.#table,
        Key: { id: { S: key } },
        ConditionExpression: "#holder = :holder",
        ExpressionAttributeNames: names("holder"),
        ExpressionAttributeValues: { ":holder": { S: holder } },
      }),
    );
  }

  /** When an item goes, in seconds since 1970, as DynamoDB's time to live is. */
  #expires(): AttributeValue {
    return { N: String(Math.floor(this.#now() / 1000) + rememberedSeconds) };
  }
}

/** Some are words that DynamoDB keeps for itself. */
function names(...attributes: readonly string[]): Record<string, string> {
  return Object.fromEntries(attributes.map((name) => [`#${name}`, name]));
}
