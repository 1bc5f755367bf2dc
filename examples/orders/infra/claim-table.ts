import * as aws from "@pulumi/aws";
import * as pulumi from "@pulumi/pulumi";
import type { ContainerFunction } from "../../../infra/container-function.ts";
import { stageName, stageTags } from "../../../infra/names.ts";

/** Take a claim, mark it as done, give it back. Nobody reads, lists or scans: a claim that is refused tells what there is. */
const claimActions = ["dynamodb:PutItem", "dynamodb:UpdateItem", "dynamodb:DeleteItem"] as const;

/**
 * A table of DynamoDB in which subscribers claim what they are about to do, so that it is done once. Items go by themselves, and the
 * table goes with its stack: it holds no data, only what may be forgotten.
 */
export class ClaimTable extends pulumi.ComponentResource {
  readonly arn: pulumi.Output<string>;
  readonly name: pulumi.Output<string>;
  readonly grants: {
    /** Lets a function claim, under the keys of one subscriber alone: `<subscriber>#…`. */
    claim(fn: ContainerFunction, options: { subscriber: string }): void;
  };
  readonly nodes: { table: aws.dynamodb.Table };

  constructor(name: string, opts?: pulumi.ComponentResourceOptions) {
    super("orders:infra:ClaimTable", name, {}, opts);
    const table = new aws.dynamodb.Table(
      `${name}-table`,
      {
        name: stageName(name),
        billingMode: "PAY_PER_REQUEST",
        hashKey: "id",
        attributes: [{ name: "id", type: "S" }],
        ttl: { attributeName: "expires", enabled: true },
        tags: stageTags(),
      },
      { parent: this },
    );
    this.arn = table.arn;
    this.name = table.name;
    this.grants = {
      claim: (fn, { subscriber }) => {
        fn.allow(`${name}-claim`, {
          sid: "Claim",
          actions: claimActions,
          resources: [table.arn],
          // https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/specifying-conditions.html
          condition: {
            "ForAllValues:StringLike": { "dynamodb:LeadingKeys": [`${subscriber}#*`] },
          },
        });
      },
    };
    this.nodes = { table };
    this.registerOutputs({ arn: this.arn, name: this.name });
  }
}
