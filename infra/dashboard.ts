import * as pulumi from "@pulumi/pulumi";

/** One metric of a graph. */
export interface GraphMetric {
  /** Namespace, name, and dimensions in turn. */
  path: pulumi.Input<string>[];
  /** @default - CloudWatch's own */
  label?: string;
}

export interface Graph {
  title: string;
  /** What its axis counts. */
  unit: string;
  /** Each metric is drawn once for each. */
  statistics: string[];
  metrics: GraphMetric[];
}

/** Graphs beside each other, four at most. */
export type Row = Graph[];

export interface DashboardArgs {
  region: pulumi.Input<string>;
  alarmArns: pulumi.Input<string>[];
  rows: Row[];
  /** Log group of which the rejected files are listed. */
  rejectedFrom: string;
}

/** Columns of a dashboard of CloudWatch's. */
const width = 24;
const height = 6;
/** Seconds of one point. */
const period = 300;

/**
 * The body of a dashboard: alarms, then graphs in rows, then the newest rejected files.
 * @see https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/CloudWatch-Dashboard-Body-Structure.html
 */
export function dashboard({ region, alarmArns, rows, rejectedFrom }: DashboardArgs) {
  const alarmsHeight = 4;
  const alarms = {
    type: "alarm",
    ...{ x: 0, y: 0, width, height: alarmsHeight },
    properties: { title: "Alarms", alarms: alarmArns },
  };
  const graphs = rows.flatMap((row, y) =>
    row.map((graph, x) => ({
      type: "metric",
      x: (x * width) / row.length,
      y: alarmsHeight + y * height,
      width: width / row.length,
      height,
      properties: { ...graphOf(graph), region },
    })),
  );
  const rejected = {
    type: "log",
    ...{ x: 0, y: alarmsHeight + rows.length * height, width, height },
    properties: {
      title: "Newest files that can't be read",
      region,
      view: "table",
      query: `SOURCE '${rejectedFrom}' | fields @timestamp, source, code, reason | filter message = "rejected" | sort @timestamp desc | limit 20`,
    },
  };
  return pulumi.jsonStringify({ widgets: [alarms, ...graphs, rejected] });
}

function graphOf({ title, unit, statistics, metrics }: Graph) {
  const several = statistics.length > 1;
  return {
    title: `${title} (${unit})`,
    view: "timeSeries",
    period,
    stat: statistics[0],
    yAxis: { left: { label: unit, min: 0, showUnits: false } },
    metrics: metrics.flatMap(({ path, label }) =>
      statistics.map((stat) => [
        ...path,
        {
          stat,
          ...(label === undefined && !several
            ? {}
            : { label: [label, several ? stat : undefined].filter(Boolean).join(" ") }),
        },
      ]),
    ),
  };
}
