import fs from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { parseArgs } from "node:util";
import fc from "fast-check";
import { Engine } from "../../app/engine/engine.ts";
import { faults } from "./turnstile.ts";
import { type Command, World } from "./world.ts";

/**
 * Histories of a bucket, made up at random: files put, replaced and deleted; events duplicated, reordered, late and lost;
 * handlers side by side, each step of which may fail, or be the last before the process is killed. When all is quiet the lake must
 * hold the newest version of each source, once.
 *
 *   npm run test:histories [-- --runs 300] [--seed <number>] [--path <of a failure>]
 */
const usage =
  "usage: npm run test:histories [-- --runs <number, 300> --seed <number> --path <of a failure>]\n";

const small = fc.nat({ max: 7 });
const handler = { handler: small };
const usual: fc.WeightedArbitrary<Command>[] = [
  {
    weight: 4,
    arbitrary: fc.record({
      do: fc.constant("put" as const),
      source: small,
      content: small,
      skewHours: fc.constantFrom(0, 0, 0, -24, 24),
    }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("delete" as const), source: small }) },
  {
    weight: 4,
    arbitrary: fc.record({
      do: fc.constant("deliver" as const),
      events: fc.array(small, { minLength: 1, maxLength: 3 }),
      again: fc.boolean(),
    }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("sweep" as const) }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant("finish" as const), ...handler }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("kill" as const), ...handler }) },
  {
    weight: 16,
    arbitrary: fc.record({
      do: fc.constant("step" as const),
      ...handler,
      call: small,
      fault: fc.oneof(
        { weight: 6, arbitrary: fc.constant("none" as const) },
        { weight: 1, arbitrary: fc.constantFrom(...faults) },
      ),
    }),
  },
];
const lost: fc.WeightedArbitrary<Command> = {
  weight: 2,
  arbitrary: fc.record({ do: fc.constant("lose" as const), event: small }),
};
// Where no event is lost, all must be right without a sweep.
const history = fc.oneof(
  ...[fc.oneof(...usual), fc.oneof(...usual, lost)].map((command) =>
    fc.array(command, { maxLength: 60, size: "max" }),
  ),
);

const options = readOptions();
const folder = await fs.mkdtemp(path.join(os.tmpdir(), "millpond-histories-"));
const engine = new Engine({
  allowedDirectories: [`${folder}/`],
  temporaryDirectory: path.join(folder, "spill"),
  memoryMiB: 256,
  diskMiB: 256,
  threads: 1,
});
let run = 0;
const begun = performance.now();
try {
  const result = await fc.check(
    fc.asyncProperty(history, async (commands) => {
      run += 1;
      if (process.stderr.isTTY && run % 10 === 0) process.stderr.write(`\rhistory ${run} `);
      const own = path.join(folder, String(run));
      const world = new World(engine, own);
      try {
        await world.run(commands);
        const problems = await world.quiesce();
        if (problems.length > 0) throw new Error(problems.join("\n"));
      } finally {
        await fs.rm(own, { recursive: true, force: true });
      }
    }),
    options,
  );
  if (process.stderr.isTTY) process.stderr.write("\r");
  const seconds = ((performance.now() - begun) / 1000).toFixed(1);
  process.stdout.write(`seed ${result.seed}, ${result.numRuns} histories in ${seconds} s\n`);
  if (result.failed) {
    const [commands = []] = result.counterexample ?? [];
    for (const one of commands) process.stdout.write(`  ${JSON.stringify(one)}\n`);
    process.stdout.write(
      `${(result.errorInstance as Error | undefined)?.message ?? "interrupted"}\n` +
        `again: npm run test:histories -- --seed ${result.seed} --path ${result.counterexamplePath}\n`,
    );
  }
  const failed = result.failed ? 1 : 0;
  process.stdout.write(`${result.numRuns - failed} passed, ${failed} failed\n`);
  process.exitCode = failed;
} finally {
  await engine.close();
  await fs.rm(folder, { recursive: true, force: true });
}
// Handlers that were killed wait for ever, and their timers with them.
process.exit();

function readOptions(): fc.Parameters<[Command[]]> {
  try {
    const { values } = parseArgs({
      options: {
        runs: { type: "string", default: "300" },
        seed: { type: "string" },
        path: { type: "string" },
        help: { type: "boolean" },
      },
    });
    if (values.help) {
      process.stdout.write(usage);
      process.exit(0);
    }
    for (const [name, value] of [
      ["runs", values.runs],
      ["seed", values.seed ?? "0"],
    ] as const) {
      if (!/^-?\d+$/.test(value)) throw new Error(`--${name} takes a number, got "${value}"`);
    }
    return {
      numRuns: Number(values.runs),
      ...(values.seed === undefined ? {} : { seed: Number(values.seed) }),
      ...(values.path === undefined ? {} : { path: values.path }),
    };
  } catch (error) {
    process.stderr.write(`error: ${(error as Error).message}\n${usage}`);
    process.exit(2);
  }
}
