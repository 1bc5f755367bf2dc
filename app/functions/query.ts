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

/** Bytes of text that are left as they are: well below the 6 MB that a function may return, and what a person may read. */
const mostTextBytes = 1024 * 1024;

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
      return fitting(await respond(event as LambdaEvent, context as never));
    });
  };
}

/** Text grows when Lambda writes it as JSON, by a backslash for each quote; Base64 by a third at most. */
function fitting(answer: APIGatewayProxyResult): APIGatewayProxyResult {
  if (answer.isBase64Encoded || Buffer.byteLength(JSON.stringify(answer.body)) < mostTextBytes) {
    return answer;
  }
  return { ...answer, isBase64Encoded: true, body: Buffer.from(answer.body).toString("base64") };
}

export const handler = createHandler(processPond);
