/** Stands for anything within a line, and alone in one for any lines. */
const anything = "…";

/** What a terminal shows of what was written to it: no colours, no lines that others took the place of. */
export function shownBy(written: string): string[] {
  const lines = written
    // biome-ignore-start lint/suspicious/noControlCharactersInRegex: they are what a terminal is told by
    .replace(/\u001b\][^\u0007\u001b]*(?:\u0007|\u001b\\)/g, "")
    // To the first column is where a bar is drawn anew.
    .replace(/\u001b\[\d*G/g, "\r")
    .replace(/\u001b\[[0-?]*[ -/]*[@-~]|\u001b[=>]/g, "")
    // biome-ignore-end lint/suspicious/noControlCharactersInRegex: as above
    .split(/\r*\n/)
    .map((line) => (line.split("\r").at(-1) ?? "").trimEnd());
  while (lines.at(-1) === "") lines.pop();
  return lines;
}

/**
 * Compares what a page shows with what came.
 * @returns undefined where it is the same; else the fewest differences, a line each: `- ` shown and missing, `+ ` come and not shown
 */
export function difference(shown: readonly string[], came: readonly string[]): string | undefined {
  // Differences from a line of each on.
  const costs = [...shown, ""].map(() => came.concat("").map(() => 0));
  const cost = (i: number, j: number) => costs[i]?.[j] ?? Number.POSITIVE_INFINITY;
  for (let i = shown.length; i >= 0; i -= 1) {
    for (let j = came.length; j >= 0; j -= 1) {
      if (i === shown.length && j === came.length) continue;
      (costs[i] as number[])[j] = Math.min(
        ...stepsFrom(i, j).map(([, di, dj, more]) => cost(i + di, j + dj) + more),
      );
    }
  }
  if (cost(0, 0) === 0) return undefined;
  const lines: string[] = [];
  for (let i = 0, j = 0; i < shown.length || j < came.length; ) {
    const best = stepsFrom(i, j).find(
      ([, di, dj, more]) => cost(i + di, j + dj) + more === cost(i, j),
    );
    if (best === undefined) break;
    const [mark, di, dj] = best;
    lines.push(`${mark}${mark === "- " ? shown[i] : dj === 1 ? came[j] : shown[i]}`);
    i += di;
    j += dj;
  }
  return lines.join("\n");

  /** What may be next: a mark, lines of each that it takes, and what it costs. */
  function stepsFrom(i: number, j: number): [string, number, number, number][] {
    const [wanted, found] = [shown[i], came[j]];
    const steps: [string, number, number, number][] = [];
    if (wanted !== undefined && found !== undefined && isLike(wanted, found))
      steps.push(["  ", 1, 1, 0]);
    if (wanted === anything) {
      steps.push(["  ", 1, 0, 0]);
      if (found !== undefined) steps.push(["  ", 0, 1, 0]);
    } else if (wanted !== undefined) steps.push(["- ", 1, 0, 1]);
    if (found !== undefined) steps.push(["+ ", 0, 1, 1]);
    return steps;
  }
}

function isLike(shown: string, came: string): boolean {
  const parts = shown.split(anything).map((part) => part.replace(/[.*+?^${}()|[\]\\]/g, "\\$&"));
  return new RegExp(`^${parts.join(".*")}$`).test(came);
}
