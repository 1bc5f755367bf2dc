import { execFile } from "node:child_process";
import http from "node:http";
import type { AddressInfo } from "node:net";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { expect } from "chai";
import { noCredentials } from "../failure.ts";

const store = fileURLToPath(new URL("../../app/store/s3-store.ts", import.meta.url));
const keys = { AWS_ACCESS_KEY_ID: "AK", AWS_SECRET_ACCESS_KEY: "none" };
const region = { AWS_REGION: "eu-central-1" };

describe("what a person reads who has set something wrong", () => {
  /** In a process of its own, as the SDK reads its environment once. */
  async function message(environment: Record<string, string>, call: string): Promise<string> {
    const script = `
      import { S3Store } from ${JSON.stringify(store)};
      const store = new S3Store({ bucket: "my-pond", endpoint: process.env.ENDPOINT });
      const list = async () => { for await (const _ of store.list("lake/")); };
      await (${call}).then(
        () => console.log("nothing was wrong"),
        (error) => console.log(error.code + ": " + error.message),
      );
    `;
    const { stdout } = await promisify(execFile)(
      process.execPath,
      ["--input-type=module", "--eval", script],
      { env: { ...noCredentials, ...environment } },
    );
    return stdout.trim();
  }

  for (const call of ["list()", "store.read('a')", "store.access()"]) {
    it(`names AWS_REGION where ${call} has none`, async () => {
      expect(await message(keys, call)).to.match(
        /^store-credentials: no region for s3:\/\/my-pond\/.*: set AWS_REGION to the bucket's$/,
      );
    });
  }

  it("says what can give credentials where there are none", async () => {
    expect(await message(region, "store.keys()")).to.match(
      /^store-credentials: no credentials for s3:\/\/my-pond\/: set AWS_ACCESS_KEY_ID/,
    );
  });

  it("says what to do about a profile that isn't there", async () => {
    expect(await message({ ...region, AWS_PROFILE: "typo" }, "store.keys()")).to.match(
      /^store-credentials: no credentials for .* or AWS_PROFILE to a profile that there is/,
    );
  });

  it("names the endpoint where nothing answers", async () => {
    const ENDPOINT = "http://127.0.0.1:1";
    expect(await message({ ...keys, ...region, ENDPOINT }, "list()")).to.match(
      /^store-unavailable: .*ECONNREFUSED.*; check the network, and AWS_ENDPOINT_URL_S3/,
    );
  });

  for (const call of [
    "list()",
    "store.head('inbox/a.csv')",
    "store.read('inbox/a.csv')",
    "store.checkOut('inbox/a.csv', 'x', '/tmp')",
  ])
    it(`names the endpoint where something else than S3 answers ${call}`, async () => {
      const server = http.createServer((_, response) => {
        response.writeHead(404, { "content-type": "text/html" }).end("<h1>no</h1>");
      });
      await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
      const ENDPOINT = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
      try {
        expect(await message({ ...keys, ...region, ENDPOINT }, call)).to.match(
          /^store-missing: what answers for s3:\/\/my-pond\/\S* is not S3.*AWS_ENDPOINT_URL/,
        );
      } finally {
        server.close();
      }
    });
});
