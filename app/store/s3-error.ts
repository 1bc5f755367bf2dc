import { S3ServiceException } from "@aws-sdk/client-s3";
import { MillpondError, messageOf } from "../errors.ts";

/** What each call needs, for messages. @see https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazons3.html */
export type S3Action = "s3:ListBucket" | "s3:GetObject" | "s3:PutObject" | "s3:DeleteObject";

/** Whether an error of S3 has one of these statuses. */
export function hasStatus(error: unknown, ...statuses: number[]): boolean {
  const status = error instanceof S3ServiceException ? error.$metadata.httpStatusCode : undefined;
  return status !== undefined && statuses.includes(status);
}

/**
 * What S3 said, or the network on the way there, in words that name the call and what may mend it.
 * @param where the bucket, or an object in it, as `s3://…`
 */
export function s3Error(error: unknown, action: S3Action, where: string): unknown {
  if (error instanceof MillpondError) return error;
  const cause = { cause: error };
  if (!(error instanceof Error)) return error;
  if (error.name === "CredentialsProviderError") {
    return new MillpondError(
      "store-credentials",
      `no credentials for ${where}: set AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY (${error.message})`,
      cause,
    );
  }
  if (error.name === "NoSuchBucket") {
    return new MillpondError("store-missing", `there is no bucket for ${where}`, cause);
  }
  if (hasStatus(error, 401, 403)) {
    return new MillpondError(
      "store-denied",
      `S3 refused ${action} on ${where}: ${error.message || error.name}; the role or user needs that permission`,
      cause,
    );
  }
  if (hasStatus(error, 301, 400)) {
    return new MillpondError(
      "store",
      `S3 refused ${action} on ${where}: ${error.name}: ${error.message}`,
      cause,
    );
  }
  // What remains is throttled, broken for a while, or never got there, and was tried again several times.
  return new MillpondError(
    "store-unavailable",
    `${action} on ${where} failed: ${error.name}: ${messageOf(error)}`,
    { retryable: true, ...cause },
  );
}
