import { expect } from "chai";
import { readSettings } from "../app/environment.ts";
import type { MillpondError } from "../app/errors.ts";

describe("readSettings", () => {
  function problem(environment: Record<string, string>): string {
    try {
      readSettings(environment);
    } catch (error) {
      expect((error as MillpondError).code).to.equal("environment");
      return (error as Error).message;
    }
    throw new Error("the environment was taken");
  }

  it("takes defaults for all but the store", () => {
    const settings = readSettings({ MILLPOND_STORE: "/pond" });

    expect(settings).to.include({ store: "/pond", queryDeadlineMs: 25_000, diskMiB: 10_240 });
    expect(settings.memoryMiB).to.be.within(128, 4096);
    expect(settings.threads).to.be.at.least(1);
    expect(settings.queries).to.match(/\/queries\/?$/);
  });

  it("takes memory and processors from the function's memory in Lambda", () => {
    const of = (memory: string) =>
      readSettings({ MILLPOND_STORE: "/pond", AWS_LAMBDA_FUNCTION_MEMORY_SIZE: memory });

    expect(of("1024")).to.include({ memoryMiB: 1024, threads: 1, diskMiB: 512 });
    expect(of("3008")).to.include({ memoryMiB: 3008, threads: 2 });
    expect(of("10240")).to.include({ memoryMiB: 10_240, threads: 6 });
  });

  it("says which variable is missing, in other words than which is malformed", () => {
    expect(problem({})).to.match(/^MILLPOND_STORE is not set: give/);
    expect(problem({ MILLPOND_STORE: "pond" })).to.equal(
      'MILLPOND_STORE must be an absolute path, got "pond"',
    );
  });

  for (const [name, value, message] of [
    ["MILLPOND_MEMORY_MIB", "lots", 'must be a whole number, got "lots"'],
    ["MILLPOND_MEMORY_MIB", "1", "must be at least 128, got 1"],
    ["MILLPOND_QUERY_DEADLINE_SECONDS", "0", "must be at least 1"],
    ["MILLPOND_QUERY_DEADLINE_SECONDS", "1e3", "must be a whole number"],
    ["MILLPOND_DISK_MIB", "-5", "must be a whole number"],
  ] as const) {
    it(`refuses ${name}=${value}`, () => {
      expect(problem({ MILLPOND_STORE: "/pond", [name]: value })).to.contain(`${name} ${message}`);
    });
  }

  it("says all that is wrong at once", () => {
    expect(problem({ MILLPOND_MEMORY_MIB: "x" })).to.match(
      /MILLPOND_STORE.*; .*MILLPOND_MEMORY_MIB/,
    );
  });
});
