import { expect } from "chai";
import { keepPushed, LambdaImage, type LambdaImageArgs } from "../../infra/lambda-image.ts";
import { account, build } from "./build.ts";

describe("LambdaImage", () => {
  const made = (args: Partial<LambdaImageArgs> = {}) =>
    build(() => new LambdaImage("functions", { architecture: "arm64", ...args }));

  it("keeps images that a roll-back may need, and goes with the stack", async () => {
    const { one } = await made();

    expect(one("awsx:ecr:Repository").inputs).to.deep.equal({
      name: "millpond-dev-functions",
      forceDelete: true,
      imageScanningConfiguration: { scanOnPush: true },
      lifecyclePolicy: {
        rules: [
          {
            description: "keep what a roll-back may need",
            tagStatus: "untagged",
            maximumNumberOfImages: 20,
          },
        ],
      },
      tags: { project: "millpond", stack: "dev", "managed-by": "pulumi" },
    });
  });

  for (const [architecture, platform] of [
    ["arm64", "linux/arm64"],
    ["x86_64", "linux/amd64"],
  ] as const) {
    it(`is built for ${platform} where the stage's functions run on ${architecture}`, async () => {
      const { one } = await made({ architecture });

      expect(one("awsx:ecr:Image").inputs).to.deep.equal({
        repositoryUrl: `${account}.dkr.ecr.eu-central-1.amazonaws.com/millpond-dev-functions`,
        context: ".",
        dockerfile: "docker/Dockerfile",
        platform,
      });
      expect(one("awsx:ecr:Image").options.retainOnDelete).to.equal(true);
    });
  }

  it("is built from another program's folder, by the Dockerfile there or by one that it names", async () => {
    const { one } = await made({ context: "image" });
    const named = await made({ context: "../..", dockerfile: "image/Dockerfile" });

    expect(one("awsx:ecr:Image").inputs).to.include({
      context: "image",
      dockerfile: "image/Dockerfile",
    });
    expect(named.one("awsx:ecr:Image").inputs).to.include({
      context: "../..",
      dockerfile: "image/Dockerfile",
    });
  });

  it("keeps what was pushed when it is no longer built here, as functions may run it", () => {
    const args = { custom: true, name: "x", props: { push: true }, opts: { protect: true } };

    expect(keepPushed({ ...args, type: "docker-build:index:Image" })).to.deep.equal({
      props: { push: true },
      opts: { protect: true, retainOnDelete: true },
    });
    expect(keepPushed({ ...args, type: "aws:ecr/lifecyclePolicy:LifecyclePolicy" })).to.equal(
      undefined,
    );
  });

  it("is not built where config names one of its own, which stays where it is", async () => {
    const imageUri = `${account}.dkr.ecr.eu-central-1.amazonaws.com/millpond-dev-functions@sha256:${"b".repeat(64)}`;
    const { all, one } = await made({ imageUri });

    expect(all("awsx:ecr:Image")).to.deep.equal([]);
    expect(one("awsx:ecr:Repository").inputs["name"]).to.equal("millpond-dev-functions");
  });

  it("is not built where config names one", async () => {
    const imageUri = `repository@sha256:${"b".repeat(64)}`;
    const { all, value } = await made({ imageUri });

    expect(all("awsx:ecr:Image")).to.deep.equal([]);
    expect(all("awsx:ecr:Repository")).to.deep.equal([]);
    const uri = await new Promise((resolve) => value.uri.apply(resolve));
    expect(uri).to.equal(imageUri);
  });
});
