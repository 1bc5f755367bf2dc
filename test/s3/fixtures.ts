import {
  type Emulator,
  emulatorKeys,
  extensionFor,
  installPython,
  ownPlatform,
  startEmulator,
} from "../../cli/rehearsal/emulator.ts";

/** An emulator, and what DuckDB reads it with. */
export interface TestEmulator extends Emulator {
  /** Folder of DuckDB's extensions, as MILLPOND_EXTENSIONS takes it. */
  extensions: string;
}

/** One emulator for all tests of a run, or of a file where files run side by side, from when the first of them asks for it. */
let emulator: Promise<TestEmulator | { missing: string }> | undefined;

async function start(): Promise<TestEmulator | { missing: string }> {
  const started = await startEmulator();
  if ("missing" in started) return started;
  return { ...started, extensions: await extensionFor(await ownPlatform()) };
}

/** Once, before processes that run suites side by side: two that install the emulator at once would be in each other's way. */
export async function mochaGlobalSetup() {
  try {
    if ((await installPython()) === undefined) await extensionFor(await ownPlatform());
  } catch (error) {
    // Each suite that needs it tries again, and fails by itself.
    process.stderr.write(`${(error as Error).message}\n`);
  }
}

export const mochaHooks = {
  beforeAll() {
    Object.assign(process.env, emulatorKeys);
  },
  async afterAll() {
    const started = await emulator;
    emulator = undefined;
    if (started !== undefined && "stop" in started) await started.stop();
  },
};

/**
 * The emulator, or what is missing for it: then the suite that asks is skipped, and says so.
 * @param context of the hook that asks; it may take as long as an installation does
 */
export async function emulatorOf(context: Mocha.Context): Promise<TestEmulator> {
  context.timeout(Math.max(context.timeout(), 300_000));
  emulator ??= start().catch((error: unknown) => {
    // The next suite tries again; this one fails for what it is.
    emulator = undefined;
    throw error;
  });
  const started = await emulator;
  if ("stop" in started) return started;
  process.stderr.write(`skipped: ${started.missing}\n`);
  return context.skip();
}
