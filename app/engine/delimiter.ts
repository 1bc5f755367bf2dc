const candidates = [",", ";", "\t", "|"] as const;
/** Records that must agree; more say nothing new. */
const records = 20;

/**
 * The character that separates the fields of a CSV file: the one that stands equally often in each of its first
 * records, outside quotes. DuckDB's own detection prefers a separator that never occurs to a file with a ragged line,
 * and makes one column of it all.
 * @param head the start of the file, which may end in the midst of a record
 * @returns "," where nothing tells
 */
export function detectDelimiter(head: string): string {
  const counts: number[][] = [candidates.map(() => 0)];
  let quoted = false;
  for (const character of head) {
    if (character === '"') quoted = !quoted;
    if (quoted) continue;
    if (character === "\n") {
      if (counts.length === records) break;
      counts.push(candidates.map(() => 0));
      continue;
    }
    const index = candidates.indexOf(character as (typeof candidates)[number]);
    const current = counts.at(-1) as number[];
    if (index >= 0) current[index] = (current[index] ?? 0) + 1;
  }
  // The last record may be cut off, or be the nothing behind the last line break.
  const complete = counts.length > 1 ? counts.slice(0, -1) : counts;
  const filled = complete.filter((record) => record.some((count) => count > 0));
  const header = filled[0];
  if (header === undefined) return candidates[0];
  const steady = candidates.filter((_, i) => filled.every((record) => record[i] === header[i]));
  const score = (candidate: (typeof candidates)[number]) =>
    header[candidates.indexOf(candidate)] ?? 0;
  const best = (of: readonly (typeof candidates)[number][]) =>
    of.reduce((a, b) => (score(b) > score(a) ? b : a));
  const choice = best(steady.length > 0 ? steady : candidates);
  return score(choice) > 0 ? choice : best(candidates);
}

/** How many fields the first record has, separators in quotes left out. */
export function fieldsOfFirstRecord(head: string, delimiter: string): number {
  let quoted = false;
  let fields = 1;
  for (const character of head.replace(/^\uFEFF?[\r\n]*/, "")) {
    if (character === '"') quoted = !quoted;
    else if (!quoted && (character === "\n" || character === "\r")) break;
    else if (!quoted && character === delimiter) fields += 1;
  }
  return fields;
}
