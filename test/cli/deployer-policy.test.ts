import fs from "node:fs/promises";
import http from "node:http";
import type { AddressInfo } from "node:net";
import os from "node:os";
import path from "node:path";
import { expect } from "chai";
import { buildPolicy, plannedBy, released, stateAt } from "../../cli/deployer-policy.ts";
import { noCredentials } from "../failure.ts";
import { type CliRun, runCli } from "../run-cli.ts";

const account = "111122223333";
const region = "eu-central-1";
const place = { partition: "aws", region, account };
const releases = `${account}.dkr.ecr.${region}.amazonaws.com/releases`;
const urn = (type: string, name: string) => `urn:pulumi:dev::millpond::${type}::${name}`;
const topic = "aws:sns/topic:Topic";
const role = "aws:iam/role:Role";
const api = "aws:apigatewayv2/api:Api";

interface Statement {
  Sid: string;
  Effect: string;
  Action?: string[];
  Resource?: string[];
  Condition?: object;
}

describe("deployer-policy", () => {
  let folder: string;
  let sts: http.Server;
  /** Of the requests' signatures. */
  let regions: (string | undefined)[];

  before(async () => {
    sts = http.createServer(({ headers }, response) => {
      regions.push(/\/([\w-]+)\/sts\/aws4_request/.exec(headers.authorization ?? "")?.[1]);
      response.setHeader("content-type", "text/xml");
      response.end(
        `<GetCallerIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><GetCallerIdentityResult><Arn>arn:aws:iam::${account}:user/me</Arn><UserId>A</UserId><Account>${account}</Account></GetCallerIdentityResult></GetCallerIdentityResponse>`,
      );
    });
    await new Promise<void>((resolve) => sts.listen(0, "127.0.0.1", resolve));
  });
  after(async () => {
    sts.closeAllConnections();
    await new Promise((resolve) => sts.close(resolve));
  });
  beforeEach(async () => {
    regions = [];
    folder = await fs.mkdtemp(path.join(os.tmpdir(), "millpond-test-"));
  });
  afterEach(async () => {
    await fs.rm(folder, { recursive: true });
  });

  interface Told {
    config?: Record<string, string>;
    backend?: string;
    /** Of AWS's own settings. */
    awsRegion?: string;
  }

  /** Runs it beside a Pulumi that has a role and a topic in the plan, and an account that answers. */
  async function run(
    args: string[],
    { config = { "aws:region": region }, backend = "https://api.pulumi.com", awsRegion }: Told = {},
  ): Promise<CliRun> {
    const steps = [
      { op: "create", newState: { urn: urn(topic, "t"), type: topic, inputs: { name: "t" } } },
      { op: "create", newState: { urn: urn(role, "r"), type: role, inputs: { name: "r" } } },
    ];
    await fs.writeFile(path.join(folder, "plan"), JSON.stringify({ config, steps }));
    const script = [
      "#!/bin/sh",
      `case "$1 $2" in`,
      `"stack export") echo '{"deployment": {}}' ;;`,
      `"preview --json") cat '${folder}/plan' ;;`,
      `"whoami --json") echo '{"url": "${backend}"}' ;;`,
      `"config get") echo '${config["aws:region"] ?? ""}' ;;`,
      `*) exit 9 ;;`,
      "esac",
    ];
    await fs.writeFile(path.join(folder, "pulumi"), script.join("\n"), { mode: 0o755 });
    const { port } = sts.address() as AddressInfo;
    return await runCli(["deployer-policy", ...args], {
      env: {
        ...noCredentials,
        PATH: `${folder}:${process.env["PATH"]}`,
        AWS_ACCESS_KEY_ID: "test",
        AWS_SECRET_ACCESS_KEY: "test",
        AWS_ENDPOINT_URL: `http://127.0.0.1:${port}`,
        ...(awsRegion === undefined ? {} : { AWS_REGION: awsRegion }),
      },
    });
  }
  const statementsOf = ({ stdout }: CliRun) =>
    (JSON.parse(stdout) as { Statement: Statement[] }).Statement;
  const statementOf = (ran: CliRun, Sid: string) =>
    statementsOf(ran).find((one) => one.Sid === Sid);
  const boundary = `arn:aws:iam::${account}:policy/millpond-dev-boundary`;

  it("fails without a boundary, and says how to make one", async () => {
    const ran = await run(["--stack", "dev"]);

    expect(ran.code).to.equal(1);
    expect(ran.stdout).to.equal("");
    expect(ran.stderr).to.contain("npm run deployer-policy -- --stack dev --boundary --output");
    expect(ran.stderr).to.contain(`pulumi config set --stack dev permissionsBoundary ${boundary}`);
  });

  it("prints without a boundary what asks for none, or who says so", async () => {
    const told = await run(["--stack", "dev", "--without-boundary"]);
    const bound = await run(["--stack", "dev"], {
      config: { "aws:region": region, "millpond:permissionsBoundary": boundary },
    });

    expect(told.stderr).to.contain("any right of the account");
    expect(statementOf(told, "RoleGrants")?.Condition).to.equal(undefined);
    expect(bound.stderr).to.equal("");
    expect(statementOf(bound, "RoleGrants")?.Condition).to.deep.equal({
      StringEquals: { "iam:PermissionsBoundary": boundary },
    });
    for (const args of [["--preview-only"], ["--boundary"]]) {
      const { code, stderr } = await run(["--stack", "dev", ...args]);
      expect({ code, stderr }, args[0]).to.deep.equal({ code: 0, stderr: "" });
    }
  });

  it("writes a boundary as one policy, by the name that it tells to set", async () => {
    const { stdout } = await run(["--stack", "dev", "--boundary", "--output", folder]);

    const file = path.join(folder, "millpond-dev-boundary.json");
    expect(stdout).to.equal(
      `aws iam create-policy --policy-name millpond-dev-boundary --policy-document file://${file}\n`,
    );
    const { Statement } = JSON.parse(await fs.readFile(file, "utf8")) as {
      Statement: Statement[];
    };
    expect(Statement.map(({ Sid, Effect }) => [Sid, Effect])).to.deep.equal([
      ["Topics", "Allow"],
      ["NothingElse", "Deny"],
    ]);
  });

  it("asks in the region of the stack, else in that of AWS's own settings", async () => {
    const bare = ["--stack", "dev", "--without-boundary"];

    const of = async (told: Told) => statementOf(await run(bare, told), "Topics")?.Resource;
    expect(await of({ awsRegion: "us-west-2" })).to.deep.equal([
      `arn:aws:sns:${region}:${account}:t`,
    ]);
    expect(await of({ config: {}, awsRegion: "us-west-2" })).to.deep.equal([
      `arn:aws:sns:us-west-2:${account}:t`,
    ]);
    await run(["--stack", "dev", "--github", "you/pond"]);
    expect(regions).to.deep.equal([region, "us-west-2", region]);
    const { code, stderr } = await run(bare, { config: {} });
    expect(code).to.equal(1);
    expect(stderr).to.contain("set AWS_REGION");
  });

  it("has rights on this stack's state alone, where it is in a bucket of S3", async () => {
    const backend = "s3://states/a/b?region=eu-central-1";
    const ran = await run(["--stack", "dev", "--without-boundary"], { backend });

    const at = "arn:aws:s3:::states/a/b/.pulumi";
    expect(statementOf(ran, "State")).to.deep.include({
      Action: ["s3:DeleteObject", "s3:GetObject", "s3:PutObject"],
      Resource: [
        `${at}/backups/millpond/dev/*`,
        `${at}/history/millpond/dev/*`,
        `${at}/locks/organization/millpond/dev/*`,
        `${at}/stacks/millpond/dev.json*`,
        `${at}/stacks/millpond/dev.pulumi-tags`,
      ],
    });
    expect(statementOf(ran, "StateLayout")).to.deep.include({
      Action: ["s3:GetObject"],
      Resource: [`${at}/meta.yaml`],
    });
    expect(statementOf(ran, "StateList")?.Resource).to.deep.equal(["arn:aws:s3:::states"]);
    const preview = await run(["--stack", "dev", "--preview-only"], { backend });
    expect(statementsOf(preview).map(({ Sid, Action }) => [Sid, Action])).to.deep.equal([
      ["State", ["s3:GetObject"]],
      ["StateLayout", ["s3:GetObject"]],
      ["StateList", ["s3:ListBucket"]],
    ]);
    for (const elsewhere of ["file:///tmp/states", "gs://states", "https://api.pulumi.com"]) {
      expect(stateAt(elsewhere, "millpond", "dev")).to.deep.equal([]);
    }
  });

  it("prints for building what pushes to one repository, and looks at what is there", async () => {
    const ran = await run(["--build", "--releases", releases], { awsRegion: region });
    const trust = await run(["--build", "--github", "you/pond"], { awsRegion: region });

    const arn = `arn:aws:ecr:${region}:${account}:repository/releases`;
    expect(statementsOf(ran)).to.deep.equal(
      JSON.parse(JSON.stringify(buildPolicy(releases, place))),
    );
    expect(statementOf(ran, "Push")?.Resource).to.deep.equal([arn]);
    expect(statementOf(ran, "Push")?.Action).to.have.members([
      ...["ecr:BatchCheckLayerAvailability", "ecr:InitiateLayerUpload", "ecr:UploadLayerPart"],
      ...["ecr:CompleteLayerUpload", "ecr:PutImage"],
      // Of imagetools inspect, which reads the manifest and the image's configuration.
      ...["ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"],
    ]);
    expect(statementOf(ran, "RegistryLogin")?.Action).to.deep.equal(["ecr:GetAuthorizationToken"]);
    expect(trust.stdout).to.contain('"repo:you/pond:environment:build"');
  });

  it("refuses a call that says too little or too much", async () => {
    for (const [args, told] of [
      [["--build"], "--releases <repository>"],
      [["--build", "--releases", `${releases}:v1`], "without a tag"],
      [["--stack", "dev", "--key", "arn:aws:kms:eu-central-1:111122223333:key/1"], "--boundary"],
      [["--stack", "dev", "--boundary", "--key", "alias/mine"], "ARN of a key"],
      [["--stack", "dev", "--github", "you/pond", "--output", "x"], "--output is for policies"],
      [[], "--stack <name>"],
    ] as [string[], string][]) {
      const { code, stdout, stderr } = await run(args);
      expect({ code, stdout }, args.join(" ")).to.deep.equal({ code: 2, stdout: "" });
      expect(stderr).to.contain(told);
    }
  });

  it("knows what is made anew by no name that it had", () => {
    const step = (op: string) => ({ op, newState: { urn: urn(api, "a"), type: api, inputs: {} } });
    const ids = new Map([[urn(api, "a"), "abc123"]]);
    const idOf = (op: string) => plannedBy({ steps: [step(op)] }, ids)[0]?.id;

    for (const op of ["same", "update"]) expect(idOf(op), op).to.equal("abc123");
    for (const op of ["create", "replace", "create-replacement"]) {
      expect(idOf(op), op).to.equal(undefined);
    }
  });

  it("names the repository of a stage that builds nothing, and none that it would make", () => {
    const fn = "aws:lambda/function:Function";
    const planned = ["awsx:ecr:Image", "aws:ecr/repository:Repository", fn].map((type) => ({
      ...{ type, inputs: { name: "f", imageUri: "unknown" } as Record<string, unknown> },
      id: undefined,
    }));

    expect(released(planned, releases)).to.deep.equal([
      { type: fn, inputs: { name: "f", imageUri: releases }, id: undefined },
    ]);
  });
});
