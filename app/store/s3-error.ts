import { S3ServiceException } from "@aws-sdk/client-s3";
import { environmentNames } from "../contract.ts";
import { MillpondError, messageOf } from "../errors.ts";

/** What each call needs, for messages. @see https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazons3.html */
export type S3Action = "s3:ListBucket" | "s3:GetObject" | "s3:PutObject" | "s3:DeleteObject";

/** What to do about errors that name what is wrong. */
const refusals: Readonly<Record<string, string>> = {
  ExpiredToken: "the keys have expired: sign in again",
  InvalidAccessKeyId: "there is no such key: set AWS_ACCESS_KEY_ID, or AWS_PROFILE",
  SignatureDoesNotMatch: "AWS_SECRET_ACCESS_KEY is not that of the key",
  RequestTimeTooSkewed: "this machine's clock is wrong",
  InvalidObjectState: "the object is archived: restore it",
};

/** Whether an error of S3 has one of these statuses. */
export function hasStatus(error: unknown, ...statuses: number[]): boolean {
  const status = error instanceof S3ServiceException ? error.$metadata.httpStatusCode : undefined;
  return status !== undefined && statuses.includes(status);
}

/**
 * Whether S3 says that there is no such object, or not that version. A 404 of something else that answers at the
 * endpoint, a proxy or a website, is none: taken for an answer, files would count as gone.
 */
export function saysGone(error: unknown): boolean {
  if (hasStatus(error, 412)) return true;
  if (!hasStatus(error, 404) || !(error instanceof S3ServiceException)) return false;
  // A GET has a body that says so; an answer to HEAD has at most a type.
  if (/^NoSuch(Key|Version)$/.test(error.name)) return true;
  const { $response } = error as { $response?: { headers?: Record<string, string> } };
  const type = $response?.headers?.["content-type"] ?? "";
  return error.name === "NotFound" && !/^text\/|json/.test(type);
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
      `no credentials for ${where}: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE to a profile that there is, signed in (${error.message})`,
      cause,
    );
  }
  if (error.message === "Region is missing") {
    return new MillpondError(
      "store-credentials",
      `no region for ${where}: set AWS_REGION to the bucket's`,
      cause,
    );
  }
  if (error.name === "NoSuchBucket") {
    const bucket = where.split("/").slice(0, 3).join("/");
    return new MillpondError(
      "store-missing",
      `there is no bucket ${bucket}: check its name in ${environmentNames.store}`,
      cause,
    );
  }
  // An answer to HEAD has no body that could say more.
  const said = /^(Unknown|UnknownError|\d+)$/.test(error.name)
    ? ""
    : `: ${error.name}: ${error.message}`;
  const refused = (why: string) =>
    new MillpondError("store-denied", `S3 refused ${action} on ${where}${said}; ${why}`, cause);
  const advice = refusals[error.name];
  if (advice !== undefined) return refused(advice);
  if (hasStatus(error, 401, 403)) {
    return refused(
      action === "s3:GetObject"
        ? "it takes that permission, and s3:ListBucket on the bucket, without which S3 refuses what isn't there, too"
        : "it takes that permission",
    );
  }
  if (hasStatus(error, 301)) {
    const { $response } = error as { $response?: { headers?: Record<string, string> } };
    const region = $response?.headers?.["x-amz-bucket-region"];
    return refused(`the bucket is in ${region ?? "another region"}: set AWS_REGION`);
  }
  if (hasStatus(error, 400)) {
    return refused("the keys may have expired, or AWS_REGION may not be the bucket's");
  }
  // Whoever asks for what may not be there takes S3's own 404 for an answer.
  if (hasStatus(error, 404)) {
    return new MillpondError(
      "store-missing",
      `what answers for ${where} is not S3${said}; check AWS_ENDPOINT_URL_S3 and AWS_ENDPOINT_URL`,
      cause,
    );
  }
  const { code } = error as NodeJS.ErrnoException;
  if (code === "ECONNREFUSED" || code === "ENOTFOUND") {
    return new MillpondError(
      "store-unavailable",
      `${action} on ${where} failed: ${messageOf(error)}; check the network, and AWS_ENDPOINT_URL_S3 and AWS_ENDPOINT_URL`,
      { retryable: true, ...cause },
    );
  }
  // What remains is throttled, broken for a while, or never got there, and was tried again several times.
  return new MillpondError(
    "store-unavailable",
    `${action} on ${where} failed: ${error.name}: ${messageOf(error)}`,
    { retryable: true, ...cause },
  );
}
