import fsSync from "node:fs";
import fs from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import readline from "node:readline";
import { fileURLToPath } from "node:url";
import { Command, Option } from "commander";
import { environmentNames, type FunctionName, functionNames, prefixes } from "../app/contract.ts";
import { closeProcessPond, type Handler } from "../app/functions/invocation.ts";
import { awsError } from "./aws-error.ts";
import { readStack } from "./deployed-stack.ts";
import { installHttpfs } from "./httpfs.ts";
import { localContext } from "./local-context.ts";
import { namedStore, storeFor, storeOption } from "./named-store.ts";
import { copySample } from "./sample.ts";
import { UsageError } from "./usage-error.ts";

const eventsFolder = fileURLToPath(new URL("../events/", import.meta.url));

/** One event to invoke with, and where it came from, for messages. */
type EventSource = { kind: "path"; path: string } | { kind: "data"; text: string };

interface InvokeOptions {
  function?: string;
  sources: EventSource[];
  dir?: string;
  stack?: string;
  all: boolean;
}

export function invokeCommand(): Command {
  // One list for both options, as their order is the order of the events.
  const sources: EventSource[] = [];
  return new Command("invoke")
    .description("run a function with events: on this machine, or a deployed one")
    .option("-f, --function <name>", `one of ${functionNames.join(", ")}`)
    .option(
      "-p, --path <file>",
      "an event in a file; - reads one event a line from standard input",
      (file) => {
        sources.push({ kind: "path", path: file });
      },
    )
    .option("-d, --data <json>", "an event as JSON", (text) => {
      sources.push({ kind: "data", text });
    })
    .addOption(storeOption())
    .addOption(
      new Option(
        "--stack <name>",
        "run the deployed function of this stack of Pulumi's, with your rights",
      ).conflicts(["dir", "all"]),
    )
    .option(
      "--all",
      "run every event in events/, each with the function its name begins with, in a folder of its own",
      false,
    )
    .addHelpText(
      "after",
      `
-p and -d can be given several times; with neither, the event is {}.
Standard output gets what the function returns, one JSON value a line; standard
error gets its log.
Exit code: 0 all returned; 1 one threw (its error is printed as Lambda reports
it) or answered with a status from 500; 2 the call is wrong.`,
    )
    .action(async (options: Omit<InvokeOptions, "sources">) => {
      process.exitCode = await invoke({ ...options, sources });
    });
}

async function invoke(options: InvokeOptions): Promise<number> {
  if (options.all) return await invokeAll(options);
  const name = readFunction(options.function);
  // All are read before the first runs: a mistake in the last shall not leave half of them done.
  const events = await readEvents(options.sources);
  if (options.stack !== undefined) return await invokeDeployed(options.stack, name, events);
  const store = storeFor(options.dir);
  process.env[environmentNames.store] = store.name;
  if (store.kind === "bucket" && name === "query") await installHttpfs(process.env);
  // Whoever calls from here has the rights to read the pond in any case.
  process.env[environmentNames.auth] ??= "none";
  try {
    return await run(name, events);
  } finally {
    await closeProcessPond();
  }
}

/** Each file of events/, in a temporary pond with the sample in its inbox, so that a fresh clone has something to do. */
async function invokeAll(options: InvokeOptions): Promise<number> {
  if (options.function !== undefined || options.sources.length > 0) {
    throw new UsageError("--all goes without -f, -p and -d");
  }
  const named = options.dir === undefined ? undefined : namedStore(options.dir);
  if (named?.kind === "bucket") throw new UsageError("--all runs in a folder: --dir <folder>");
  const folder = named?.path ?? (await fs.mkdtemp(path.join(os.tmpdir(), "millpond-")));
  process.env[environmentNames.store] = folder;
  try {
    await fs.mkdir(path.join(folder, prefixes.inbox), { recursive: true });
    if (named === undefined) await copySample(folder);
    let worst = 0;
    for (const file of (await fs.readdir(eventsFolder)).sort()) {
      const name = readFunction(file.split(/[-.]/)[0]);
      process.stderr.write(`${name} ← events/${file}\n`);
      const source = { kind: "path", path: path.join(eventsFolder, file) } as const;
      worst = Math.max(worst, await run(name, await readEvents([source])));
    }
    return worst;
  } finally {
    await closeProcessPond();
    if (named === undefined) await fs.rm(folder, { recursive: true, force: true });
  }
}

function readFunction(name: string | undefined): FunctionName {
  const known = functionNames.find((one) => one === name);
  if (known !== undefined) return known;
  const problem = name === undefined ? "no function was named" : `there is no function "${name}"`;
  throw new UsageError(`${problem}: -f takes one of ${functionNames.join(", ")}`);
}

async function readEvents(sources: readonly EventSource[]): Promise<unknown[]> {
  const events: unknown[] = [];
  for (const source of sources) {
    if (source.kind === "data") {
      events.push(parseEvent(source.text, "-d"));
    } else if (source.path === "-") {
      let line = 0;
      for await (const text of readline.createInterface({ input: process.stdin })) {
        line += 1;
        if (text.trim() !== "") events.push(parseEvent(text, `line ${line} of standard input`));
      }
    } else {
      const text = await fs.readFile(source.path, "utf8").catch((error: NodeJS.ErrnoException) => {
        throw new UsageError(`can't read the event ${source.path}: ${error.message}`);
      });
      events.push(parseEvent(text, source.path));
    }
  }
  return sources.length === 0 ? [{}] : events;
}

function parseEvent(text: string, where: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    const reason = (error as Error).message;
    throw new UsageError(`the event in ${where} is not JSON: ${reason}`);
  }
}

async function run(name: FunctionName, events: readonly unknown[]): Promise<number> {
  const module = (await import(`../app/functions/${name}.ts`)) as { handler: Handler };
  let code = 0;
  for (const event of events) {
    try {
      const returned = (await module.handler(event, localContext(name))) ?? null;
      print(returned);
      if (statusOf(returned) >= 500) code = 1;
    } catch (error) {
      print(asLambdaReports(error));
      code = 1;
    }
  }
  return code;
}

/** The same on AWS: Lambda returns the end of the log with the answer. */
async function invokeDeployed(
  stackName: string,
  name: FunctionName,
  events: readonly unknown[],
): Promise<number> {
  const stack = await readStack(stackName);
  const FunctionName = stack.functionNames[name];
  const { InvokeCommand, LambdaClient } = await import("@aws-sdk/client-lambda");
  const client = new LambdaClient({ region: stack.region });
  let code = 0;
  try {
    for (const event of events) {
      const Payload = Buffer.from(JSON.stringify(event));
      const command = new InvokeCommand({ FunctionName, Payload, LogType: "Tail" });
      const answer = await client.send(command).catch((error: unknown) => {
        throw awsError(error, "lambda:InvokeFunction", FunctionName);
      });
      process.stderr.write(Buffer.from(answer.LogResult ?? "", "base64"));
      const text = Buffer.from(answer.Payload ?? []).toString("utf8");
      const returned: unknown = text === "" ? null : JSON.parse(text);
      print(returned);
      if (answer.FunctionError !== undefined || statusOf(returned) >= 500) code = 1;
    }
  } finally {
    client.destroy();
  }
  return code;
}

/** What a function that answers HTTP answered with; 0 for others. */
function statusOf(returned: unknown): number {
  const { statusCode } = (returned ?? {}) as { statusCode?: unknown };
  return typeof statusCode === "number" ? statusCode : 0;
}

/** The payload of a failed invocation. @see https://docs.aws.amazon.com/lambda/latest/dg/nodejs-exceptions.html */
function asLambdaReports(error: unknown) {
  const { name, message, stack } = error instanceof Error ? error : new Error(String(error));
  return { errorType: name, errorMessage: message, trace: (stack ?? "").split("\n") };
}

function print(value: unknown): void {
  // Written at once, so that it is out before an exit whatever standard output is.
  fsSync.writeSync(1, `${JSON.stringify(value)}\n`);
}
