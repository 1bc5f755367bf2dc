/** A call that can't be done as it was typed: exit code 2. */
export class UsageError extends Error {
  override name = "UsageError";
}
