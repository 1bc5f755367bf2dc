import { PutObjectCommand } from "@aws-sdk/client-s3";
import { expect } from "chai";
import { environmentNames } from "../../app/contract.ts";
import { runCli } from "../run-cli.ts";
import { emulatorClient, newBucket } from "../s3/emulator.ts";
import { emulatorOf, type TestEmulator } from "../s3/fixtures.ts";

describe("invoke on a bucket", function () {
  this.timeout(60_000);
  let emulator: TestEmulator;
  let bucket: string;
  before(async function () {
    emulator = await emulatorOf(this);
    const client = emulatorClient(emulator.endpoint);
    bucket = await newBucket(client);
    const Body = "id,name\n1,Ann\n";
    await client.send(
      new PutObjectCommand({ Bucket: bucket, Key: "inbox/people.csv", Body: Buffer.from(Body) }),
    );
  });

  async function invoke(name: string, event: object): Promise<Record<string, unknown>> {
    const { stdout } = await runCli(["invoke", "-f", name, "-d", JSON.stringify(event)], {
      env: {
        ...process.env,
        AWS_ENDPOINT_URL: emulator.endpoint,
        [environmentNames.store]: `s3://${bucket}`,
        [environmentNames.extensions]: emulator.extensions,
      },
    });
    return JSON.parse(stdout) as Record<string, unknown>;
  }

  it("loads what is there, and answers", async () => {
    const swept = await invoke("sweep", {});
    const answer = await invoke("query", {
      version: "2.0",
      rawPath: "/query",
      rawQueryString: "format=csv&sql=FROM%20people",
      requestContext: { http: { method: "GET", path: "/query" } },
    });

    expect(swept).to.deep.include({ sources: 1, announced: 1 });
    expect(swept["ingested"]).to.include({ converted: 1, rejected: 0 });
    expect(answer).to.include({ statusCode: 200, body: "id,name\n1,Ann\n" });
  });
});
