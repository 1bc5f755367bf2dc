import { expect } from "chai";
import { MillpondError } from "../app/errors.ts";

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
