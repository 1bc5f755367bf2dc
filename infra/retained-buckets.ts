import * as pulumi from "@pulumi/pulumi";

/**
 * Refuses, from here on, each bucket that would go with its stack. The policy pack can't: Pulumi tells policies of a resource's other
 * options, not of this one.
 */
export function requireRetainedBuckets(): void {
  pulumi.runtime.registerStackTransformation(({ type, name, opts }) => {
    if (/^aws:s3\/bucket(V2)?:/.test(type) && opts.retainOnDelete !== true) {
      throw new pulumi.RunError(
        `the bucket ${name} would go with its stack: give it retainOnDelete, or make it a DataBucket`,
      );
    }
    return undefined;
  });
}
