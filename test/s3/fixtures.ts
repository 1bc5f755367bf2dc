import {
  type Emulator,
  emulatorKeys,
  extensionFor,
  ownPlatform,
  startEmulator,
} from "../../cli/rehearsal/emulator.ts";

/** An emulator, and what DuckDB reads it with. */
export interface TestEmulator extends Emulator {
  /** Folder of DuckDB's extensions, as MILLPOND_EXTENSIONS takes it. */
  extensions: string;
}

/** One emulator for all tests of a run, from when the first of them asks for it. */
let emulator: Promise<TestEmulator | { missing: string }> | undefined;

async function start(): Promise<TestEmulator | { missing: string }> {
  const started = await startEmulator();
  if ("missing" in started) return started;
  return { ...started, extensions: await extensionFor(await ownPlatform()) };
}

export function mochaGlobalSetup() {
  Object.assign(process.env, emulatorKeys);
}

export async function mochaGlobalTeardown() {
  const started = await emulator;
  if (started !== undefined && "stop" in started) await started.stop();
}

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
