import type { Context } from "aws-lambda";
import * as v from "valibot";
import { answerHeaders } from "../http/headers.ts";
import { invocation, processLogger } from "./invocation.ts";

const schema = v.object({
  queryStringParameters: v.optional(v.nullable(v.object({ name: v.optional(v.string()) }))),
});

/** The smallest function: `GET /hello?name=Alice`. It needs no engine and no store, so it tells apart what fails. */
export async function handler(event: unknown, context: Context) {
  const logger = processLogger();
  return await invocation(context, logger, async () => {
    const { queryStringParameters } = v.parse(schema, event);
    const name = queryStringParameters?.name ?? "world";
    logger.info("hello", { function: "hello" });
    return {
      statusCode: 200,
      headers: { "content-type": "application/json", ...answerHeaders("") },
      body: JSON.stringify({ message: `Hello, ${name}!` }),
    };
  });
}
