import { type ChildProcess, spawn } from "node:child_process";
import fs from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import readline from "node:readline";
import { fileURLToPath } from "node:url";
import { expect } from "chai";
import { containersOf } from "../../cli/docker.ts";
import { labelAt } from "../../cli/rehearsal/emulator.ts";
import type { StepResult } from "../../cli/steps.ts";
import { docker } from "../image/docker.ts";
import { stackImage, tag } from "./build.ts";

const root = fileURLToPath(new URL("../../", import.meta.url));

/** What a rehearsal is worth: a step that goes missing is missed here. */
const journey: readonly [string, RegExp][] = [
  ["what it takes is there", /^Docker \d[^ ]*, Pulumi v3\./],
  ["the image", new RegExp(`^${tag}$`)],
  ["the emulator starts", /^http:\/\/127\.0\.0\.1:\d+$/],
  ["pulumi stack init rehearsal", /^for (arm64|x86_64)/],
  [
    "pulumi up, without its secret, says which command is missing",
    /^pulumi config set --stack rehearsal --secret --path 'secrets\.tokens'/,
  ],
  ["pulumi up", /^\d+ resources$/],
  ["another pulumi up changes nothing", /^\d+ the same$/],
  ["the API answers", /^http:\/\//],
  ["a wrong token is refused", /^401$/],
  ["an uploaded file can be queried", /from upload to rows$/],
  ["a file that can't be read is rejected, with the reason", /^malformed-parquet$/],
  ["a large answer is redirected to the bucket", /^\d\.\d+ MB, 200000 rows$/],
  ["the log has a request by its id", /^\/aws\/lambda\/millpond-rehearsal-query-image$/],
  ["what it left is removed", /^5 objects$/],
  ["rows to come back to", /^s3:\/\/millpond-rehearsal-000000000000-eu-central-1\/inbox\//],
  ["no secret is in the state, the outputs, the functions or their logs", /^\d+ lines of logs$/],
  ["another level of logs changes the functions alone", /^4 updates, \d+ the same$/],
  ["another secret changes its parameter alone", /^1 update, \d+ the same$/],
  ["protected data: pulumi destroy refuses to begin", /^$/],
  ["pulumi destroy leaves the data, as safe as it was", /^\d+ resources gone$/],
  ["pulumi up finds the data again, and answers the same", /^s3:\/\//],
];

describe("millpond rehearse", function () {
  // Real updates of a real engine.
  this.timeout(600_000);
  let imageId: string;
  let folder: string;
  const children: ChildProcess[] = [];

  before(async function () {
    imageId = await stackImage(this);
    folder = await fs.mkdtemp(path.join(os.tmpdir(), "millpond-test-"));
  });
  after(async () => {
    if (imageId === undefined) return;
    await docker("image", "rm", tag);
    await fs.rm(folder, { recursive: true });
  });

  function rehearse() {
    const args = ["cli/millpond.ts", "rehearse", "--image", tag, "--port", "0", "--json"];
    const child = spawn(process.execPath, args, {
      cwd: root,
      env: { ...process.env, TMPDIR: folder },
      stdio: ["ignore", "pipe", "inherit"],
    });
    children.push(child);
    const ended = new Promise<number | null>((resolve) => child.once("close", resolve));
    const lines = readline.createInterface({ input: child.stdout })[Symbol.asyncIterator]();
    const details = new Map<string, string>();
    const next = async (): Promise<StepResult> => {
      const { done, value } = await lines.next();
      if (done) throw new Error("it ended");
      const result = JSON.parse(value) as StepResult;
      details.set(result.step, result.detail);
      return result;
    };
    return { child, ended, next, details };
  }
  /** All that it may leave, but for the emulator's installation. */
  async function expectNothingLeft({ details }: ReturnType<typeof rehearse>) {
    const mine = (await fs.readdir(folder)).filter((name) => name.startsWith("millpond-"));
    expect(mine).to.deep.equal([]);
    const endpoint = details.get("the emulator starts") ?? "";
    expect(await containersOf(labelAt(endpoint))).to.deep.equal([]);
  }

  describe("from an empty account, through destroy, and back", () => {
    let run: ReturnType<typeof rehearse>;
    before(() => {
      run = rehearse();
    });
    after(() => void run?.child.kill("SIGTERM"));

    for (const [step, detail] of journey) {
      it(step, async () => {
        const result = await run.next();

        expect(result.step).to.equal(step);
        expect(result.ok, result.detail).to.equal(true);
        expect(result.detail).to.match(detail);
        // What is looked for at the end is known to be found.
        if (step === "the API answers") {
          expect(
            await containersOf(labelAt(run.details.get("the emulator starts") ?? "")),
          ).not.to.deep.equal([]);
        }
      });
    }

    it("ends with 0, and leaves nothing behind", async () => {
      expect(await run.ended).to.equal(0);
      await expectNothingLeft(run);
    });
  });

  it("ends in good order when it is interrupted in mid-update", async () => {
    const run = rehearse();
    for (const [step] of journey.slice(0, 5)) expect((await run.next()).step).to.equal(step);
    // It is in its first real update now.

    run.child.kill("SIGINT");

    expect(await run.ended).to.equal(130);
    await expectNothingLeft(run);
  });
});
