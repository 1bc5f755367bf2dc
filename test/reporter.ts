import mocha from "mocha";

/**
 * Mocha's own report, and behind it one line that a script can read. Ctrl-C ends the test under way and skips the
 * others, but cleans up, and counts as a failure; a second one ends at once.
 */
export default class Reporter extends mocha.reporters.Spec {
  constructor(runner: mocha.Runner, options: mocha.MochaOptions) {
    super(runner, options);
    let interrupted = false;
    const interrupt = () => {
      interrupted = true;
      process.stderr.write("interrupted: cleaning up, Ctrl-C again to leave it\n");
      runner.abort();
    };
    process.once("SIGINT", interrupt);
    process.once("SIGTERM", interrupt);
    runner.once(mocha.Runner.constants.EVENT_RUN_END, () => {
      process.off("SIGINT", interrupt);
      process.off("SIGTERM", interrupt);
      if (interrupted) runner.failures += 1;
      const { passes, pending } = this.stats;
      const skipped = pending > 0 ? `, ${pending} skipped` : "";
      process.stdout.write(`${passes} passed, ${runner.failures} failed${skipped}\n`);
    });
  }
}
