import { expect } from "chai";
import { ContainerFunction } from "../../infra/container-function.ts";
import { rate, Schedule } from "../../infra/schedule.ts";
import { account, build } from "./build.ts";

describe("Schedule", () => {
  it("invokes one function, by a role that may do just that", async () => {
    const { one, policy } = await build(() => {
      const fn = new ContainerFunction("sweep", {
        imageUri: "image",
        architecture: "arm64",
        handler: "index.sweep",
      });
      return new Schedule("sweep-hourly", { fn, everyMinutes: 60 });
    });

    const fnArn = `arn:aws:lambda:eu-central-1:${account}:millpond-dev-sweep-image`;
    const roleArn = `arn:aws:iam:eu-central-1:${account}:millpond-dev-sweep-hourly`;
    expect(one("aws:scheduler/schedule:Schedule").inputs).to.deep.include({
      scheduleExpression: "rate(60 minutes)",
      flexibleTimeWindow: { mode: "OFF" },
      target: {
        arn: fnArn,
        roleArn,
        retryPolicy: { maximumRetryAttempts: 2, maximumEventAgeInSeconds: 3600 },
      },
    });
    expect(policy(one("aws:iam/role:Role", "sweep-hourly-role"), "assumeRolePolicy")).to.deep.equal(
      {
        Version: "2012-10-17",
        Statement: [
          {
            Effect: "Allow",
            Principal: { Service: "scheduler.amazonaws.com" },
            Action: "sts:AssumeRole",
            Condition: { StringEquals: { "aws:SourceAccount": account } },
          },
        ],
      },
    );
    expect(policy(one("aws:iam/rolePolicy:RolePolicy", "sweep-hourly-invoke"))).to.deep.equal({
      Version: "2012-10-17",
      Statement: [
        { Sid: "Invoke", Effect: "Allow", Action: ["lambda:InvokeFunction"], Resource: [fnArn] },
      ],
    });
  });

  it("writes one minute as EventBridge does", () => {
    expect([rate(1), rate(2)]).to.deep.equal(["rate(1 minute)", "rate(2 minutes)"]);
  });
});
