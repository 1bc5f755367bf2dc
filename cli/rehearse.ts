import { randomBytes } from "node:crypto";
import fs from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { CloudWatchLogsClient, paginateFilterLogEvents } from "@aws-sdk/client-cloudwatch-logs";
import {
  GetBucketEncryptionCommand,
  GetBucketOwnershipControlsCommand,
  GetBucketPolicyCommand,
  GetBucketVersioningCommand,
  GetPublicAccessBlockCommand,
  ListObjectsV2Command,
  PutObjectCommand,
  S3Client,
} from "@aws-sdk/client-s3";
import { Command } from "commander";
import { environmentNames, prefixes } from "../app/contract.ts";
import { MillpondError } from "../app/errors.ts";
import { countText } from "../app/text.ts";
import type { DeployedStack } from "./deployed-stack.ts";
import { docker, leastDocker, removeContainers, requireBuilder, requireDocker } from "./docker.ts";
import { buildImage, hostArchitecture } from "./image.ts";
import { pulumi } from "./pulumi.ts";
import { type Emulator, emulatorKeys, labelAt, startEmulator } from "./rehearsal/emulator.ts";
import { PulumiStack, standardPort } from "./rehearsal/pulumi-stack.ts";
import { get } from "./request.ts";
import { smoke } from "./smoke.ts";
import { eventually, interruption, type Report, reporter, Steps } from "./steps.ts";
import { wholeNumber } from "./whole-number.ts";

const stackName = "rehearsal";
const table = "rehearsal";

interface RehearseOptions {
  image?: string;
  port: number;
  json: boolean;
}

export function rehearseCommand(): Command {
  return new Command("rehearse")
    .description(
      "deploy the stack to an emulator of AWS on this machine, use it, change it, destroy it, bring it back",
    )
    .option("--image <image>", "an image that is built already (default: it is built first)")
    .option(
      "--port <number>",
      "the emulator's port; 0 takes a free one",
      wholeNumber("--port", 0, 65_535),
      standardPort,
    )
    .option("--json", "one JSON object a step", false)
    .addHelpText(
      "after",
      `
Needs Python 3, and Docker ${leastDocker} or newer with buildx; an older Docker needs a
builder of its own, which docker buildx create --use makes. It needs no AWS
account: the emulator, ministack, comes from PyPI, to .cache/. It takes some
minutes, and leaves that and the image.
Exit code: 0 all went well; 1 something did not; 2 the call is wrong; 130 it was
interrupted.`,
    )
    .action(async (options: RehearseOptions) => {
      const stopped = interruption();
      const report = reporter(options.json);
      const failed = await rehearse(options, report, stopped);
      if (!options.json) {
        process.stdout.write(
          failed === 0 ? "all went well\n" : `${countText(failed, "step")} failed\n`,
        );
      }
      process.exitCode = failed === 0 ? 0 : 1;
    });
}

/** @returns how many steps failed */
async function rehearse(
  { image, port }: RehearseOptions,
  report: Report,
  stopped: AbortSignal,
): Promise<number> {
  const steps = new Steps(report, stopped);
  const folder = await fs.mkdtemp(path.join(os.tmpdir(), "millpond-rehearsal-"));
  let emulator: Emulator | undefined;
  try {
    await steps.must("what it takes is there", async () => {
      const docker = await (image === undefined ? requireBuilder() : requireDocker());
      const version = await pulumi(["version"]);
      return { detail: `Docker ${docker}, Pulumi ${version.trim()}`, value: undefined };
    });
    const imageId = await steps.must("the image", async () => await findImage(image));
    emulator = await steps.must("the emulator starts", async () => {
      const started = await startEmulator({ port });
      if ("missing" in started) throw new Error(started.missing);
      return { detail: started.endpoint, value: started };
    });
    await journey(steps, { folder, imageId, endpoint: emulator.endpoint, stopped });
  } catch (error) {
    // Which step it was has been said.
    if ((error as MillpondError).code !== "step") throw error;
  } finally {
    await emulator?.stop();
    if (emulator !== undefined) await removeContainers(labelAt(emulator.endpoint));
    await fs.rm(folder, { recursive: true, force: true });
  }
  return steps.failed;
}

interface Stage {
  stopped: AbortSignal;
  folder: string;
  imageId: string;
  endpoint: string;
}

/** The life of a stack, from an empty account on. */
async function journey(steps: Steps, { folder, imageId, endpoint, stopped }: Stage): Promise<void> {
  // For the SDK of the steps, and for Pulumi's plugin and this project's program.
  for (const name of ["AWS_PROFILE", "AWS_SESSION_TOKEN"]) delete process.env[name];
  Object.assign(process.env, emulatorKeys, { AWS_ENDPOINT_URL: endpoint });
  const stack = new PulumiStack(stackName, folder, stopped);
  const token = randomBytes(24).toString("hex");
  const s3 = new S3Client({ forcePathStyle: true });
  const outputs = async () =>
    ({ ...(await stack.outputs()), name: stackName }) as unknown as DeployedStack;
  const setToken = async (value: string) =>
    await stack.setConfig("--secret", "--path", "secrets.tokens", value);

  await steps.must("pulumi stack init rehearsal", async () => {
    await stack.init(endpoint);
    await stack.setConfig("architecture", hostArchitecture());
    await stack.setConfig("imageUri", imageId);
    return { detail: `for ${hostArchitecture()}, as this machine is`, value: undefined };
  });
  await steps.run("pulumi up, without its secret, says which command is missing", async () => {
    const { code, stdout, stderr } = await stack.attempt("up");
    expectThat(code !== 0, "it went up");
    const command = /pulumi config set --stack rehearsal --secret --path 'secrets\.tokens'/.exec(
      stdout + stderr,
    )?.[0];
    expectThat(command !== undefined, `it said ${stdout}${stderr}`);
    return { detail: `${command} …`, value: undefined };
  });
  await steps.must("pulumi up", async () => {
    await setToken(token);
    const { create = 0 } = await stack.up();
    expectThat(create > 50, `only ${create} resources were made`);
    return { detail: `${create} resources`, value: undefined };
  });
  const deployed = await outputs();
  const { bucketName: Bucket } = deployed;
  await steps.run("another pulumi up changes nothing", async () => {
    expectThat(await stack.isCurrent(), "its preview would change something");
    const { same = 0, ...others } = await stack.up();
    expectThat(Object.keys(others).length === 0, `it made ${JSON.stringify(others)}`);
    return { detail: `${same} the same`, value: undefined };
  });
  await smoke({ stack: deployed, token, seconds: 60 }, steps);

  const rows = "id,name\n1,Ann\n2,Bo\n";
  const ask = async () => {
    const { apiUrl } = await outputs();
    const sql = `FROM ${table} ORDER BY id`;
    const url = `${apiUrl}/query?${new URLSearchParams({ sql, format: "csv" })}`;
    return await get(url, { authorization: `Bearer ${token}` });
  };
  await steps.must("rows to come back to", async () => {
    const Key = `${prefixes.inbox}${table}/a b.csv`;
    await s3.send(new PutObjectCommand({ Bucket, Key, Body: Buffer.from(rows) }));
    await eventually(60, "they were not there", async () =>
      (await ask()).text === rows ? true : undefined,
    );
    return { detail: `s3://${Bucket}/${Key}`, value: undefined };
  });
  await steps.run(
    "no secret is in the state, the outputs, the functions or their logs",
    async () => {
      const state = await stack.state();
      // What the functions are told by their environment is part of it.
      expectThat(state.includes(environmentNames.secrets), "no function is told where secrets are");
      const shown = `${state}${JSON.stringify(await stack.outputs())}`;
      expectThat(!shown.includes(token), "the token is there");
      const logs = new CloudWatchLogsClient();
      let lines = 0;
      for (const logGroupName of Object.values(deployed.logGroups)) {
        for await (const { events = [] } of paginateFilterLogEvents(
          { client: logs },
          { logGroupName },
        )) {
          lines += events.length;
          const told = events.some(({ message }) => message?.includes(token) === true);
          expectThat(!told, `the token is in ${logGroupName}`);
        }
      }
      logs.destroy();
      expectThat(lines > 0, "there is no log");
      return { detail: `${countText(lines, "line")} of logs`, value: undefined };
    },
  );
  const change = async (what: string, set: () => Promise<void>, updates: number) =>
    await steps.run(what, async () => {
      await set();
      const { same, update = 0, ...others } = await stack.up();
      expectThat(
        update === updates && Object.keys(others).length === 0,
        `it made ${JSON.stringify({ update, ...others })}, not ${updates} updates`,
      );
      return { detail: `${countText(update, "update")}, ${same} the same`, value: undefined };
    });
  await change(
    "another level of logs changes the functions alone",
    async () => await stack.setConfig("logLevel", "debug"),
    4,
  );
  await change(
    "another secret changes its parameter alone",
    async () => await setToken(`${token}-new`),
    1,
  );
  await steps.run("protected data: pulumi destroy refuses to begin", async () => {
    await setToken(token);
    await stack.setConfig("protectData", "true");
    await stack.up();
    const { code, stdout, stderr } = await stack.attempt("destroy");
    expectThat(code !== 0 && /protected/.test(stdout + stderr), `it said ${stdout}${stderr}`);
    expectThat((await ask()).text === rows, "something is gone");
    await stack.setConfig("protectData", "false");
    await stack.up();
    return { detail: "", value: undefined };
  });
  await steps.must("pulumi destroy leaves the data, as safe as it was", async () => {
    const keys = async () => {
      const { Contents } = await s3.send(new ListObjectsV2Command({ Bucket }));
      return (Contents ?? []).map(({ Key }) => Key).join("\n");
    };
    const before = await keys();
    const { delete: deleted = 0 } = await stack.destroy();
    expectThat((await keys()) === before, "objects are gone");
    const access = await s3.send(new GetPublicAccessBlockCommand({ Bucket }));
    const blocks = Object.values(access.PublicAccessBlockConfiguration ?? {});
    expectThat(blocks.length === 4 && blocks.every(Boolean), "it is no longer private");
    const encryption = await s3.send(new GetBucketEncryptionCommand({ Bucket }));
    const rules = encryption.ServerSideEncryptionConfiguration?.Rules ?? [];
    expectThat(rules.length === 1, "it is no longer encrypted");
    const ownership = await s3.send(new GetBucketOwnershipControlsCommand({ Bucket }));
    const [rule] = ownership.OwnershipControls?.Rules ?? [];
    expectThat(rule?.ObjectOwnership === "BucketOwnerEnforced", "others may own its objects");
    const { Status } = await s3.send(new GetBucketVersioningCommand({ Bucket }));
    expectThat(Status === "Enabled", "it is no longer versioned");
    const { Policy } = await s3.send(new GetBucketPolicyCommand({ Bucket }));
    expectThat(Policy?.includes("aws:SecureTransport") === true, "it takes requests without TLS");
    return { detail: `${deleted} resources gone`, value: undefined };
  });
  await steps.must("pulumi up finds the data again, and answers the same", async () => {
    const changes = await stack.up();
    expectThat(changes.import === 1, `it made ${JSON.stringify(changes)}`);
    expectThat((await ask()).text === rows, "the rows are others");
    expectThat(await stack.isCurrent(), "another preview would change something");
    return { detail: `s3://${Bucket}`, value: undefined };
  });
  s3.destroy();
}

function expectThat(found: boolean, otherwise: string): void {
  if (!found) throw new Error(otherwise);
}

async function findImage(given: string | undefined): Promise<{ detail: string; value: string }> {
  const tag = given ?? (await buildImage(hostArchitecture()));
  const id = await docker(["image", "inspect", tag, "--format", "{{.Id}}"], {
    show: false,
    quiet: true,
  }).catch(() => {
    throw new MillpondError(
      "image",
      `there is no image ${tag} here: without --image it is built, or npm run image builds one`,
    );
  });
  return { detail: tag, value: id.trim() };
}
