import os from "node:os";

/** What benchmarks share: runs that alternate, so that whatever else the machine does hits all alike, and a ratio to a floor. */

/** One way to do a thing. Called once a run. */
export interface Contender {
  /** Made ready before the clock starts. */
  prepare?(): Promise<void>;
  run(): Promise<void>;
}

export interface Measured {
  /** Milliseconds of each run. */
  floor: number[];
  millpond: number[];
}

/** A line of the report: what, in how much of the floor's time, and what was hoped for. */
export interface Line {
  what: string;
  /** Medians and spreads, in milliseconds. */
  floor: Spread;
  millpond: Spread;
  ratio: number;
  goal: string;
  reached: boolean;
}

export interface Spread {
  least: number;
  median: number;
  most: number;
}

/** A benchmark: some lines, each told as soon as it is known. */
export type Benchmark = (context: {
  /** An empty folder, removed afterwards. */
  folder: string;
  runs: number;
  /** Of the largest input, in MB. */
  megabytes: number;
  progress: (text: string) => void;
}) => AsyncIterable<Line>;

/** What the figures were measured on. */
export function machine(): string {
  return `${os.cpus()[0]?.model.trim()}, ${os.availableParallelism()} cores, Node ${process.version}`;
}

/** Runs each in turn, first the one and then the other; the first round warms up, and does not count. */
export async function alternate(
  floor: Contender,
  millpond: Contender,
  runs: number,
  progress: (run: number) => void,
): Promise<Measured> {
  const times: Measured = { floor: [], millpond: [] };
  const both = [
    ["floor", floor],
    ["millpond", millpond],
  ] as const;
  for (let run = 0; run <= runs; run += 1) {
    progress(run);
    for (const [name, contender] of run % 2 === 0 ? both : both.toReversed()) {
      await contender.prepare?.();
      const begun = performance.now();
      await contender.run();
      if (run > 0) times[name].push(performance.now() - begun);
    }
  }
  return times;
}

/**
 * @param most times the floor's median that are hoped for at most
 * @param added milliseconds that may come on top
 */
export function lineOf(what: string, { floor, millpond }: Measured, most: number, added = 0): Line {
  const [least, ours] = [spreadOf(floor), spreadOf(millpond)];
  return {
    what,
    floor: least,
    millpond: ours,
    ratio: ours.median / least.median,
    goal: `≤ ${most} ×${added > 0 ? ` + ${added} ms` : ""}`,
    reached: ours.median <= least.median * most + added,
  };
}

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
