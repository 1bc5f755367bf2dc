import * as aws from "@pulumi/aws";
import * as pulumi from "@pulumi/pulumi";
import { stageName, stageTags } from "../../../infra/names.ts";
import { assumedBy } from "../../../infra/policy.ts";

/** By the names that ContainerFunction gives its parts. */
class ZipFunction extends pulumi.ComponentResource {
  constructor(name: string) {
    super("millpond:infra:ContainerFunction", name);
    const role = new aws.iam.Role(
      `${name}-role`,
      {
        name: stageName(name),
        assumeRolePolicy: assumedBy("lambda.amazonaws.com"),
        tags: stageTags(),
      },
      { parent: this },
    );
    new aws.lambda.Function(
      `${name}-function`,
      {
        name: stageName(name),
        runtime: "nodejs22.x",
        handler: "index.handler",
        role: role.arn,
        // Put there by the test.
        s3Bucket: "millpond-zips",
        s3Key: "hello.zip",
      },
      { parent: this },
    );
    this.registerOutputs({});
  }
}

new ZipFunction("hello");
