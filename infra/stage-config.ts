import * as pulumi from "@pulumi/pulumi";
import {
  type Architecture,
  architectureNames,
  bucketNamePattern,
  environmentNames,
  isToken,
  leastTokenLength,
  secretNames,
  sizeSettings,
  topicArnPattern,
} from "../app/contract.ts";
import { configCommand } from "./names.ts";

/** Who may query: whoever sends a token, whoever signs as IAM says, or anybody. */
export type ApiAuth = "token" | "iam" | "none";

/** What one function may use. */
export interface FunctionSize {
  memoryMiB: number;
  timeoutSeconds: number;
  diskMiB: number;
  /** Executions kept for this function alone, and its limit. Undefined: it shares the account's. */
  concurrency: number | undefined;
}

/** Half of a function's disk is for what DuckDB spills; the rest for files and answers. */
export function spillMiB({ diskMiB }: FunctionSize): string {
  return String(Math.floor(diskMiB / 2));
}

/** All that a stage's configuration says, checked. Pulumi.yaml describes each key. */
export interface StageConfig {
  architecture: Architecture;
  /** An image that is there already. Undefined: one is built. */
  imageUri: string | undefined;
  logLevel: LogLevel;
  logRetentionDays: number;
  tracing: boolean;
  ingest: FunctionSize;
  query: FunctionSize;
  sweepEveryMinutes: number;
  bucket: {
    /** A bucket that is somebody else's. Undefined: the stage has its own. */
    existing: string | undefined;
    /** Whether the notifications of an existing bucket are this stage's to set. */
    manageNotifications: boolean;
    /** A topic that an existing bucket's notifications go to already. */
    uploadsTopicArn: string | undefined;
    protect: boolean;
    noncurrentDays: number;
    /** Whether the rows of a source go with it. */
    mirrorDeletes: boolean;
  };
  encryptTopic: boolean;
  /** ARN of the policy that bounds all roles. Undefined: there is none. */
  permissionsBoundary: string | undefined;
  monitoring: {
    /** Whether there are alarms and a dashboard. */
    enabled: boolean;
    /** Who is mailed when something is wrong. */
    email: string | undefined;
    /** Whether queries for CloudWatch Logs Insights are saved. */
    insightsQueries: boolean;
  };
  api: {
    auth: ApiAuth;
    corsOrigins: string[];
    /** Whether callers may send SQL of their own. */
    adHocSql: boolean;
    /** Whether callers may put files into the inbox. */
    uploads: boolean;
    requestsPerSecond: number;
    burst: number;
  };
  /** By their names under the stage's prefix. */
  secrets: Record<string, pulumi.Output<string>>;
  /** Plain settings for all functions. */
  environment: Record<string, string>;
}

export const logLevels = ["trace", "debug", "info", "warn", "error", "fatal"] as const;
export type LogLevel = (typeof logLevels)[number];

/** What CloudWatch Logs takes. @see https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_PutRetentionPolicy.html */
const retentions = [
  1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 3653,
];

/** Lambda sets these itself and refuses them. @see https://docs.aws.amazon.com/lambda/latest/dg/configuration-envvars.html */
const reserved = /^(_HANDLER|_X_AMZN_TRACE_ID|AWS_(?!LAMBDA_EXEC_WRAPPER$).*|LAMBDA_.*|TZ)$/;

/**
 * Reads and checks the configuration of the stage, once.
 * @throws RunError with all that is wrong, each with the key, what came, what is wanted and the command that sets it
 */
export function stageConfig(config: pulumi.Config = new pulumi.Config()): StageConfig {
  const read = new Reader(config);
  const auth = read.oneOf("auth", ["token", "iam", "none"], "token");
  const isPublic = read.flag("public", false);
  if (auth === "none" && !isPublic) {
    read.problem("auth", "none lets anybody on the internet query: say so with", "public true");
  }
  const imageUri = read.text("imageUri");
  if (imageUri !== undefined && !/(^|@)sha256:[0-9a-f]{64}$/.test(imageUri)) {
    read.problem(
      "imageUri",
      `must end in a digest, @sha256:…, got "${imageUri}":`,
      "imageUri <repository>@sha256:<digest>",
    );
  }
  const existing = read.text("bucketName");
  const uploadsTopicArn = read.text("uploadsTopicArn");
  const manageNotifications = read.flag("manageNotifications", false);
  if (existing === undefined && uploadsTopicArn !== undefined) {
    read.problem(
      "uploadsTopicArn",
      "is for a bucket that is there already:",
      "bucketName <bucket>",
    );
  }
  if (existing !== undefined && uploadsTopicArn === undefined && !manageNotifications) {
    read.problem(
      "bucketName",
      "names a bucket that is there already, and nothing says how its uploads are told: name the topic that its notifications go to, or, if nobody else has notifications on it,",
      "manageNotifications true",
    );
  }
  if (existing !== undefined && !bucketNamePattern.test(existing)) {
    read.problem("bucketName", `can't be a bucket's name: "${existing}":`, "bucketName <bucket>");
  }
  if (uploadsTopicArn !== undefined && !topicArnPattern.test(uploadsTopicArn)) {
    read.problem(
      "uploadsTopicArn",
      `must be a topic's ARN, got "${uploadsTopicArn}":`,
      "uploadsTopicArn arn:aws:sns:<region>:<account>:<name>",
    );
  }
  if (existing === undefined && manageNotifications) {
    read.problem(
      "manageNotifications",
      "is for a bucket that is there already:",
      "bucketName <bucket>",
    );
  }
  const corsOrigins = read.list("corsOrigins");
  for (const origin of corsOrigins) {
    if (/^(\*|https?:\/\/[^/\s*]+)$/.test(origin)) continue;
    read.problem(
      "corsOrigins",
      `must be https://<host>[:<port>], without a path, got "${origin}":`,
      `--path 'corsOrigins[0]' https://<host>`,
    );
  }
  if (auth === "iam" && corsOrigins.length > 0) {
    read.problem(
      "corsOrigins",
      "goes with tokens alone: what a browser asks before a call carries no signature:",
      "auth token",
    );
  }
  const permissionsBoundary = read.text("permissionsBoundary");
  if (
    permissionsBoundary !== undefined &&
    !/^arn:[\w-]+:iam::(\d{12}|aws):policy\/\S+$/.test(permissionsBoundary)
  ) {
    read.problem(
      "permissionsBoundary",
      `must be a policy's ARN, got "${permissionsBoundary}":`,
      "permissionsBoundary arn:aws:iam::<account>:policy/<name>",
    );
  }
  const alarmEmail = read.text("alarmEmail");
  if (alarmEmail !== undefined && !/^[^@\s]+@[^@\s]+\.[^@\s]+$/.test(alarmEmail)) {
    read.problem("alarmEmail", `is no address: "${alarmEmail}":`, "alarmEmail <name>@<domain>");
  }
  const secrets = read.strings("secrets", { objects: true });
  const environment = read.strings("environment");
  const { [secretNames.tokens]: tokens } = secrets;
  if (tokens !== undefined && !usableTokens(tokens)) {
    read.problem(
      "secrets",
      `has tokens that no function takes: each needs ${leastTokenLength} characters or more, without a space:`,
      `--secret --path 'secrets.${secretNames.tokens}' "$(openssl rand -hex 24)"`,
    );
  }
  if (auth === "token" && secrets[secretNames.tokens] === undefined) {
    read.problem(
      "secrets",
      `has no ${secretNames.tokens}, so that nobody could query:`,
      `--secret --path 'secrets.${secretNames.tokens}' "$(openssl rand -hex 24)"`,
    );
  }
  if (Object.keys(secrets).length > 0 && !read.isSecret("secrets")) {
    const [name = ""] = Object.keys(secrets);
    read.problem(
      "secrets",
      "stand in plain text in the stack's file: take each for known to others, make a new one, and set that as a secret:",
      `--secret --path 'secrets.${name}' …`,
    );
  }
  for (const name of Object.keys(secrets)) {
    if (!/^[\w.-]+$/.test(name)) {
      read.problem(
        "secrets",
        `${name} is no name of a parameter:`,
        `--secret --path 'secrets.<letters, digits, . _ ->' …`,
      );
    }
    if (name in environment) {
      read.problem(
        "environment",
        `and secrets both have ${name}:`,
        `--path 'environment.<another name>' …`,
      );
    }
  }
  const own = new Set<string>(Object.values(environmentNames));
  for (const name of Object.keys(environment)) {
    if (reserved.test(name) || !/^[A-Za-z]\w+$/.test(name)) {
      read.problem(
        "environment",
        `${name} is a name that Lambda does not take:`,
        `--path 'environment.<another name>' …`,
      );
    } else if (own.has(name)) {
      read.problem(
        "environment",
        `${name} is Millpond's own, and follows from other settings, which Pulumi.yaml lists:`,
        `logLevel, queryTimeoutSeconds, …`,
      );
    }
  }
  const stage: StageConfig = {
    architecture: read.oneOf("architecture", architectureNames, "arm64"),
    imageUri,
    logLevel: read.oneOf("logLevel", logLevels, "info"),
    logRetentionDays: read.oneOfNumbers("logRetentionDays", retentions, 30),
    tracing: read.flag("tracing", false),
    ingest: {
      memoryMiB: read.number(sizeSettings.ingest.memory, 1769, 512, 10_240, "MiB"),
      timeoutSeconds: read.number(sizeSettings.ingest.time, 300, 30, 900, "seconds"),
      diskMiB: read.number(sizeSettings.ingest.disk, 4096, 512, 10_240, "MiB"),
      concurrency: read.optionalNumber(sizeSettings.ingest.concurrency, 1, 10_000, "executions"),
    },
    query: {
      memoryMiB: read.number(sizeSettings.query.memory, 1769, 512, 10_240, "MiB"),
      // The API ends a request after 30 s.
      timeoutSeconds: read.number(sizeSettings.query.time, 29, 5, 29, "seconds"),
      diskMiB: read.number(sizeSettings.query.disk, 2048, 512, 10_240, "MiB"),
      concurrency: read.optionalNumber(sizeSettings.query.concurrency, 1, 10_000, "executions"),
    },
    sweepEveryMinutes: read.number("sweepEveryMinutes", 60, 1, 1440, "minutes"),
    bucket: {
      existing,
      manageNotifications,
      uploadsTopicArn,
      protect: read.flag("protectData", false),
      noncurrentDays: read.number("noncurrentDays", 30, 1, 3650, "days"),
      mirrorDeletes: read.flag("mirrorDeletes", false),
    },
    encryptTopic: read.flag("encryptTopic", false),
    permissionsBoundary,
    monitoring: {
      enabled: read.flag("monitoring", true),
      email: alarmEmail,
      insightsQueries: read.flag("insightsQueries", true),
    },
    api: {
      auth,
      corsOrigins,
      adHocSql: read.flag("adHocSql", true),
      uploads: read.flag("uploads", true) && auth !== "none",
      requestsPerSecond: read.number("requestsPerSecond", 50, 1, 10_000, "requests a second"),
      burst: read.number("burst", 100, 1, 5000, "requests"),
    },
    secrets: Object.fromEntries(
      Object.entries(secrets).map(([name, value]) => [name, pulumi.secret(value)]),
    ),
    environment,
  };
  read.throwProblems();
  const unknown = read.unknown();
  if (unknown.length > 0) {
    // No error: a program that was made of this one may have settings of its own.
    void pulumi.log.warn(
      `Millpond has no setting ${unknown.join(", ")}: docs/configuration.md lists those that there are; ${configCommand("rm", String(unknown[0]))}`,
    );
  }
  return stage;
}

/** One token, or a JSON object of them, as the functions take it: what they would refuse is refused before. */
function usableTokens(text: string): boolean {
  if (!/^["{[]/.test(text.trim())) return isToken(text.trim());
  try {
    const parsed: unknown = JSON.parse(text);
    if (typeof parsed !== "object" || parsed === null || Array.isArray(parsed)) return false;
    const tokens = Object.values(parsed);
    return tokens.length > 0 && tokens.every(isToken);
  } catch {
    // The error would quote the text.
    return false;
  }
}

/** Reads values, and collects what is wrong with them, so that a person hears of all at once. */
class Reader {
  readonly #config: pulumi.Config;
  readonly #problems: string[] = [];
  readonly #known = new Set<string>();

  constructor(config: pulumi.Config) {
    this.#config = config;
  }

  /** @param command what `pulumi config set` is to be followed by */
  problem(key: string, what: string, command: string): void {
    this.#problems.push(`${this.#config.name}:${key} ${what} ${configCommand("set", command)}`);
  }

  throwProblems(): void {
    if (this.#problems.length === 0) return;
    throw new pulumi.RunError(
      `the configuration of stack ${pulumi.getStack()} is not complete:\n${this.#problems.map((one) => `  ${one}`).join("\n")}`,
    );
  }

  /** The settings that nobody asked for. */
  unknown(): string[] {
    const own = `${this.#config.name}:`;
    return Object.keys(pulumi.runtime.allConfig())
      .filter((key) => key.startsWith(own) && !this.#known.has(key.slice(own.length)))
      .map((key) => key.slice(own.length));
  }

  /** Undefined for an empty one, as Pulumi takes no setting without a default. */
  text(key: string): string | undefined {
    this.#known.add(key);
    const text = this.#config.get(key);
    return text === "" ? undefined : text;
  }

  /** Whether any part of it was set with --secret: Pulumi takes the whole for secret then. */
  isSecret(key: string): boolean {
    // Pulumi's own functions ask by this; its types leave it out.
    const { isConfigSecret } = pulumi.runtime as { isConfigSecret?: (key: string) => boolean };
    return isConfigSecret?.(`${this.#config.name}:${key}`) ?? true;
  }

  number(key: string, standard: number, least: number, most: number, unit: string): number {
    const text = this.text(key);
    return text === undefined ? standard : this.#inRange(text, key, least, most, unit);
  }

  /** 0 stands for nothing, as Pulumi takes no setting without a default. */
  optionalNumber(key: string, least: number, most: number, unit: string): number | undefined {
    const text = this.text(key);
    if (text === undefined || text === "0") return undefined;
    return this.#inRange(text, key, least, most, unit);
  }

  #inRange(text: string, key: string, least: number, most: number, unit: string): number {
    const value = Number(text);
    if (!/^\d+$/.test(text) || value < least || value > most) {
      this.problem(
        key,
        `must be a whole number of ${unit} from ${least} to ${most}, got "${text}":`,
        `${key} <number>`,
      );
    }
    return value;
  }

  oneOfNumbers(key: string, values: readonly number[], standard: number): number {
    return Number(this.oneOf(key, values.map(String), String(standard)));
  }

  oneOf<T extends string>(key: string, values: readonly T[], standard: T): T {
    const text = this.text(key) ?? standard;
    const found = values.find((value) => value === text);
    if (found === undefined) {
      this.problem(
        key,
        `must be one of ${values.join(", ")}, got "${text}":`,
        `${key} ${standard}`,
      );
    }
    return found ?? standard;
  }

  flag(key: string, standard: boolean): boolean {
    return this.oneOf(key, ["true", "false"], String(standard) as "true" | "false") === "true";
  }

  list(key: string): string[] {
    const value = this.#object(key);
    if (value === undefined) return [];
    if (Array.isArray(value) && value.every((one) => typeof one === "string")) return value;
    this.problem(key, "must be a list of texts:", `--path '${key}[0]' <text>`);
    return [];
  }

  /** @param objects whether a value may be an object, which is written as JSON @default false */
  strings(key: string, { objects = false } = {}): Record<string, string> {
    const value = this.#object(key);
    if (value === undefined) return {};
    if (typeof value !== "object" || value === null || Array.isArray(value)) {
      this.problem(key, "must be an object of texts:", `--path '${key}.<name>' <text>`);
      return {};
    }
    const texts: [string, string][] = [];
    for (const [name, one] of Object.entries(value) as [string, unknown][]) {
      if (typeof one !== "object" || one === null) {
        // A number or a boolean in the file is what somebody wrote without quotes.
        texts.push([name, String(one)]);
      } else if (objects) {
        texts.push([name, JSON.stringify(one)]);
      } else {
        this.problem(key, `has ${name}, which is no text:`, `--path '${key}.${name}' <text>`);
      }
    }
    return Object.fromEntries(texts);
  }

  #object(key: string): unknown {
    this.#known.add(key);
    try {
      return this.#config.getObject<unknown>(key);
    } catch {
      // The error would quote the value, which may be a secret.
      this.problem(key, "is not JSON:", `--path '${key}.<name>' <text>`);
      return undefined;
    }
  }
}
