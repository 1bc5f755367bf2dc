import type { Context } from "aws-lambda";
import { type APIGatewayProxyResult, handle, type LambdaEvent } from "hono/aws-lambda";
import * as v from "valibot";
import { MillpondError } from "../errors.ts";
import type { Pond } from "../pond.ts";
import { queryFormats } from "../query/result-format.ts";
import { invocation, processPond } from "./invocation.ts";

/** What of an HTTP API's event is needed. @see https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-develop-integrations-lambda.html */
const schema = v.object({
  version: v.literal("2.0"),
  rawPath: v.string(),
  requestContext: v.object({ http: v.object({ method: v.string() }) }),
});

/** Answers HTTP requests as API Gateway's HTTP APIs hand them over, payload format 2.0. */
export function createHandler(open: () => Promise<Pond>) {
  return async (event: unknown, context: Context): Promise<APIGatewayProxyResult> => {
    const pond = await open();
    return await invocation(context, pond.logger, async () => {
      const parsed = v.safeParse(schema, event);
      if (!parsed.success) {
        const where = v.getDotPath(parsed.issues[0]) ?? "the event";
        throw new MillpondError(
          "event",
          `expected an event of an HTTP API, payload format 2.0: ${where}: ${parsed.issues[0].message}`,
        );
      }
      const respond = handle(pond.http, {
        isContentTypeBinary: (type) => type === queryFormats.parquet.mediaType,
      });
      return await respond(event as LambdaEvent, context as never);
    });
  };
}

export const handler = createHandler(processPond);
