import http from "node:http";
import type { AddressInfo } from "node:net";
import { PutParameterCommand, SSMClient } from "@aws-sdk/client-ssm";
import { expect } from "chai";
import { Secrets } from "../app/secrets.ts";
import { rejection } from "./failure.ts";
import { emulatorOf } from "./s3/fixtures.ts";

describe("Secrets", () => {
  const prefix = `/millpond/test-${process.pid}/`;
  let endpoint: string;
  let ssm: SSMClient;
  let saved: string | undefined;

  before(async function () {
    ({ endpoint } = await emulatorOf(this));
    ssm = new SSMClient({ endpoint });
  });
  beforeEach(() => {
    saved = process.env["AWS_ENDPOINT_URL_SSM"];
    process.env["AWS_ENDPOINT_URL_SSM"] = endpoint;
  });
  afterEach(() => {
    if (saved === undefined) delete process.env["AWS_ENDPOINT_URL_SSM"];
    else process.env["AWS_ENDPOINT_URL_SSM"] = saved;
  });

  async function put(name: string, Value: string) {
    const Name = `${prefix}${name}`;
    await ssm.send(new PutParameterCommand({ Name, Value, Type: "SecureString", Overwrite: true }));
  }

  it("reads a parameter once, and again when its lifetime is over", async () => {
    await put("a", "one");
    const lasting = new Secrets({ prefix });
    const fleeting = new Secrets({ prefix, lifetimeMs: 0 });
    const before = [await lasting.get("a"), await fleeting.get("a")];

    await put("a", "two");

    expect(before).to.deep.equal(["one", "one"]);
    expect(await lasting.get("a")).to.equal("one");
    expect(await fleeting.get("a")).to.equal("two");
  });

  it("says which parameter is missing", async () => {
    const error = await rejection(new Secrets({ prefix }).get("none"));

    expect(error).to.include({ code: "secret-missing", retryable: false });
    expect(error.message).to.contain(`${prefix}none`).and.contain("pulumi config set --secret");
  });

  describe("from a service that says no", () => {
    let server: http.Server;
    let answer: { status: number; type: string; value?: string };
    let asked: number;

    beforeEach(async () => {
      asked = 0;
      server = http.createServer((_request, response) => {
        asked += 1;
        response.writeHead(answer.status, { "content-type": "application/x-amz-json-1.1" });
        const error = { __type: answer.type, message: "not for you" };
        const found = { Parameter: { Value: answer.value } };
        response.end(JSON.stringify(answer.value === undefined ? error : found));
      });
      await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
      const { port } = server.address() as AddressInfo;
      process.env["AWS_ENDPOINT_URL_SSM"] = `http://127.0.0.1:${port}`;
    });
    afterEach(async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    });

    it("says which permission is missing", async () => {
      answer = { status: 400, type: "AccessDeniedException" };

      const error = await rejection(new Secrets({ prefix }).get("a"));

      expect(error).to.include({ code: "secret-denied", retryable: false });
      expect(error.message).to.contain(`ssm:GetParameter`).and.contain(`${prefix}a`);
    });

    it("goes on with what it has while the service can't be reached, for a while", async () => {
      answer = { status: 200, type: "", value: "held" };
      const patient = new Secrets({ prefix, lifetimeMs: 0 });
      const impatient = new Secrets({ prefix, lifetimeMs: 0, graceMs: 0 });
      await patient.get("a");
      await impatient.get("a");
      answer = { status: 500, type: "InternalServerError" };

      expect(await patient.get("a")).to.equal("held");
      expect(await rejection(impatient.get("a"))).to.include({
        code: "secret-unavailable",
        retryable: true,
      });
    });

    it("goes on with what it has while the service is throttled", async () => {
      answer = { status: 200, type: "", value: "held" };
      const secrets = new Secrets({ prefix, lifetimeMs: 0 });
      await secrets.get("a");
      answer = { status: 400, type: "ThrottlingException" };

      expect(await secrets.get("a")).to.equal("held");
      asked = 0;
      expect(await secrets.get("a")).to.equal("held");
      expect(asked, "asked again at once").to.equal(0);
    });

    it("goes on with nothing that was taken back", async () => {
      answer = { status: 200, type: "", value: "held" };
      const secrets = new Secrets({ prefix, lifetimeMs: 0 });
      await secrets.get("a");
      answer = { status: 400, type: "ParameterNotFound" };

      expect(await rejection(secrets.get("a"))).to.include({ code: "secret-missing" });
    });

    it("asks once for many who wait", async () => {
      answer = { status: 200, type: "", value: "held" };
      const secrets = new Secrets({ prefix });

      await Promise.all(Array.from({ length: 10 }, () => secrets.get("a")));

      expect(asked).to.equal(1);
    });
  });
});
