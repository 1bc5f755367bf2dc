import fs from "node:fs/promises";
import { expect } from "chai";
import { parse } from "yaml";
import { stageConfig } from "../../infra/stage-config.ts";
import { build } from "./build.ts";

describe("stageConfig", () => {
  const tokens = { secrets: '{"tokens": "0123456789abcdef0123"}' };
  const read = async (config: Record<string, string>) =>
    (await build(() => stageConfig(), { config: { ...tokens, ...config } })).value;
  const problem = async (config: Record<string, string>) =>
    await read(config).then(
      () => expect.fail("the configuration was taken"),
      (error: Error) => error.message,
    );

  it("takes what Pulumi.yaml says where nothing else is said", async () => {
    const stage = await read({});

    expect(stage).to.deep.include({
      architecture: "arm64",
      imageUri: undefined,
      logLevel: "info",
      logRetentionDays: 30,
      ingest: { memoryMiB: 1769, timeoutSeconds: 300, diskMiB: 4096, concurrency: undefined },
      query: { memoryMiB: 1769, timeoutSeconds: 29, diskMiB: 2048, concurrency: undefined },
    });
    expect(stage.api).to.deep.include({ auth: "token", corsOrigins: [] });
    expect(stage.bucket).to.include({ existing: undefined, protect: false, noncurrentDays: 30 });
  });

  it("has a default in Pulumi.yaml for each setting: Pulumi asks for one that has none", async () => {
    const program = await fs.readFile(new URL("../../Pulumi.yaml", import.meta.url), "utf8");
    const { config } = parse(program) as { config: Record<string, { default?: unknown }> };
    const settings = Object.entries(config);

    expect(settings).to.have.length.above(20);
    expect(settings.filter(([, setting]) => setting.default === undefined)).to.deep.equal([]);
  });

  it("has all settings without a namespace: a project made of this one has another name", async () => {
    const keys = ["yaml", "dev.yaml", "prod.yaml", "rehearsal.yaml"].map(async (ending) => {
      const file = new URL(`../../Pulumi.${ending}`, import.meta.url);
      const { config } = parse(await fs.readFile(file, "utf8")) as { config: object };
      return Object.keys(config);
    });

    expect(
      (await Promise.all(keys)).flat().filter((key) => /^(?!aws:).*:/.test(key)),
    ).to.deep.equal([]);
  });

  it("warns of a setting that it does not have, and of no other", async () => {
    const program = await fs.readFile(new URL("../../Pulumi.yaml", import.meta.url), "utf8");
    const { config } = parse(program) as { config: Record<string, { default: unknown }> };
    const defaults = Object.entries(config).map(([key, setting]) => {
      const value = setting.default;
      return [key, typeof value === "object" ? JSON.stringify(value) : String(value)];
    });
    const said: string[] = [];
    const { warn } = console;
    console.warn = (text: string) => void said.push(text);
    try {
      await read({ ...Object.fromEntries(defaults), ...tokens, logLevle: "debug" });
    } finally {
      console.warn = warn;
    }

    expect(said).to.have.length(1);
    expect(said[0]).to.match(
      /Millpond has no setting logLevle: .*pulumi config rm --stack dev logLevle/,
    );
  });

  it("takes empty texts and zeros, which stand for nothing in Pulumi.yaml, as nothing", async () => {
    const stage = await read({ imageUri: "", bucketName: "", ingestConcurrency: "0" });

    expect(stage.imageUri).to.equal(undefined);
    expect(stage.bucket.existing).to.equal(undefined);
    expect(stage.ingest.concurrency).to.equal(undefined);
  });

  it("takes no secret in plain text", async () => {
    const message = await build(() => stageConfig(), { config: tokens, secretKeys: [] }).then(
      () => expect.fail("it was taken"),
      (error: Error) => error.message,
    );

    expect(message).to.contain("millpond:secrets stand in plain text in the stack's file");
    expect(message).to.contain("pulumi config set --stack dev --secret --path 'secrets.tokens'");
    expect(message).to.not.contain("0123456789abcdef0123");
  });

  it("takes a token for each client, as an object or as its JSON", async () => {
    const clients = '{"alice":"0123456789abcdef","bob":"fedcba9876543210"}';
    for (const tokens of [clients, JSON.stringify(clients)]) {
      const { secrets } = await read({ secrets: `{"tokens": ${tokens}}` });

      const value = await new Promise((resolve) => secrets["tokens"]?.apply(resolve));
      expect(value).to.equal(clients);
    }
  });

  it("keeps secrets secret", async () => {
    const stage = await read({});

    const { tokens: token } = stage.secrets;
    expect(await (token as unknown as { isSecret: Promise<boolean> }).isSecret).to.equal(true);
    expect(JSON.stringify(stage.environment)).to.equal("{}");
  });

  for (const [config, message] of [
    [
      { queryMemoryMiB: "64" },
      'millpond:queryMemoryMiB must be a whole number of MiB from 512 to 10240, got "64": pulumi config set --stack dev queryMemoryMiB <number>',
    ],
    [{ permissionsBoundary: "admin" }, "permissionsBoundary must be a policy's ARN, got"],
    [
      { alarmEmail: "ops" },
      'alarmEmail is no address: "ops": pulumi config set --stack dev alarmEmail',
    ],
    [{ queryTimeoutSeconds: "30" }, 'must be a whole number of seconds from 5 to 29, got "30"'],
    [
      { ingestTimeoutSeconds: "5m" },
      'millpond:ingestTimeoutSeconds must be a whole number of seconds from 30 to 900, got "5m"',
    ],
    [
      { architecture: "amd64" },
      'millpond:architecture must be one of arm64, x86_64, got "amd64": pulumi config set --stack dev architecture arm64',
    ],
    [{ logRetentionDays: "31" }, "millpond:logRetentionDays must be one of 1, 3, 5, 7, 14, 30,"],
    [
      { auth: "none" },
      "millpond:auth none lets anybody on the internet query: say so with pulumi config set --stack dev public true",
    ],
    [{ imageUri: "repository:latest" }, "millpond:imageUri must end in a digest"],
    [
      { secrets: "{}" },
      "millpond:secrets has no tokens, so that nobody could query: pulumi config set --stack dev --secret --path 'secrets.tokens'",
    ],
    [
      { bucketName: "theirs" },
      "millpond:bucketName names a bucket that is there already, and nothing says how its uploads are told",
    ],
    [
      { uploadsTopicArn: "arn:aws:sns:eu-central-1:1:t" },
      "millpond:uploadsTopicArn is for a bucket that is there already",
    ],
    [
      { environment: '{"AWS_REGION": "x"}' },
      "millpond:environment AWS_REGION is a name that Lambda does not take",
    ],
    [{ environment: '{"_HANDLER": "x"}' }, "_HANDLER is a name that Lambda does not take"],
    [
      { environment: '{"MILLPOND_STORE": "x"}' },
      "millpond:environment MILLPOND_STORE is Millpond's own, and follows from other settings",
    ],
    [
      { environment: '{"MILLPOND_QUERY_DEADLINE_SECONDS": "5"}' },
      "MILLPOND_QUERY_DEADLINE_SECONDS is Millpond's own",
    ],
    [{ environment: '{"a1": {"b": 1}}' }, "millpond:environment has a1, which is no text"],
    [{ secrets: '{"tokens": "short"}' }, "millpond:secrets has tokens that no function takes"],
    [{ secrets: '{"tokens": {"alice": "short"}}' }, "has tokens that no function takes"],
    [{ secrets: '{"tokens": "with a space in between"}' }, "has tokens that no function takes"],
    [{ secrets: '{"tokens": {}}' }, "has tokens that no function takes"],
    [{ queryMemoryMiB: "0" }, "must be a whole number of MiB from 512 to 10240"],
    [{ noncurrentDays: "0" }, "must be a whole number of days from 1 to 3650"],
    [{ bucketName: "Not A Bucket" }, `can't be a bucket's name: "Not A Bucket"`],
    [{ manageNotifications: "true" }, "manageNotifications is for a bucket that is there already"],
    [
      { bucketName: "theirs", uploadsTopicArn: "foo" },
      `millpond:uploadsTopicArn must be a topic's ARN, got "foo"`,
    ],
    [{ corsOrigins: '["https://a.io/"]' }, "must be https://<host>[:<port>], without a path"],
    [
      { auth: "iam", secrets: "{}", corsOrigins: '["https://a.io"]' },
      "millpond:corsOrigins goes with tokens alone",
    ],
    [{ environment: '{"tokens": "x"}' }, "millpond:environment and secrets both have tokens"],
    [{ environment: "[1]" }, "millpond:environment must be an object of texts"],
    [{ corsOrigins: '"*"' }, "millpond:corsOrigins must be a list of texts"],
  ] as [Record<string, string>, string][]) {
    it(`refuses ${JSON.stringify(config)}`, async () => {
      expect(await problem(config)).to.contain(message);
    });
  }

  it("says all that is wrong at once, and nothing of a secret", async () => {
    const message = await problem({
      secrets: '{"tokens": "do-not-print-me-at-all", "with space": "nor-me"}',
      queryMemoryMiB: "1",
      architecture: "mips",
    });

    expect(message.split("\n")).to.have.length(4);
    expect(message).to.not.match(/do-not-print-me|nor-me/);
  });

  it("doesn't repeat what isn't JSON, as it may hold a secret", async () => {
    expect(await problem({ secrets: "{not-json-secret" })).to.not.contain("not-json-secret");
  });

  it("lets a stage be public that says so, and one that asks for signatures have no tokens", async () => {
    expect((await read({ auth: "none", public: "true", secrets: "{}" })).api.auth).to.equal("none");
    expect((await read({ auth: "iam", secrets: "{}" })).api.auth).to.equal("iam");
  });
});
