import path from "node:path";
import * as aws from "@pulumi/aws";
import * as awsx from "@pulumi/awsx";
import * as pulumi from "@pulumi/pulumi";
import { type Architecture, architectures } from "../app/contract.ts";
import type { ContainerFunction } from "./container-function.ts";
import { stageName, stageTags } from "./names.ts";

export interface LambdaImageArgs {
  /** What the functions run on. */
  architecture: Architecture;
  /** Folder that the image is built from. @default "." */
  context?: string;
  /** @default - `Dockerfile` in the `context` that is given; else `docker/Dockerfile` */
  dockerfile?: string;
  /** An image that is there already, with its digest. @default - one is built and pushed */
  imageUri?: string | undefined;
}

/** Images that are kept although no tag names them any more: as many roll-backs find theirs. */
const keptImages = 20;

/**
 * The build inside awsx's image removes what it pushed when it goes, and that may be what the functions run by then: where a
 * stage is rolled back to its digest, or promoted. The repository goes with all images when the stack does.
 */
export const keepPushed: pulumi.ResourceTransform = ({ type, props, opts }) =>
  type.startsWith("docker-build:") ? { props, opts: { ...opts, retainOnDelete: true } } : undefined;

/** The image of the functions: built for their architecture and pushed, or one that was pushed before. */
export class LambdaImage extends pulumi.ComponentResource {
  /** With its digest, so that a function runs just this image. */
  readonly uri: pulumi.Output<string>;
  readonly nodes: { repository?: awsx.ecr.Repository; image?: awsx.ecr.Image };
  readonly #name: string;

  constructor(name: string, args: LambdaImageArgs, opts?: pulumi.ComponentResourceOptions) {
    super("millpond:infra:LambdaImage", name, {}, opts);
    this.#name = name;
    if (args.imageUri === undefined) {
      const repository = this.#repository(name);
      const image = this.#build(name, repository, args);
      this.uri = image.imageUri;
      this.nodes = { repository, image };
    } else {
      this.uri = pulumi.output(args.imageUri);
      // Rolled back within its own repository: that must not go, as the image would go with it.
      const own = args.imageUri.includes(`/${stageName(name)}@`);
      this.nodes = own ? { repository: this.#repository(name) } : {};
    }
    this.registerOutputs({ uri: this.uri });
  }

  /**
   * Writes down what runs, once these do: SSM keeps the last 100 values of a parameter, each with its time, and that is what can be
   * rolled back to. Pulumi's history does not name an image that an update built.
   * @returns the parameter's name
   * @see https://docs.aws.amazon.com/systems-manager/latest/userguide/sysman-paramstore-versions.html
   */
  record(functions: readonly ContainerFunction[]): pulumi.Output<string> {
    const record = new aws.ssm.Parameter(
      `${this.#name}-record`,
      {
        // Apart from the secrets, whose names have no slash.
        name: `/${pulumi.getProject()}/${pulumi.getStack()}/deployed/image`,
        description: "The image that the functions run; its history, those that they ran before",
        // No secret: it is what policy/ asks of every parameter.
        type: "SecureString",
        value: this.uri,
        tags: stageTags(),
      },
      { parent: this, dependsOn: [...functions] },
    );
    return record.name;
  }

  #repository(name: string): awsx.ecr.Repository {
    return new awsx.ecr.Repository(
      `${name}-repository`,
      {
        name: stageName(name),
        // Images are made anew from the source; with one left in it a repository can't be removed.
        forceDelete: true,
        imageScanningConfiguration: { scanOnPush: true },
        lifecyclePolicy: {
          rules: [
            {
              description: "keep what a roll-back may need",
              tagStatus: "untagged",
              maximumNumberOfImages: keptImages,
            },
          ],
        },
        tags: stageTags(),
      },
      { parent: this },
    );
  }

  #build(name: string, repository: awsx.ecr.Repository, args: LambdaImageArgs): awsx.ecr.Image {
    return new awsx.ecr.Image(
      `${name}-image`,
      {
        repositoryUrl: repository.url,
        context: args.context ?? ".",
        dockerfile: args.dockerfile ?? path.posix.join(args.context ?? "docker", "Dockerfile"),
        platform: architectures[args.architecture].platform,
      },
      { parent: this, retainOnDelete: true, transforms: [keepPushed] },
    );
  }
}
