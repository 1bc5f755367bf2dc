import mocha from "mocha";

const signals = ["SIGINT", "SIGTERM"] as const;

/**
 * Mocha's own report, and behind it one line that a script can read. Ctrl-C waits for the test under way, skips the
 * others, cleans up, and counts as a failure; a second one ends at once. With --parallel the first one does: mocha's own way would end
 * in success, and the tests' processes end with the terminal's signal, or with those that they belong to.
 */
export default class Reporter extends mocha.reporters.Spec {
  constructor(runner: mocha.Runner, options: mocha.MochaOptions) {
    super(runner, options);
    let interrupted = false;
    const interrupt = () => {
      if (options.parallel) {
        process.stderr.write("interrupted\n");
        process.exit(130);
      }
      interrupted = true;
      process.stderr.write("interrupted: waits for the test under way; Ctrl-C again to leave it\n");
      runner.abort();
      // With an exit, so that what listens for one ends what it started.
      for (const signal of signals) process.once(signal, () => process.exit(130));
    };
    for (const signal of signals) process.once(signal, interrupt);
    runner.once(mocha.Runner.constants.EVENT_RUN_END, () => {
      for (const signal of signals) process.off(signal, interrupt);
      if (interrupted) runner.failures += 1;
      const { passes, pending } = this.stats;
      const skipped = pending > 0 ? `, ${pending} skipped` : "";
      process.stdout.write(`${passes} passed, ${runner.failures} failed${skipped}\n`);
    });
  }
}
