import fs from "node:fs/promises";
import { expect } from "chai";
import { metricUnits } from "../../app/contract.ts";
import { ContainerFunction } from "../../infra/container-function.ts";
import { EventTopic } from "../../infra/event-topic.ts";
import { HttpApi } from "../../infra/http-api.ts";
import { Monitoring } from "../../infra/monitoring.ts";
import { Schedule } from "../../infra/schedule.ts";
import type { LogLevel } from "../../infra/stage-config.ts";
import { type Built, build, region } from "./build.ts";

interface Widget {
  type: string;
  x: number;
  y: number;
  width: number;
  height: number;
  properties: {
    title: string;
    metrics?: [...string[], { stat: string; label?: string }][];
    yAxis?: { left: { label: string } };
    alarms?: string[];
    query?: string;
  };
}

describe("Monitoring", () => {
  const monitor = async ({
    everyMinutes = 60,
    ...args
  }: {
    everyMinutes?: number;
    email?: string;
    encrypt?: boolean;
    insightsQueries?: boolean;
    logLevel?: LogLevel;
  } = {}) =>
    await build(() => {
      const common = {
        imageUri: `r@sha256:${"a".repeat(64)}`,
        architecture: "arm64" as const,
        handler: "index.x",
      };
      const ingest = new ContainerFunction("ingest", {
        ...common,
        timeoutSeconds: 300,
        memoryMiB: 2000,
        events: {},
      });
      const query = new ContainerFunction("query", common);
      const sweep = new ContainerFunction("sweep", { ...common, events: {} });
      new EventTopic("uploads").subscribe("ingest", ingest);
      return new Monitoring("monitoring", {
        functions: { ingest, query, sweep },
        schedules: { sweep: new Schedule("schedule", { fn: sweep, everyMinutes }) },
        api: new HttpApi("api", { auth: "token" }),
        ...args,
      });
    });
  const alarm = (built: Built<unknown>, name: string) =>
    built.one("aws:cloudwatch/metricAlarm:MetricAlarm", `${name}-alarm`).inputs;
  const topicArn = `arn:aws:sns:${region}:111122223333:millpond-dev-alarms`;

  it("watches each function's errors, throttles, time and memory, the latter two near their limits", async () => {
    const built = await monitor();

    const dimensions = { FunctionName: "millpond-dev-ingest-image" };
    expect(alarm(built, "ingest-errors")).to.deep.include({
      ...{ namespace: "AWS/Lambda", metricName: "Errors", statistic: "Sum", threshold: 1 },
      ...{ dimensions, treatMissingData: "notBreaching" },
      comparisonOperator: "GreaterThanOrEqualToThreshold",
    });
    expect(alarm(built, "ingest-throttles")).to.deep.include({
      metricName: "Throttles",
      dimensions,
    });
    expect(alarm(built, "ingest-duration")).to.deep.include({
      ...{ metricName: "Duration", statistic: "Maximum", threshold: 270_000, dimensions },
    });
    expect(alarm(built, "query-duration")).to.include({ threshold: 27_000 });
    expect(alarm(built, "ingest-memory")).to.include({ threshold: 1800, statistic: "Maximum" });
  });

  it("takes memory from Lambda's own lines, and looks for it under the name that they are given", async () => {
    const built = await monitor();

    const { inputs } = built.one(
      "aws:cloudwatch/logMetricFilter:LogMetricFilter",
      "query-memory-filter",
    );
    const { name, namespace, value } = inputs["metricTransformation"] as Record<string, string>;
    expect(inputs).to.include({
      logGroupName: "/aws/lambda/millpond-dev-query-image",
      pattern: '{ $.type = "platform.report" }',
    });
    expect(value).to.equal("$.record.metrics.maxMemoryUsedMB");
    expect(alarm(built, "query-memory")).to.include({ metricName: name, namespace });
  });

  it("watches each queue of failures, how many and for how long, by nothing that a look at them changes", async () => {
    const built = await monitor();

    for (const queue of ["ingest-failures", "ingest-undelivered", "sweep-failures"]) {
      const dimensions = { QueueName: `millpond-dev-${queue}` };
      expect(alarm(built, `${queue}-depth`)).to.deep.include({ dimensions, threshold: 1 });
      const { inputs } = built.one("aws:sqs/queue:Queue", queue);
      const age = alarm(built, `${queue}-age`);
      expect(age).to.deep.include({ dimensions, threshold: 1, statistic: "Maximum" });
      // SQS leaves what was received three times out of the age of its oldest.
      expect(age["metricName"]).to.equal("ApproximateNumberOfMessagesVisible");
      // Longer than they are hidden from others, and half of the time that SQS keeps them.
      expect(age["period"]).to.be.above(120);
      expect(Number(age["period"]) * Number(age["evaluationPeriods"])).to.equal(
        Number(inputs["messageRetentionSeconds"]) / 2,
      );
    }
  });

  it("watches rejected files and failed requests", async () => {
    const built = await monitor();

    expect(alarm(built, "files-rejected")).to.deep.include({
      ...{ namespace: "Millpond", metricName: "FilesRejected", statistic: "Sum", threshold: 1 },
      dimensions: { function_name: "millpond-dev-ingest-image" },
    });
    expect(alarm(built, "api-5xx")).to.deep.include({
      ...{ namespace: "AWS/ApiGateway", metricName: "5xx", dimensions: { ApiId: "api-api-id" } },
    });
  });

  it("says nothing of rejected files where the log does not", async () => {
    const named = async (logLevel: LogLevel) =>
      (await monitor({ logLevel }))
        .all("aws:cloudwatch/metricAlarm:MetricAlarm")
        .some(({ name }) => name === "files-rejected-alarm");

    expect(await named("warn")).to.equal(true);
    expect(await named("error")).to.equal(false);
    expect(await named("fatal")).to.equal(false);
  });

  it("keeps each alarm within what CloudWatch looks at, also where sweeps are rare", async () => {
    for (const everyMinutes of [1, 59, 60, 1440]) {
      const built = await monitor({ everyMinutes });

      for (const { name, inputs } of built.all("aws:cloudwatch/metricAlarm:MetricAlarm")) {
        const period = Number(inputs["period"]);
        const most = period < 3600 ? 86_400 : 604_800;
        expect(period * Number(inputs["evaluationPeriods"]), name).to.be.at.most(most);
      }
    }
  });

  for (const [everyMinutes, period] of [
    [1, 300],
    [60, 3600],
    [720, 43_200],
    [1440, 86_400],
  ]) {
    it(`misses a schedule of every ${everyMinutes} min that has no success in three intervals`, async () => {
      const built = await monitor({ everyMinutes: Number(everyMinutes) });

      const stopped = alarm(built, "sweep-stopped");
      expect(stopped).to.include({
        ...{ evaluationPeriods: 3, threshold: 1, treatMissingData: "breaching" },
        comparisonOperator: "LessThanThreshold",
      });
      const { inputs } = built.one(
        "aws:cloudwatch/logMetricFilter:LogMetricFilter",
        "sweep-successes-filter",
      );
      expect(inputs).to.include({
        logGroupName: "/aws/lambda/millpond-dev-sweep-image",
        pattern: '{ $.type = "platform.report" && $.record.status = "success" }',
      });
      const { name: metricName, namespace } = inputs["metricTransformation"] as Record<
        string,
        string
      >;
      expect(stopped).to.include({ metricName, namespace, statistic: "Sum", period });
      // Runs that fail are data, so that an old success does not count for them.
      expect(inputs["metricTransformation"]).to.include({ value: "1", defaultValue: "0" });
    });
  }

  it("names in an alarm's text no setting that there is not", async () => {
    const settings = await fs.readFile(new URL("../../Pulumi.yaml", import.meta.url), "utf8");
    const built = await monitor();

    const texts = built
      .all("aws:cloudwatch/metricAlarm:MetricAlarm")
      .map(({ inputs }) => String(inputs["alarmDescription"]));
    const named = texts.flatMap((text) =>
      [...text.matchAll(/\b[a-z]+(?:Concurrency|MemoryMiB|TimeoutSeconds)\b/g)].map(([one]) => one),
    );
    expect(named).to.include.members(["queryConcurrency", "ingestMemoryMiB"]);
    for (const name of named) expect(settings).to.match(new RegExp(`^  ${name}:`, "m"));
    const ofSweep = ["throttles", "duration", "memory"].map(
      (what) => alarm(built, `sweep-${what}`)["alarmDescription"],
    );
    expect(ofSweep[0]).to.contain("Service Quotas");
    expect(ofSweep[1]).to.contain("memoryMiB of sweep in index.ts");
    expect(ofSweep[2]).to.contain("memoryMiB of sweep in index.ts");
  });

  it("tells a topic of each alarm and of its end, and mails who is named", async () => {
    const built = await monitor({ email: "ops@example.com", encrypt: true });
    const silent = await monitor();

    const alarms = built.all("aws:cloudwatch/metricAlarm:MetricAlarm");
    expect(alarms).to.have.length(3 * 4 + 3 * 2 + 3);
    for (const { inputs } of alarms) {
      expect(inputs).to.deep.include({ alarmActions: [topicArn], okActions: [topicArn] });
      // What it means is not to be guessed from its name.
      expect(inputs["alarmDescription"]).to.match(/\w+: |\w+, /);
    }
    const mail = built.one(
      "aws:sns/topicSubscription:TopicSubscription",
      "alarms-email-subscription",
    );
    expect(mail.inputs).to.include({
      ...{ protocol: "email", endpoint: "ops@example.com", topic: topicArn },
    });
    // A new stage's sweeps have had no success, of which nobody is to be mailed.
    expect(mail.after).to.include("sweep-stopped-alarm");
    // AWS's own key would shut alarms out.
    const [key] = built.all("aws:kms/key:Key");
    expect(JSON.stringify(key && built.policy(key))).to.contain("cloudwatch.amazonaws.com");
    expect(silent.all("aws:sns/topicSubscription:TopicSubscription")).to.have.length(1);
  });

  it("has a dashboard on which nothing overlaps, each graph with its unit, and all that is measured is on it", async () => {
    const built = await monitor();

    const { inputs } = built.one("aws:cloudwatch/dashboard:Dashboard");
    const { widgets } = JSON.parse(String(inputs["dashboardBody"])) as { widgets: Widget[] };
    const cells = new Set<string>();
    for (const { x, y, width, height } of widgets) {
      expect(x + width).to.be.at.most(24);
      for (let i = x; i < x + width; i += 1) {
        for (let j = y; j < y + height; j += 1) {
          expect(cells.has(`${i} ${j}`)).to.equal(false);
          cells.add(`${i} ${j}`);
        }
      }
    }
    const graphs = widgets.filter(({ type }) => type === "metric");
    expect(graphs).to.have.length(16);
    for (const { properties } of graphs) {
      const unit = properties.yAxis?.left.label;
      expect(unit).to.match(/^[a-zA-Z]+$/);
      expect(properties.title).to.match(new RegExp(`\\(${unit}\\)$`));
      expect(properties.metrics).to.not.have.length(0);
    }
    const drawn = graphs.flatMap(({ properties }) => properties.metrics?.map(([, name]) => name));
    // Rows of answers say little of anything; the log has them.
    for (const name of Object.keys(metricUnits).filter((one) => one !== "RowsAnswered")) {
      expect(drawn, name).to.include(name);
    }
    const [alarms] = widgets;
    expect(alarms?.properties.alarms).to.have.length(21);
    expect(await new Promise((resolve) => built.value.dashboardUrl.apply(resolve))).to.equal(
      `https://${region}.console.aws.amazon.com/cloudwatch/home?region=${region}#dashboards/dashboard/millpond-dev-dashboard`,
    );
  });

  it("saves queries below the stage's name, of groups that there are, unless it is not to", async () => {
    const type = "aws:cloudwatch/queryDefinition:QueryDefinition";
    const built = await monitor();
    const groups = built
      .all("aws:cloudwatch/logGroup:LogGroup")
      .map(({ inputs }) => inputs["name"]);

    const queries = built.all(type);
    expect(queries).to.have.length(6);
    for (const { inputs } of queries) {
      expect(inputs["name"]).to.match(/^millpond\/dev\/\w/);
      expect(groups).to.include.members(inputs["logGroupNames"] as string[]);
    }
    expect((await monitor({ insightsQueries: false })).all(type)).to.deep.equal([]);
  });
});
