import { execFile } from "node:child_process";
import fs from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { promisify } from "node:util";
import { expect } from "chai";
import { watchInbox } from "../../cli/watch-inbox.ts";

describe("watchInbox", () => {
  let root: string;

  beforeEach(async () => {
    root = await fs.mkdtemp(path.join(os.tmpdir(), "millpond-test-"));
    await fs.mkdir(path.join(root, "inbox"));
  });
  afterEach(async () => await fs.rm(root, { recursive: true }));

  it("sees each file of folders that are made at that moment", async () => {
    const told: string[] = [];
    const errors: unknown[] = [];
    const inbox = await watchInbox(
      root,
      "pond",
      (event) => {
        const [record] = (event as { Records: { Sns: { Message: string } }[] }).Records;
        const { Records } = JSON.parse(record?.Sns.Message ?? "") as {
          Records: { s3: { object: { key: string } } }[];
        };
        told.push(decodeURIComponent(Records[0]?.s3.object.key ?? ""));
      },
      (error) => errors.push(error),
    );
    const folders = 200;
    // In another process, which waits for none of the watcher's steps.
    const made = `i=0; while [ $i -lt ${folders} ]; do mkdir t$i; echo a > t$i/a.csv; i=$((i + 1)); done`;
    await promisify(execFile)("sh", ["-c", made], { cwd: path.join(root, "inbox") });
    const expected = Array.from({ length: folders }, (_, i) => `inbox/t${i}/a.csv`);
    // The test's own time limit ends it where one is missed.
    while (new Set(told).size < expected.length) await pause(20);
    await inbox.close();

    expect([...new Set(told)]).to.have.members(expected);
    expect(errors).to.deep.equal([]);
  });
});
