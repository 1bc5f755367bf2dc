import { expect } from "chai";
import { type Architecture, architectureCalled, architectures } from "../../app/contract.ts";
import { pulumi } from "../../cli/pulumi.ts";
import { image, substitutes } from "../image/build.ts";
import { docker, dockerMissing } from "../image/docker.ts";

export const host = architectureCalled("node", process.arch) as Architecture;
/** Not the one that whoever runs the tests may have built. */
export const tag = "millpond-test:stack";

/** Skips the suite, and says why, where there is no Docker or no Pulumi. */
export async function requireTools(context: Mocha.Context): Promise<void> {
  const missing =
    (await dockerMissing()) ??
    (await pulumi(["version"]).then(
      () => undefined,
      (error: Error) => error.message,
    ));
  if (missing !== undefined) {
    process.stderr.write(`skipped: ${missing}\n`);
    context.skip();
  }
}

/** Builds what the stack runs, once a run, or skips the suite and says why. @returns the image's id */
export async function stackImage(context: Mocha.Context): Promise<string> {
  await requireTools(context);
  process.stderr.write(`the functions run on ${host}, as this machine does\n`);
  const given = await substitutes([host]);
  const built = await image("--platform", architectures[host].platform, "--tag", tag, ...given);
  expect(built.code, built.text).to.equal(0);
  return await docker("image", "inspect", tag, "--format", "{{.Id}}");
}
