import { expect } from "chai";
import { ContainerFunction, type ContainerFunctionArgs } from "../../infra/container-function.ts";
import { account, build } from "./build.ts";

describe("ContainerFunction", () => {
  const made = (args: Partial<ContainerFunctionArgs> = {}) =>
    build(
      () =>
        new ContainerFunction("ingest", {
          imageUri: "repository@sha256:1",
          architecture: "arm64",
          handler: "index.ingest",
          ...args,
        }),
    );
  const fn = "aws:lambda/function:Function";
  const queueArn = `arn:aws:sqs:eu-central-1:${account}:millpond-dev-ingest-failures`;
  const logStatement = {
    Sid: "Log",
    Effect: "Allow",
    Action: ["logs:CreateLogStream", "logs:PutLogEvents"],
    Resource: [
      `arn:aws:cloudwatch:eu-central-1:${account}:/aws/lambda/millpond-dev-ingest-image:*`,
    ],
  };

  it("runs one command of an image, on the stage's architecture", async () => {
    const { one } = await made({ memoryMiB: 2048, timeoutSeconds: 60, diskMiB: 1024 });

    const { inputs } = one(fn);
    expect(inputs).to.deep.include({
      name: "millpond-dev-ingest-image",
      packageType: "Image",
      imageUri: "repository@sha256:1",
      imageConfig: { commands: ["index.ingest"] },
      architectures: ["arm64"],
      memorySize: 2048,
      timeout: 60,
      ephemeralStorage: { size: 1024 },
    });
    expect(inputs).to.not.have.property("reservedConcurrentExecutions");
    expect(inputs).to.not.have.any.keys("runtime", "handler", "code");
  });

  it("writes JSON of the stage's level to a log group of its own, made before it", async () => {
    const { one } = await made({ logLevel: "debug", logRetentionDays: 7 });

    const group = one("aws:cloudwatch/logGroup:LogGroup");
    expect(group.inputs).to.include({
      name: "/aws/lambda/millpond-dev-ingest-image",
      retentionInDays: 7,
    });
    expect(one(fn).inputs["loggingConfig"]).to.deep.equal({
      logFormat: "JSON",
      logGroup: "/aws/lambda/millpond-dev-ingest-image",
      applicationLogLevel: "DEBUG",
      systemLogLevel: "INFO",
    });
    expect(one(fn).after).to.deep.equal(["ingest-basics", "ingest-log"]);
  });

  it("may write its log, and nothing else", async () => {
    const { one, policy, all } = await made();

    expect(policy(one("aws:iam/role:Role"), "assumeRolePolicy")).to.deep.equal({
      Version: "2012-10-17",
      Statement: [
        {
          Effect: "Allow",
          Principal: { Service: "lambda.amazonaws.com" },
          Action: "sts:AssumeRole",
        },
      ],
    });
    expect(policy(one("aws:iam/rolePolicy:RolePolicy"))).to.deep.equal({
      Version: "2012-10-17",
      Statement: [logStatement],
    });
    expect(all("aws:iam/rolePolicyAttachment:RolePolicyAttachment")).to.deep.equal([]);
  });

  it("keeps events that failed for good, where it is invoked by events", async () => {
    const { one, policy } = await made({ events: { retries: 1, maximumAgeSeconds: 600 } });

    expect(one("aws:sqs/queue:Queue").inputs).to.include({
      messageRetentionSeconds: 14 * 24 * 3600,
      sqsManagedSseEnabled: true,
    });
    expect(
      one("aws:lambda/functionEventInvokeConfig:FunctionEventInvokeConfig").inputs,
    ).to.deep.include({
      maximumRetryAttempts: 1,
      maximumEventAgeInSeconds: 600,
      destinationConfig: { onFailure: { destination: queueArn } },
    });
    expect(policy(one("aws:iam/rolePolicy:RolePolicy"))).to.deep.equal({
      Version: "2012-10-17",
      Statement: [
        logStatement,
        { Sid: "Failures", Effect: "Allow", Action: ["sqs:SendMessage"], Resource: [queueArn] },
      ],
    });
  });

  it("has no queue twice: the function itself names none", async () => {
    const { one } = await made({ events: {} });

    expect(one(fn).inputs).to.not.have.property("deadLetterConfig");
  });

  it("may be traced, which X-Ray knows no resources for", async () => {
    const { one, policy } = await made({ tracing: true });

    expect(one(fn).inputs["tracingConfig"]).to.deep.equal({ mode: "Active" });
    expect(policy(one("aws:iam/rolePolicy:RolePolicy"))).to.deep.equal({
      Version: "2012-10-17",
      Statement: [
        logStatement,
        {
          Sid: "Trace",
          Effect: "Allow",
          Action: ["xray:PutTraceSegments", "xray:PutTelemetryRecords"],
          Resource: ["*"],
        },
      ],
    });
  });

  it("keeps executions for itself only where config says so", async () => {
    const { one } = await made({ concurrency: 5 });

    expect(one(fn).inputs["reservedConcurrentExecutions"]).to.equal(5);
  });

  it("lets a caller change the function's arguments last, by values or by a function", async () => {
    const merged = await made({ transform: { function: { memorySize: 4096 } } });
    const returned = await made({
      transform: { function: (args) => ({ ...args, description: "returned" }) },
    });
    const mutated = await made({
      transform: {
        function: (args) => {
          args.description = "mutated";
          return undefined;
        },
      },
    });

    expect(merged.one(fn).inputs).to.include({ memorySize: 4096, timeout: 30 });
    expect(returned.one(fn).inputs).to.include({ description: "returned", timeout: 30 });
    expect(mutated.one(fn).inputs).to.include({ description: "mutated", timeout: 30 });
  });
});
