import { spawnSync } from "node:child_process";
import fs from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { expect } from "chai";
import { parse } from "yaml";

const root = fileURLToPath(new URL("../", import.meta.url));
const folder = path.join(root, ".github/workflows");

interface Job {
  uses?: string;
  "timeout-minutes"?: number;
  steps?: { uses?: string; run?: string }[];
}
interface Workflow {
  on: Record<string, unknown>;
  permissions?: Record<string, string>;
  jobs: Record<string, Job>;
}

describe("the workflows of GitHub's", () => {
  const files = fs.readdirSync(folder).filter((name) => name.endsWith(".yml"));
  const { scripts } = JSON.parse(fs.readFileSync(path.join(root, "package.json"), "utf8")) as {
    scripts: Record<string, string>;
  };
  const read = (name: string) =>
    parse(fs.readFileSync(path.join(folder, name), "utf8")) as Workflow;

  it("are there", () => {
    expect(files).to.have.members(["check.yml", "deploy.yml", "preview.yml", "stage.yml"]);
  });

  for (const name of files) {
    describe(name, () => {
      const { on, permissions, jobs } = read(name);
      const steps = Object.values(jobs).flatMap((job) => job.steps ?? []);
      const scriptsOf = steps.flatMap(({ run }) => (run === undefined ? [] : [run]));

      it("runs what bash reads, and pastes into it nothing that a stranger writes", () => {
        for (const run of scriptsOf) {
          const { status, stderr } = spawnSync("bash", ["-n"], { input: run, encoding: "utf8" });
          expect(status, stderr).to.equal(0);
          expect(run).to.not.contain("${{");
        }
      });

      it("runs commands that there are", () => {
        for (const run of scriptsOf) {
          for (const [, script = ""] of run.matchAll(/npm run (?:-s )?([\w:-]+)/g)) {
            expect(scripts).to.have.property(script);
          }
          for (const [, file = ""] of run.matchAll(/\bbash (\S+)/g)) {
            expect(fs.existsSync(path.join(root, file)), file).to.equal(true);
          }
        }
      });

      it("calls files that there are, and ends when it hangs", () => {
        for (const job of Object.values(jobs)) {
          if (job.uses === undefined) expect(job["timeout-minutes"]).to.be.within(1, 60);
          else expect(fs.existsSync(path.join(root, job.uses)), job.uses).to.equal(true);
        }
      });

      it("gives a pull request's code no more than its own branch has", () => {
        expect(on).to.not.have.property("pull_request_target");
        // Who is called has the rights of who calls.
        if (Object.keys(on).some((event) => event !== "workflow_call")) {
          expect(permissions).to.include({ contents: "read" });
        }
      });
    });
  }

  it("build one image, and deploy it by its digest, to prod after dev and with its rules", () => {
    const { build, dev, prod } = read("deploy.yml").jobs as Record<
      string,
      Job & { needs: string | string[]; with?: Record<string, string> }
    >;
    expect(build?.needs).to.equal("check");
    expect(dev?.needs).to.equal("build");
    expect(prod?.needs).to.include("dev");
    for (const stage of [dev, prod]) {
      expect(stage?.with?.["image"]).to.match(/^\$\{\{ needs\.build\.outputs\.image \}\}$/);
    }
    const stage = read("stage.yml").jobs["deploy"] as Job & { environment: string };
    expect(stage.environment).to.match(/^\$\{\{ inputs\.stack \}\}$/);
    expect(stage.steps?.map(({ run }) => run).join("\n")).to.contain('--config "imageUri=$IMAGE"');
  });
});
