import fs from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { GetObjectCommand, type S3Client } from "@aws-sdk/client-s3";
import { expect } from "chai";
import { environmentNames } from "../../app/contract.ts";
import { readSettings } from "../../app/environment.ts";
import { ingest } from "../../app/flow/ingest.ts";
import { createLogger } from "../../app/logger.ts";
import { openPond, type Pond } from "../../app/pond.ts";
import { type LocalServer, serveLocal } from "../../cli/local-server.ts";
import { runCli } from "../run-cli.ts";
import { emulatorClient, newBucket } from "../s3/emulator.ts";
import { emulatorOf } from "../s3/fixtures.ts";
import { WatchingProxy } from "../s3/proxy.ts";

describe("put to the URL of a pond in a bucket", function () {
  this.timeout(60_000);
  const token = "a-token-of-24-characters";
  let client: S3Client;
  let proxy: WatchingProxy;
  let pond: Pond;
  let server: LocalServer;
  let bucket: string;
  let file: string;

  before(async function () {
    const emulator = await emulatorOf(this);
    client = emulatorClient(emulator.endpoint);
    proxy = await WatchingProxy.start(emulator.endpoint);
    bucket = await newBucket(client);
    const settings = readSettings({
      [environmentNames.store]: `s3://${bucket}`,
      [environmentNames.extensions]: emulator.extensions,
      AWS_ENDPOINT_URL_S3: proxy.url,
    });
    const logger = createLogger({ environment: { LOG_LEVEL: "fatal" } });
    pond = await openPond(settings, logger, { tokens: { cli: token } });
    server = await serveLocal(pond, { host: "127.0.0.1", port: 0, names: [], stallMs: 60_000 });
    file = path.join(await fs.mkdtemp(path.join(os.tmpdir(), "millpond-test-")), "days.csv");
    await fs.writeFile(file, "id\n1\n2\n");
  });
  after(async () => {
    await server?.close();
    await pond?.close();
    await proxy?.close();
    if (file !== undefined) await fs.rm(path.dirname(file), { recursive: true });
  });

  /** By somebody who has the URL and a token, and no keys. */
  const put = async (...args: string[]) =>
    await runCli(["put", "--url", server.url, "--json", file, ...args], {
      env: { PATH: process.env["PATH"], MILLPOND_TOKEN: token },
    });

  it("uploads by the URL that the pond signs, and sees the rows of that version", async () => {
    const uploaded = await put("--no-wait");
    const object = await client.send(
      new GetObjectCommand({ Bucket: bucket, Key: "inbox/days.csv" }),
    );
    await ingest(pond.ingest, "inbox/days.csv");
    const waited = await put();

    expect([uploaded.code, waited.code]).to.deep.equal([0, 0]);
    expect(await object.Body?.transformToString()).to.equal("id\n1\n2\n");
    expect(JSON.parse(waited.stdout)).to.include({ table: "days", rows: 2, rejection: null });
  });

  it("says why the bucket refuses it", async () => {
    proxy.onRequest = (request) => {
      if (request.method === "PUT") request.instead = "SlowDown";
    };
    const { code, stderr } = await put();

    expect(stderr).to.match(/^error: the bucket refused the upload \(503\): /);
    expect(code).to.equal(1);
  });
});
