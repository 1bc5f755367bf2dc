import fs from "node:fs/promises";
import http from "node:http";
import type { AddressInfo } from "node:net";
import os from "node:os";
import path from "node:path";
import { gzipSync } from "node:zlib";
import { expect } from "chai";
import { environmentNames } from "../../app/contract.ts";
import { installHttpfs } from "../../cli/httpfs.ts";
import { rejection } from "../failure.ts";
import { emulatorOf } from "../s3/fixtures.ts";

describe("installHttpfs", () => {
  let extensions: string;
  let server: http.Server;
  let asked: string[];
  let home: string;

  before(async function () {
    ({ extensions } = await emulatorOf(this));
    server = http.createServer((request, response) => {
      asked.push(String(request.url));
      const file = path.join(extensions, String(request.url).replace(/\.gz$/, ""));
      fs.readFile(file).then(
        (content) => response.end(gzipSync(content, { level: 1 })),
        () => response.writeHead(404).end(),
      );
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  });
  after(() => server?.close());
  beforeEach(async () => {
    asked = [];
    home = await fs.mkdtemp(path.join(os.tmpdir(), "millpond-test-"));
  });
  afterEach(async () => await fs.rm(home, { recursive: true }));

  const repository = () => `http://127.0.0.1:${(server.address() as AddressInfo).port}`;

  it("fetches it once, and then finds it", async () => {
    await installHttpfs({}, { repository: repository(), home });
    await installHttpfs({}, { repository: repository(), home });

    expect(asked).to.have.length(1);
    expect(asked[0]).to.match(/^\/v[\d.]+\/\w+\/httpfs\.duckdb_extension\.gz$/);
  });

  it("fetches nothing where a folder of extensions is named", async () => {
    const environment = { [environmentNames.extensions]: extensions };
    await installHttpfs(environment, { repository: repository(), home });

    expect(asked).to.deep.equal([]);
  });

  it("says what to do where it can't be had", async () => {
    const failed = installHttpfs({}, { repository: "http://127.0.0.1:1", home });

    const error = await rejection(failed);
    expect(error.code).to.equal("extension");
    expect(error.message).to.match(/can't be fetched: .*in MILLPOND_EXTENSIONS, or use the image/);
    expect(error.message).to.not.contain("\n");
  });
});
