import { expect } from "chai";
import { MillpondError } from "../app/errors.ts";

/** An environment in which AWS's SDK finds no keys, whoever runs the tests. */
export const noCredentials = { HOME: "/nonexistent", AWS_EC2_METADATA_DISABLED: "true" };

/** The error of ours that `work` throws; fails when it throws another, or none. */
export function failure(work: () => unknown): MillpondError {
  try {
    work();
  } catch (error) {
    expect(error).to.be.instanceOf(MillpondError);
    return error as MillpondError;
  }
  return expect.fail("nothing was thrown");
}

/** The same for work that promises. */
export async function rejection(work: Promise<unknown>): Promise<MillpondError> {
  const thrown = await work.then(
    () => expect.fail("nothing was thrown"),
    (error: unknown) => error,
  );
  expect(thrown).to.be.instanceOf(MillpondError);
  return thrown as MillpondError;
}
