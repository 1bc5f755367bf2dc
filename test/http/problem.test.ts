import { expect } from "chai";
import { MillpondError } from "../../app/errors.ts";
import { problemOf as problemWithin, type QueryLimits } from "../../app/http/problem.ts";

const limits: QueryLimits = {
  deadlineMs: 25_000,
  memoryMiB: 1769,
  diskMiB: 512,
  raise: {
    time: "MILLPOND_QUERY_DEADLINE_SECONDS",
    memory: "pulumi config set queryMemoryMiB",
    disk: "MILLPOND_DISK_MIB",
  },
};
const problemOf = (error: unknown, request?: string) => problemWithin(error, limits, request);

const secret = "IO Error: can't open /srv/pond/.millpond/index.sqlite with token hunter2";

describe("problemOf", () => {
  const statuses: [string, number, string][] = [
    ["sql-invalid", 400, "SQL invalid"],
    ["table-unknown", 400, "Table unknown"],
    ["parameters-invalid", 400, "Parameters invalid"],
    ["body-invalid", 400, "Body invalid"],
    ["format-unknown", 400, "Format unknown"],
    ["unauthorized", 401, "Unauthorized"],
    ["sql-refused", 403, "SQL refused"],
    ["not-found", 404, "Not found"],
    ["method-not-allowed", 405, "Method not allowed"],
    ["not-acceptable", 406, "Not acceptable"],
    ["body-too-large", 413, "Body too large"],
    ["media-type", 415, "Media type"],
    ["tables-changed", 503, "Tables changed"],
  ];
  for (const [code, status, title] of statuses) {
    it(`answers ${code} with ${status} and its message`, () => {
      expect(problemOf(new MillpondError(code, "what was wanted, what came"))).to.deep.equal({
        type: `urn:millpond:problem:${code}`,
        title,
        status,
        code,
        detail: "what was wanted, what came",
      });
    });
  }

  for (const [code, status, hint] of [
    ["deadline", 408, /25 s .*MILLPOND_QUERY_DEADLINE_SECONDS/],
    ["out-of-memory", 507, /1769 MiB.*pulumi config set queryMemoryMiB/],
    ["out-of-disk", 507, /512 MiB.*MILLPOND_DISK_MIB/],
    ["answer-too-large", 413, /512 MiB.*MILLPOND_DISK_MIB/],
  ] as const) {
    it(`answers ${code} with ${status} and what to do, not with the engine's words`, () => {
      const problem = problemOf(new MillpondError(code, secret, { retryable: true }));

      expect(problem).to.include({ code, status });
      expect(problem.detail).to.match(hint);
      expect(JSON.stringify(problem)).to.not.match(/pond\/|hunter2|IO Error/);
    });
  }

  it("names no setting where none raises the limit", () => {
    const problem = problemWithin(new MillpondError("deadline", secret), { ...limits, raise: {} });

    expect(problem.detail).to.match(/25 s that it may: ask for less at a time$/);
  });

  it("tells the facts beside the message, and lets them take the place of nothing", () => {
    const problem = problemOf(
      new MillpondError("sql-refused", "no", {
        details: {
          function: "getenv",
          status: 200,
          code: "fine",
          type: "x",
          detail: "x",
          title: "x",
        },
      }),
    );

    expect(problem).to.deep.equal({
      type: "urn:millpond:problem:sql-refused",
      title: "SQL refused",
      status: 403,
      code: "sql-refused",
      detail: "no",
      function: "getenv",
    });
  });

  for (const code of ["environment", "extension", "store-denied", "secret-missing"]) {
    it(`says of ${code} that the log has it, and nothing of the inside`, () => {
      expect(problemOf(new MillpondError(code, secret), "r1")).to.deep.equal({
        type: "urn:millpond:problem:misconfigured",
        title: "Misconfigured",
        status: 500,
        code: "misconfigured",
        detail:
          "Millpond is not set up right: its log says what is missing, under this request's id",
        request: "r1",
      });
    });
  }

  const inside: [string, unknown][] = [
    ["an error of ours that is no caller's", new MillpondError("engine-lock", secret)],
    [
      "facts and cause of an error of ours",
      new MillpondError("folder", secret, { details: { path: secret }, cause: new Error(secret) }),
    ],
    ["an error of somebody else's", new TypeError(secret)],
    [
      "an error that only has the code of one of ours",
      Object.assign(new Error(secret), { code: "not-found", status: 404 }),
    ],
    ["text that was thrown", secret],
    ["an object that was thrown", { code: "sql-invalid", message: secret }],
    ["nothing that was thrown", undefined],
    ["null that was thrown", null],
  ];
  for (const [what, error] of inside) {
    it(`says nothing of the inside for ${what}`, () => {
      expect(problemOf(error)).to.deep.equal({
        type: "urn:millpond:problem:internal",
        title: "Internal Server Error",
        status: 500,
        code: "internal",
        detail: "something went wrong inside; the log has the details under this request's id",
      });
    });
  }
});
