import fs from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { gunzipSync, gzipSync } from "node:zlib";
import { expect } from "chai";
import { environmentNames } from "../../app/contract.ts";
import { readSettings } from "../../app/environment.ts";
import { ingest } from "../../app/flow/ingest.ts";
import { createHandler } from "../../app/functions/query.ts";
import type { PageFile } from "../../app/http/page.ts";
import { createLogger } from "../../app/logger.ts";
import { openPond, type Pond } from "../../app/pond.ts";
import { localContext } from "../../cli/local-context.ts";

/** As API Gateway hands a request over. */
interface Given {
  method?: string;
  path: string;
  headers?: Record<string, string>;
  body?: string;
  isBase64Encoded?: boolean;
  authorizer?: object;
}

describe("the query function behind API Gateway's signatures", () => {
  let folder: string;
  let pond: Pond;
  const logged: Record<string, unknown>[] = [];

  before(async () => {
    folder = await fs.mkdtemp(path.join(os.tmpdir(), "millpond-test-"));
    const settings = readSettings({
      [environmentNames.store]: folder,
      [environmentNames.auth]: "iam",
    });
    const logger = createLogger({ environment: {} });
    // Nothing on the terminal; what is logged can still be read.
    for (const transport of logger.transports) transport.silent = true;
    logger.on("data", (line: Record<string, unknown>) => logged.push(line));
    const [content, packed] = ["1", gzipSync("1")].map((one) => new Uint8Array(Buffer.from(one)));
    pond = await openPond(settings, logger, {
      page: async () => ({
        html: "",
        files: new Map([["main-1.js", { type: "text/javascript", content, packed } as PageFile]]),
      }),
    });
  });
  after(async () => {
    await pond.close();
    await fs.rm(folder, { recursive: true });
  });

  async function ask({ method = "GET", path: rawPath, headers = {}, authorizer, ...body }: Given) {
    const event = {
      version: "2.0",
      routeKey: "$default",
      rawPath,
      rawQueryString: "",
      headers: { host: "api.example", ...headers },
      requestContext: {
        http: { method, path: rawPath, sourceIp: "192.0.2.1", protocol: "HTTP/1.1" },
        ...(authorizer === undefined ? {} : { authorizer }),
      },
      isBase64Encoded: false,
      ...body,
    };
    return await createHandler(async () => pond)(event, localContext("query"));
  }
  const signed = { iam: { userArn: "arn:aws:iam::123456789012:user/alice" } };

  it("answers whom the event's context names", async () => {
    expect(await ask({ path: "/tables", authorizer: signed })).to.include({ statusCode: 200 });
  });

  it("measures a query that ran, and logs none of its SQL", async () => {
    const source = path.join(folder, "inbox/t/a.csv");
    await fs.mkdir(path.dirname(source), { recursive: true });
    await fs.writeFile(source, "id\n1\n2\n3\n4\n");
    const made = await ingest(pond.ingest, "inbox/t/a.csv");
    const size = made.kind === "converted" ? made.outputBytes : 0;
    const sql = "SELECT 'unsaid' AS a FROM t LIMIT 3";
    logged.length = 0;

    await ask({
      method: "POST",
      path: "/query",
      body: JSON.stringify({ sql }),
      authorizer: signed,
    });
    await ask({ path: "/tables", authorizer: signed });

    const [query, tables] = logged.filter(({ message }) => message === "request");
    expect(query).to.include({ path: "/query", status: 200, rows: 3, scanned: size });
    expect(query?.["metrics"]).to.include({ RowsAnswered: 3, BytesScanned: size });
    expect(query).to.have.nested.property("metrics.QueryDuration").that.is.within(0, 60_000);
    expect(tables).to.not.have.property("metrics");
    expect(JSON.stringify(logged)).to.not.contain("unsaid");
  });

  it("answers nobody else, whatever the request says", async () => {
    const claim = JSON.stringify({ authorizer: signed });
    for (const given of [
      { path: "/tables" },
      { path: "/tables", authorizer: {} },
      { path: "/tables", authorizer: { jwt: { claims: {} } } },
      { path: "/tables", headers: { requestcontext: claim, "x-amzn-request-context": claim } },
      { method: "POST", path: "/query", body: `{"requestContext": ${claim}}` },
    ]) {
      expect(await ask(given)).to.include({ statusCode: 401 });
    }
  });

  it("hands a file of the console over packed, as Base64", async () => {
    const answer = await ask({
      path: "/console/main-1.js",
      headers: { "accept-encoding": "gzip, br" },
      authorizer: signed,
    });

    expect(answer.isBase64Encoded).to.equal(true);
    expect(answer.headers).to.include({ "content-encoding": "gzip", vary: "accept-encoding" });
    expect(String(gunzipSync(Buffer.from(answer.body, "base64")))).to.equal("1");
  });

  it("reads a body that is packed, and comes as Base64", async () => {
    const answer = await ask({
      method: "POST",
      path: "/query",
      headers: { "content-type": "application/json", "content-encoding": "gzip" },
      body: gzipSync('{"sql": "SELECT 1 AS a"}').toString("base64"),
      isBase64Encoded: true,
      authorizer: signed,
    });

    expect(JSON.parse(answer.body)).to.deep.include({ data: [{ a: 1 }] });
  });
});
