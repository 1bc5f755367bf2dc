import { type ChildProcess, execFile } from "node:child_process";
import fs from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { json } from "node:stream/consumers";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { InvokeCommand, LambdaClient, UpdateFunctionCodeCommand } from "@aws-sdk/client-lambda";
import {
  CreateBucketCommand,
  DeleteBucketPolicyCommand,
  DeleteObjectCommand,
  GetBucketCorsCommand,
  GetObjectCommand,
  ListBucketsCommand,
  ListObjectsV2Command,
  PutBucketPolicyCommand,
  PutObjectCommand,
  S3Client,
} from "@aws-sdk/client-s3";
import { PublishCommand, SNSClient } from "@aws-sdk/client-sns";
import { GetQueueAttributesCommand, SendMessageCommand, SQSClient } from "@aws-sdk/client-sqs";
import { GetParameterCommand, PutParameterCommand, SSMClient } from "@aws-sdk/client-ssm";
import { expect } from "chai";
import { type FunctionName, functionNames } from "../../app/contract.ts";
import { objectMessage } from "../../app/events/s3-event.ts";
import { mostInlineBytes } from "../../app/flow/large-answers.ts";
import type { SourceOutcome } from "../../app/lake/reports.ts";
import type { DeployedStack } from "../../cli/deployed-stack.ts";
import { containersOf, removeContainers } from "../../cli/docker.ts";
import { type Emulator, labelAt, startEmulator } from "../../cli/rehearsal/emulator.ts";
import { PulumiStack } from "../../cli/rehearsal/pulumi-stack.ts";
import { get, send } from "../../cli/request.ts";
import { eventually } from "../../cli/steps.ts";
import { notYet } from "../../policy/rules.ts";
import { docker } from "../image/docker.ts";
import { PolicyPackProcess, type Sent } from "../policy/pack.ts";
import { runCli } from "../run-cli.ts";
import { WatchingProxy } from "../s3/proxy.ts";
import { host, otherImage, stackImage, tag } from "./build.ts";

const run = promisify(execFile);
const zipProgram = fileURLToPath(new URL("zip-program/", import.meta.url));
const token = "a-token-of-the-journey-0123456789";

/** In the order of a stack's life: each test begins where the one before it ended. */
describe("a stack where IAM is enforced", function () {
  this.timeout(600_000);
  let folder: string;
  let emulator: Emulator;
  let proxy: WatchingProxy;
  let stack: PulumiStack;
  let outputs: DeployedStack;
  let s3: S3Client;
  const images: string[] = [];

  before(async function () {
    const imageId = await stackImage(this);
    images.push(imageId);
    const started = await startEmulator({ enforceIam: true });
    if ("missing" in started) {
      process.stderr.write(`skipped: ${started.missing}\n`);
      this.skip();
    }
    emulator = started;
    // Pulumi's provider goes through it; the functions and the tests don't.
    proxy = await WatchingProxy.start(emulator.endpoint);
    Object.assign(process.env, { AWS_ENDPOINT_URL: emulator.endpoint });
    s3 = new S3Client({ forcePathStyle: true });
    folder = await fs.mkdtemp(path.join(os.tmpdir(), "millpond-test-"));
    stack = new PulumiStack("iam", folder);
    await stack.init(proxy.url);
    await stack.setConfig("aws:maxRetries", "2");
    await stack.setConfig("architecture", host);
    await stack.setConfig("imageUri", imageId);
    await stack.setConfig("--secret", "--path", "secrets.tokens", token);
  });
  after(async () => {
    delete process.env["AWS_ENDPOINT_URL"];
    s3?.destroy();
    await proxy?.close();
    await emulator?.stop();
    if (folder !== undefined) await fs.rm(folder, { recursive: true });
    if (images.length === 0) return;
    if (emulator !== undefined) await removeContainers(labelAt(emulator.endpoint));
    await docker("image", "rm", tag, ...images.slice(1));
  });

  const upload = async (Key: string, content: string) =>
    await s3.send(
      new PutObjectCommand({ Bucket: outputs.bucketName, Key, Body: Buffer.from(content) }),
    );
  const ask = async (sql: string) => {
    const url = `${outputs.apiUrl}/query?${new URLSearchParams({ sql, format: "csv" })}`;
    return await get(url, { authorization: `Bearer ${token}` });
  };
  /** A command as a person runs it; `values` is what it printed, parsed. */
  async function command(name: string, ...args: string[]) {
    return await commandWith(() => {}, name, ...args);
  }
  async function commandWith(
    onStart: (child: ChildProcess) => void,
    name: string,
    ...args: string[]
  ) {
    // Pulumi reads the names of the functions in the state alone.
    const ended = await runCli([name, "--stack", stack.name, ...args], {
      env: { ...process.env, ...stack.environment },
      onStart,
    });
    const lines = ended.stdout.split("\n").filter((line) => line.startsWith("{"));
    return { ...ended, values: lines.map((line) => JSON.parse(line) as Record<string, unknown>) };
  }
  const invoke = (...args: string[]) => command("invoke", ...args);

  it("begins with a function as a zip file, as an older stack may have it", async () => {
    const code = path.join(folder, "index.mjs");
    const zip = path.join(folder, "hello.zip");
    await fs.writeFile(code, "export const handler = () => 'zip';\n");
    await run("python3", ["-m", "zipfile", "-c", zip, code]);
    const Bucket = "millpond-zips";
    await s3.send(new CreateBucketCommand({ Bucket }));
    const Body = await fs.readFile(zip);
    await s3.send(new PutObjectCommand({ Bucket, Key: "hello.zip", Body }));

    expect(await stack.up(zipProgram)).to.include({ create: 4 });

    const lambda = new LambdaClient();
    const { Payload } = await lambda.send(
      new InvokeCommand({ FunctionName: "millpond-iam-hello" }),
    );
    expect(Buffer.from(Payload ?? []).toString()).to.equal('"zip"');
    lambda.destroy();
  });

  it("stops when the cloud is gone half-way", async () => {
    proxy.onRequest = ({ method, path: asked }) => {
      if (method === "POST" && asked.startsWith("/2015-03-31/functions")) proxy.down = true;
    };

    const { code, stdout, stderr } = await stack.attempt("up");

    expect(proxy.down, `${stdout}${stderr}`).to.equal(true);
    expect(code).to.not.equal(0);
  });

  it("goes on where it stopped, and replaces the zip file by the image", async () => {
    proxy.onRequest = undefined;
    proxy.down = false;

    const changes = await stack.up();

    outputs = { ...((await stack.outputs()) as unknown as DeployedStack), name: "iam" };
    expect(changes.replace).to.equal(1);
    expect(await stack.isCurrent()).to.equal(true);
    const lambda = new LambdaClient();
    const old = await lambda
      .send(new InvokeCommand({ FunctionName: "millpond-iam-hello" }))
      .catch((error: Error) => error.name);
    expect(old).to.equal("ResourceNotFoundException");
    lambda.destroy();
    const { code, values } = await invoke("-f", "hello", "-p", "events/hello-alice.json");
    expect(values[0]).to.include({ statusCode: 200, body: '{"message":"Hello, Alice!"}' });
    expect(code).to.equal(0);
  });

  it("takes nothing without TLS, not even from a function that has the right", async () => {
    const { values } = await invoke("-f", "sweep");

    expect(values[0]?.["errorMessage"]).to.match(
      /with an explicit deny in a resource-based policy/,
    );
    // The emulator speaks no TLS: from here on the bucket takes what comes without.
    await s3.send(new DeleteBucketPolicyCommand({ Bucket: outputs.bucketName }));
  });

  it("lets each function do its work", async () => {
    await upload("inbox/people/a b.csv", "id,name\n1,Ann\n");
    await upload("inbox/broken/x.parquet", "this is no Parquet");

    const people = await eventually(60, "its rows were not there", async () => {
      const answer = await ask("FROM people");
      return answer.status === 200 ? answer.text : undefined;
    });
    expect(people).to.equal("id,name\n1,Ann\n");
    const rejected = await eventually(60, "no rejection came", async () => {
      const url = `${outputs.apiUrl}/rejected`;
      const { text } = await get(url, { authorization: `Bearer ${token}` });
      return /malformed-parquet/.exec(text)?.[0];
    });
    expect(rejected).to.equal("malformed-parquet");
    const large = await ask("SELECT i, md5(i::TEXT) AS text FROM range(200000) t(i)");
    expect(large.status).to.equal(303);
    expect((await get(String(large.headers.location))).status).to.equal(200);
  });

  it("lets the sweep announce what no event told of, to whoever invokes it as it is deployed", async () => {
    const { Contents = [] } = await s3.send(
      new ListObjectsV2Command({ Bucket: outputs.bucketName, Prefix: "lake/people/" }),
    );
    const Key = String(Contents[0]?.Key);
    await s3.send(new DeleteObjectCommand({ Bucket: outputs.bucketName, Key }));

    const found = await command("sweep", "--dry-run", "--json");
    const swept = await invoke("-f", "sweep");

    expect(found.values[0]).to.deep.equal({ key: "inbox/people/a b.csv" });
    expect(found.values[1]).to.include({ sources: 2, announced: 0 });
    expect(swept.values).to.deep.equal([
      {
        ...{ sources: 2, outputs: 0, rejections: 1, looked: 1, announced: 1 },
        ...{ stale: { missing: 1, outdated: 0, gone: 0 }, spared: 0 },
      },
    ]);
    // The end of its log comes with the answer; the emulator may look for it a moment too early.
    await eventually(60, "its log does not come", async () =>
      (await invoke("-f", "sweep")).stderr.includes('"message":"swept"') ? true : undefined,
    );
    await eventually(60, "its rows did not come back", async () =>
      (await ask("FROM people")).text === "id,name\n1,Ann\n" ? true : undefined,
    );
  });

  it("hands back what failed for good, when its cause is gone, and deletes no other message", async () => {
    const Bucket = outputs.bucketName;
    const deny = {
      Effect: "Deny",
      Principal: "*",
      Action: "s3:GetObject",
      Resource: `arn:aws:s3:::${Bucket}/inbox/late/*`,
    };
    const Policy = JSON.stringify({ Version: "2012-10-17", Statement: [deny] });
    await s3.send(new PutBucketPolicyCommand({ Bucket, Policy }));
    await upload("inbox/late/a.csv", "a\n1\n");
    // The emulator tries again, and at last lets wait, what is invoked by others than its SNS.
    const lambda = new LambdaClient();
    const uploaded = objectMessage(Bucket, "inbox/late/a.csv", "ObjectCreated:Put", new Date());
    const { StatusCode } = await lambda.send(
      new InvokeCommand({
        FunctionName: outputs.functionNames.ingest,
        InvocationType: "Event",
        Payload: Buffer.from(uploaded),
      }),
    );
    lambda.destroy();
    expect(StatusCode).to.equal(202);
    const waits = await eventually(120, "no failure came to wait", async () => {
      const { values } = await command("redrive", "--json");
      const one = values.find(({ waiting }) => Number(waiting) > 0);
      return (one?.["failures"] as unknown[] | undefined)?.length ? one : undefined;
    });
    // What SNS writes when it can't deliver, and what nobody knows.
    const queue = outputs.failureQueues.ingest?.find((url) => url.endsWith("-undelivered"));
    const sqs = new SQSClient({ useQueueUrlAsEndpoint: false });
    const { Contents = [] } = await s3.send(
      new ListObjectsV2Command({ Bucket, Prefix: "lake/people/" }),
    );
    await s3.send(new DeleteObjectCommand({ Bucket, Key: String(Contents[0]?.Key) }));
    const Message = objectMessage(Bucket, "inbox/people/a b.csv", "ObjectCreated:Put", new Date());
    const notification = { Type: "Notification", TopicArn: outputs.topicArn, Message };
    for (const [MessageBody, StringValue] of [
      [JSON.stringify(notification), "ThrottledException"],
      ["nobody's", "none"],
    ]) {
      const ErrorCode = { DataType: "String", StringValue };
      const MessageAttributes = { ErrorCode };
      await sqs.send(new SendMessageCommand({ QueueUrl: queue, MessageBody, MessageAttributes }));
    }
    const shown = await command("redrive");
    await s3.send(new DeleteBucketPolicyCommand({ Bucket }));
    const handed = await command("redrive", "--run", "--json");
    const after = await command("redrive", "--json");
    sqs.destroy();

    expect(waits).to.include({ function: "ingest", waiting: 1, unreadable: 0, accepted: 0 });
    expect(waits["failures"]).to.have.length(1);
    expect((waits["failures"] as object[])[0]).to.include({
      ...{ code: "store-denied", table: "late", count: 1 },
    });
    expect(shown.stdout).to.match(/store-denied +late +1/);
    expect(shown.stdout).to.match(/ThrottledException +people +1/);
    expect(shown.stdout).to.contain("npm run redrive -- --stack iam --run");
    expect(handed.values.map(({ accepted, unreadable }) => [accepted, unreadable])).to.deep.equal([
      [1, 0],
      [1, 1],
      [0, 0],
    ]);
    expect(handed.code).to.equal(1);
    expect(after.values.map(({ waiting }) => waiting)).to.deep.equal([0, 1, 0]);
    await eventually(60, "the rows did not come", async () =>
      (await ask("SELECT (SELECT count(*) FROM late) + (SELECT count(*) FROM people) AS n"))
        .text === "n\n2\n"
        ? true
        : undefined,
    );
  });

  it("invokes one sweep for all that failed, and ends at Ctrl-C with what it has not handed back still there", async () => {
    const sqs = new SQSClient({ useQueueUrlAsEndpoint: false });
    const send = async (QueueUrl: string | undefined, body: object) => {
      await sqs.send(new SendMessageCommand({ QueueUrl, MessageBody: JSON.stringify(body) }));
    };
    const functionArn = `arn:aws:lambda:eu-central-1:000000000000:function:${outputs.functionNames.sweep}:$LATEST`;
    const record = {
      requestContext: { functionArn, condition: "RetriesExhausted" },
      requestPayload: {},
      responsePayload: { errorType: "sweep-failed", errorMessage: "in vain" },
    };
    for (let i = 0; i < 3; i += 1) await send(outputs.failureQueues.sweep?.[0], record);
    const swept = await command("redrive", "--run", "--json");
    const Message = objectMessage(
      outputs.bucketName,
      "inbox/people/a b.csv",
      "ObjectCreated:Put",
      new Date(),
    );
    const notification = { Type: "Notification", TopicArn: outputs.topicArn, Message };
    const QueueUrl = outputs.failureQueues.ingest?.find((url) => url.endsWith("-undelivered"));
    for (let i = 0; i < 3; i += 1) await send(QueueUrl, notification);
    // Beside those there is the message that nobody knows.
    const waiting = async () => {
      const { Attributes = {} } = await sqs.send(
        new GetQueueAttributesCommand({
          QueueUrl,
          AttributeNames: ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"],
        }),
      );
      return Object.values(Attributes).reduce((sum, text) => sum + Number(text), 0);
    };
    let running: ChildProcess | undefined;
    const interrupted = commandWith(
      (child) => {
        running = child;
      },
      "redrive",
      ...["--run", "--json", "--rate", "0.1"],
    );
    await eventually(
      60,
      "nothing was handed back",
      async () => (await waiting()) === 3 || undefined,
    );
    running?.kill("SIGINT");
    const { code, values } = await interrupted;
    const after = await command("redrive", "--json");
    sqs.destroy();

    const sweeps = swept.values.find((one) => one["function"] === "sweep");
    expect(sweeps).to.include({ waiting: 3, accepted: 1, covered: 2, newer: 0 });
    expect(code).to.equal(130);
    expect(values[1]).to.include({ accepted: 1 });
    expect(after.values[1]).to.include({ waiting: 3, unreadable: 1 });
    expect(after.values[1]?.["failures"]).to.have.nested.property("[0].count", 2);
  });

  it("takes files from the shell, and answers there", async () => {
    const [good, bad, large] = ["shell.csv", "broken.csv", "large.parquet"].map((name) =>
      path.join(folder, name),
    ) as [string, string, string];
    await fs.writeFile(good, "id\n1\n2\n");
    await fs.writeFile(bad, "id,b\n1\n");

    // This stack's configuration lies elsewhere than a person's.
    const shell = (name: string, ...args: string[]) => command(name, "--token", token, ...args);
    const put = await shell("put", "--json", good);
    const again = await shell("put", "--json", good);
    const rejected = await shell("put", "--json", bad, "--table", "shell");
    const asked = await shell("query", "SELECT sum(id) AS n FROM shell");
    const sql = "SELECT i, md5(i::TEXT) || md5((i + 1)::TEXT) AS t FROM range(200000) t(i)";
    const fetched = await shell("query", sql, "--output", large);

    for (const { values, stderr } of [put, again]) {
      expect(values[0], stderr).to.include({ table: "shell", rows: 2, rejection: null });
    }
    expect(rejected.values[0]).to.have.nested.property("rejection.code", "malformed-csv");
    expect(asked.stdout).to.equal("n\n3\n");
    const codes = [put, again, rejected, asked, fetched].map(({ code }) => code);
    expect(codes, fetched.stderr).to.deep.equal([0, 0, 1, 0, 0]);
    const { size } = await fs.stat(large);
    // It came by way of the bucket.
    expect(size).to.be.above(mostInlineBytes);
  });

  it("takes a file from whoever holds a token and no rights of AWS, as the console does", async () => {
    const key = "inbox/people/from a browser.csv";
    const inbox = `${outputs.apiUrl}/inbox`;
    const authorization = `Bearer ${token}`;
    const body = JSON.stringify({ key });
    const headers = { authorization, "content-type": "application/json" };
    const offered = await send(inbox, { method: "POST", headers, body });
    const { url } = (await json(offered)) as { url: string };

    const stored = await send(url, { method: "PUT", body: "id,name\n2,Bo\n" });
    stored.resume();
    expect(stored.statusCode).to.equal(200);
    const rows = await eventually(60, "its rows were not there", async () => {
      const { text } = await get(`${inbox}?${new URLSearchParams({ key })}`, { authorization });
      return (JSON.parse(text) as SourceOutcome).rows ?? undefined;
    });
    expect(rows).to.deep.include({ etag: stored.headers.etag, rows: 1 });
    // A browser asks the bucket first whether that page may.
    const { CORSRules } = await s3.send(new GetBucketCorsCommand({ Bucket: outputs.bucketName }));
    expect(CORSRules?.[0]).to.deep.include({ AllowedOrigins: [outputs.apiUrl] });
  });

  it("has nothing that the policy pack refuses, and tells of it what Pulumi tells no policy", async () => {
    // Policies are told secrets as they are; here they stay what nobody can read.
    const hidden = (_: string, value: unknown) =>
      typeof value === "object" && value !== null && "ciphertext" in value
        ? { ...value, value: "a secret" }
        : value;
    const { deployment } = JSON.parse(await stack.state(), hidden) as {
      deployment: {
        resources: {
          urn: string;
          type: string;
          protect?: boolean;
          retainOnDelete?: boolean;
          inputs?: Record<string, unknown>;
          outputs?: Record<string, unknown>;
          propertyDependencies?: Record<string, string[] | null>;
        }[];
      };
    };
    const resources = deployment.resources.filter(({ type }) => /^(aws|millpond):/.test(type));
    const deployed = resources.map(
      ({ type, urn, protect = false, inputs = {}, outputs = {}, propertyDependencies }): Sent => ({
        ...{ type, urn, protect, props: inputs, outputs },
        name: String(urn.split("::").at(-1)),
        uses: Object.fromEntries(
          Object.entries(propertyDependencies ?? {}).map(([key, urns]) => [key, urns ?? []]),
        ),
      }),
    );
    // As before a first deployment, and worse: nothing that comes from another resource is known, nor what AWS alone tells.
    const planned = deployed.map((one) => {
      const known = Object.entries(one.props).map(([key, value]) => [
        key,
        one.uses?.[key]?.length ? notYet : value,
      ]);
      const props = Object.fromEntries(known) as Record<string, unknown>;
      return { ...one, props, ...(one.type.startsWith("aws:") ? { outputs: props } : {}) };
    });
    const pack = await PolicyPackProcess.start();
    await pack.configure("one-architecture", { architecture: host });
    const said = [await pack.analyze(deployed), await pack.analyze(planned)];
    const open = planned.filter(({ type }) => !/PublicAccessBlock|Encryption/.test(type));
    const refused = await pack.analyze(open);
    pack.stop();

    expect(resources.length).to.be.above(90);
    expect(said).to.deep.equal([[], []]);
    expect(refused.map(({ policyname }) => policyname)).to.have.members([
      ...["no-public-bucket", "encrypted-buckets"],
    ]);
    const buckets = resources.filter(({ type }) => type === "aws:s3/bucket:Bucket");
    expect(buckets.map(({ retainOnDelete }) => retainOnDelete)).to.deep.equal([true]);
  });

  it("shows the log of its functions: of one request, of one that failed, and as it comes", async () => {
    const url = `${outputs.apiUrl}/query?sql=SELECT+1`;
    const { headers } = await get(url, { authorization: `Bearer ${token}` });
    const id = String(headers["x-request-id"]);
    // Seen: the emulator has the last lines of a request by the API a minute later.
    const one = await eventually(120, "the request is not in the log", async () => {
      const { values } = await command("logs", "--request", id, "--json");
      return values.length > 0 ? values : undefined;
    });
    const failed = await command("logs", ...["-f", "ingest", "--level", "error", "--json"]);
    const shown = await command("logs", ...["-f", "ingest", "--level", "error"]);
    let following: ChildProcess | undefined;
    const followed = commandWith(
      (child) => {
        following = child;
        let text = "";
        child.stdout?.on("data", (chunk: Buffer) => {
          text += String(chunk);
          if (text.includes("hello")) child.kill("SIGINT");
        });
      },
      ...["logs", "-f", "hello", "--since", "1s", "--follow", "--json"],
    );
    await eventually(60, "nothing came while it was followed", async () => {
      await invoke("-f", "hello", "-p", "events/hello-alice.json");
      return following?.exitCode === null ? undefined : true;
    });

    const ids = one.map((line) => {
      // Lambda's own lines have it elsewhere.
      const { requestId } = (line["record"] ?? {}) as { requestId?: string };
      return line["function_request_id"] ?? requestId;
    });
    expect(new Set(ids)).to.deep.equal(new Set([id]));
    expect(one.map(({ message }) => message)).to.include("request");
    expect(failed.values.map((line) => line["level"])).to.include("error");
    expect(JSON.stringify(failed.values)).to.contain("store-denied");
    expect(shown.stdout).to.match(/^\d{4}-\S+Z ingest +error /m);
    expect(await followed).to.include({ code: 0 });
    expect((await followed).stdout).to.contain('"function_name":"hello"');
  });

  it("tells of a deployed function's error, with 1", async () => {
    const nothing = '{"Event":"s3:TestEvent","Bucket":"pond"}';
    const { code, values } = await invoke("-f", "ingest", "-d", '{"Records":[{}]}', "-d", nothing);

    expect(code).to.equal(1);
    expect(values[0]).to.include({ errorType: "event" });
    expect(values[1]).to.include({ converted: 0 });
  });

  describe("refuses", () => {
    type Keys = { accessKeyId: string; secretAccessKey: string; sessionToken: string };
    const keys: Partial<Record<FunctionName, Keys>> = {};

    before(async () => {
      // Those that nobody asks have no container after a while.
      const ping = '{"version":"2.0","rawPath":"/","requestContext":{"http":{"method":"GET"}}}';
      for (const name of functionNames) await invoke("-f", name, "-d", ping);
      for (const id of await containersOf(labelAt(emulator.endpoint))) {
        const [{ Config }] = JSON.parse(await docker("inspect", id)) as [
          { Config: { Env: string[] } },
        ];
        const of = (name: string) =>
          String(Config.Env.find((one) => one.startsWith(`${name}=`))?.slice(name.length + 1));
        const name = functionNames.find(
          (one) => of("AWS_LAMBDA_FUNCTION_NAME") === outputs?.functionNames[one],
        );
        if (name === undefined) continue;
        keys[name] = {
          accessKeyId: of("AWS_ACCESS_KEY_ID"),
          secretAccessKey: of("AWS_SECRET_ACCESS_KEY"),
          sessionToken: of("AWS_SESSION_TOKEN"),
        };
      }
      expect(Object.keys(keys)).to.have.members([...functionNames]);
    });

    const as = (name: FunctionName) => ({
      credentials: keys[name] as Keys,
      forcePathStyle: true,
    });
    const bucket = () => ({ Bucket: outputs.bucketName });
    const put = async (name: FunctionName, Key: string) =>
      await new S3Client(as(name)).send(new PutObjectCommand({ ...bucket(), Key, Body: "x" }));
    const read = async (name: FunctionName, Key: string) =>
      await new S3Client(as(name)).send(new GetObjectCommand({ ...bucket(), Key }));
    const remove = async (name: FunctionName, Key: string) =>
      await new S3Client(as(name)).send(new DeleteObjectCommand({ ...bucket(), Key }));
    const parameter = "/millpond/iam/tokens";

    const forbidden: [FunctionName, string, () => Promise<unknown>][] = [
      ["hello", "to read the lake", () => read("hello", "lake/people/x.parquet")],
      ["ingest", "to write to the inbox", () => put("ingest", "inbox/people/b.csv")],
      ["ingest", "to delete an upload", () => remove("ingest", "inbox/people/a b.csv")],
      ["ingest", "to delete rows", () => remove("ingest", "lake/people/x.parquet")],
      [
        "ingest",
        "to read the stage's secret",
        () => new SSMClient(as("ingest")).send(new GetParameterCommand({ Name: parameter })),
      ],
      [
        "ingest",
        "to announce uploads",
        () =>
          new SNSClient(as("ingest")).send(
            new PublishCommand({ TopicArn: outputs.topicArn, Message: "{}" }),
          ),
      ],
      ["query", "to read uploads", () => read("query", "inbox/people/a b.csv")],
      ["query", "to delete uploads", () => remove("query", "inbox/people/a b.csv")],
      ["query", "to write rows", () => put("query", "lake/people/x.parquet")],
      ["query", "to clear a rejection", () => remove("query", "rejected/broken/x.json")],
      [
        "query",
        "to change the stage's secret",
        () =>
          new SSMClient(as("query")).send(
            new PutParameterCommand({ Name: parameter, Value: "mine", Overwrite: true }),
          ),
      ],
      [
        "query",
        "to read another stage's secret",
        () =>
          new SSMClient(as("query")).send(
            new GetParameterCommand({ Name: "/millpond/prod/tokens" }),
          ),
      ],
      [
        "query",
        "to list all buckets",
        () => new S3Client(as("query")).send(new ListBucketsCommand({})),
      ],
      [
        "query",
        "to open the bucket to others",
        () =>
          new S3Client(as("query")).send(
            new PutBucketPolicyCommand({ ...bucket(), Policy: '{"Statement":[]}' }),
          ),
      ],
      ["sweep", "to write rows", () => put("sweep", "lake/people/x.parquet")],
      [
        "sweep",
        "to invoke another function",
        () =>
          new LambdaClient(as("sweep")).send(
            new InvokeCommand({ FunctionName: outputs.functionNames.ingest }),
          ),
      ],
      [
        "sweep",
        "to change code",
        () =>
          new LambdaClient(as("sweep")).send(
            new UpdateFunctionCodeCommand({
              FunctionName: outputs.functionNames.query,
              ImageUri: "another",
            }),
          ),
      ],
    ];
    it("nothing to the same keys that is a function's work", async () => {
      const { Contents = [] } = await s3.send(
        new ListObjectsV2Command({ ...bucket(), Prefix: "lake/people/" }),
      );
      const rows = await read("query", String(Contents[0]?.Key));

      expect(rows.ContentLength).to.be.greaterThan(0);
    });

    for (const [name, what, attempt] of forbidden) {
      it(`${name} ${what}`, async () => {
        const thrown = await attempt().then(
          () => ({ name: "it was let" }),
          (error: Error) => error,
        );

        // SNS has a name of its own for it.
        expect(thrown.name).to.match(/^(AccessDenied|AuthorizationError)/);
      });
    }
  });

  it("changes its functions and its record alone when the image changes", async () => {
    const changed = await otherImage();
    images.push(changed);
    await stack.setConfig("imageUri", changed);

    expect(await stack.up())
      .to.include({ update: 5 })
      .and.not.have.any.keys("create", "delete", "replace");
    await upload("inbox/more.csv", "a\n1\n");
    await eventually(60, "the functions of the new image did not answer", async () =>
      (await ask("FROM more")).text === "a\n1\n" ? true : undefined,
    );
    expect(await docker("ps", "--quiet", "--filter", `ancestor=${changed}`)).to.not.equal("");
  });

  it("goes back to the image that ran before, and stays with it", async () => {
    const rollback = (...args: string[]) =>
      command("rollback", "--config-file", stack.configFile, ...args);

    const listed = await rollback("--json");
    const unasked = await rollback("--to", "2");
    const back = await rollback("--to", "2", "--yes");

    const [changed, first] = [images[1], images[0]];
    expect(listed.values.map(({ imageUri, current }) => [imageUri, current])).to.deep.equal([
      [changed, true],
      [first, false],
    ]);
    expect(unasked.code).to.equal(2);
    expect(unasked.stderr).to.contain("--yes");
    expect(back.code, back.stderr).to.equal(0);
    expect(await stack.outputs()).to.include({ imageUri: first });
    // The next pulumi up undoes nothing.
    expect(await stack.isCurrent()).to.equal(true);
  });
});
