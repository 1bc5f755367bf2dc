import type { Asked } from "./api.ts";

/** What a link to this page reopens, kept behind the `#`: no server sees it. */
export interface Link {
  asked?: Asked;
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

/** Before the names of a saved query's parameters, which may be `sql` or `chart`, too. */
const valuePrefix = "q.";

export function readLink(hash: string): Link {
  const given = new URLSearchParams(hash.replace(/^#/, ""));
  const asked = askedOf(given);
  const [, kind, x, y] = /^(\w+),(\d+),(-1|\d+)$/.exec(given.get("chart") ?? "") ?? [];
  const known = chartKinds.find((one) => one === kind);
  return {
    ...(asked === undefined ? {} : { asked }),
    ...(known === undefined ? {} : { chart: { kind: known, x: Number(x), y: Number(y) } }),
  };
}

function askedOf(given: URLSearchParams): Asked | undefined {
  const [sql, saved] = [given.get("sql"), given.get("q")];
  if (saved === null) return sql === null ? undefined : { sql };
  const values = [...given].flatMap(([name, value]) =>
    name.startsWith(valuePrefix) ? [[name.slice(valuePrefix.length), value] as const] : [],
  );
  return { saved, values: Object.fromEntries(values) };
}

export function writeLink({ asked, chart }: Link): string {
  const params = new URLSearchParams();
  if (asked?.saved !== undefined) {
    params.set("q", asked.saved);
    for (const [name, value] of Object.entries(asked.values)) {
      params.set(`${valuePrefix}${name}`, value);
    }
  } else if (asked !== undefined) params.set("sql", asked.sql);
  if (chart !== undefined) params.set("chart", `${chart.kind},${chart.x},${chart.y}`);
  return `#${params}`;
}

/** Whether two ask the same, in whichever order their values are. */
export function sameAsked(one: Asked | undefined, other: Asked): boolean {
  const text = (asked: Asked) => writeLink({ asked: sorted(asked) });
  return one !== undefined && text(one) === text(other);
}

function sorted(asked: Asked): Asked {
  if (asked.saved === undefined) return asked;
  const values = Object.entries(asked.values).sort(([a], [b]) => (a < b ? -1 : 1));
  return { saved: asked.saved, values: Object.fromEntries(values) };
}
