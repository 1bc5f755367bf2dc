import * as aws from "@pulumi/aws";
import * as pulumi from "@pulumi/pulumi";
import type { Architecture } from "../app/contract.ts";
import { failureQueue } from "./failure-queue.ts";
import { stageName, stageTags } from "./names.ts";
import { assumedBy, policyJson, type Statement } from "./policy.ts";
import type { LogLevel } from "./stage-config.ts";
import { type Transform, transformed } from "./transform.ts";

export interface ContainerFunctionArgs {
  imageUri: pulumi.Input<string>;
  architecture: Architecture;
  /** What of the image runs, as `index.ingest`. */
  handler: string;
  /** Memory in MiB; a processor for each 1,769. @default 1024 */
  memoryMiB?: number;
  /** @default 30 */
  timeoutSeconds?: number;
  /** Size of /tmp in MiB. @default 512 */
  diskMiB?: number;
  /** Executions kept for this function alone, and its limit. @default - it shares the account's */
  concurrency?: number | undefined;
  /** @default {} */
  environment?: Record<string, pulumi.Input<string>>;
  /** @default "info" */
  logLevel?: LogLevel;
  /** @default 30 */
  logRetentionDays?: number;
  /** Whether X-Ray follows its requests. @default false */
  tracing?: boolean;
  /** For one that is invoked by events, not by somebody who waits. @default - no retries, no queue */
  events?: {
    /** After the first try. @default 2 */
    retries?: number;
    /** Seconds after which an event is given up. @default 21600 */
    maximumAgeSeconds?: number;
  };
  transform?: { function?: Transform<aws.lambda.FunctionArgs> };
}

/** Lambda's names of the levels. */
const applicationLevel = (level: LogLevel) => level.toUpperCase();

/**
 * A function that runs an image, with a role of its own that may write its log, and nothing else until it is granted.
 * Its name ends in `-image`: a function that was a zip file can't become an image, so it gets another name and replaces it.
 */
export class ContainerFunction extends pulumi.ComponentResource {
  readonly arn: pulumi.Output<string>;
  readonly name: pulumi.Output<string>;
  readonly invokeArn: pulumi.Output<string>;
  readonly logGroupName: string;
  /** Where events wait that failed for good. Undefined for one that is not invoked by events. */
  readonly failuresQueueArn: pulumi.Output<string> | undefined;
  readonly memoryMiB: number;
  readonly timeoutSeconds: number;
  /**
   * The queues with what this function was to do and has not, by their names in the stage: what it failed at, and what topics could
   * not deliver.
   */
  readonly failureQueues: Record<string, aws.sqs.Queue> = {};
  readonly nodes: {
    function: aws.lambda.Function;
    role: aws.iam.Role;
    logGroup: aws.cloudwatch.LogGroup;
    failures?: aws.sqs.Queue;
  };
  readonly #name: string;

  constructor(name: string, args: ContainerFunctionArgs, opts?: pulumi.ComponentResourceOptions) {
    super("millpond:infra:ContainerFunction", name, {}, opts);
    this.#name = name;
    const parent = { parent: this };
    const functionName = stageName(`${name}-image`);
    this.memoryMiB = args.memoryMiB ?? 1024;
    this.timeoutSeconds = args.timeoutSeconds ?? 30;
    this.logGroupName = `/aws/lambda/${functionName}`;

    // Before the function, which would make one that keeps everything for ever.
    const logGroup = new aws.cloudwatch.LogGroup(
      `${name}-log`,
      {
        name: this.logGroupName,
        retentionInDays: args.logRetentionDays ?? 30,
        tags: stageTags(),
      },
      parent,
    );
    const failuresName = `${name}-failures`;
    const failures = args.events === undefined ? undefined : failureQueue(failuresName, this);
    const role = new aws.iam.Role(
      `${name}-role`,
      {
        name: stageName(name),
        assumeRolePolicy: assumedBy("lambda.amazonaws.com"),
        tags: stageTags(),
      },
      parent,
    );
    const basics = new aws.iam.RolePolicy(
      `${name}-basics`,
      { role: role.id, policy: policyJson(...basicStatements(logGroup, failures, args)) },
      parent,
    );
    const fn = new aws.lambda.Function(
      `${name}-function`,
      transformed<aws.lambda.FunctionArgs>(
        {
          name: functionName,
          packageType: "Image",
          imageUri: args.imageUri,
          imageConfig: { commands: [args.handler] },
          architectures: [args.architecture],
          role: role.arn,
          memorySize: this.memoryMiB,
          timeout: this.timeoutSeconds,
          ephemeralStorage: { size: args.diskMiB ?? 512 },
          ...(args.concurrency === undefined
            ? {}
            : { reservedConcurrentExecutions: args.concurrency }),
          environment: { variables: args.environment ?? {} },
          loggingConfig: {
            logFormat: "JSON",
            logGroup: logGroup.name,
            applicationLogLevel: applicationLevel(args.logLevel ?? "info"),
            // Lambda's own lines of each request: time, memory, start.
            systemLogLevel: "INFO",
          },
          tracingConfig: { mode: args.tracing === true ? "Active" : "PassThrough" },
          tags: stageTags(),
        },
        args.transform?.function,
      ),
      { ...parent, dependsOn: [logGroup, basics] },
    );
    if (args.events !== undefined && failures !== undefined) {
      new aws.lambda.FunctionEventInvokeConfig(
        `${name}-events`,
        {
          functionName: fn.name,
          maximumRetryAttempts: args.events.retries ?? 2,
          maximumEventAgeInSeconds: args.events.maximumAgeSeconds ?? 21_600,
          destinationConfig: { onFailure: { destination: failures.arn } },
        },
        { ...parent, dependsOn: [basics] },
      );
    }

    this.arn = fn.arn;
    this.name = fn.name;
    this.invokeArn = fn.invokeArn;
    this.failuresQueueArn = failures?.arn;
    if (failures !== undefined) this.failureQueues[failuresName] = failures;
    this.nodes = { function: fn, role, logGroup, ...(failures === undefined ? {} : { failures }) };
    this.registerOutputs({ arn: this.arn, name: this.name });
  }

  /** Lets the function do more: what grants call. @param what for the policy's name, as `lake-read` */
  allow(what: string, ...statements: Statement[]): aws.iam.RolePolicy {
    return new aws.iam.RolePolicy(
      `${this.#name}-${what}`,
      { role: this.nodes.role.id, policy: policyJson(...statements) },
      { parent: this },
    );
  }
}

function basicStatements(
  logGroup: aws.cloudwatch.LogGroup,
  failures: aws.sqs.Queue | undefined,
  { tracing }: ContainerFunctionArgs,
): Statement[] {
  const statements: Statement[] = [
    {
      sid: "Log",
      actions: ["logs:CreateLogStream", "logs:PutLogEvents"],
      resources: [pulumi.interpolate`${logGroup.arn}:*`],
    },
  ];
  if (failures !== undefined) {
    statements.push({ sid: "Failures", actions: ["sqs:SendMessage"], resources: [failures.arn] });
  }
  if (tracing === true) {
    statements.push({
      sid: "Trace",
      actions: ["xray:PutTraceSegments", "xray:PutTelemetryRecords"],
      // X-Ray knows no resources for these. https://docs.aws.amazon.com/service-authorization/latest/reference/list_awsx-ray.html
      resources: ["*"],
    });
  }
  return statements;
}
