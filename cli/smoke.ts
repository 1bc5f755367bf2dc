import { randomBytes } from "node:crypto";
import {
  DeleteObjectCommand,
  PutObjectCommand,
  paginateListObjectsV2,
  S3Client,
} from "@aws-sdk/client-s3";
import { Command } from "commander";
import { prefixes, smokeTable as table } from "../app/contract.ts";
import { bytesText } from "../app/text.ts";
import { awsError } from "./aws-error.ts";
import {
  type DeployedStack,
  namedStack,
  readStack,
  readToken,
  stackOption,
} from "./deployed-stack.ts";
import { get } from "./request.ts";
import { eventually, interruption, reporter, Steps } from "./steps.ts";
import { secondsText } from "./text.ts";
import { wholeNumber } from "./whole-number.ts";

/** Milliseconds in which a new API may not be found yet. */
const settlingMs = 20_000;

interface SmokeOptions {
  stack?: string;
  timeout: number;
  json: boolean;
}

export function smokeCommand(): Command {
  return new Command("smoke")
    .description("try a deployed stack: upload, query, rejection, redirect, log")
    .addOption(stackOption())
    .option(
      "--timeout <seconds>",
      "how long a step may take",
      wholeNumber("--timeout", 1, 86_400),
      60,
    )
    .option("--json", "one JSON object a step", false)
    .addHelpText(
      "after",
      `
With your rights on AWS: s3:PutObject, s3:DeleteObject and s3:ListBucket on the
stack's bucket, logs:FilterLogEvents on the log of its query function. It uses a
table of its own, ${table}, and removes its rows. Their old versions stay
in the bucket as long as those of other files. The file that it has rejected
raises no alarm. Not for a stage with auth iam.
Exit code: 0 all works; 1 something does not; 2 the call is wrong.`,
    )
    .action(async (options: SmokeOptions) => {
      const name = namedStack(options.stack);
      const stack = await readStack(name);
      const token = await readToken(name);
      const steps = new Steps(reporter(options.json), interruption());
      await smoke({ stack, token, seconds: options.timeout }, steps);
      process.exitCode = steps.failed === 0 ? 0 : 1;
    });
}

export interface SmokeTarget {
  stack: DeployedStack;
  /** Undefined where the API asks for none. */
  token: string | undefined;
  /** How long one step may take. */
  seconds: number;
}

/** Uses a stack as its users do, and looks whether each answer is right. */
export async function smoke({ stack, token, seconds }: SmokeTarget, steps: Steps): Promise<void> {
  const { region, apiUrl, bucketName: Bucket } = stack;
  const s3 = new S3Client({
    region,
    forcePathStyle: process.env["AWS_ENDPOINT_URL"] !== undefined,
  });
  const run = randomBytes(4).toString("hex");
  const uploaded: string[] = [];

  const ask = async (route: string) =>
    await get(`${apiUrl}${route}`, token === undefined ? {} : { authorization: `Bearer ${token}` });
  const query = async (sql: string) =>
    await ask(`/query?${new URLSearchParams({ sql, format: "csv" })}`);
  const upload = async (name: string, content: string) => {
    const Key = `${prefixes.inbox}${table}/${name}`;
    uploaded.push(Key);
    await s3
      .send(new PutObjectCommand({ Bucket, Key, Body: Buffer.from(content) }))
      .catch((error: unknown) => {
        throw awsError(error, "s3:PutObject", `s3://${Bucket}/${Key}`);
      });
    return Key;
  };
  const expectStatus = (wanted: number, found: { status: number; text: string }) => {
    if (found.status === wanted) return;
    throw new Error(`expected ${wanted}, got ${found.status}: ${found.text.trim().slice(0, 300)}`);
  };

  try {
    await steps.run("the API answers", async () => {
      // A stage that was just made takes a moment to be known everywhere.
      const begun = Date.now();
      const answer = await eventually(seconds, "it did not answer", async () => {
        const found = await ask("/hello?name=smoke");
        return found.status === 404 && Date.now() - begun < settlingMs ? undefined : found;
      });
      expectStatus(200, answer);
      return { detail: apiUrl, value: undefined };
    });
    if (token !== undefined) {
      await steps.run("a wrong token is refused", async () => {
        expectStatus(401, await get(`${apiUrl}/tables`, { authorization: "Bearer wrong" }));
        return { detail: "401", value: undefined };
      });
    }
    const asked = await steps.run("an uploaded file can be queried", async () => {
      const begun = performance.now();
      await upload(`${run}.csv`, `id,name\n1,Ann\n2,${run}\n`);
      const answer = await eventually(seconds, "its rows were not there", async () => {
        const found = await query(`SELECT id, name FROM ${table} WHERE name = '${run}'`);
        return found.status === 200 && found.text === `id,name\n2,${run}\n` ? found : undefined;
      });
      const took = secondsText(performance.now() - begun);
      return { detail: `${took} from upload to rows`, value: answer };
    });
    await steps.run("a file that can't be read is rejected, with the reason", async () => {
      const key = await upload(`${run}-broken.parquet`, "this is no Parquet");
      const reason = await eventually(seconds, "no rejection came", async () => {
        const answer = await ask("/rejected");
        expectStatus(200, answer);
        const { rejections } = JSON.parse(answer.text) as {
          rejections: { source: { key: string }; code: string }[];
        };
        return rejections.find(({ source }) => source.key === key)?.code;
      });
      return { detail: reason, value: undefined };
    });
    await steps.run("a large answer is redirected to the bucket", async () => {
      const rows = 200_000;
      const answer = await query(`SELECT i, md5(i::TEXT) AS text FROM range(${rows}) t(i)`);
      expectStatus(303, answer);
      const location = String(answer.headers.location);
      uploaded.push(keyIn(location, Bucket));
      const got = await get(location);
      expectStatus(200, got);
      const lines = got.text.trimEnd().split("\n").length - 1;
      if (lines !== rows) throw new Error(`${lines} of ${rows} rows came`);
      return { detail: `${bytesText(got.text.length)}, ${rows} rows`, value: undefined };
    });
    await steps.run("the log has a request by its id", async () => {
      const id = asked?.headers["x-request-id"];
      if (id === undefined) throw new Error("there is no request to look for");
      const group = stack.logGroups.query;
      const { CloudWatchLogsClient, CloudWatchLogsServiceException, paginateFilterLogEvents } =
        await import("@aws-sdk/client-cloudwatch-logs");
      const logs = new CloudWatchLogsClient({ region });
      // Whatever the stage logs, Lambda's own lines have it.
      const input = {
        logGroupName: group,
        filterPattern: `"${String(id)}"`,
        startTime: Date.now() - 15 * 60 * 1000,
      };
      try {
        await eventually(seconds, `${group} did not have ${String(id)}`, async () => {
          // A page may be empty, and the next one not.
          for await (const { events } of paginateFilterLogEvents({ client: logs }, input)) {
            if (events !== undefined && events.length > 0) return true;
          }
          return undefined;
        }).catch((error: unknown) => {
          throw error instanceof CloudWatchLogsServiceException
            ? awsError(error, "logs:FilterLogEvents", group)
            : error;
        });
      } finally {
        logs.destroy();
      }
      return { detail: group, value: undefined };
    });
  } finally {
    await steps.always("what it left is removed", async () => {
      const keys = [...uploaded];
      for (const prefix of [prefixes.lake, prefixes.rejected]) {
        const pages = paginateListObjectsV2(
          { client: s3 },
          { Bucket, Prefix: `${prefix}${table}/` },
        );
        for await (const { Contents } of pages) {
          // Another run's are its own.
          const names = (Contents ?? []).map(({ Key }) => Key as string);
          keys.push(...names.filter((key) => key.includes(run)));
        }
      }
      for (const Key of keys) await s3.send(new DeleteObjectCommand({ Bucket, Key }));
      return { detail: `${keys.length} objects`, value: undefined };
    });
    s3.destroy();
  }
}

/** The object that a URL of S3 is about, whether the bucket stands in its path or its host. */
function keyIn(url: string, bucket: string): string {
  const path = decodeURIComponent(new URL(url).pathname.slice(1));
  return path.startsWith(`${bucket}/`) ? path.slice(bucket.length + 1) : path;
}
