import * as pulumi from "@pulumi/pulumi";
import type { ContainerFunction } from "./container-function.ts";
import type { Statement } from "./policy.ts";

/** A part of a bucket. */
export interface PrefixOptions {
  /** What its keys begin with, with a slash at its end: `lake/`. */
  prefix: string;
}

const readActions = ["s3:GetObject"] as const;
const writeActions = ["s3:PutObject"] as const;
// An upload in parts that lost its race is cleared away by whoever began it.
const partsActions = ["s3:AbortMultipartUpload"] as const;
const deleteActions = ["s3:DeleteObject"] as const;
const listActions = ["s3:ListBucket"] as const;

/** What functions may do in a bucket: exact actions, on the keys of one prefix. */
export class BucketGrants {
  readonly #bucketArn: pulumi.Input<string>;

  constructor(bucketArn: pulumi.Input<string>) {
    this.#bucketArn = bucketArn;
  }

  /**
   * Read objects, and hear that one isn't there: without the right to list S3 says "forbidden" in place of "not found". HEAD and GET
   * are judged by that right, and name no prefix: hence a condition that holds where there is none, and with it the right to see the
   * names, though not the contents, of all keys.
   */
  read(fn: ContainerFunction, { prefix }: PrefixOptions): void {
    fn.allow(
      `${word(prefix)}-read`,
      this.#objects("Read", readActions, prefix),
      this.#listing(prefix),
    );
  }

  /**
   * Put objects.
   * @param parts whether also in parts, as what is large or streamed is @default true
   */
  write(
    fn: ContainerFunction,
    { prefix, parts = true }: PrefixOptions & { parts?: boolean },
  ): void {
    const actions = parts ? [...writeActions, ...partsActions] : writeActions;
    fn.allow(`${word(prefix)}-write`, this.#objects("Write", actions, prefix));
  }

  /** Delete objects. */
  delete(fn: ContainerFunction, { prefix }: PrefixOptions): void {
    fn.allow(`${word(prefix)}-delete`, this.#objects("Delete", deleteActions, prefix));
  }

  /** List objects. */
  list(fn: ContainerFunction, { prefix }: PrefixOptions): void {
    fn.allow(`${word(prefix)}-list`, this.#listing(prefix, "StringLike"));
  }

  #objects(sid: string, actions: readonly string[], prefix: string): Statement {
    return { sid, actions, resources: [pulumi.interpolate`${this.#bucketArn}/${prefix}*`] };
  }

  #listing(prefix: string, operator = "StringLikeIfExists"): Statement {
    return {
      sid: "List",
      actions: listActions,
      resources: [this.#bucketArn],
      condition: { [operator]: { "s3:prefix": [`${prefix}*`] } },
    };
  }
}

function word(prefix: string): string {
  return prefix.replace(/\/$/, "");
}
