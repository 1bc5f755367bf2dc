import { MillpondError, messageOf } from "../app/errors.ts";

/**
 * What AWS said to a call that a person made, in words that name the call and what may mend it.
 * @param action as IAM calls it
 */
export function awsError(error: unknown, action: string, where: string): MillpondError {
  const { name } = error as Error;
  const failed = (advice: string) =>
    new MillpondError("aws", `${action} on ${where} failed: ${advice} (${messageOf(error)})`, {
      cause: error,
    });
  if (name === "CredentialsProviderError") {
    return failed("set AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY");
  }
  if (/^Region is missing/.test(messageOf(error))) return failed("set AWS_REGION");
  if (/^AccessDenied|^Unauthorized/.test(name)) return failed("your keys need that permission");
  if (/^ExpiredToken|^InvalidClientTokenId|^UnrecognizedClient/.test(name)) {
    return failed("the keys are not valid, or have expired: sign in again");
  }
  if (name === "ResourceNotFoundException" || name === "NoSuchBucket") {
    return failed("it is not there: are these the keys of the account that has the stack?");
  }
  return failed(name);
}
