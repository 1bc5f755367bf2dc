import fs from "node:fs/promises";
import http from "node:http";
import os from "node:os";
import path from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import {
  GetBucketEncryptionCommand,
  GetBucketPolicyCommand,
  GetBucketVersioningCommand,
  GetPublicAccessBlockCommand,
  ListObjectsV2Command,
  PutObjectCommand,
  type S3Client,
} from "@aws-sdk/client-s3";
import { expect } from "chai";
import { type Architecture, architectureCalled, architectures } from "../../app/contract.ts";
import { image, substitutes } from "../image/build.ts";
import { docker, dockerMissing } from "../image/docker.ts";
import { emulatorClient } from "../s3/emulator.ts";
import { emulatorOf } from "../s3/fixtures.ts";
import { PulumiStack, pulumiMissing } from "./pulumi.ts";

const services = [
  "apigatewayv2",
  "cloudwatchlogs",
  "iam",
  "kms",
  "lambda",
  "logs",
  "s3",
  "s3control",
  "scheduler",
  "sns",
  "sqs",
  "ssm",
  "sts",
];
const token = "a-token-of-the-journey-0123456789";
const tag = "millpond-test:stack";

/** In the order of a stack's life: each test begins where the one before it ended. */
describe("a stack, from its first up to its return", function () {
  this.timeout(600_000);
  let folder: string;
  let stack: PulumiStack;
  let endpoint: string;
  let client: S3Client;
  let bucket: string;
  let imageId: string;
  /** Containers of the same image that were there before: somebody's own. */
  let foreign: string[];

  before(async function () {
    for (const missing of [await dockerMissing(), await pulumiMissing()]) {
      if (missing === undefined) continue;
      process.stderr.write(`skipped: ${missing}\n`);
      this.skip();
    }
    // S3 Control puts the account before the host's name, so that it must be a name.
    endpoint = (await emulatorOf(this)).endpoint.replace("127.0.0.1", "localhost");
    client = emulatorClient(endpoint);
    const host = architectureCalled("node", process.arch) as Architecture;
    process.stderr.write(`the functions run on ${host}, as this machine does\n`);
    const given = await substitutes([host]);
    const built = await image("--platform", architectures[host].platform, "--tag", tag, ...given);
    expect(built.code, built.text).to.equal(0);
    imageId = await docker("image", "inspect", tag, "--format", "{{.Id}}");
    foreign = await containers();
    folder = await fs.mkdtemp(path.join(os.tmpdir(), "millpond-test-"));
    stack = new PulumiStack("journey", folder, {});
    await stack.init([
      "aws:region: eu-central-1",
      "aws:skipCredentialsValidation: true",
      "aws:skipMetadataApiCheck: true",
      "aws:s3UsePathStyle: true",
      `aws:endpoints: [{${services.map((name) => `${name}: "${endpoint}"`).join(", ")}}]`,
      `millpond:architecture: ${host}`,
      `millpond:imageUri: ${imageId}`,
    ]);
  });
  after(async () => {
    if (folder !== undefined) await fs.rm(folder, { recursive: true });
    if (imageId === undefined) return;
    const left = (await containers()).filter((id) => !foreign.includes(id));
    if (left.length > 0) await docker("rm", "--force", ...left);
    await docker("image", "rm", tag);
  });

  async function containers(): Promise<string[]> {
    const found = await docker("ps", "--all", "--quiet", "--filter", `ancestor=${imageId}`);
    return found === "" ? [] : found.split("\n");
  }
  /** Through the API's own URL: the emulator tells APIs apart by the host's name, which no resolver here knows. */
  async function get(route: string, authorization = `Bearer ${token}`) {
    const { apiUrl } = await stack.outputs();
    const { host, port } = new URL(String(apiUrl));
    const headers = { host, authorization };
    return await new Promise<{ status: number; text: string }>((resolve, reject) => {
      const request = http.get({ host: "127.0.0.1", port, path: route, headers }, (response) => {
        let text = "";
        response.on("data", (chunk: Buffer) => {
          text += chunk.toString();
        });
        response.once("end", () => resolve({ status: response.statusCode ?? 0, text }));
      });
      request.once("error", reject);
    });
  }
  async function keys(prefix: string): Promise<string[]> {
    const listed = await client.send(new ListObjectsV2Command({ Bucket: bucket, Prefix: prefix }));
    return (listed.Contents ?? []).map(({ Key }) => Key as string);
  }
  const people = "/query?format=csv&sql=FROM%20people%20ORDER%20BY%20id";

  it("names the command where its secret is missing, before anything is made", async () => {
    const { code, text } = await stack.attempt("up");

    expect(code).to.not.equal(0);
    expect(text).to.contain(`pulumi config set --secret --path 'secrets.tokens'`);
  });

  it("goes up", async () => {
    await stack.setConfig("--secret", "--path", "millpond:secrets.tokens", token);

    const changes = await stack.up();
    ({ bucketName: bucket } = (await stack.outputs()) as { bucketName: string });

    expect(changes.create).to.be.greaterThan(50);
    expect(bucket).to.equal("millpond-journey-000000000000-eu-central-1");
  });

  it("has nothing to do when it is asked again", async () => {
    expect(await stack.isCurrent()).to.equal(true);
  });

  it("turns an uploaded file into a table that its API answers from", async () => {
    const Body = Buffer.from("id,name\n1,Ann\n2,Bo\n");
    await client.send(new PutObjectCommand({ Bucket: bucket, Key: "inbox/people/a b.csv", Body }));
    const end = Date.now() + 60_000;
    while ((await keys("lake/people/")).length === 0 && Date.now() < end) await pause(250);

    const answer = await get(people);

    expect(answer).to.deep.equal({ status: 200, text: "id,name\n1,Ann\n2,Bo\n" });
  });

  it("asks for a token", async () => {
    expect((await get(people, "Bearer wrong")).status).to.equal(401);
    expect((await get(people, "")).status).to.equal(401);
    expect((await get("/hello?name=Bo", "")).text).to.equal('{"message":"Hello, Bo!"}');
  });

  it("shows its secret nowhere", async () => {
    expect(await stack.state()).to.not.contain(token);
    expect(JSON.stringify(await stack.outputs())).to.not.contain(token);
  });

  it("changes its functions alone when the level of logs changes", async () => {
    await stack.setConfig("millpond:logLevel", "debug");

    expect(await stack.up())
      .to.include({ update: 4 })
      .and.not.have.any.keys("create", "delete", "replace");
  });

  it("changes one parameter when a secret changes", async () => {
    await stack.setConfig("--secret", "--path", "millpond:secrets.tokens", `${token}-new`);

    expect(await stack.up())
      .to.include({ update: 1 })
      .and.not.have.any.keys("create", "delete", "replace");
    await stack.setConfig("--secret", "--path", "millpond:secrets.tokens", token);
    await stack.up();
  });

  it("is not destroyed where its data is protected, not even in part", async () => {
    await stack.setConfig("millpond:protectData", "true");
    await stack.up();

    const { code, text } = await stack.attempt("destroy");

    expect(code).to.not.equal(0);
    expect(text).to.contain("protected");
    expect((await get(people)).status).to.equal(200);
    await stack.setConfig("millpond:protectData", "false");
    await stack.up();
  });

  it("leaves its data when it is destroyed, as safe as it was", async () => {
    const before = await keys("");

    await stack.destroy();

    const Bucket = bucket;
    const access = await client.send(new GetPublicAccessBlockCommand({ Bucket }));
    const encryption = await client.send(new GetBucketEncryptionCommand({ Bucket }));
    const versioning = await client.send(new GetBucketVersioningCommand({ Bucket }));
    const policy = await client.send(new GetBucketPolicyCommand({ Bucket }));
    expect(await keys("")).to.deep.equal(before);
    expect(Object.values(access.PublicAccessBlockConfiguration ?? {})).to.deep.equal([
      true,
      true,
      true,
      true,
    ]);
    expect(encryption.ServerSideEncryptionConfiguration?.Rules).to.have.length(1);
    expect(versioning.Status).to.equal("Enabled");
    expect(policy.Policy).to.contain("aws:SecureTransport");
  });

  it("finds it again when it comes back, and answers the same", async () => {
    const changes = await stack.up();

    expect(changes.import).to.equal(1);
    expect(await get(people)).to.deep.equal({ status: 200, text: "id,name\n1,Ann\n2,Bo\n" });
    expect(await stack.isCurrent()).to.equal(true);
  });
});
