import { expect } from "chai";
import { ContainerFunction } from "../../infra/container-function.ts";
import { StageSecrets } from "../../infra/stage-secrets.ts";
import { account, build } from "./build.ts";

describe("StageSecrets", () => {
  const made = (key = "tokens") =>
    build(() => {
      const secrets = new StageSecrets("secrets", { values: { tokens: "abc", other: "def" } });
      const fn = new ContainerFunction("query", {
        imageUri: "image",
        architecture: "arm64",
        handler: "index.query",
        environment: { MILLPOND_SECRETS: secrets.prefix },
      });
      secrets.grantRead(fn, key);
    });

  it("keeps each as a SecureString under the stage's prefix", async () => {
    const { all } = await made();

    const parameters = all("aws:ssm/parameter:Parameter").map(({ inputs }) => inputs);
    // Mocks get a secret in the wrapping in which Pulumi hands it on.
    const told = parameters.map(({ name, type, value }) => [
      name,
      type,
      (value as { value: string }).value,
    ]);
    expect(told).to.deep.equal([
      ["/millpond/dev/tokens", "SecureString", "abc"],
      ["/millpond/dev/other", "SecureString", "def"],
    ]);
  });

  it("gives a function the place, and the right to read that one", async () => {
    const { one, policy } = await made();

    expect(policy(one("aws:iam/rolePolicy:RolePolicy", "query-secrets-tokens"))).to.deep.equal({
      Version: "2012-10-17",
      Statement: [
        {
          Sid: "Secret",
          Effect: "Allow",
          Action: ["ssm:GetParameter"],
          Resource: [`arn:aws:ssm:eu-central-1:${account}:/millpond/dev/tokens`],
        },
      ],
    });
    expect(one("aws:lambda/function:Function").inputs["environment"]).to.deep.equal({
      variables: { MILLPOND_SECRETS: "/millpond/dev/" },
    });
  });

  it("names the command where a secret is missing", async () => {
    const message = await made("none").then(
      () => "it was granted",
      (error: Error) => error.message,
    );

    expect(message).to.contain(
      "there is no secret none: pulumi config set --stack dev --secret --path 'secrets.none' <value>",
    );
  });
});
