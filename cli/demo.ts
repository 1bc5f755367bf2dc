import fs from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { isDeepStrictEqual } from "node:util";
import { Command } from "commander";
import { prefixes } from "../app/contract.ts";
import { MillpondError } from "../app/errors.ts";
import { processLogger } from "../app/functions/invocation.ts";
import { startLocal } from "./start.ts";
import { secondsText } from "./text.ts";

/** How long a dropped file may take until its rows are there, before the demo gives up. */
const patienceMs = 30_000;
const lookEveryMs = 20;

export function demoCommand(): Command {
  return new Command("demo")
    .description(
      "the whole journey in a temporary folder: load, list, query, drop a file, replace it, and check each answer",
    )
    .action(async () => {
      const folder = await fs.mkdtemp(path.join(os.tmpdir(), "millpond-demo-"));
      try {
        await demo(folder);
      } finally {
        await fs.rm(folder, { recursive: true, force: true });
      }
    });
}

async function demo(folder: string): Promise<void> {
  const step = (text: string) => process.stdout.write(`\n── ${text}\n`);
  const say = (text: string) => process.stdout.write(`${text}\n`);

  step("start a pond and load the sample");
  processLogger().level = "warn";
  const local = await startLocal(
    { dir: folder, port: 0, host: "127.0.0.1", fresh: false, sample: true },
    say,
  );
  const get = async (route: string) => {
    const response = await fetch(`${local.url}${route}`);
    if (!response.ok) throw new MillpondError("demo", `GET ${route}: ${await response.text()}`);
    return response;
  };
  const rows = async (sql: string) => {
    const response = await get(`/query?format=json&sql=${encodeURIComponent(sql)}`);
    return ((await response.json()) as { data: Record<string, unknown>[] }).data;
  };
  const show = async (sql: string, expected: Record<string, unknown>[]) => {
    say(`   ${sql}`);
    const found = await rows(sql);
    say(found.map((row) => `   ${JSON.stringify(row)}`).join("\n"));
    check(sql, found, expected);
  };
  const inbox = path.join(folder, prefixes.inbox);
  const drop = async (
    name: string,
    text: string,
    sql: string,
    expected: Record<string, unknown>[],
  ) => {
    await fs.writeFile(path.join(inbox, name), text);
    const landed = performance.now();
    while (performance.now() - landed < patienceMs) {
      const found = await rows(sql).catch(() => []);
      if (isDeepStrictEqual(found, expected)) {
        say(
          `   its rows could be queried ${secondsText(performance.now() - landed)} after it landed`,
        );
        return;
      }
      await new Promise((resolve) => setTimeout(resolve, lookEveryMs));
    }
    throw new MillpondError(
      "demo",
      `${name}: its rows did not come within ${secondsText(patienceMs)}`,
    );
  };

  try {
    step("list the tables: GET /tables");
    const { tables } = (await (await get("/tables")).json()) as {
      tables: { name: string; rows: number }[];
    };
    for (const { name, rows: count } of tables) say(`   ${name}: ${count} rows`);
    check(
      "GET /tables",
      tables.map(({ name, rows: count }) => ({ name, rows: count })),
      [
        { name: "airports", rows: 3376 },
        { name: "birdstrikes", rows: 10_000 },
        { name: "movies", rows: 3201 },
        { name: "weather", rows: 1461 },
      ],
    );

    step("query one: GET /query");
    await show(
      "SELECT weather, count(*) AS days FROM weather GROUP BY ALL ORDER BY days DESC LIMIT 3",
      [
        { weather: "rain", days: 641 },
        { weather: "sun", days: 640 },
        { weather: "fog", days: 101 },
      ],
    );

    step("call a saved query: GET /q/airports_in_state?state=AK");
    const saved = await (await get("/q/airports_in_state?state=AK&format=csv")).text();
    const lines = saved.trimEnd().split("\n");
    say(
      lines
        .slice(0, 3)
        .map((line) => `   ${line}`)
        .join("\n"),
    );
    check("the airports of Alaska", lines.length - 1, 263);

    step("drop one more file: inbox/trees.csv");
    const trees = "SELECT id, height FROM trees ORDER BY id";
    await drop("trees.csv", "id,height\n00501,3.5\n00502,12\n", trees, [
      { id: "00501", height: 3.5 },
      { id: "00502", height: 12 },
    ]);
    await show("SELECT count(*) AS trees, max(height) AS highest FROM trees", [
      { trees: 2, highest: 12 },
    ]);

    step("replace it: the rows of the old version go");
    await drop("trees.csv", "id,height\n00501,4.25\n", trees, [{ id: "00501", height: 4.25 }]);
    await show("SELECT count(*) AS trees, max(height) AS highest FROM trees", [
      { trees: 1, highest: 4.25 },
    ]);
  } finally {
    await local.stop();
  }
  say("\nAll answers are as expected.");
}

function check(what: string, found: unknown, expected: unknown): void {
  if (isDeepStrictEqual(found, expected)) return;
  throw new MillpondError(
    "demo",
    `${what}: expected ${JSON.stringify(expected)}, got ${JSON.stringify(found)}`,
  );
}
