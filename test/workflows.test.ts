import { spawnSync } from "node:child_process";
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { expect } from "chai";
import { parse } from "yaml";

const root = fileURLToPath(new URL("../", import.meta.url));
const folder = path.join(root, ".github/workflows");

interface Job {
  uses?: string;
  if?: string;
  needs?: string | string[];
  with?: Record<string, string>;
  environment?: string;
  concurrency?: { group: string };
  outputs?: Record<string, string>;
  "timeout-minutes"?: number;
  steps?: { id?: string; name?: string; uses?: string; run?: string }[];
}
interface Workflow {
  on: Record<string, unknown>;
  permissions?: Record<string, string>;
  concurrency?: unknown;
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
    expect(files).to.have.members([
      "check.yml",
      "deploy.yml",
      "preview.yml",
      "release.yml",
      "stage.yml",
    ]);
  });

  it("take from GitHub what docs/deploy.md says how to set up, and nothing else", () => {
    const guide = fs.readFileSync(path.join(root, "docs/deploy.md"), "utf8");
    const taken = files.flatMap((name) => [
      ...fs.readFileSync(path.join(folder, name), "utf8").matchAll(/\b(?:vars|secrets)\.(\w+)/g),
    ]);

    expect(taken).to.not.deep.equal([]);
    for (const [, name] of taken) expect(guide).to.contain(`\`${name}\``);
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

      it("names others' actions by a commit, which nobody can move", () => {
        for (const { uses } of steps)
          if (uses !== undefined) expect(uses).to.match(/@[0-9a-f]{40}$/);
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
    const { build, dev } = read("release.yml").jobs;
    const { release, prod } = read("deploy.yml").jobs;

    expect(build?.needs).to.equal("check");
    expect(dev?.needs).to.equal("build");
    expect(dev?.with?.["image"]).to.match(/^\$\{\{ needs\.build\.outputs\.image \}\}$/);
    expect(release?.uses).to.equal("./.github/workflows/release.yml");
    expect(prod?.needs).to.equal("release");
    expect(prod?.if).to.equal("needs.release.outputs.image != ''");
    expect(prod?.with?.["image"]).to.match(/^\$\{\{ needs\.release\.outputs\.image \}\}$/);
    expect(read("stage.yml").jobs["deploy"]?.environment).to.match(/^\$\{\{ inputs\.stack \}\}$/);
  });

  it("deploy to a stage one commit after the other, and to dev while prod waits for somebody", () => {
    const deploy = read("deploy.yml");

    expect(deploy).to.not.have.property("concurrency");
    expect(deploy.jobs["prod"]).to.not.have.property("concurrency");
    expect(deploy.jobs["release"]?.concurrency?.group).to.equal("release");
    const stage = read("stage.yml").jobs["deploy"];
    expect(stage?.concurrency?.group).to.match(/^stage-\$\{\{ inputs\.stack \}\}$/);
  });

  it("show a pull request's code nothing that a stage's role or secrets are", () => {
    const preview = fs.readFileSync(path.join(folder, "preview.yml"), "utf8");

    expect(preview).to.not.match(/vars\.AWS_ROLE|secrets\.PULUMI_|environment:/);
    // It gets neither secrets nor a token that writes, and would fail at each of its pull requests.
    expect(read("preview.yml").jobs["preview"]?.if).to.contain("github.actor != 'dependabot[bot]'");
  });

  describe("steps", () => {
    let work: string;
    beforeEach(() => {
      work = fs.mkdtempSync(path.join(os.tmpdir(), "millpond-test-"));
      for (const name of ["npx", "curl", "gh"]) {
        // Each says what it was called with, and answers what it is told to.
        const script = [
          "#!/usr/bin/env bash",
          `echo "${name} $*" >> calls`,
          `while IFS='|' read -r call answer status; do`,
          `  case "${name} $*" in $call) [ -z "$answer" ] || echo "$answer"; exit "$status";; esac`,
          "done < answers",
        ];
        fs.writeFileSync(path.join(work, name), script.join("\n"), { mode: 0o755 });
      }
    });
    afterEach(() => fs.rmSync(work, { recursive: true }));

    /** Runs a step as GitHub does. @param answers of commands, by how they are called, with `*` for anything */
    function step(
      [workflow, job, named]: [string, string, string],
      answers: Record<string, string | number>,
      environment: Record<string, string> = {},
    ) {
      const { run = "" } =
        read(workflow).jobs[job]?.steps?.find(({ id, name }) => (id ?? name) === named) ?? {};
      const lines = Object.entries(answers).map(([call, answer]) =>
        typeof answer === "number" ? `${call}||${answer}` : `${call}|${answer}|0`,
      );
      fs.writeFileSync(path.join(work, "answers"), `${lines.join("\n")}\n`);
      const { status, stdout, stderr } = spawnSync("bash", ["-e", "-c", run], {
        cwd: work,
        encoding: "utf8",
        env: {
          PATH: `${work}:${process.env["PATH"]}`,
          GITHUB_OUTPUT: "output",
          GITHUB_STEP_SUMMARY: "summary",
          ...environment,
        },
      });
      const file = (name: string) => {
        const found = path.join(work, name);
        return fs.existsSync(found) ? fs.readFileSync(found, "utf8") : "";
      };
      return { status, stdout, stderr, file, calls: file("calls").trim().split("\n") };
    }

    describe("that deploy an image", () => {
      const up = (answers: Record<string, string | number>) =>
        step(["stage.yml", "deploy", "up"], answers, { STACK: "prod", IMAGE: "r@sha256:new" });
      const command =
        "npx pulumi up --stack prod --yes --policy-pack policy --policy-pack-config policy.json --config imageUri=";

      it("deploy the one that was built, by the rules for the stage's architecture", () => {
        const { status, stdout, calls, file } = up({ "*config get architecture*": "x86_64" });

        expect(status).to.equal(0);
        expect(calls.at(-1)).to.equal(`${command}r@sha256:new`);
        expect(JSON.parse(file("policy.json"))).to.deep.equal({
          "one-architecture": { architecture: "x86_64" },
        });
        expect(file("output")).to.equal("image=r@sha256:new\n");
        expect(stdout).to.equal("");
      });

      it("leave a stage at the image that its file names, and say so", () => {
        const { status, stdout, calls, file } = up({ "*config get imageUri*": "r@sha256:old" });

        expect(status).to.equal(0);
        expect(calls.at(-1)).to.equal(`${command}r@sha256:old`);
        expect(file("output")).to.equal("");
        for (const text of [stdout, file("summary")]) {
          expect(text).to.contain("prod stays at r@sha256:old");
          expect(text).to.contain("pulumi config rm imageUri --stack prod");
        }
      });

      it("deploy nothing where it is not known whether the stage is to stay", () => {
        const { status, calls } = up({ "*config get imageUri*": 255 });

        expect(status).to.equal(255);
        expect(calls).to.deep.equal(["npx pulumi config get imageUri --stack prod"]);
      });

      it("hand on no image that the stage could not be brought to", () => {
        const { status, file } = up({ "*pulumi up*": 255 });

        expect(status).to.equal(255);
        expect(file("output")).to.equal("");
      });
    });

    describe("that try a stage", () => {
      const health = (auth: string) =>
        step(
          ["stage.yml", "deploy", "does it answer"],
          {
            "*output apiUrl*": "https://api.example",
            "*output region*": "eu-central-1",
            "*config get auth*": auth,
          },
          {
            STACK: "dev",
            AWS_ACCESS_KEY_ID: "id",
            AWS_SECRET_ACCESS_KEY: "key",
            AWS_SESSION_TOKEN: "session",
          },
        );

      it("ask it whether it is well", () => {
        const { status, calls, file } = health("token");

        expect(status).to.equal(0);
        expect(calls.at(-1)).to.match(
          /^curl --fail .*--config signature https:\/\/api\.example\/health$/,
        );
        expect(file("signature")).to.equal("");
      });

      it("sign where API Gateway asks for it, with keys that no process list shows", () => {
        const { status, calls, file } = health("iam");

        expect(status).to.equal(0);
        expect(calls.at(-1)).to.not.match(/id:key|session/);
        expect(file("signature").split("\n")).to.deep.equal([
          'aws-sigv4 = "aws:amz:eu-central-1:execute-api"',
          'user = "id:key"',
          'header = "x-amz-security-token: session"',
          "",
        ]);
      });
    });

    describe("that preview", () => {
      const preview = (answers: Record<string, string | number>) =>
        step(["preview.yml", "preview", "preview"], answers, { MARK: "<!-- mark -->" });

      for (const [named, image] of [
        ["", "running"],
        ["held", "held"],
      ] as const) {
        it(`compare with the image ${image === "held" ? "that the file names" : "that runs"}`, () => {
          const { status, calls, file } = preview({
            "*config get imageUri*": named,
            "*output imageUri*": "running",
            "*pulumi preview*": "+ 1",
          });

          expect(status).to.equal(0);
          expect(calls.at(-1)).to.contain(`--config imageUri=${image}`);
          expect(file("comment.md")).to.match(/^<!-- mark -->\n[\s\S]*\n\+ 1\n/);
        });
      }

      it("fail where the rules refuse, and still say why", () => {
        const { status, file } = preview({ "*pulumi preview*": 255 });

        expect(status).to.equal(255);
        expect(file("comment.md")).to.not.equal("");
      });
    });

    describe("that comment", () => {
      const comment = (answers: Record<string, string>) => {
        fs.writeFileSync(path.join(work, "comment.md"), "text");
        return step(["preview.yml", "preview", "comment"], answers, {
          NUMBER: "7",
          GITHUB_REPOSITORY: "o/r",
        });
      };

      it("write a new one the first time", () => {
        const { status, calls } = comment({});

        expect(status).to.equal(0);
        expect(calls.at(-1)).to.equal("gh pr comment 7 --body-file comment.md");
      });

      it("change their own one, and no other workflow's", () => {
        const { status, calls } = comment({ "*issues/7/comments*": "42" });

        expect(status).to.equal(0);
        expect(calls[0]).to.contain("startswith(env.MARK)");
        expect(calls.at(-1)).to.equal(
          "gh api --silent --method PATCH repos/o/r/issues/comments/42 --field body=@comment.md",
        );
      });
    });
  });
});
