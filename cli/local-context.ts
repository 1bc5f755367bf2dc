import { randomUUID } from "node:crypto";
import type { Context } from "aws-lambda";
import type { FunctionName } from "../app/contract.ts";

/** Time that a function has on one machine: Lambda's own limit. */
const timeoutMs = 15 * 60 * 1000;

/** What Lambda hands to a function beside the event. */
export function localContext(name: FunctionName): Context {
  const end = Date.now() + timeoutMs;
  return {
    awsRequestId: randomUUID(),
    functionName: name,
    functionVersion: "$LATEST",
    invokedFunctionArn: `arn:aws:lambda:local:000000000000:function:${name}`,
    memoryLimitInMB: "0",
    logGroupName: `/aws/lambda/${name}`,
    logStreamName: "local",
    callbackWaitsForEmptyEventLoop: true,
    getRemainingTimeInMillis: () => Math.max(0, end - Date.now()),
    done: () => {},
    fail: () => {},
    succeed: () => {},
  };
}
