import { fileURLToPath } from "node:url";
import { type Architecture, architectures } from "../../app/contract.ts";
import { baseSubstitute } from "../image/build.ts";
import { docker } from "../image/docker.ts";

/** Folder of an example, which is a project of Pulumi's. */
export function exampleFolder(name: string): string {
  return fileURLToPath(new URL(`../../examples/${name}`, import.meta.url));
}

/** What the image of an example is called: not what whoever runs the tests may have built. */
export function exampleTag(name: string, architecture: Architecture): string {
  return `millpond-test-${name}:${architecture}`;
}

/** Builds it from the example's folder alone, as Pulumi does. @returns its id */
export async function buildExample(name: string, architecture: Architecture): Promise<string> {
  const tag = exampleTag(name, architecture);
  // As npm knows it, or Node.
  const certificate = process.env["npm_config_cafile"] ?? process.env["NODE_EXTRA_CA_CERTS"];
  await docker(
    ...["buildx", "build", "--platform", architectures[architecture].platform, "--tag", tag],
    // Lambda refuses an image with attestations.
    ...["--provenance=false", "--sbom=false", "--load"],
    ...(await baseSubstitute()),
    ...(certificate ? ["--secret", `id=ca,src=${certificate}`] : []),
    exampleFolder(name),
  );
  return await docker("image", "inspect", tag, "--format", "{{.Id}}");
}
