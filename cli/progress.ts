import cliProgress from "cli-progress";

/** A bar on standard error, which leaves no trace. @param format as cli-progress takes it, with `[{bar}]` in it */
export function progressBar(format: string): cliProgress.SingleBar {
  return new cliProgress.SingleBar({
    format,
    stream: process.stderr,
    hideCursor: true,
    clearOnComplete: true,
    barsize: 30,
  });
}
