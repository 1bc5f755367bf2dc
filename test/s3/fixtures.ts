import { type Emulator, emulatorKeys, startEmulator } from "./emulator.ts";

/** One emulator for all tests of a run. */
let emulator: Emulator | { missing: string } | undefined;

export async function mochaGlobalSetup() {
  Object.assign(process.env, emulatorKeys);
  emulator = await startEmulator();
}

export async function mochaGlobalTeardown() {
  if (emulator !== undefined && "stop" in emulator) await emulator.stop();
}

/** The emulator, or what is missing for it: then the suite that asks is skipped, and says so. */
export function emulatorOf(context: Mocha.Context): Emulator {
  if (emulator !== undefined && "stop" in emulator) return emulator;
  process.stderr.write(`skipped: ${emulator?.missing ?? "the emulator was not started"}\n`);
  return context.skip();
}
