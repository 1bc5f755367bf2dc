import { setTimeout as pause } from "node:timers/promises";
import { InvokeCommand, LambdaClient } from "@aws-sdk/client-lambda";
import {
  ChangeMessageVisibilityCommand,
  DeleteMessageCommand,
  GetQueueAttributesCommand,
  type Message,
  ReceiveMessageCommand,
  SQSClient,
} from "@aws-sdk/client-sqs";
import { Command } from "commander";
import type { FunctionName } from "../app/contract.ts";
import { decodeFailedEvent, type FailedEvent, tablesOf } from "../app/events/failed-event.ts";
import { countText } from "../app/text.ts";
import { awsError } from "./aws-error.ts";
import { type DeployedStack, namedStack, readStack, stackOption } from "./deployed-stack.ts";
import { interruption } from "./steps.ts";
import { columnsText } from "./text.ts";
import { UsageError } from "./usage-error.ts";

interface RedriveOptions {
  stack?: string;
  run: boolean;
  rate: string;
  json: boolean;
}

export function redriveCommand(): Command {
  return new Command("redrive")
    .description("show what failed for good, and with --run hand it back to its function")
    .addOption(stackOption())
    .option("--run", "invoke the function that failed, with the original event", false)
    .option("--rate <number>", "events a second", "5")
    .option("--json", "one JSON object a queue", false)
    .addHelpText(
      "after",
      `
An event that Lambda tried again in vain, and one that SNS could not deliver,
waits in a queue for 14 days. Mend the cause first: by code and table this
says what failed. --run deletes a message when Lambda has accepted its event,
and no other; interrupted, the rest waits on. What fails again comes back. Of
sweeps that ask for the same one is invoked: it does the work of all.
To look it receives the messages, which nobody else sees for two minutes then.
With your rights on AWS: sqs:GetQueueAttributes, sqs:ReceiveMessage,
sqs:ChangeMessageVisibility, and for --run sqs:DeleteMessage and
lambda:InvokeFunction.
Exit code: 0 done; 1 something was not accepted, or can't be read; 2 the call
is wrong; 130 interrupted.`,
    )
    .action(async (options: RedriveOptions) => {
      const name = namedStack(options.stack);
      const rate = Number(options.rate);
      if (!/^\d+(\.\d+)?$/.test(options.rate) || rate < 0.1 || rate > 100) {
        throw new UsageError(`--rate takes events a second, 0.1 to 100, got "${options.rate}"`);
      }
      const stopped = interruption();
      const stack = await readStack(name);
      const found = await redrive(stack, { run: options.run, rate, stopped });
      if (options.json)
        for (const queue of found) process.stdout.write(`${JSON.stringify(queue)}\n`);
      else process.stdout.write(`${reportText(found, options)}\n`);
      stopped.throwIfAborted();
      const bad = found.some(({ refused, unreadable }) => refused.length > 0 || unreadable > 0);
      process.exitCode = bad ? 1 : 0;
    });
}

export interface RedriveRunOptions {
  /** Whether events are handed back; otherwise they are only looked at. */
  run: boolean;
  /** Events a second. */
  rate: number;
  /** Ends it after the event that is under way. */
  stopped?: AbortSignal;
}

/** What waits in one queue, or what waited there. */
export interface QueueReport {
  function: FunctionName;
  queue: string;
  /** Messages, as SQS counts them: roughly. */
  waiting: number;
  /** When the oldest of those that were seen came. Null where there was none. */
  oldest: string | null;
  /** Those that were seen, by what went wrong and the tables it is about. */
  failures: { code: string; table: string; count: number; example: string }[];
  /** Messages that no function wrote: they stay. */
  unreadable: number;
  /** Events that Lambda took. */
  accepted: number;
  /** Events of sweeps that were deleted, as one that Lambda took does the work of all. */
  covered: number;
  /** Messages that came since this began: what failed again would only fail once more. They stay. */
  newer: number;
  /** Why it took some others not: they stay. */
  refused: string[];
}

/** How long nobody else sees a message that was received. */
const hiddenSeconds = 120;
/** Messages that are looked at, at most, where none is handed back: more say no more. */
const mostLooked = 1000;
/** The most that SQS gives at once. */
const batch = 10;

/** Looks at the failure queues of a stack, or empties them. */
export async function redrive(
  stack: DeployedStack,
  { run, rate, stopped }: RedriveRunOptions,
): Promise<QueueReport[]> {
  const { region } = stack;
  // An emulator names itself otherwise than it is reached.
  const useQueueUrlAsEndpoint = process.env["AWS_ENDPOINT_URL"] === undefined;
  const sqs = new SQSClient({ region, useQueueUrlAsEndpoint });
  const lambda = new LambdaClient({ region });
  const reports: QueueReport[] = [];
  const clock = serverClock(sqs);
  const turn = pacer(rate, stopped);
  try {
    for (const [name, urls] of Object.entries(stack.failureQueues) as [FunctionName, string[]][]) {
      for (const url of urls) {
        const report = await look(sqs, name, url);
        reports.push(report);
        const handBack = (failed: FailedEvent) => invoke(lambda, stack, name, failed);
        const begun = clock();
        await drain({
          sqs,
          url,
          report,
          begun,
          stopped,
          turn,
          handBack: run ? handBack : undefined,
        });
      }
    }
  } finally {
    sqs.destroy();
    lambda.destroy();
  }
  return reports;
}

async function look(sqs: SQSClient, name: FunctionName, QueueUrl: string): Promise<QueueReport> {
  const command = new GetQueueAttributesCommand({
    QueueUrl,
    AttributeNames: ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"],
  });
  const { Attributes = {} } = await sqs.send(command).catch((error: unknown) => {
    throw awsError(error, "sqs:GetQueueAttributes", QueueUrl);
  });
  const waiting = Object.values(Attributes).reduce((sum, text) => sum + Number(text), 0);
  return {
    function: name,
    queue: QueueUrl.slice(QueueUrl.lastIndexOf("/") + 1),
    ...{
      waiting,
      oldest: null,
      failures: [],
      unreadable: 0,
      accepted: 0,
      covered: 0,
      newer: 0,
      refused: [],
    },
  };
}

interface Draining {
  sqs: SQSClient;
  url: string;
  report: QueueReport;
  /** By the clock of SQS, in ms since the epoch. */
  begun: number;
  /** Resolves when Lambda has the event. Undefined to look alone. */
  handBack: ((failed: FailedEvent) => Promise<void>) | undefined;
  /** Resolves when the next event may be handed back. */
  turn: () => Promise<void>;
  stopped: AbortSignal | undefined;
}

async function drain(draining: Draining): Promise<void> {
  const { sqs, url, report, begun, handBack, turn, stopped } = draining;
  // Those that stay, by their ids: they are to be seen again as soon as all is done.
  const kept = new Map<string, Message>();
  const remove = async ({ ReceiptHandle }: Message) => {
    await sqs.send(new DeleteMessageCommand({ QueueUrl: url, ReceiptHandle }));
  };
  const seen = new Set<string>();
  /** What sweeps were asked for, and Lambda took: another that asks for the same does nothing more. */
  const swept = new Set<string>();
  const isStopped = () => stopped?.aborted === true;
  const left = () => !isStopped() && (handBack !== undefined || seen.size < mostLooked);
  try {
    while (left()) {
      const messages = await receive(sqs, url);
      if (messages.length === 0) return;
      for (const message of messages) {
        const { MessageId: id = "" } = message;
        // One that has come up again meanwhile: from now on it goes by another handle.
        if (kept.has(id)) kept.set(id, message);
        if (seen.has(id)) continue;
        seen.add(id);
        const sent = Number(message.Attributes?.SentTimestamp);
        const failed = decode(message);
        note(report, sent, failed);
        const newer = sent > begun;
        if (newer) report.newer += 1;
        const stays = handBack === undefined || failed === undefined || newer;
        const asked = askedOfSweep(failed?.event);
        const covered = report.function === "sweep" && swept.has(asked);
        if (!stays && covered && !isStopped()) {
          await remove(message);
          report.covered += 1;
          continue;
        }
        if (!stays && !isStopped()) await turn();
        if (stays || isStopped()) {
          kept.set(id, message);
          continue;
        }
        try {
          await handBack(failed);
        } catch (error) {
          report.refused.push((error as Error).message);
          kept.set(id, message);
          continue;
        }
        report.accepted += 1;
        swept.add(asked);
        progress(report);
        await remove(message);
      }
    }
  } finally {
    if (process.stderr.isTTY) process.stderr.write("\u001b[2K");
    for (const { ReceiptHandle } of kept.values()) {
      const command = { QueueUrl: url, ReceiptHandle, VisibilityTimeout: 0 };
      // In vain only where SQS shows it again by itself.
      await sqs.send(new ChangeMessageVisibilityCommand(command)).catch(() => undefined);
    }
  }
}

/** The time by the clock of whoever answered last: this machine's may be another. In ms since the epoch. */
function serverClock(sqs: SQSClient): () => number {
  let last: number | undefined;
  sqs.middlewareStack.add(
    (next) => async (args) => {
      const answer = await next(args);
      const { headers } = answer.response as { headers?: Record<string, string> };
      // In whole seconds: all of the last one counts as gone.
      const date = Date.parse(headers?.["date"] ?? "");
      if (!Number.isNaN(date)) last = date + 999;
      return answer;
    },
    { step: "deserialize", name: "serverClock" },
  );
  return () => last ?? Date.now();
}

async function receive(sqs: SQSClient, QueueUrl: string): Promise<Message[]> {
  const command = new ReceiveMessageCommand({
    QueueUrl,
    MaxNumberOfMessages: batch,
    VisibilityTimeout: hiddenSeconds,
    // All servers of a queue are asked, so that nothing means nothing.
    WaitTimeSeconds: 1,
    MessageSystemAttributeNames: ["SentTimestamp"],
    MessageAttributeNames: ["All"],
  });
  const { Messages = [] } = await sqs.send(command).catch((error: unknown) => {
    throw awsError(error, "sqs:ReceiveMessage", QueueUrl);
  });
  return Messages;
}

function decode({ Body = "", MessageAttributes = {} }: Message): FailedEvent | undefined {
  const attributes = Object.entries(MessageAttributes).map(
    ([name, { StringValue }]) => [name, StringValue] as const,
  );
  return decodeFailedEvent(Body, Object.fromEntries(attributes));
}

function note(report: QueueReport, sent: number, failed: FailedEvent | undefined): void {
  const at = new Date(sent).toISOString();
  if (report.oldest === null || at < report.oldest) report.oldest = at;
  if (failed === undefined) {
    report.unreadable += 1;
    return;
  }
  const { code, message } = failed;
  const table = tablesOf(failed.event).join(", ") || "-";
  const known = report.failures.find((one) => one.code === code && one.table === table);
  if (known === undefined) report.failures.push({ code, table, count: 1, example: message });
  else known.count += 1;
}

function progress({ queue, accepted, waiting }: QueueReport): void {
  if (process.stderr.isTTY)
    process.stderr.write(`\r${queue}: ${accepted} of ${waiting} handed back`);
}

/** What a sweep's event asks for, in words to compare: a schedule's own has an id and a time beside. */
function askedOfSweep(event: unknown): string {
  const { dryRun, all, force } = (event ?? {}) as Record<string, unknown>;
  return JSON.stringify([dryRun === true, all === true, force === true]);
}

/** Resolves no more often than so many times a second, and at once when it is stopped. */
function pacer(rate: number, signal: AbortSignal | undefined): () => Promise<void> {
  let next = 0;
  return async () => {
    const wait = pause(Math.max(0, next - Date.now()), undefined, signal && { signal });
    // Whoever stops it looks for that next.
    await wait.catch(() => undefined);
    next = Date.now() + 1000 / rate;
  };
}

/** @throws Error where Lambda does not take the event */
async function invoke(
  lambda: LambdaClient,
  stack: DeployedStack,
  name: FunctionName,
  { event, functionArn }: FailedEvent,
): Promise<void> {
  const FunctionName = stack.functionNames[name];
  // A message can say whatever its writer likes; it reaches no function but the one whose queue this is.
  const failed = functionArn?.split(":")[6];
  if (failed !== undefined && failed !== FunctionName) {
    throw new Error(`it is an event of ${failed}, which this stack does not have`);
  }
  const command = new InvokeCommand({
    FunctionName,
    InvocationType: "Event",
    Payload: Buffer.from(JSON.stringify(event)),
  });
  const { StatusCode } = await lambda.send(command).catch((error: unknown) => {
    throw awsError(error, "lambda:InvokeFunction", FunctionName);
  });
  if (StatusCode !== 202) throw new Error(`Lambda answered ${StatusCode}`);
}

function reportText(found: readonly QueueReport[], { run, stack }: RedriveOptions): string {
  const lines = found.flatMap((report) => {
    const { queue, waiting, oldest, failures, unreadable, accepted, covered, newer, refused } =
      report;
    if (oldest === null) {
      const hidden = waiting === 0 ? "nothing waits" : `${waiting} wait, hidden by somebody`;
      return [`${queue}: ${hidden}`];
    }
    const head = `${queue}: ${countText(waiting, "event")}, the oldest of ${oldest}`;
    const table = columnsText([
      ["  code", "table", "events"],
      ...failures.map(({ code, table: of, count }) => [`  ${code}`, of, String(count)]),
    ]);
    return [
      head,
      ...(failures.length === 0 ? [] : [table]),
      ...failures.flatMap(({ code, example }) => (example === "" ? [] : [`  ${code}: ${example}`])),
      ...(unreadable === 0 ? [] : [`  ${countText(unreadable, "message")} of no function: left`]),
      ...(run ? [`  handed back: ${accepted}`] : []),
      ...(covered === 0 ? [] : [`  deleted: ${covered}, whose work that sweep does`]),
      ...(run && newer > 0 ? [`  left: ${newer}, which came since this began`] : []),
      ...[...new Set(refused)].map((why) => `  not accepted, left: ${why}`),
    ];
  });
  const some = found.some(({ failures }) => failures.length > 0);
  if (!run && some) lines.push(`hand them back: npm run redrive -- --stack ${stack} --run`);
  return lines.join("\n");
}
