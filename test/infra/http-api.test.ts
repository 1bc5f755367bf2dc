import { expect } from "chai";
import { ContainerFunction } from "../../infra/container-function.ts";
import { HttpApi, type HttpApiArgs } from "../../infra/http-api.ts";
import { build } from "./build.ts";

describe("HttpApi", () => {
  const made = (args: Partial<HttpApiArgs> = {}, routes = ["GET /hello", "$default"]) =>
    build(() => {
      const api = new HttpApi("api", { auth: "token", ...args });
      const fn = new ContainerFunction("query", {
        imageUri: "image",
        architecture: "arm64",
        handler: "index.query",
      });
      for (const route of routes) api.route(route, fn);
    });
  const route = "aws:apigatewayv2/route:Route";

  it("answers routes by a function that it may invoke", async () => {
    const { one, all } = await made();

    expect(all(route).map(({ inputs }) => inputs["routeKey"])).to.deep.equal([
      "GET /hello",
      "$default",
    ]);
    expect(one("aws:apigatewayv2/integration:Integration").inputs).to.include({
      integrationType: "AWS_PROXY",
      integrationUri: "invoke:millpond-dev-query-image",
      payloadFormatVersion: "2.0",
      timeoutMilliseconds: 30_000,
    });
    expect(one("aws:lambda/permission:Permission").inputs).to.include({
      principal: "apigateway.amazonaws.com",
      sourceArn: "execution:millpond-dev-api/*",
    });
  });

  it("leaves tokens to the function, and asks for signatures itself", async () => {
    const byToken = await made({ auth: "token" });
    const byIam = await made({ auth: "iam" });

    const types = (built: typeof byToken) =>
      built.all(route).map(({ inputs }) => inputs["authorizationType"]);
    expect(types(byToken)).to.deep.equal(["NONE", "NONE"]);
    expect(types(byIam)).to.deep.equal(["AWS_IAM", "AWS_IAM"]);
  });

  it("logs who asked for what, but not what the query string says", async () => {
    const { one } = await made({ logRetentionDays: 7 });

    const stage = one("aws:apigatewayv2/stage:Stage").inputs;
    const { format } = stage["accessLogSettings"] as { format: string };
    expect(Object.values(JSON.parse(format) as object)).to.include.members([
      "$context.identity.sourceIp",
      "$context.status",
      "$context.path",
    ]);
    expect(format).to.not.match(/querystring|\$context\.protocol/i);
    expect(one("aws:cloudwatch/logGroup:LogGroup", "api-log").inputs).to.include({
      name: "/aws/apigateway/millpond-dev-api",
      retentionInDays: 7,
    });
  });

  it("takes so many requests, and no more", async () => {
    const { one } = await made({ requestsPerSecond: 5, burst: 10 });

    expect(one("aws:apigatewayv2/stage:Stage").inputs["defaultRouteSettings"]).to.deep.equal({
      throttlingRateLimit: 5,
      throttlingBurstLimit: 10,
    });
  });

  it("lets pages of named origins call, and no others", async () => {
    const none = await made();
    const some = await made({ corsOrigins: ["https://example.com"] });

    const api = "aws:apigatewayv2/api:Api";
    expect(none.one(api).inputs).to.not.have.property("corsConfiguration");
    expect(some.one(api).inputs["corsConfiguration"]).to.include({ maxAge: 3600 });
    expect(some.one(api).inputs["corsConfiguration"]).to.deep.include({
      allowOrigins: ["https://example.com"],
      allowMethods: ["GET", "POST"],
      // What a page sends, and what it may look at, of a large answer's URL too.
      allowHeaders: ["authorization", "content-type", "accept", "if-none-match", "prefer"],
      exposeHeaders: [
        "etag",
        "preference-applied",
        "x-request-id",
        "x-millpond-rows",
        "x-millpond-elapsed",
      ],
    });
  });

  it("refuses what is no route, in the caller's words", async () => {
    const message = await made({}, ["/query"]).then(
      () => "it was taken",
      (error: Error) => error.message,
    );

    expect(message).to.contain('route must look like "GET /path", got "/query"');
  });
});
