import path from "node:path";
import { quoteIdentifier, quoteLiteral } from "../../app/query/quote.ts";
import { clickbenchQueries, hits } from "../../test/http/friendly/clickbench.ts";
import { alternate, type Benchmark, geometricMean, lineOf, median } from "../harness.ts";
import { openPondProcess } from "../pond.ts";

/** ClickBench's 43 queries over HTTP, beside DuckDB in this process on the same file. */
export const clickbench: Benchmark = async function* ({ folder, runs, quick, progress }) {
  const rows = quick ? 100_000 : 1_000_000;
  const pond = await openPondProcess(path.join(folder, "pond"));
  try {
    progress(`ClickBench: making ${rows.toLocaleString("en-US")} rows`);
    const file = await pond.makeTable("hits", hits(rows));
    await pond.floor.run(
      `CREATE VIEW ${quoteIdentifier("hits")} AS FROM read_parquet(${quoteLiteral(file)})`,
    );
    const medians = { floor: [] as number[], millpond: [] as number[] };
    for (const [index, sql] of clickbenchQueries.entries()) {
      const times = await alternate(
        {
          floor: {
            run: async () => void (await pond.floor.runAndReadAll(sql)).getRowObjectsJson(),
          },
          millpond: { run: async () => void (await pond.query(sql)) },
        },
        runs,
        (run) =>
          progress(`ClickBench ${index + 1} of ${clickbenchQueries.length}: run ${run} of ${runs}`),
      );
      medians.floor.push(median(times.floor));
      medians.millpond.push(median(times.millpond));
    }
    const ratios = medians.floor.map((floor, i) => (medians.millpond[i] ?? 0) / floor);
    const mean = geometricMean(ratios);
    const line = lineOf(
      {
        id: "clickbench",
        what: `43 ClickBench queries, ${rows.toLocaleString("en-US")} rows`,
        beside: "DuckDB in the process",
        also: [
          `geometric mean of 43 ratios, from ${Math.min(...ratios).toFixed(2)} to ${Math.max(...ratios).toFixed(2)}`,
          `${sum(medians.millpond)} s in all beside ${sum(medians.floor)} s`,
        ],
      },
      medians,
    );
    yield { ...line, ratio: mean, goal: "≤ 1.10 × (geometric mean)", reached: mean <= 1.1 };
  } finally {
    await pond.close();
  }
};

function sum(milliseconds: readonly number[]): string {
  return (milliseconds.reduce((a, b) => a + b, 0) / 1000).toFixed(1);
}
