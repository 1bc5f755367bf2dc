import { execFile } from "node:child_process";
import { randomBytes } from "node:crypto";
import fs from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { promisify } from "node:util";
import { CreateFunctionCommand, LambdaClient } from "@aws-sdk/client-lambda";
import {
  CreateQueueCommand,
  GetQueueAttributesCommand,
  SendMessageCommand,
  SQSClient,
} from "@aws-sdk/client-sqs";
import { expect } from "chai";
import type { DeployedStack } from "../../cli/deployed-stack.ts";
import { redrive } from "../../cli/redrive.ts";
import { emulatorOf } from "../s3/fixtures.ts";

describe("redrive of sweeps", () => {
  let sqs: SQSClient;
  let lambda: LambdaClient;
  let stack: DeployedStack;
  let queue: string;
  const functionName = `sweep-${randomBytes(4).toString("hex")}`;

  before(async function () {
    const { endpoint } = await emulatorOf(this);
    process.env["AWS_ENDPOINT_URL"] = endpoint;
    sqs = new SQSClient({ useQueueUrlAsEndpoint: false });
    lambda = new LambdaClient({});
    const folder = await fs.mkdtemp(path.join(os.tmpdir(), "millpond-test-"));
    try {
      await fs.writeFile(path.join(folder, "index.py"), "def handler(event, context):\n  pass\n");
      const zip = ["-m", "zipfile", "-c", "function.zip", "index.py"];
      await promisify(execFile)("python3", zip, { cwd: folder });
      await lambda.send(
        new CreateFunctionCommand({
          FunctionName: functionName,
          Runtime: "python3.12",
          Handler: "index.handler",
          Role: "arn:aws:iam::000000000000:role/any",
          Code: { ZipFile: await fs.readFile(path.join(folder, "function.zip")) },
        }),
      );
    } finally {
      await fs.rm(folder, { recursive: true });
    }
  });
  after(() => {
    sqs?.destroy();
    lambda?.destroy();
    delete process.env["AWS_ENDPOINT_URL"];
  });
  beforeEach(async () => {
    const { QueueUrl = "" } = await sqs.send(
      new CreateQueueCommand({ QueueName: `failed-${randomBytes(4).toString("hex")}` }),
    );
    queue = QueueUrl;
    stack = {
      region: process.env["AWS_REGION"],
      functionNames: { sweep: functionName },
      failureQueues: { sweep: [queue] },
    } as unknown as DeployedStack;
  });

  /** As Lambda writes of an event of the sweep function that failed. */
  const fail = async (requestPayload: object) => {
    const functionArn = `arn:aws:lambda:eu-central-1:000000000000:function:${functionName}:$LATEST`;
    const requestContext = { functionArn, condition: "RetriesExhausted" };
    const MessageBody = JSON.stringify({ requestContext, requestPayload });
    await sqs.send(new SendMessageCommand({ QueueUrl: queue, MessageBody }));
  };
  const waiting = async () => {
    const { Attributes = {} } = await sqs.send(
      new GetQueueAttributesCommand({ QueueUrl: queue, AttributeNames: ["All"] }),
    );
    return (
      Number(Attributes["ApproximateNumberOfMessages"]) +
      Number(Attributes["ApproximateNumberOfMessagesNotVisible"])
    );
  };

  it("invokes one of those that ask for the same, and each that asks for something else", async () => {
    // As a schedule sends them, each with an id of its own.
    for (const id of ["a", "b", "c"]) await fail({ id, time: new Date().toISOString() });
    await fail({ force: true });
    await fail({ all: true });
    await fail({ force: true, all: false });

    const [report] = await redrive(stack, { run: true, rate: 100 });

    expect(report).to.include({ waiting: 6, accepted: 3, covered: 3, newer: 0 });
    expect(await waiting()).to.equal(0);
  });

  it("deletes none after Ctrl-C, though one that was invoked does its work", async () => {
    const stopped = new AbortController();
    await fail({ id: "a" });
    await fail({ force: true });
    await fail({ id: "b" });
    // So slow that the second waits for its turn when the first is done with.
    const running = redrive(stack, { run: true, rate: 0.1, stopped: stopped.signal });
    // The test's own time limit ends it where none is handed back.
    while ((await waiting()) === 3) await pause(20);
    stopped.abort();
    const [report] = await running;

    expect(report).to.include({ waiting: 3, accepted: 1, covered: 0 });
    expect(await waiting()).to.equal(2);
    const [seen] = await redrive(stack, { run: false, rate: 100 });
    expect(seen?.failures.map(({ count }) => count)).to.deep.equal([2]);
  });
});
