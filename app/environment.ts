import os from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";
import * as v from "valibot";
import {
  bucketNamePattern,
  type Environment,
  environmentNames as names,
  privateFolder,
  sizeSettings,
  topicArnPattern,
} from "./contract.ts";
import { MillpondError } from "./errors.ts";
import { type Extensions, extensionsFrom } from "./extensions.ts";
import type { Limit } from "./lake/verdict.ts";

/** Where a pond is. */
export type StoreLocation =
  | { kind: "folder"; path: string }
  /** Endpoint: an emulator's, or that of another maker's S3; undefined for AWS's own. */
  | { kind: "bucket"; bucket: string; endpoint: string | undefined };

/** What one process of Millpond needs to know, read once. */
export interface Settings {
  store: StoreLocation;
  /** Absolute path of a folder for what nobody needs after the process: of the same file system as a pond in a folder. */
  scratch: string;
  extensions: Extensions;
  /** Who may query: whoever sends one of the stage's tokens, whoever API Gateway says it has checked, or whoever gets here. */
  auth: "token" | "iam" | "none";
  /** Whether callers may send SQL of their own. */
  adHocSql: boolean;
  /** Whether callers may put files into the inbox. */
  uploads: boolean;
  /** ARN of the topic on which `sweep` announces. Undefined: it hands over to `ingest` itself. */
  topic: string | undefined;
  /** ARNs of the topics whose events count. Undefined: any topic's. */
  eventTopics: string[] | undefined;
  /** Whether the rows of a source go with it. */
  mirrorDeletes: boolean;
  /** Prefix of the stage's parameters in SSM. Undefined where there are no secrets. */
  secrets: string | undefined;
  /** Absolute path of the folder of saved queries. */
  queries: string;
  /** MiB that one engine may plan with. */
  memoryMiB: number;
  /** MiB that one engine may spill to disk. */
  diskMiB: number;
  /** Processors that one engine may use. */
  threads: number;
  /** Which setting gives a file, or a query, more of what it needs: the stack's on Lambda, elsewhere the environment's. */
  raise: Readonly<Record<"ingest" | "query", Readonly<Partial<Record<Limit, string>>>>>;
  /** Milliseconds from a query's arrival to its answer. */
  queryDeadlineMs: number;
}

const wholeNumber = (name: string, least: number, most: number) =>
  v.optional(
    v.pipe(
      v.string(),
      v.regex(/^\d+$/, (issue) => `${name} must be a whole number, got "${issue.input}"`),
      v.transform(Number),
      v.minValue(least, (issue) => `${name} must be at least ${least}, got ${issue.input}`),
      v.maxValue(most, (issue) => `${name} must be at most ${most}, got ${issue.input}`),
    ),
  );

const flag = (name: string) =>
  v.optional(
    v.picklist(["true", "false"], (issue) => `${name} must be true or false, got "${issue.input}"`),
  );

const absolutePath = (name: string) =>
  v.pipe(
    v.string(`${name} is not set: give the absolute path of a folder`),
    v.check(path.isAbsolute, (issue) => `${name} must be an absolute path, got "${issue.input}"`),
  );

/** The bucket that `s3://<bucket>` names. Undefined for any other text. */
function bucketIn(text: string): string | undefined {
  const name = /^s3:\/\/([^/]+)\/?$/.exec(text)?.[1];
  return name !== undefined && bucketNamePattern.test(name) ? name : undefined;
}

/** What is wrong with a text that is to say where a pond is, to be read behind who gave it. Undefined where nothing is. */
export function storeProblem(text: string): string | undefined {
  if (path.isAbsolute(text) || bucketIn(text) !== undefined) return undefined;
  const bucket = /^s3:\/\/([^/]+)\/./.exec(text)?.[1];
  return bucket !== undefined && bucketNamePattern.test(bucket)
    ? `must be a whole bucket, such as s3://${bucket}, got a part of one: "${text}"`
    : `must be the absolute path of a folder, or s3://<bucket>, got "${text}"`;
}

const storeUrl = v.pipe(
  v.string(`${names.store} is not set: give the absolute path of a folder, or s3://<bucket>`),
  v.check(
    (text) => storeProblem(text) === undefined,
    (issue) => `${names.store} ${storeProblem(issue.input)}`,
  ),
);

/** An empty variable is how shells unset one for a command. */
const endpointUrl = (name: string) =>
  v.optional(
    v.pipe(
      v.string(),
      v.regex(
        /^(https?:\/\/[^/]+\/?)?$/,
        (issue) => `${name} must be http://<host>[:<port>] or https://…, got "${issue.input}"`,
      ),
      v.transform((text) => (text === "" ? undefined : text)),
    ),
  );

/**
 * MiB with which the two processes can answer at all: each takes about 130 before there is a query. Whoever gives a function less
 * has one that needs no engine.
 */
const leastMemoryMiB = 384;

const schema = v.object({
  [names.store]: storeUrl,
  [names.extensions]: v.optional(absolutePath(names.extensions)),
  [names.sealedExtensions]: v.optional(absolutePath(names.sealedExtensions)),
  [names.secrets]: v.optional(
    v.pipe(
      v.string(),
      v.regex(
        /^\/([\w.-]+\/)+$/,
        (issue) =>
          `${names.secrets} must begin and end with a slash, as /millpond/dev/, got "${issue.input}"`,
      ),
    ),
  ),
  [names.topic]: v.optional(
    v.pipe(
      v.string(),
      v.regex(
        topicArnPattern,
        (issue) => `${names.topic} must be the ARN of a topic, got "${issue.input}"`,
      ),
    ),
  ),
  [names.eventTopics]: v.optional(
    v.pipe(
      v.string(),
      v.transform((text) => text.split(",").filter((arn) => arn !== "")),
      v.check(
        (arns) => arns.every((arn) => topicArnPattern.test(arn)),
        () => `${names.eventTopics} must be ARNs of topics with commas between`,
      ),
    ),
  ),
  [names.mirrorDeletes]: flag(names.mirrorDeletes),
  [names.auth]: v.optional(
    v.picklist(
      ["token", "iam", "none"],
      (issue) => `${names.auth} must be token, iam or none, got "${issue.input}"`,
    ),
  ),
  [names.adHocSql]: flag(names.adHocSql),
  [names.uploads]: flag(names.uploads),
  AWS_ENDPOINT_URL: endpointUrl("AWS_ENDPOINT_URL"),
  AWS_ENDPOINT_URL_S3: endpointUrl("AWS_ENDPOINT_URL_S3"),
  [names.queries]: v.optional(absolutePath(names.queries)),
  [names.memoryMiB]: wholeNumber(names.memoryMiB, leastMemoryMiB, 1_048_576),
  [names.diskMiB]: wholeNumber(names.diskMiB, 1, 104_857_600),
  [names.queryDeadlineSeconds]: wholeNumber(names.queryDeadlineSeconds, 1, 900),
  AWS_LAMBDA_FUNCTION_MEMORY_SIZE: wholeNumber("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", 128, 1_048_576),
});

/** Lambda gives one processor per this many MiB. @see https://docs.aws.amazon.com/lambda/latest/dg/configuration-memory.html */
const memoryPerProcessorMiB = 1769;
const mebibyte = 1024 * 1024;

/**
 * Reads and checks the environment.
 * @throws MillpondError `environment`, naming each variable that is missing or malformed.
 */
export function readSettings(environment: Environment): Settings {
  // A key that is there without a value gets the message of its own check.
  const keys = Object.keys(schema.entries);
  const relevant = Object.fromEntries(keys.map((key) => [key, environment[key]]));
  const parsed = v.safeParse(schema, relevant);
  if (!parsed.success) {
    const problems = parsed.issues.map((issue) => issue.message);
    throw new MillpondError("environment", problems.join("; "));
  }
  const found = parsed.output;
  const lambdaMiB = found.AWS_LAMBDA_FUNCTION_MEMORY_SIZE;
  const machineMiB = Math.floor(os.totalmem() / mebibyte);
  const store = storeLocation(
    found[names.store],
    found.AWS_ENDPOINT_URL_S3 ?? found.AWS_ENDPOINT_URL,
  );
  const auth = found[names.auth] ?? (store.kind === "bucket" ? "token" : "none");
  return {
    store,
    scratch:
      store.kind === "folder"
        ? path.join(store.path, privateFolder, "work")
        : path.join(os.tmpdir(), "millpond"),
    extensions: extensionsFrom(environment),
    auth,
    adHocSql: found[names.adHocSql] !== "false",
    uploads:
      found[names.uploads] === undefined
        ? store.kind === "folder" || auth !== "none"
        : found[names.uploads] === "true",
    topic: found[names.topic],
    eventTopics: found[names.eventTopics],
    mirrorDeletes: found[names.mirrorDeletes] === "true",
    secrets: found[names.secrets],
    queries: path.resolve(
      found[names.queries] ?? fileURLToPath(new URL("../queries/", import.meta.url)),
    ),
    // Two engines, and beside each for a moment a second worker, where the first one ended and others go on.
    memoryMiB:
      found[names.memoryMiB] ??
      lambdaMiB ??
      Math.min(4096, Math.max(leastMemoryMiB, Math.floor(machineMiB / 4))),
    diskMiB: found[names.diskMiB] ?? (lambdaMiB === undefined ? 10_240 : 512),
    threads:
      lambdaMiB === undefined
        ? os.availableParallelism()
        : Math.max(1, Math.ceil(lambdaMiB / memoryPerProcessorMiB)),
    raise:
      lambdaMiB === undefined
        ? {
            ingest: { memory: names.memoryMiB, disk: names.diskMiB },
            query: {
              memory: names.memoryMiB,
              disk: names.diskMiB,
              time: names.queryDeadlineSeconds,
            },
          }
        : { ingest: commands(sizeSettings.ingest), query: commands(sizeSettings.query) },
    queryDeadlineMs: (found[names.queryDeadlineSeconds] ?? 25) * 1000,
  };
}

/** As the operator of a stack raises each. */
function commands(settings: Readonly<Record<Limit, string>>): Record<Limit, string> {
  const { memory, disk, time } = settings;
  const command = (setting: string) => `pulumi config set ${setting}`;
  return { memory: command(memory), disk: command(disk), time: command(time) };
}

function storeLocation(text: string, endpoint: string | undefined): StoreLocation {
  const bucket = bucketIn(text);
  return bucket === undefined
    ? { kind: "folder", path: path.resolve(text) }
    : { kind: "bucket", bucket, endpoint };
}
