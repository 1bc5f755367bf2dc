import fs from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { parseArgs } from "node:util";
import fc from "fast-check";
import { Engine } from "../../app/engine/engine.ts";
import { startEmulator } from "../../cli/rehearsal/emulator.ts";
import { emulatorClient, newBucket } from "../s3/emulator.ts";
import { WatchingProxy } from "../s3/proxy.ts";
import { contents } from "./check.ts";
import { quiesce } from "./events.ts";
import { accidents, type RealCommand, RealWorld } from "./real-world.ts";
import { faults } from "./turnstile.ts";
import { type Command, World } from "./world.ts";

/**
 * Histories of a bucket, made up at random: files put, replaced and deleted; events duplicated, reordered, late and lost;
 * handlers side by side, each step of which may fail, or be the last before the process is killed. When all is quiet the lake must
 * hold the newest version of each source, once.
 *
 * In memory, where each step of the real handlers waits for its turn; with --real over S3's protocol, against an emulator, by real
 * processes that are killed, through a network that breaks. Those are slower, and what runs side by side there runs as it likes: a
 * failure may need several tries to come again.
 *
 *   npm run test:histories [-- --real] [--runs 300] [--seed <number>] [--path <of a failure>]
 */
const usage =
  "usage: npm run test:histories [-- --real --runs <number, 300> --seed <number> --path <of a failure>]\n";

/** How long a shorter history is looked for that fails, too. */
const shrinkMs = 90_000;

const small = fc.nat({ max: 7 });
const handler = { handler: small };
const usual: fc.WeightedArbitrary<Command>[] = [
  {
    weight: 4,
    arbitrary: fc.record({
      do: fc.constant("put" as const),
      source: small,
      content: small,
      // As of ten days ago: a version that is the newest again, as the one after it was deleted.
      skewHours: fc.constantFrom(0, 0, 0, -24, 24, -240),
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
const lost = {
  weight: 2,
  arbitrary: fc.record({ do: fc.constant("lose" as const), event: small }),
};
const vanish = { weight: 1, arbitrary: fc.constant({ do: "vanish" as const }) };
const put = (source: number, content: number): Command => ({
  do: "put",
  source,
  content,
  skewHours: 0,
});
const [readable, unreadable] = [true, false].map((is) =>
  fc.constantFrom(...contents.flatMap(({ rows }, at) => ((rows !== undefined) === is ? [at] : []))),
) as [fc.Arbitrary<number>, fc.Arbitrary<number>];
/** Rows of a good version beside the rejection of a newer one: too rare by chance, and what is most easily lost. */
const spoilt = fc
  .tuple(small, readable, unreadable)
  .map(([source, good, bad]): Command[] => [
    put(source, good),
    { do: "quiet" },
    put(source, bad),
    { do: "quiet" },
  ]);
// Where no event is lost, all must be right without a sweep.
const history = fc
  .oneof(
    ...[usual, [...usual, lost, vanish]].map((commands) =>
      fc.array(
        fc.oneof(
          { weight: 30, arbitrary: fc.oneof(...commands).map((command) => [command]) },
          { weight: 1, arbitrary: spoilt },
        ),
        { maxLength: 60, size: "max" },
      ),
    ),
  )
  .map((groups) => groups.flat());

const misfortune = {
  handler: fc.nat({ max: 1 }),
  // Few make more requests.
  at: fc.nat({ max: 6 }),
  accident: fc.oneof(
    { weight: 4, arbitrary: fc.constant("none" as const) },
    { weight: 14, arbitrary: fc.constantFrom(...accidents.filter((one) => one !== "slow down")) },
    // It takes seconds, as a client that hears it asks less often from there on.
    { weight: 1, arbitrary: fc.constant("slow down" as const) },
  ),
};
const usualForReal: fc.WeightedArbitrary<RealCommand>[] = [
  {
    weight: 5,
    arbitrary: fc.record({ do: fc.constant("put" as const), source: small, content: small }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("delete" as const), source: small }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("sweep" as const), ...misfortune }) },
  {
    weight: 7,
    arbitrary: fc.record({
      do: fc.constant("deliver" as const),
      events: fc.array(small, { minLength: 1, maxLength: 2 }),
      again: fc.nat({ max: 3 }).map((n) => n === 0),
      wait: fc.boolean(),
      ...misfortune,
    }),
  },
];
const realHistory = fc.oneof(
  ...[fc.oneof(...usualForReal), fc.oneof(...usualForReal, lost)].map((command) =>
    fc.array(command, { minLength: 5, maxLength: 16, size: "max" }),
  ),
);

const { real, ...options } = readOptions();
const folder = await fs.mkdtemp(path.join(os.tmpdir(), "millpond-histories-"));
let failed = true;
try {
  failed = real ? await inABucket() : await inMemory();
} finally {
  await fs.rm(folder, { recursive: true, force: true });
}
process.exitCode = failed ? 1 : 0;
// Handlers that were killed wait for ever, and their timers with them.
process.exit();

async function inMemory(): Promise<boolean> {
  const engine = new Engine({
    allowedDirectories: [`${folder}/`],
    temporaryDirectory: path.join(folder, "spill"),
    memoryMiB: 256,
    diskMiB: 256,
    threads: 1,
  });
  try {
    return await check(
      fc.asyncProperty(fc.boolean(), history, async (mirrorDeletes, commands) => {
        const own = await fs.mkdtemp(path.join(folder, "history-"));
        const world = new World(engine, own, mirrorDeletes);
        try {
          await world.run(commands);
          throwProblems(await quiesce(world));
        } finally {
          await fs.rm(own, { recursive: true, force: true });
        }
      }),
    );
  } finally {
    await engine.close();
  }
}

async function inABucket(): Promise<boolean> {
  const emulator = await startEmulator();
  if ("missing" in emulator) {
    process.stdout.write(`skipped: ${emulator.missing}\n0 passed, 0 failed, 1 skipped\n`);
    return false;
  }
  const client = emulatorClient(emulator.endpoint);
  const proxy = await WatchingProxy.start(emulator.endpoint);
  const bucket = await newBucket(client);
  const world = new RealWorld({ client, proxy, bucket, folder });
  try {
    return await check(
      fc.asyncProperty(fc.boolean(), realHistory, async (mirrorDeletes, commands) => {
        await world.clear(mirrorDeletes);
        await world.run(commands);
        throwProblems(await quiesce(world));
      }),
    );
  } finally {
    await world.close();
    await proxy.close();
    client.destroy();
    await emulator.stop();
  }
}

function throwProblems(problems: readonly string[]): void {
  if (problems.length > 0) throw new Error(problems.join("\n"));
}

/** Runs the histories, and prints what came of it. @returns whether one failed */
async function check<T extends unknown[]>(
  property: fc.IAsyncPropertyWithHooks<T>,
): Promise<boolean> {
  const begun = performance.now();
  let run = 0;
  const counted = property.beforeEach(() => {
    run += 1;
    if (process.stderr.isTTY && run % 10 === 0) process.stderr.write(`\rhistory ${run} `);
  });
  let result = await fc.check(counted, { ...options, endOnFailure: true });
  if (result.failed) {
    process.stdout.write(`history ${run} fails, seed ${result.seed}: looking for a shorter one\n`);
    const { seed, counterexamplePath: at } = result;
    const shrunk = await fc.check(counted, {
      seed,
      ...(at === null ? {} : { path: at }),
      interruptAfterTimeLimit: shrinkMs,
    });
    // What ran side by side may have ended well this time.
    if (shrunk.counterexample !== null) result = { ...shrunk, numRuns: result.numRuns };
  }
  if (process.stderr.isTTY) process.stderr.write("\r");
  const seconds = ((performance.now() - begun) / 1000).toFixed(1);
  process.stdout.write(`seed ${result.seed}, ${result.numRuns} histories in ${seconds} s\n`);
  if (result.failed) {
    for (const given of result.counterexample ?? []) {
      const lines = Array.isArray(given) ? given : [given];
      for (const one of lines) process.stdout.write(`  ${JSON.stringify(one)}\n`);
    }
    const again = `--seed ${result.seed} --path ${result.counterexamplePath}`;
    process.stdout.write(
      `${(result.errorInstance as Error | undefined)?.message ?? "interrupted"}\n` +
        `again: npm run test:histories -- ${real ? "--real " : ""}${again}\n`,
    );
  }
  const failures = result.failed ? 1 : 0;
  process.stdout.write(`${result.numRuns - failures} passed, ${failures} failed\n`);
  return result.failed;
}

function readOptions(): Pick<fc.Parameters, "numRuns" | "seed" | "path"> & { real: boolean } {
  try {
    const { values } = parseArgs({
      options: {
        real: { type: "boolean", default: false },
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
      real: values.real,
      numRuns: Number(values.runs),
      ...(values.seed === undefined ? {} : { seed: Number(values.seed) }),
      ...(values.path === undefined ? {} : { path: values.path }),
    };
  } catch (error) {
    process.stderr.write(`error: ${(error as Error).message}\n${usage}`);
    process.exit(2);
  }
}
