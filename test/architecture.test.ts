import { expect } from "chai";
import { checkArchitecture } from "../app/architecture.ts";
import { failure } from "./failure.ts";

describe("checkArchitecture", () => {
  const check = (stage: string | undefined, image: string | undefined, running: string) =>
    checkArchitecture(
      { MILLPOND_ARCHITECTURE: stage, MILLPOND_IMAGE_ARCHITECTURE: image },
      running,
    );

  it("takes what fits together", () => {
    check("arm64", "arm64", "arm64");
    check("x86_64", "amd64", "x64");
    check(undefined, "arm64", "arm64");
  });

  it("has nothing to compare outside an image", () => {
    check("arm64", undefined, "x64");
  });

  for (const [stage, image, running] of [
    ["arm64", "amd64", "x64"],
    ["x86_64", "arm64", "arm64"],
    ["arm64", "arm64", "x64"],
    ["arm64", "amd64", "arm64"],
    [undefined, "arm64", "x64"],
    ["arm64", "riscv64", "riscv64"],
  ] as const) {
    it(`refuses a stage for ${stage} with an image for ${image} on ${running}`, () => {
      const error = failure(() => check(stage, image, running));

      expect(error.code).to.equal("architecture");
      expect(error.message).to.match(/^the image was built for .* build it with npm run image -- /);
    });
  }

  it("says what can be built where the stage asks for something else", () => {
    expect(failure(() => check("amd64", "amd64", "x64")).message).to.equal(
      'MILLPOND_ARCHITECTURE must be arm64 or x86_64, got "amd64"',
    );
  });
});
