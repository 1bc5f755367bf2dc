import path from "node:path";
import { quoteLiteral } from "../../app/query/quote.ts";
import { narrow } from "../data.ts";
import { type Benchmark, lineOf, quantile } from "../harness.ts";
import { openPondProcess } from "../pond.ts";

/** Questions in one turn of a contender: so many that a pause of the machine's does not decide. */
const atATime = 50;

/** A small query over HTTP, warm, by one client and by eight, beside the same query on a connection in the process. */
export const latency: Benchmark = async function* ({ folder, runs, quick, progress }) {
  const pond = await openPondProcess(path.join(folder, "pond"));
  try {
    progress("small queries: making a table");
    const file = await pond.makeTable("narrow", narrow(300_000));
    const sql = (from: string) =>
      `SELECT priority, count(*) AS orders, sum(price) AS total FROM ${from} WHERE order_key < 1000 GROUP BY priority`;
    const inProcess = sql(`read_parquet(${quoteLiteral(file)})`);
    const turns = quick ? 4 : 4 * runs;
    for (const clients of [1, 8]) {
      const connections = await Promise.all(Array.from({ length: clients }, pond.connect));
      const contenders = {
        floor: async (client: number) =>
          void (await connections[client]?.runAndReadAll(inProcess))?.getRowObjectsJson(),
        millpond: async () => void (await pond.query(sql("narrow"))),
      };
      const times: Record<keyof typeof contenders, number[]> = { floor: [], millpond: [] };
      const seconds = { floor: 0, millpond: 0 };
      for (let turn = 0; turn <= turns; turn += 1) {
        progress(`small query, ${clients} clients: turn ${turn} of ${turns}`);
        const both = ["floor", "millpond"] as const;
        for (const name of turn % 2 === 0 ? both : both.toReversed()) {
          const begun = performance.now();
          const client = async (_: unknown, which: number) => {
            for (let question = 0; question < atATime; question += 1) {
              const asked = performance.now();
              await contenders[name](which);
              if (turn > 0) times[name].push(performance.now() - asked);
            }
          };
          await Promise.all(Array.from({ length: clients }, client));
          if (turn > 0) seconds[name] += (performance.now() - begun) / 1000;
        }
      }
      const rate = (name: keyof typeof contenders) =>
        `${Math.round(times[name].length / seconds[name])}/s`;
      const p99 = (name: keyof typeof contenders) => `${quantile(times[name], 0.99).toFixed(1)} ms`;
      yield lineOf(
        {
          id: `latency-${clients}`,
          what: `small query, ${clients === 1 ? "1 client" : `${clients} clients`}`,
          beside: "the same in the process",
          also: [
            `p99 ${p99("millpond")} beside ${p99("floor")}`,
            `${rate("millpond")} beside ${rate("floor")}`,
          ],
        },
        times,
        { most: 1, added: 3 },
      );
    }
  } finally {
    await pond.close();
  }
};
