import os from "node:os";

/** What benchmarks share: runs that alternate, so that whatever else the machine does hits all alike, and ratios to a floor. */

/** One way to do a thing. Called once a run. */
export interface Contender {
  /** Made ready before the clock starts. */
  prepare?(): Promise<void>;
  run(): Promise<void>;
}

export interface Spread {
  least: number;
  median: number;
  most: number;
}

export interface Goal {
  /** Times the floor's median. */
  most: number;
  /** That may come on top, in the line's unit. @default 0 */
  added?: number;
  /** How it reads where that is not "≤ 1.1 ×". */
  text?: string;
  /** Whether it holds on every machine. @default false */
  limit?: boolean;
}

/** A line of the report: how Millpond does beside the floor, and what was hoped for. */
export interface Line {
  /** The same in each run: what is recorded of it is found by that. */
  id: string;
  what: string;
  /** What it is compared with. */
  beside: string;
  unit: "ms" | "MiB";
  floor: Spread;
  millpond: Spread;
  /** Of the medians: less is better. */
  ratio: number;
  /** Undefined where none is set. */
  goal: string | undefined;
  reached: boolean | undefined;
  /** Whether the goal is a limit, which counts whatever was recorded. @default false */
  limit?: boolean;
  /** Other figures of the same runs, such as "p99 3 ms". */
  also: string[];
}

export interface BenchmarkContext {
  /** An empty folder, removed afterwards. */
  folder: string;
  runs: number;
  /** Of the largest input, in MB. */
  megabytes: number;
  /** Whether minutes count more than figures: smaller inputs, fewer lines. */
  quick: boolean;
  progress: (text: string) => void;
}

/** A benchmark: some lines, each told as soon as it is known. */
export type Benchmark = (context: BenchmarkContext) => AsyncIterable<Line>;

/** What the figures were measured on. */
export function machine(): string {
  return `${os.cpus()[0]?.model.trim()}, ${os.availableParallelism()} cores, Node ${process.version}`;
}

/**
 * Runs each in turn, in this order and then in the other; the first round warms up, and does not count.
 * @returns milliseconds of each run
 */
export async function alternate<Name extends string>(
  contenders: Readonly<Partial<Record<Name, Contender>>>,
  runs: number,
  progress: (run: number) => void,
): Promise<Record<Name, number[]>> {
  const all = Object.entries(contenders) as [Name, Contender][];
  const times = Object.fromEntries(all.map(([name]) => [name, [] as number[]]));
  for (let run = 0; run <= runs; run += 1) {
    progress(run);
    for (const [name, contender] of run % 2 === 0 ? all : all.toReversed()) {
      await contender.prepare?.();
      const begun = performance.now();
      await contender.run();
      if (run > 0) times[name]?.push(performance.now() - begun);
    }
  }
  return times as Record<Name, number[]>;
}

/** @param values of each run, or medians of several kinds of it: milliseconds, unless `unit` says otherwise */
export function lineOf(
  { id, what, beside, unit = "ms", also = [] }: LineFacts,
  values: { floor: readonly number[]; millpond: readonly number[] },
  goal?: Goal,
): Line {
  const [floor, millpond] = [spreadOf(values.floor), spreadOf(values.millpond)];
  const { most = 0, added = 0, text, limit = false } = goal ?? {};
  const plain = `≤ ${most} ×${added > 0 ? ` + ${added} ${unit}` : ""}`;
  return {
    id,
    what,
    beside,
    unit,
    floor,
    millpond,
    ratio: millpond.median / floor.median,
    goal: goal && (text ?? plain),
    reached: goal && millpond.median <= floor.median * most + added,
    limit,
    also,
  };
}

export type LineFacts = Pick<Line, "id" | "what" | "beside"> & Partial<Pick<Line, "unit" | "also">>;

export function spreadOf(values: readonly number[]): Spread {
  const sorted = values.toSorted((a, b) => a - b);
  return { least: sorted.at(0) ?? 0, median: median(values), most: sorted.at(-1) ?? 0 };
}

export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = Math.floor(sorted.length / 2);
  const [low, high] = [sorted[middle - 1] ?? 0, sorted[middle] ?? 0];
  return sorted.length % 2 === 1 ? high : (low + high) / 2;
}

/** A spread as people read it: median, least and most. */
export function spreadText({ least, median, most }: Spread, unit: Line["unit"]): string {
  const digits = median < 20 ? 1 : 0;
  const text = (value: number) => value.toFixed(digits);
  return least === most
    ? `${text(median)} ${unit}`
    : `${text(median)} ${unit} (${text(least)} to ${text(most)})`;
}

export function reachedText({ reached }: Line): string {
  return reached === undefined ? "" : reached ? "reached" : "missed";
}

/** The value that a share of all is at most. */
export function quantile(values: readonly number[], share: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.ceil(share * sorted.length) - 1)] ?? 0;
}

export function geometricMean(values: readonly number[]): number {
  return Math.exp(values.reduce((sum, value) => sum + Math.log(value), 0) / values.length);
}
