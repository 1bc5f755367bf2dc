import * as aws from "@pulumi/aws";
import * as pulumi from "@pulumi/pulumi";
import { type MetricName, metricsNamespace, sizeSettings } from "../app/contract.ts";
import type { ContainerFunction } from "./container-function.ts";
import { dashboard, type Row } from "./dashboard.ts";
import { EventTopic } from "./event-topic.ts";
import type { HttpApi } from "./http-api.ts";
import { stageName, stageTags } from "./names.ts";
import type { Schedule } from "./schedule.ts";
import type { LogLevel } from "./stage-config.ts";

export interface MonitoringArgs {
  /** By the names that `npm run logs -- -f` takes. */
  functions: { ingest: ContainerFunction; query: ContainerFunction } & Record<
    string,
    ContainerFunction
  >;
  /** By the names of their functions. */
  schedules: Record<string, Schedule>;
  api: HttpApi;
  /** Who is mailed. @default - nobody; the topic is there for others to subscribe */
  email?: string | undefined;
  /** Whether messages of the topic are encrypted, with a key of their own. @default false */
  encrypt?: boolean;
  /** Whether queries for CloudWatch Logs Insights are saved. @default true */
  insightsQueries?: boolean;
  /** What the functions log, and with it what they measure. @default "info" */
  logLevel?: LogLevel;
}

/** Near a limit is at this share of it. */
const near = 0.9;
/** Seconds that most alarms look at. */
const fiveMinutes = 300;
const hour = 60 * 60;
/** A failure waits 14 days; this late somebody should have looked. No alarm looks further back. */
const hoursOfOldFailures = 7 * 24;
/** Levels of logs in which a rejected file, which is a warning, is not told of. */
const silentOfRejections: ReadonlySet<LogLevel> = new Set(["error", "fatal"]);

interface AlarmArgs {
  /** What it means, and the command that shows more. */
  description: pulumi.Input<string>;
  namespace: string;
  metric: string;
  /** @default {} */
  dimensions?: Record<string, pulumi.Input<string>>;
  statistic: "Sum" | "Maximum";
  /** It goes off at this and above. */
  threshold: number;
  /** Seconds of one look. @default 300 */
  period?: number;
  /** Looks in turn that are all as bad. @default 1 */
  looks?: number;
}

/** Tells somebody when something is wrong, and shows how things go. */
export class Monitoring extends pulumi.ComponentResource {
  readonly topicArn: pulumi.Output<string>;
  readonly dashboardUrl: pulumi.Output<string>;
  readonly nodes: { alarms: aws.cloudwatch.MetricAlarm[]; dashboard: aws.cloudwatch.Dashboard };
  readonly #topic: EventTopic;
  readonly #alarms: aws.cloudwatch.MetricAlarm[] = [];

  constructor(name: string, args: MonitoringArgs, opts?: pulumi.ComponentResourceOptions) {
    super("millpond:infra:Monitoring", name, {}, opts);
    this.#topic = new EventTopic("alarms", { encrypt: args.encrypt ?? false }, { parent: this });
    this.topicArn = this.#topic.arn;

    const memory = Object.fromEntries(
      Object.entries(args.functions).map(([of, fn]) => [of, this.#watchFunction(of, fn)]),
    );
    for (const [of, schedule] of Object.entries(args.schedules)) this.#watchSchedule(of, schedule);
    // Without its metric it could never go off.
    if (!silentOfRejections.has(args.logLevel ?? "info")) this.#watchIngest(args.functions.ingest);
    this.#watchApi(args.api);
    // The last: a new stage's schedules have had no success, which nobody is to be mailed of before they could have one.
    if (args.email !== undefined) {
      this.#topic.subscribeEmail("alarms-email", args.email, { dependsOn: this.#alarms });
    }

    const { region } = aws.getRegionOutput({}, { parent: this });
    const board = new aws.cloudwatch.Dashboard(
      `${name}-dashboard`,
      {
        dashboardName: stageName("dashboard"),
        dashboardBody: dashboard({
          region,
          alarmArns: this.#alarms.map(({ arn }) => arn),
          rows: rowsOf(args, memory),
          rejectedFrom: args.functions.ingest.logGroupName,
        }),
      },
      { parent: this },
    );
    if (args.insightsQueries ?? true) this.#saveQueries(args);
    this.dashboardUrl = pulumi.interpolate`https://${region}.console.aws.amazon.com/cloudwatch/home?region=${region}#dashboards/dashboard/${board.dashboardName}`;
    this.nodes = { alarms: this.#alarms, dashboard: board };
    this.registerOutputs({ topicArn: this.topicArn, dashboardUrl: this.dashboardUrl });
  }

  /** @returns the name of the metric of its memory */
  #watchFunction(of: string, fn: ContainerFunction): string {
    const dimensions = { FunctionName: fn.name };
    const ofLambda = { namespace: "AWS/Lambda", dimensions } as const;
    const logs = (level: string) =>
      `npm run logs -- --stack ${pulumi.getStack()} -f ${of} --level ${level}`;
    this.#alarm(`${of}-errors`, {
      ...ofLambda,
      description: `${of} failed: ${logs("error")}`,
      metric: "Errors",
      statistic: "Sum",
      threshold: 1,
    });
    this.#alarm(`${of}-throttles`, {
      ...ofLambda,
      description: `${of} was called more often at once than it may run: pulumi stack output dashboardUrl shows how often; ${moreAtOnce(of)}`,
      metric: "Throttles",
      statistic: "Sum",
      threshold: 1,
    });
    this.#alarm(`${of}-duration`, {
      ...ofLambda,
      description: `${of} took nearly all of its ${fn.timeoutSeconds} s: ${logs("debug")}; ${moreMemory(of)}, and with it processors`,
      metric: "Duration",
      statistic: "Maximum",
      threshold: Math.floor(fn.timeoutSeconds * 1000 * near),
    });
    // Lambda publishes no metric of it.
    const metric = this.#count(fn, `${of}-memory`, {
      pattern: '{ $.type = "platform.report" }',
      value: "$.record.metrics.maxMemoryUsedMB",
      unit: "Megabytes",
    });
    this.#alarm(`${of}-memory`, {
      description: `${of} used nearly all of its ${fn.memoryMiB} MiB: ${logs("debug")}; ${moreMemory(of)}`,
      namespace: metricsNamespace,
      metric,
      statistic: "Maximum",
      threshold: Math.floor(fn.memoryMiB * near),
    });
    for (const [name, queue] of Object.entries(fn.failureQueues)) {
      this.#watchQueue(of, name, queue);
    }
    return metric;
  }

  #watchQueue(of: string, name: string, queue: aws.sqs.Queue): void {
    const dimensions = { QueueName: queue.name };
    const ofQueue = { namespace: "AWS/SQS", dimensions, statistic: "Maximum" } as const;
    const redrive = `npm run redrive -- --stack ${pulumi.getStack()}`;
    this.#alarm(`${name}-depth`, {
      ...ofQueue,
      description: `events of ${of} wait that failed for good: ${redrive} shows why, --run hands them back`,
      metric: "ApproximateNumberOfMessagesVisible",
      threshold: 1,
    });
    // Not SQS's own age of the oldest: that leaves out what was received three times, and `redrive` receives what it shows.
    this.#alarm(`${name}-age`, {
      ...ofQueue,
      description: `for a week failed events of ${of} have waited in every hour; the oldest may be lost a week from now: ${redrive} says since when, --run hands them back`,
      metric: "ApproximateNumberOfMessagesVisible",
      threshold: 1,
      period: hour,
      looks: hoursOfOldFailures,
    });
  }

  #watchIngest(ingest: ContainerFunction): void {
    this.#alarm("files-rejected", {
      description:
        "files can't be read: GET /rejected says which and why; they stay, and so do their last good rows",
      namespace: metricsNamespace,
      metric: "FilesRejected" satisfies MetricName,
      dimensions: { function_name: ingest.name },
      statistic: "Sum",
      threshold: 1,
    });
  }

  #watchApi(api: HttpApi): void {
    this.#alarm("api-5xx", {
      description: `requests failed by no fault of theirs: npm run logs -- --stack ${pulumi.getStack()} -f api query --level error`,
      namespace: "AWS/ApiGateway",
      metric: "5xx",
      dimensions: { ApiId: api.nodes.api.id },
      statistic: "Sum",
      threshold: 1,
    });
  }

  /**
   * Goes off where a schedule's function had no success in three intervals. Lines without one count as zero; where nothing calls it
   * there are none, and the alarm comes when all that CloudWatch looks at is missing: some intervals later.
   * @see https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/alarms-and-missing-data.html
   */
  #watchSchedule(of: string, { fn, everyMinutes }: Schedule): void {
    const metric = this.#count(fn, `${of}-successes`, {
      pattern: '{ $.type = "platform.report" && $.record.status = "success" }',
      value: "1",
      defaultValue: "0",
      unit: "Count",
    });
    this.#add(`${of}-stopped`, {
      alarmDescription: `${of}, which runs every ${everyMinutes} min, has not succeeded in three intervals: npm run logs -- --stack ${pulumi.getStack()} -f ${of} --since 1d; npm run invoke -- --stack ${pulumi.getStack()} -f ${of} runs it now`,
      namespace: metricsNamespace,
      metricName: metric,
      statistic: "Sum",
      period: Math.max(fiveMinutes, everyMinutes * 60),
      evaluationPeriods: 3,
      comparisonOperator: "LessThanThreshold",
      threshold: 1,
      treatMissingData: "breaching",
    });
  }

  /**
   * Makes a metric of the lines by which Lambda ends an invocation. They have nothing that could be a dimension.
   * @returns its name
   */
  #count(
    fn: ContainerFunction,
    name: string,
    {
      pattern,
      ...transformation
    }: { pattern: string; value: string; defaultValue?: string; unit: string },
  ): string {
    const metric = stageName(name);
    new aws.cloudwatch.LogMetricFilter(
      `${name}-filter`,
      {
        name: metric,
        logGroupName: fn.nodes.logGroup.name,
        pattern,
        metricTransformation: { name: metric, namespace: metricsNamespace, ...transformation },
      },
      { parent: this },
    );
    return metric;
  }

  #alarm(name: string, args: AlarmArgs): void {
    const { description, namespace, metric, dimensions = {}, statistic, threshold } = args;
    const { period = fiveMinutes, looks = 1 } = args;
    this.#add(name, {
      alarmDescription: description,
      namespace,
      metricName: metric,
      dimensions,
      statistic,
      period,
      evaluationPeriods: looks,
      comparisonOperator: "GreaterThanOrEqualToThreshold",
      threshold,
      // Nothing happened: all is well.
      treatMissingData: "notBreaching",
    });
  }

  #add(
    name: string,
    args: Omit<aws.cloudwatch.MetricAlarmArgs, "name" | "alarmActions" | "okActions" | "tags">,
  ): void {
    const told = [this.topicArn];
    this.#alarms.push(
      new aws.cloudwatch.MetricAlarm(
        `${name}-alarm`,
        {
          name: stageName(name),
          ...args,
          alarmActions: told,
          okActions: told,
          tags: stageTags(),
        },
        { parent: this },
      ),
    );
  }

  /** For the console's Logs Insights, where they are below the stage's name. */
  #saveQueries({ functions, api }: MonitoringArgs): void {
    const all = Object.values(functions).map(({ logGroupName }) => logGroupName);
    const queries: Record<string, { groups: string[]; text: string }> = {
      "what went wrong": {
        groups: all,
        text: `fields @timestamp, function_name, message, error.code, error.message, source, function_request_id
| filter level in ["warn", "error"]
| sort @timestamp desc
| limit 200`,
      },
      "one request": {
        groups: [...all, api.logGroupName],
        text: `fields @timestamp, function_name, level, message, @message
| filter function_request_id = "<x-request-id of the answer>" or record.requestId = "<the same>"
| sort @timestamp`,
      },
      "files rejected": {
        groups: [functions.ingest.logGroupName],
        text: `fields @timestamp, source, code, reason, line
| filter message = "rejected"
| sort @timestamp desc
| limit 200`,
      },
      "slowest queries": {
        groups: [functions.query.logGroupName],
        text: `fields @timestamp, client, path, QueryDuration, BytesScanned, RowsAnswered, function_request_id
| filter ispresent(QueryDuration)
| sort QueryDuration desc
| limit 50`,
      },
      "who asks how much": {
        groups: [functions.query.logGroupName],
        text: `filter message = "request"
| stats count() as requests, sum(BytesScanned) as bytes_scanned, pct(QueryDuration, 50) as p50_ms, pct(QueryDuration, 99) as p99_ms by client
| sort requests desc`,
      },
      "starts, time and memory": {
        groups: all,
        text: `filter type = "platform.report"
| stats count() as invocations, count(record.metrics.initDurationMs) as cold_starts, max(record.metrics.durationMs) as longest_ms, max(record.metrics.maxMemoryUsedMB) as most_memory_mb by @log`,
      },
    };
    for (const [title, { groups, text }] of Object.entries(queries)) {
      new aws.cloudwatch.QueryDefinition(
        `insights-${title.replace(/[^a-z]+/g, "-")}`,
        {
          name: `${pulumi.getProject()}/${pulumi.getStack()}/${title}`,
          logGroupNames: groups,
          queryString: text,
        },
        { parent: this },
      );
    }
  }
}

/** What gives a function more memory: a setting, or the program where there is none. */
function moreMemory(of: string): string {
  const given = isSized(of)
    ? `pulumi config set ${sizeSettings[of].memory} <MiB>`
    : `memoryMiB of ${of} in index.ts`;
  return `${given} and pulumi up give it more memory`;
}

function moreAtOnce(of: string): string {
  const account = "the account's quota of concurrent executions in Service Quotas";
  return isSized(of)
    ? `pulumi config set ${sizeSettings[of].concurrency} <executions> and pulumi up raise its own limit; without one it is ${account}`
    : `its limit is ${account}`;
}

function isSized(of: string): of is keyof typeof sizeSettings {
  return Object.hasOwn(sizeSettings, of);
}

/** What the dashboard shows, from what people wait for to what it runs on. @param memory names of metrics, by function */
function rowsOf({ functions, api }: MonitoringArgs, memory: Record<string, string>): Row[] {
  const { ingest, query } = functions;
  const ours = (name: MetricName, { name: functionName }: ContainerFunction, label: string) => ({
    path: [metricsNamespace, name, "function_name", functionName],
    label,
  });
  const ofEach = (metric: string) =>
    Object.entries(functions).map(([label, fn]) => ({
      path: ["AWS/Lambda", metric, "FunctionName", fn.name],
      label,
    }));
  const ofApi = (metric: string, label: string) => ({
    path: ["AWS/ApiGateway", metric, "ApiId", api.nodes.api.id],
    label,
  });
  const ofEachQueue = (metric: string) =>
    Object.values(functions)
      .flatMap(({ failureQueues }) => Object.values(failureQueues))
      .map(({ name }) => ({ path: ["AWS/SQS", metric, "QueueName", name] }));
  return [
    [
      {
        title: "Files",
        unit: "files",
        statistics: ["Sum"],
        metrics: [
          ours("FilesConverted", ingest, "converted"),
          ours("FilesRejected", ingest, "rejected"),
        ],
      },
      {
        title: "Rows that came",
        unit: "rows",
        statistics: ["Sum"],
        metrics: [ours("RowsConverted", ingest, "rows")],
      },
      {
        title: "Bytes that came",
        unit: "bytes",
        statistics: ["Sum"],
        metrics: [
          ours("SourceBytes", ingest, "as dropped"),
          ours("ParquetBytes", ingest, "as Parquet"),
        ],
      },
      {
        title: "From upload to queryable",
        unit: "ms",
        statistics: ["p50", "p99"],
        metrics: [ours("IngestLag", ingest, "lag")],
      },
    ],
    [
      {
        title: "Requests",
        unit: "requests",
        statistics: ["Sum"],
        metrics: [ofApi("Count", "all"), ofApi("4xx", "4xx"), ofApi("5xx", "5xx")],
      },
      {
        title: "Time to answer, API",
        unit: "ms",
        statistics: ["p50", "p99"],
        metrics: [ofApi("Latency", "request")],
      },
      {
        title: "Query time",
        unit: "ms",
        statistics: ["p50", "p99"],
        metrics: [ours("QueryDuration", query, "query")],
      },
      {
        title: "Bytes scanned",
        unit: "bytes",
        statistics: ["Sum"],
        metrics: [ours("BytesScanned", query, "of the tables named")],
      },
    ],
    [
      { title: "Errors", unit: "invocations", statistics: ["Sum"], metrics: ofEach("Errors") },
      {
        title: "Throttles",
        unit: "invocations",
        statistics: ["Sum"],
        metrics: ofEach("Throttles"),
      },
      { title: "Longest run", unit: "ms", statistics: ["Maximum"], metrics: ofEach("Duration") },
      {
        title: "Most memory",
        unit: "MB",
        statistics: ["Maximum"],
        metrics: Object.entries(memory).map(([label, metric]) => ({
          path: [metricsNamespace, metric],
          label,
        })),
      },
    ],
    [
      {
        title: "Failures that wait",
        unit: "events",
        statistics: ["Maximum"],
        metrics: ofEachQueue("ApproximateNumberOfMessagesVisible"),
      },
      {
        title: "Oldest, until it is looked at three times",
        unit: "s",
        statistics: ["Maximum"],
        metrics: ofEachQueue("ApproximateAgeOfOldestMessage"),
      },
      {
        title: "Runs",
        unit: "invocations",
        statistics: ["Sum"],
        metrics: ofEach("Invocations"),
      },
      {
        title: "Runs at once",
        unit: "executions",
        statistics: ["Maximum"],
        metrics: ofEach("ConcurrentExecutions"),
      },
    ],
  ];
}
