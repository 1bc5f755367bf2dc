/** What a link to this page reopens, kept behind the `#`: no server sees it. */
export interface Link {
  sql?: string;
  chart?: ChartChoice;
}

export const chartKinds = ["line", "bar", "scatter", "histogram"] as const;
export type ChartKind = (typeof chartKinds)[number];

export interface ChartChoice {
  kind: ChartKind;
  /** Columns, by their places. */
  x: number;
  /** Of a bar also `rowCount`. */
  y: number;
}

/** The y of bars that count rows. */
export const rowCount = -1;

export function readLink(hash: string): Link {
  const given = new URLSearchParams(hash.replace(/^#/, ""));
  const sql = given.get("sql");
  const [, kind, x, y] = /^(\w+),(\d+),(-1|\d+)$/.exec(given.get("chart") ?? "") ?? [];
  const known = chartKinds.find((one) => one === kind);
  return {
    ...(sql === null ? {} : { sql }),
    ...(known === undefined ? {} : { chart: { kind: known, x: Number(x), y: Number(y) } }),
  };
}

export function writeLink({ sql, chart }: Link): string {
  const params = new URLSearchParams();
  if (sql !== undefined) params.set("sql", sql);
  if (chart !== undefined) params.set("chart", `${chart.kind},${chart.x},${chart.y}`);
  return `#${params}`;
}
