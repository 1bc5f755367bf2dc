import * as pulumi from "@pulumi/pulumi";

/** One resource as the program asked for it. */
export interface Recorded {
  type: string;
  name: string;
  inputs: Record<string, unknown>;
  /** What the resource was created with beside its inputs. */
  options: pulumi.CustomResourceOptions;
  /** Names of the resources that it waits for. */
  after: string[];
}

export interface Built<T> {
  value: T;
  /** All that there are. */
  everything(): Recorded[];
  /** All of a type, such as `aws:s3/bucket:Bucket`. */
  all(type: string): Recorded[];
  /** The only one of a type, or that of a name. */
  one(type: string, name?: string): Recorded;
  /** The policy of a resource, parsed. */
  policy(recorded: Recorded, key?: string): unknown;
}

export const account = "111122223333";
export const region = "eu-central-1";

/** By the name that the program gave each; Pulumi keeps it under a name that its types leave out. */
function namesOf(dependsOn: pulumi.CustomResourceOptions["dependsOn"]): string[] {
  const all = Array.isArray(dependsOn) ? dependsOn : dependsOn === undefined ? [] : [dependsOn];
  return all.map((one) => String((one as unknown as { __name?: string }).__name)).sort();
}

/** What a resource is known by once it is made: made up, but the same each time. */
function outputsOf(type: string, name: string, inputs: Record<string, unknown>) {
  const physical = String(inputs["name"] ?? inputs["bucket"] ?? name);
  const service = type.split(":")[1]?.split("/")[0];
  return {
    ...inputs,
    arn: type.startsWith("aws:s3/")
      ? `arn:aws:s3:::${physical}`
      : `arn:aws:${service}:${region}:${account}:${physical}`,
    invokeArn: `invoke:${physical}`,
    executionArn: `execution:${physical}`,
    apiEndpoint: `https://${physical}.example`,
    // Mocks make no children: what awsx would have made.
    url: `${account}.dkr.ecr.${region}.amazonaws.com/${physical}`,
    imageUri:
      inputs["imageUri"] ??
      `${account}.dkr.ecr.${region}.amazonaws.com/${name}@sha256:${"a".repeat(64)}`,
  };
}

/**
 * Runs a piece of a program against Pulumi's mocks, and records each resource with its options.
 * @param config as strings, objects as JSON; of the project where a key names no other namespace
 */
export async function build<T>(
  program: () => T | Promise<T>,
  {
    config = {},
    project = "millpond",
    stack = "dev",
    secretKeys = ["millpond:secrets"],
  }: {
    config?: Record<string, string>;
    project?: string;
    stack?: string;
    secretKeys?: string[];
  } = {},
): Promise<Built<T>> {
  const recorded = new Map<string, Recorded>();
  const options = new Map<string, pulumi.CustomResourceOptions>();
  const id = (type: string, name: string) => `${type} ${name}`;
  await pulumi.runtime.setMocks(
    {
      newResource: ({ type, name, inputs }) => {
        if (recorded.has(id(type, name))) throw new Error(`there are two of ${type} ${name}`);
        recorded.set(id(type, name), {
          type,
          name,
          inputs: inputs as Record<string, unknown>,
          options: options.get(id(type, name)) ?? {},
          after: namesOf(options.get(id(type, name))?.dependsOn),
        });
        return {
          id: `${name}-id`,
          state: outputsOf(type, name, inputs as Record<string, unknown>),
        };
      },
      call: ({ token, inputs }) => {
        switch (token) {
          case "aws:index/getCallerIdentity:getCallerIdentity":
            return { accountId: account };
          case "aws:index/getRegion:getRegion":
            return { region };
          case "aws:index/getPartition:getPartition":
            return { partition: "aws" };
          default:
            return inputs as Record<string, unknown>;
        }
      },
    },
    project,
    stack,
  );
  pulumi.runtime.setAllConfig(
    Object.fromEntries(
      Object.entries(config).map(([key, value]) => [
        key.includes(":") ? key : `${project}:${key}`,
        value,
      ]),
    ),
    secretKeys,
  );
  let value: T | undefined;
  await pulumi.runtime.runInPulumiStack(async () => {
    pulumi.runtime.registerStackTransformation(({ type, name, opts }) => {
      options.set(id(type, name), opts);
      return undefined;
    });
    value = await program();
    return {};
  });
  await pulumi.runtime.disconnect();
  const all = (type: string) => [...recorded.values()].filter((one) => one.type === type);
  return {
    value: value as T,
    everything: () => [...recorded.values()],
    all,
    one: (type, name) => {
      const found = all(type).filter((one) => name === undefined || one.name === name);
      const [only] = found;
      if (found.length !== 1 || only === undefined) {
        const names = all(type).map((one) => one.name);
        throw new Error(`${found.length} of ${type} ${name ?? ""}; there is ${names.join(", ")}`);
      }
      return only;
    },
    policy: ({ inputs }, key = "policy") => JSON.parse(String(inputs[key])) as unknown,
  };
}
