import { emulatorKeys, startEmulator } from "../../cli/rehearsal/emulator.ts";

/** Once, in the process that the others are started from: two that install the emulator at once would be in each other's way. */
export async function mochaGlobalSetup() {
  Object.assign(process.env, emulatorKeys);
  const started = await startEmulator();
  // Each suite says what is missing.
  if ("stop" in started) await started.stop();
}
