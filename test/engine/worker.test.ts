import { type ChildProcess, fork } from "node:child_process";
import fs from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { expect } from "chai";
import type { FromWorker, QueryRequest, ToWorker } from "../../app/engine/protocol.ts";

const program = fileURLToPath(new URL("../../app/engine/worker.ts", import.meta.url));

/** Runs for hours: only an interrupt ends it. */
const endless =
  "SELECT count(*) FROM range(10000000) a(i), range(10000000) b(j) WHERE hash(i, j) = 1";

describe("the engine's worker", () => {
  let folder: string;
  let worker: ChildProcess;

  beforeEach(async () => {
    folder = await fs.realpath(await fs.mkdtemp(path.join(os.tmpdir(), "millpond-test-")));
    worker = fork(program, { serialization: "advanced" });
  });
  afterEach(async () => {
    worker.kill("SIGKILL");
    await fs.rm(folder, { recursive: true });
  });

  const tell = (message: ToWorker) => worker.send(message);
  const told = async () =>
    await new Promise<FromWorker>((resolve) => worker.once("message", resolve));

  it("ends a request that is interrupted before it has a connection, and goes on", async () => {
    tell({
      kind: "setup",
      setup: {
        allowedDirectories: [`${folder}/`],
        temporaryDirectory: path.join(folder, "spill"),
        memoryMiB: 256,
        diskMiB: 256,
        threads: 1,
        bucket: undefined,
      },
    });
    expect(await told()).to.deep.equal({ kind: "ready" });
    const query = (sql: string): QueryRequest => ({
      kind: "query",
      sql,
      parameters: [],
      tables: [],
      format: "csv",
      output: path.join(folder, "answer"),
    });

    // Both are there before the first has anything of DuckDB.
    tell({ kind: "request", id: 1, request: query(endless) });
    tell({ kind: "interrupt", id: 1 });
    const first = await told();
    tell({ kind: "request", id: 2, request: query("SELECT 7 AS next") });

    expect(first).to.deep.include({ kind: "error", id: 1 });
    expect(await told()).to.deep.include({ kind: "result", id: 2 });
  });
});
