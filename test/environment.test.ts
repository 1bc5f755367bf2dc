import os from "node:os";
import path from "node:path";
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

    expect(settings.store).to.deep.equal({ kind: "folder", path: "/pond" });
    expect(settings.scratch).to.equal("/pond/.millpond/work");
    expect(settings).to.include({ auth: "none", queryDeadlineMs: 25_000, diskMiB: 10_240 });
    expect(settings.memoryMiB).to.be.within(384, 4096);
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
      'MILLPOND_STORE must be the absolute path of a folder, or s3://<bucket>, got "pond"',
    );
  });

  it("takes a bucket, and then asks for tokens", () => {
    const settings = readSettings({ MILLPOND_STORE: "s3://my-pond", AWS_ENDPOINT_URL: "" });

    expect(settings.store).to.deep.equal({
      kind: "bucket",
      bucket: "my-pond",
      endpoint: undefined,
    });
    expect(settings.auth).to.equal("token");
    expect(settings.scratch).to.equal(path.join(os.tmpdir(), "millpond"));
  });

  it("takes the endpoint of S3 before that of all services, as AWS's SDKs do", () => {
    const endpoints = { AWS_ENDPOINT_URL: "http://all:1", AWS_ENDPOINT_URL_S3: "http://s3:2" };
    const settings = readSettings({ MILLPOND_STORE: "s3://my-pond", ...endpoints });

    expect(settings.store).to.include({ endpoint: "http://s3:2" });
  });

  for (const [name, value, message] of [
    ["MILLPOND_STORE", "s3://", "must be the absolute path of a folder, or s3://<bucket>"],
    ["MILLPOND_STORE", "s3://My_Bucket", "must be the absolute path of a folder, or s3://<bucket>"],
    [
      "MILLPOND_STORE",
      "s3://bucket/folder",
      "must be a whole bucket, such as s3://bucket, got a part",
    ],
    ["AWS_ENDPOINT_URL_S3", "localhost:4566", "must be http://<host>[:<port>]"],
    ["MILLPOND_AUTH", "None", 'must be token, iam or none, got "None"'],
    ["MILLPOND_SECRETS", "millpond", "must begin and end with a slash"],
    ["MILLPOND_EXTENSIONS", "ext", "must be an absolute path"],
    ["MILLPOND_MEMORY_MIB", "lots", 'must be a whole number, got "lots"'],
    ["MILLPOND_MEMORY_MIB", "1", "must be at least 384, got 1"],
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
