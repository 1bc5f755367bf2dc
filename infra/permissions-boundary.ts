import * as pulumi from "@pulumi/pulumi";

/**
 * Gives each role that is made from here on a boundary: whatever policies it gets, it may do no more than that.
 * @param arn of a policy. Undefined: none
 */
export function boundRoles(arn: string | undefined): void {
  if (arn === undefined) return;
  pulumi.runtime.registerStackTransformation(({ type, props, opts }) =>
    type === "aws:iam/role:Role"
      ? { props: { ...props, permissionsBoundary: arn }, opts }
      : undefined,
  );
}
