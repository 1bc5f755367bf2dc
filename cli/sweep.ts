import fs from "node:fs";
import path from "node:path";
import { Command, Option } from "commander";
import { environmentNames, prefixes } from "../app/contract.ts";
import { readSettings } from "../app/environment.ts";
import { MillpondError } from "../app/errors.ts";
import { staleOf } from "../app/flow/sweep.ts";
import { createHandler as createIngest } from "../app/functions/ingest.ts";
import { processLogger } from "../app/functions/invocation.ts";
import { type SweepSummary, sweepPond } from "../app/functions/sweep.ts";
import { openPond } from "../app/pond.ts";
import { countText } from "../app/text.ts";
import { readStack } from "./deployed-stack.ts";
import { localContext } from "./local-context.ts";
import { storeFor, storeOption } from "./named-store.ts";
import { progressBar } from "./progress.ts";
import { UsageError } from "./usage-error.ts";

interface SweepOptions {
  dir?: string;
  stack?: string;
  dryRun: boolean;
  all: boolean;
  force: boolean;
  json: boolean;
}

export function sweepCommand(): Command {
  return new Command("sweep")
    .description("find files that no event told of, and have them ingested")
    .addOption(storeOption())
    .addOption(
      new Option(
        "--stack <name>",
        "the bucket of this stack of Pulumi's, with your rights; its topic hears of what is found",
      ).conflicts("dir"),
    )
    .option("--dry-run", "list what would be ingested, a key a line, and change nothing", false)
    .option("--all", "look at each file, not only where the listing leaves a doubt", false)
    .option("--force", "delete rows, with mirrorDeletes, though most of the inbox is gone", false)
    .option("--json", "one JSON object; with --dry-run one a key before it", false)
    .addHelpText(
      "after",
      `
What the sweep function does on its schedule. Without --stack the files are
ingested here and now. Nothing that is in the lake, or rejected, as it is in the
inbox is touched.
In a bucket, a file whose rows were written more than eight days after it counts
as ingested, and is not looked at. A thousand of these, chosen at random, are
looked at all the same in each sweep; --all looks at each.
With --stack it takes the rights s3:ListBucket and s3:GetObject on the bucket,
sns:Publish on the topic, and kms:Decrypt and kms:GenerateDataKey where a key of
your own encrypts them.
Exit code: 0 done; 1 something failed; 2 the call is wrong; 130 interrupted.`,
    )
    .action(async (options: SweepOptions) => {
      const summary = await sweep(options).catch((error: unknown) => {
        // What else it has done is done.
        if (options.json && error instanceof MillpondError && "sources" in error.details) {
          process.stdout.write(`${JSON.stringify(error.details)}\n`);
        }
        throw error;
      });
      if (options.json) process.stdout.write(`${JSON.stringify(summary)}\n`);
      else process.stderr.write(`${summaryText(summary, options.dryRun)}\n`);
      if ((summary.ingested?.rejected ?? 0) > 0 && !options.json) {
        process.stderr.write("GET /rejected, or the records under rejected/, say why\n");
      }
    });
}

async function sweep(options: SweepOptions): Promise<SweepSummary> {
  const { dir, stack: stackName, dryRun, all, force, json } = options;
  const environment = await environmentOf(dir, stackName);
  const logger = processLogger();
  // What a person sees is the bar and the sum; the log says what went wrong.
  const quiet = process.env[environmentNames.logLevel] === undefined;
  if (quiet) logger.level = "warn";
  const pond = await openPond(readSettings(environment), logger);
  if (force && !pond.sweep.mirrorDeletes) {
    process.stderr.write("--force changes nothing here: without mirrorDeletes no rows go\n");
  }
  const bar = progressBar("sweeping [{bar}] {sum}, {stale} to ingest");
  // Where keys go to the same terminal they are the progress.
  const watched = process.stderr.isTTY && !(dryRun && process.stdout.isTTY);
  const stop = (signal: NodeJS.Signals) => {
    bar.stop();
    process.stderr.write(`ended by ${signal}: what is done is done, the rest is found again\n`);
    logger.silent = true;
    void pond.close().finally(() => process.exit(130));
  };
  process.once("SIGINT", stop);
  process.once("SIGTERM", stop);
  // Of a dry run the keys are all, and nobody reads them.
  if (dryRun) process.stdout.once("error", () => void pond.close().finally(() => process.exit(0)));
  if (watched) {
    // How many there are is not known yet: of none, the bar would be full.
    bar.start(1, 0, { sum: "listing", stale: 0 });
    // It would be written across the bar. What was rejected is in its records, and what failed is said at the end.
    logger.silent = quiet;
  }
  try {
    return await sweepPond(
      pond,
      createIngest(() => Promise.resolve(pond)),
      // Each file has the time of an event of its own.
      () => localContext("ingest"),
      {
        dryRun,
        all,
        force,
        onStale: (key) => {
          if (dryRun) process.stdout.write(json ? `${JSON.stringify({ key })}\n` : `${key}\n`);
        },
        onProgress: (counts, { done, of }) => {
          const stale = staleOf(counts);
          if (of === undefined) {
            bar.update(0, { sum: `listing: ${countText(counts.sources, "file")}`, stale });
          } else {
            bar.setTotal(of);
            bar.update(Math.min(of, done), { sum: `${done} of ${countText(of, "file")}`, stale });
          }
        },
      },
    );
  } finally {
    bar.stop();
    process.off("SIGINT", stop);
    process.off("SIGTERM", stop);
    await pond.close();
  }
}

/** What the functions would find in theirs. */
async function environmentOf(dir: string | undefined, stackName: string | undefined) {
  if (stackName === undefined) {
    const { kind, name } = storeFor(dir);
    if (kind === "folder" && !fs.statSync(name, { throwIfNoEntry: false })?.isDirectory()) {
      throw new UsageError(`there is no folder ${name}: --dir <folder>, or s3://<bucket>`);
    }
    const parts = [prefixes.inbox, prefixes.lake].map((prefix) => path.join(name, prefix));
    if (kind === "folder" && !parts.some((part) => fs.existsSync(part))) {
      throw new UsageError(`${name} is no pond: it has neither inbox/ nor lake/`);
    }
    return { ...process.env, [environmentNames.store]: name, [environmentNames.auth]: "none" };
  }
  const { bucketName, topicArn, region, mirrorDeletes } = await readStack(stackName);
  process.env["AWS_REGION"] = region;
  return {
    ...process.env,
    [environmentNames.store]: `s3://${bucketName}`,
    [environmentNames.topic]: topicArn,
    [environmentNames.auth]: "none",
    [environmentNames.mirrorDeletes]: String(mirrorDeletes),
  };
}

function summaryText(summary: SweepSummary, dryRun: boolean): string {
  const { sources, outputs, rejections, looked, stale, announced, ingested } = summary;
  const found = `${countText(sources, "file")} in inbox/, ${outputs} in lake/, ${rejections} rejected; ${looked} looked at`;
  const why = `${stale.missing} new, ${stale.outdated} changed, ${stale.gone} gone`;
  const spared =
    summary.spared === 0
      ? ""
      : `\n${countText(summary.spared, "output")} without a file stay, as most of the inbox is gone: --force deletes them`;
  if (staleOf(summary) === 0) return `${found}\nnothing to ingest${spared}`;
  if (dryRun) return `${found}\nto ingest: ${why}${spared}`;
  const outcomes = Object.entries(ingested ?? {})
    .filter(([, count]) => count > 0)
    .map(([kind, count]) => `${count} ${kind}`);
  const became = outcomes.length === 0 ? "" : `: ${outcomes.join(", ")}`;
  return `${found}\n${ingested === undefined ? "announced" : "ingested"} ${announced} (${why})${became}`;
}
