import * as aws from "@pulumi/aws";
import * as pulumi from "@pulumi/pulumi";
import type { ContainerFunction } from "./container-function.ts";
import { configCommand, stageTags } from "./names.ts";

export interface StageSecretsArgs {
  /** By their names. */
  values: Record<string, pulumi.Input<string>>;
}

const readActions = ["ssm:GetParameter"] as const;

/** The stage's secrets as SecureString parameters of SSM. Functions get where they are, never what they are. */
export class StageSecrets extends pulumi.ComponentResource {
  /** What the parameters' names begin with: `/<project>/<stack>/`. */
  readonly prefix: string;
  readonly nodes: { parameters: Record<string, aws.ssm.Parameter> };
  readonly #name: string;

  constructor(name: string, args: StageSecretsArgs, opts?: pulumi.ComponentResourceOptions) {
    super("millpond:infra:StageSecrets", name, {}, opts);
    this.#name = name;
    this.prefix = `/${pulumi.getProject()}/${pulumi.getStack()}/`;
    const parameters: Record<string, aws.ssm.Parameter> = {};
    for (const [key, value] of Object.entries(args.values)) {
      parameters[key] = new aws.ssm.Parameter(
        `${name}-${key}`,
        {
          name: `${this.prefix}${key}`,
          type: "SecureString",
          value: pulumi.secret(value),
          tags: stageTags(),
        },
        { parent: this },
      );
    }
    this.nodes = { parameters };
    this.registerOutputs({ prefix: this.prefix });
  }

  /** Lets a function read one secret. */
  grantRead(fn: ContainerFunction, key: string): void {
    const parameter = this.nodes.parameters[key];
    if (parameter === undefined) {
      throw new pulumi.ResourceError(
        `there is no secret ${key}: ${configCommand("set", `--secret --path 'secrets.${key}' <value>`)}`,
        this,
        true,
      );
    }
    fn.allow(`${this.#name}-${key}`, {
      sid: "Secret",
      actions: readActions,
      resources: [parameter.arn],
    });
  }
}
