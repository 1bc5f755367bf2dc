import * as aws from "@pulumi/aws";
import * as pulumi from "@pulumi/pulumi";
import type { ContainerFunction } from "./container-function.ts";
import { stageName, stageTags } from "./names.ts";
import { assumedBy, policyJson } from "./policy.ts";

export interface ScheduleArgs {
  fn: ContainerFunction;
  /** From the end of one interval to that of the next. */
  everyMinutes: number;
}

/** Invokes a function at intervals, by a role that may invoke that function alone. */
export class Schedule extends pulumi.ComponentResource {
  readonly fn: ContainerFunction;
  readonly everyMinutes: number;
  readonly nodes: { schedule: aws.scheduler.Schedule; role: aws.iam.Role };

  constructor(name: string, args: ScheduleArgs, opts?: pulumi.ComponentResourceOptions) {
    super("millpond:infra:Schedule", name, {}, opts);
    this.fn = args.fn;
    this.everyMinutes = args.everyMinutes;
    const { accountId } = aws.getCallerIdentityOutput({}, { parent: this });
    const role = new aws.iam.Role(
      `${name}-role`,
      {
        name: stageName(name),
        assumeRolePolicy: assumedBy("scheduler.amazonaws.com", {
          StringEquals: { "aws:SourceAccount": accountId },
        }),
        tags: stageTags(),
      },
      { parent: this },
    );
    const invoke = new aws.iam.RolePolicy(
      `${name}-invoke`,
      {
        role: role.id,
        policy: policyJson({
          sid: "Invoke",
          actions: ["lambda:InvokeFunction"],
          resources: [args.fn.arn],
        }),
      },
      { parent: this },
    );
    const schedule = new aws.scheduler.Schedule(
      `${name}-rate`,
      {
        name: stageName(name),
        scheduleExpression: rate(args.everyMinutes),
        flexibleTimeWindow: { mode: "OFF" },
        target: {
          arn: args.fn.arn,
          roleArn: role.arn,
          retryPolicy: { maximumRetryAttempts: 2, maximumEventAgeInSeconds: 3600 },
        },
      },
      { parent: this, dependsOn: [invoke] },
    );
    this.nodes = { schedule, role };
    this.registerOutputs({});
  }
}

/** As EventBridge writes it: one minute is singular. */
export function rate(minutes: number): string {
  return minutes === 1 ? "rate(1 minute)" : `rate(${minutes} minutes)`;
}
