import {
  architectureCalled,
  architectureNames,
  architectures,
  type Environment,
  environmentNames as names,
} from "./contract.ts";
import { MillpondError } from "./errors.ts";

/**
 * Compares what the stage says its functions run on with what the image was built for, and with what runs here.
 * Outside an image there is nothing to compare.
 * @param running Node's name of this machine's architecture
 * @throws MillpondError `architecture`, with what to change
 */
export function checkArchitecture(environment: Environment, running: string = process.arch): void {
  const image = environment[names.imageArchitecture];
  if (image === undefined) return;
  const built = architectureCalled("docker", image);
  const stage = environment[names.architecture] ?? built;
  const wanted = architectureNames.find((one) => one === stage);
  if (wanted === undefined) {
    const known = architectureNames.join(" or ");
    throw new MillpondError(
      "architecture",
      `${names.architecture} must be ${known}, got "${stage}"`,
    );
  }
  const here = architectureCalled("node", running);
  if (built === wanted && here === wanted) return;
  throw new MillpondError(
    "architecture",
    `the image was built for ${built ?? image} and runs on ${here ?? running}, but this stage's functions are for ${wanted}: ` +
      `build it with npm run image -- --platform ${architectures[wanted].platform}, or set the stage's architecture to ${built ?? here}`,
  );
}
