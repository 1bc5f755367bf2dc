import fs from "node:fs/promises";
import { Secret } from "@pulumi/policy";
import { expect } from "chai";
import { notYet, type RuleOptions } from "../../policy/rules.ts";
import { PolicyPackProcess, type Sent, urnOf } from "./pack.ts";

const resource = (type: string, name: string, props: Record<string, unknown>): Sent => ({
  type,
  name,
  props,
  protect: false,
});
const bucket = (props: object, name = "data") =>
  resource("aws:s3/bucket:Bucket", name, { bucket: `${name}-1`, ...props });
const fn = (props: object) =>
  resource("aws:lambda/function:Function", "query", {
    architectures: ["arm64"],
    loggingConfig: { logGroup: "/g" },
    ...props,
  });
const log = resource("aws:cloudwatch/logGroup:LogGroup", "log", {
  name: "/g",
  retentionInDays: 30,
});
const variables = (of: Record<string, unknown>) => fn({ environment: { variables: of } });

/** What guards a bucket, as a first preview has it: by an ID that AWS has not given yet. */
const guards = (one: Sent): Sent[] =>
  [
    resource("aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock", `${one.name}-access`, {
      ...{ bucket: notYet, blockPublicAcls: true, blockPublicPolicy: true },
      ...{ ignorePublicAcls: true, restrictPublicBuckets: true },
    }),
    resource(
      "aws:s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration",
      `${one.name}-encryption`,
      {
        bucket: notYet,
        rules: [{ applyServerSideEncryptionByDefault: { sseAlgorithm: "AES256" } }],
      },
    ),
  ].map((guard) => ({ ...guard, uses: { bucket: [urnOf(one)] } }));

describe("the policy pack, as Pulumi runs it", () => {
  let pack: PolicyPackProcess;

  before(async () => {
    pack = await PolicyPackProcess.start();
  });
  after(() => pack?.stop());

  /** What it refuses, each mandatory. */
  const refused = async (...resources: Sent[]) => {
    const said = await pack.analyze(resources);
    const advisory = said.filter(({ enforcementlevel }) => enforcementlevel !== 1);
    expect(advisory).to.deep.equal([]);
    return said.map(({ policyname }) => policyname);
  };

  it("says what is wrong with one resource, and with all together", async () => {
    const said = await pack.analyze([bucket({ forceDestroy: true })]);

    expect(said.map(({ policyname }) => policyname)).to.have.members([
      ...["data-stays", "no-public-bucket", "encrypted-buckets"],
    ]);
    expect(said.map(({ message }) => message).join("\n")).to.contain(
      "data is emptied by pulumi destroy (forceDestroy)",
    );
  });

  it("takes the architecture that it is told, and arm64 without", async () => {
    const arm64 = [fn({}), log];
    const standard = [fn({ architectures: ["x86_64"] }), log];
    const untold = [await refused(...arm64), await refused(...standard)];
    const other = await PolicyPackProcess.start();
    const file = new URL("../../policy/x86_64.json", import.meta.url);
    const config = JSON.parse(await fs.readFile(file, "utf8")) as Record<string, RuleOptions>;
    for (const [rule, options] of Object.entries(config)) await other.configure(rule, options);
    const told = [await other.analyze(arm64), await other.analyze(standard)];
    other.stop();

    expect(untold).to.deep.equal([[], ["one-architecture"]]);
    expect(told.map((said) => said.map(({ policyname }) => policyname))).to.deep.equal([
      ["one-architecture"],
      [],
    ]);
  });

  describe("in a first preview, which knows no ID that AWS gives", () => {
    const policies = (...types: string[]) =>
      types.map((type) => resource(type, type, { policy: notYet, assumeRolePolicy: notYet }));

    it("has nothing to say where all is well, not even that it can't tell", async () => {
      const data = bucket({ id: notYet });
      const unnamed = bucket({ bucket: notYet, id: notYet }, "unnamed");
      const random = resource("random:index/randomId:RandomId", "id", {});
      const named = { bucket: [urnOf(random)] };
      // Their names come from where the bucket's name comes from.
      const beside = guards(unnamed).map((guard) => ({
        ...guard,
        ...{ props: { ...guard.props, blockPublicAcls: notYet }, uses: named },
      }));
      const group = { ...log, name: "unnamed", props: { name: "/u", retentionInDays: notYet } };
      const all = [
        ...[data, ...guards(data), random, { ...unnamed, uses: named }, ...beside, log, group],
        variables({
          DB_PASSWORD: notYet,
          MILLPOND_AUTH: "token",
          MILLPOND_SECRETS: "/millpond/dev/",
        }),
        { ...fn({ environment: notYet }), name: "ingest" },
        {
          ...fn({ environment: { variables: notYet }, loggingConfig: { logGroup: notYet } }),
          ...{ name: "sweep", uses: { loggingConfig: [urnOf(group)] } },
        },
        {
          ...fn({ architectures: notYet, loggingConfig: notYet }),
          ...{ name: "hello", uses: { loggingConfig: [urnOf(group)] } },
        },
        resource("aws:sqs/queue:Queue", "queue", { kmsMasterKeyId: notYet }),
        resource("aws:sqs/queue:Queue", "managed", { sqsManagedSseEnabled: notYet }),
        resource("aws:ssm/parameter:Parameter", "secret", {
          type: notYet,
          value: new Secret(notYet),
        }),
        ...policies("aws:iam/rolePolicy:RolePolicy", "aws:iam/role:Role", "aws:kms/key:Key"),
      ];

      expect(await refused(...all)).to.deep.equal([]);
    });

    it("refuses a bucket that is public beside one that is not", async () => {
      const data = bucket({ id: notYet });

      const said = await refused(data, ...guards(data), bucket({ id: notYet }, "open"));

      expect(said).to.have.members(["no-public-bucket", "encrypted-buckets"]);
    });

    it("refuses a hole in an access block, and a plain encryption", async () => {
      const data = bucket({ id: notYet });
      const [access, encryption] = guards(data) as [Sent, Sent];
      access.props["ignorePublicAcls"] = false;
      encryption.props["rules"] = [];

      expect(await refused(data, access, encryption)).to.have.members([
        ...["no-public-access", "encrypted"],
      ]);
    });

    it("refuses a function whose log is made by nobody", async () => {
      const elsewhere = { ...fn({ loggingConfig: { logGroup: notYet } }), uses: {} };

      expect(await refused(log, elsewhere)).to.deep.equal(["logs-of-the-stack"]);
    });

    it("refuses what Pulumi keeps secret, whatever its name and form", async () => {
      const secrets = [
        variables({ TOPIC: notYet, DSN: new Secret("short") }),
        variables({ DSN: new Secret(notYet) }),
        fn({ environment: { variables: new Secret({ TOPIC: "arn" }) } }),
        fn({ environment: new Secret({ variables: { TOPIC: notYet } }) }),
      ];

      for (const one of secrets) {
        expect(await refused(log, one)).to.deep.equal(["no-secret-in-environment"]);
      }
      // It was told once, and no more.
      expect(await refused(log, variables({ DSN: "short" }))).to.deep.equal([]);
    });

    it("refuses a secret of the stage's, and that anybody may ask for what is protected", async () => {
      const parameter = resource("aws:ssm/parameter:Parameter", "tokens", {
        type: "SecureString",
        value: new Secret("correct-horse"),
      });
      const component = resource("millpond:infra:DataBucket", "data", {});
      const open = variables({ TOPIC: notYet, MILLPOND_AUTH: "none" });

      expect(
        await refused(log, parameter, variables({ TOPIC: notYet, NAME: "correct-horse" })),
      ).to.deep.equal(["no-parameter-in-environment"]);
      expect(
        await refused(log, open, { ...component, outputs: { arn: notYet, protect: true } }),
      ).to.deep.equal(["protected-data-is-not-public"]);
      expect(
        await refused(log, open, { ...component, outputs: { arn: notYet, protect: false } }),
      ).to.deep.equal([]);
    });
  });
});
