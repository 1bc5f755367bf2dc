import * as aws from "@pulumi/aws";
import * as pulumi from "@pulumi/pulumi";
import type { ContainerFunction } from "./container-function.ts";
import { stageName, stageTags } from "./names.ts";
import type { ApiAuth } from "./stage-config.ts";

export interface HttpApiArgs {
  /** `iam`: API Gateway asks for a signature. `token` and `none`: whoever calls reaches the function, which asks, or doesn't. */
  auth: ApiAuth;
  /** Origins of pages that may call. @default [] */
  corsOrigins?: readonly string[];
  /** @default 50 */
  requestsPerSecond?: number;
  /** @default 100 */
  burst?: number;
  /** @default 30 */
  logRetentionDays?: number;
}

/** What the access log says of a request: not its query string, which may hold SQL. */
const accessLogFormat = {
  timestamp: "$context.requestTime",
  request: "$context.requestId",
  function_request_id: "$context.integration.requestId",
  ip: "$context.identity.sourceIp",
  method: "$context.httpMethod",
  route: "$context.routeKey",
  path: "$context.path",
  status: "$context.status",
  bytes: "$context.responseLength",
  milliseconds: "$context.responseLatency",
  error: "$context.integrationErrorMessage",
};

/** An HTTP API of API Gateway, whose routes are functions. */
export class HttpApi extends pulumi.ComponentResource {
  readonly url: pulumi.Output<string>;
  readonly logGroupName: string;
  readonly nodes: { api: aws.apigatewayv2.Api; stage: aws.apigatewayv2.Stage };
  readonly #name: string;
  readonly #auth: ApiAuth;
  readonly #integrations = new Map<ContainerFunction, aws.apigatewayv2.Integration>();

  constructor(name: string, args: HttpApiArgs, opts?: pulumi.ComponentResourceOptions) {
    super("millpond:infra:HttpApi", name, {}, opts);
    this.#name = name;
    this.#auth = args.auth;
    const cors = args.corsOrigins ?? [];
    const api = new aws.apigatewayv2.Api(
      `${name}-api`,
      {
        name: stageName(name),
        protocolType: "HTTP",
        ...(cors.length === 0
          ? {}
          : {
              corsConfiguration: {
                allowOrigins: [...cors],
                allowMethods: ["GET", "POST"],
                // A page can't follow a redirect to the bucket: by Prefer it is told the URL.
                allowHeaders: [
                  "authorization",
                  "content-type",
                  "accept",
                  "if-none-match",
                  "prefer",
                ],
                exposeHeaders: [
                  "etag",
                  "preference-applied",
                  "x-request-id",
                  "x-millpond-rows",
                  "x-millpond-elapsed",
                ],
                maxAge: 3600,
              },
            }),
        tags: stageTags(),
      },
      { parent: this },
    );
    this.logGroupName = `/aws/apigateway/${stageName(name)}`;
    const log = new aws.cloudwatch.LogGroup(
      `${name}-log`,
      {
        name: this.logGroupName,
        retentionInDays: args.logRetentionDays ?? 30,
        tags: stageTags(),
      },
      { parent: this },
    );
    const stage = new aws.apigatewayv2.Stage(
      `${name}-stage`,
      {
        apiId: api.id,
        name: "$default",
        autoDeploy: true,
        accessLogSettings: { destinationArn: log.arn, format: JSON.stringify(accessLogFormat) },
        defaultRouteSettings: {
          throttlingRateLimit: args.requestsPerSecond ?? 50,
          throttlingBurstLimit: args.burst ?? 100,
        },
        tags: stageTags(),
      },
      { parent: this },
    );
    this.url = api.apiEndpoint;
    this.nodes = { api, stage };
    this.registerOutputs({ url: this.url });
  }

  /**
   * Answers a route by a function.
   * @param route as `GET /path`, or `$default` for all that no other route takes
   */
  route(route: string, fn: ContainerFunction): aws.apigatewayv2.Route {
    if (route !== "$default" && !/^(GET|POST|PUT|DELETE|PATCH|HEAD|ANY) \/\S*$/.test(route)) {
      const message = `route must look like "GET /path", got "${route}"`;
      throw new pulumi.ResourceError(message, this, true);
    }
    const name = `${this.#name}-${routeName(route)}`;
    return new aws.apigatewayv2.Route(
      `${name}-route`,
      {
        apiId: this.nodes.api.id,
        routeKey: route,
        authorizationType: this.#auth === "iam" ? "AWS_IAM" : "NONE",
        target: pulumi.interpolate`integrations/${this.#integrationOf(name, fn).id}`,
      },
      { parent: this },
    );
  }

  /** One a function, however many routes it has; and with it the right to invoke. */
  #integrationOf(name: string, fn: ContainerFunction): aws.apigatewayv2.Integration {
    const known = this.#integrations.get(fn);
    if (known !== undefined) return known;
    const { api } = this.nodes;
    const permission = new aws.lambda.Permission(
      `${name}-permission`,
      {
        function: fn.name,
        action: "lambda:InvokeFunction",
        principal: "apigateway.amazonaws.com",
        sourceArn: pulumi.interpolate`${api.executionArn}/*`,
      },
      { parent: this },
    );
    const integration = new aws.apigatewayv2.Integration(
      `${name}-integration`,
      {
        apiId: api.id,
        integrationType: "AWS_PROXY",
        integrationUri: fn.invokeArn,
        payloadFormatVersion: "2.0",
        timeoutMilliseconds: 30_000,
      },
      { parent: this, dependsOn: [permission] },
    );
    this.#integrations.set(fn, integration);
    return integration;
  }
}

function routeName(route: string): string {
  return route === "$default"
    ? "default"
    : route
        .toLowerCase()
        .replace(/[^a-z0-9]+/g, "-")
        .replace(/-$/, "");
}
