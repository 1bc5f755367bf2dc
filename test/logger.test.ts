import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { expect } from "chai";
import { levelFrom } from "../app/logger.ts";

describe("levelFrom", () => {
  for (const [environment, level] of [
    [{}, "info"],
    [{ LOG_LEVEL: "" }, "info"],
    [{ AWS_LAMBDA_LOG_LEVEL: "DEBUG" }, "debug"],
    [{ LOG_LEVEL: "warn", AWS_LAMBDA_LOG_LEVEL: "DEBUG" }, "warn"],
    [{ LOG_LEVEL: "TRACE" }, "silly"],
    [{ AWS_LAMBDA_LOG_LEVEL: "FATAL" }, "error"],
  ] as const) {
    it(`logs from ${level} for ${JSON.stringify(environment)}`, () => {
      expect(levelFrom(environment)).to.equal(level);
    });
  }

  for (const name of ["loud", "constructor", "silly "]) {
    it(`refuses ${JSON.stringify(name)}, and says what there is`, () => {
      expect(() => levelFrom({ LOG_LEVEL: name })).to.throw(
        /LOG_LEVEL must be one of fatal, error, warn, info, debug, trace, got/,
      );
    });
  }
});

describe("createLogger", () => {
  // A process of its own, as cold_start is about one.
  const script = `
    import { MillpondError } from ${JSON.stringify(fileURLToPath(new URL("../app/errors.ts", import.meta.url)))};
    import { createLogger, withInvocationKeys } from ${JSON.stringify(fileURLToPath(new URL("../app/logger.ts", import.meta.url)))};
    const logger = createLogger({ environment: process.env });
    logger.debug("hidden by default");
    logger.info("one", { rows: 1, text: "line\\nbreak\\u009b1m" });
    withInvocationKeys({ xray_trace_id: "t1" }, () =>
      withInvocationKeys({ function_request_id: "r1" }, () => logger.warn("two")));
    logger.error("three", { error: new Error("broken", { cause: new Error("root") }) });
    const cause = new MillpondError("disk-full", "no room");
    logger.error("four", { error: new MillpondError("store-denied", "S3 refused", { cause }) });
    withInvocationKeys({ function_name: "f" }, () =>
      logger.warn("five", { rows: 2, metrics: { RowsConverted: 2, IngestLag: 1500 } }));
  `;
  async function run(environment: Record<string, string>) {
    const arguments_ = ["--input-type=module", "--eval", script];
    const { stdout, stderr } = await promisify(execFile)(process.execPath, arguments_, {
      env: environment,
    });
    const lines = (text: string) => text.split("\n").filter((line) => line !== "");
    return { stdout, stderr, out: lines(stdout), err: lines(stderr) };
  }

  it("writes one JSON object a line in Lambda, each with Powertools' keys, none twice", async () => {
    const { out, stderr } = await run({ AWS_LAMBDA_FUNCTION_NAME: "ingest" });

    const lines = out.map((line) => JSON.parse(line) as Record<string, unknown>);
    expect(stderr).to.equal("");
    expect(lines.map(({ message }) => message)).to.deep.equal([
      "one",
      "two",
      "three",
      "four",
      "five",
    ]);
    for (const line of lines) {
      expect(line).to.include.keys("level", "message", "timestamp", "service", "cold_start");
      expect(line["service"]).to.equal("millpond");
      expect(Date.parse(line["timestamp"] as string)).to.be.closeTo(Date.now(), 60_000);
    }
    expect(lines[0]).to.include({ level: "info", rows: 1, text: "line\nbreak\u009b1m" });
    expect(lines.map((line) => line["function_request_id"])).to.deep.equal([
      undefined,
      "r1",
      undefined,
      undefined,
      undefined,
    ]);
    expect(lines.map((line) => line["xray_trace_id"])).to.deep.equal([
      undefined,
      "t1",
      undefined,
      undefined,
      undefined,
    ]);
    expect(lines[2]?.["error"]).to.include({ name: "Error", message: "broken" });
    expect(lines[2]?.["error"]).to.have.nested.property("cause.message", "root");
  });

  it("measures in CloudWatch's embedded metric format, and nowhere else", async () => {
    const { out } = await run({ AWS_LAMBDA_FUNCTION_NAME: "ingest" });
    const { stderr } = await run({});

    const line = JSON.parse(out[4] ?? "") as Record<string, unknown>;
    expect(line).to.include({ message: "five", rows: 2, RowsConverted: 2, IngestLag: 1500 });
    expect(line).to.not.have.property("metrics");
    // What the specification asks for: each metric, and the dimension, is a key of the line itself.
    expect(line).to.have.property("function_name", "f");
    expect(line["_aws"]).to.deep.equal({
      Timestamp: Date.parse(line["timestamp"] as string),
      CloudWatchMetrics: [
        {
          Namespace: "Millpond",
          Dimensions: [["function_name"]],
          Metrics: [
            { Name: "RowsConverted", Unit: "Count" },
            { Name: "IngestLag", Unit: "Milliseconds" },
          ],
        },
      ],
    });
    expect(stderr).to.match(/warn five rows=2\n$/);
  });

  it("says cold_start true exactly once in a process", async () => {
    const { out } = await run({ AWS_LAMBDA_FUNCTION_NAME: "ingest" });

    const starts = out.map((line) => (JSON.parse(line) as { cold_start: boolean }).cold_start);
    expect(starts).to.deep.equal([true, false, false, false, false]);
  });

  it("takes the level from the environment", async () => {
    const { out } = await run({
      AWS_LAMBDA_FUNCTION_NAME: "ingest",
      AWS_LAMBDA_LOG_LEVEL: "DEBUG",
    });

    expect(out).to.have.length(6);
  });

  it("writes for people elsewhere: on standard error, without colours where there is no terminal", async () => {
    const { stdout, err, stderr } = await run({});

    expect(stdout).to.equal("");
    expect(err[0]).to.match(
      /^\d\d:\d\d:\d\d\.\d{3} info one rows=1 text=line\\u000abreak\\u009b1m$/,
    );
    expect(stderr).to.match(/Error: broken\n\s+at /);
    expect(stderr).to.contain("\n    store-denied: S3 refused\n    because: disk-full: no room\n");
    expect(stderr).to.not.contain("\u001b[");
  });
});
