import { type Emulator, emulatorKeys, startEmulator } from "./emulator.ts";

/** One emulator for all tests of a run, from when the first of them asks for it. */
let emulator: Promise<Emulator | { missing: string }> | undefined;

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
export async function emulatorOf(context: Mocha.Context): Promise<Emulator> {
  context.timeout(300_000);
  emulator ??= startEmulator();
  const started = await emulator;
  if ("stop" in started) return started;
  process.stderr.write(`skipped: ${started.missing}\n`);
  return context.skip();
}
