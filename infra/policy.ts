import * as pulumi from "@pulumi/pulumi";

/** One statement of an IAM policy: exact actions on exact resources. */
export interface Statement {
  sid: string;
  actions: readonly string[];
  resources: pulumi.Input<pulumi.Input<string>[]>;
  /** Whom a resource's own policy speaks of: a service, one principal, or everybody. */
  principal?: { service: string } | { arn: pulumi.Input<string> } | { aws: "*" };
  effect?: "Allow" | "Deny";
  condition?: Record<string, Record<string, pulumi.Input<string | readonly string[]>>>;
}

/** A policy's JSON, with its keys in the same order each time, so that a preview shows no change where there is none. */
export function policyJson(...statements: Statement[]): pulumi.Output<string> {
  return pulumi.jsonStringify({
    Version: "2012-10-17",
    Statement: statements.map(({ sid, actions, resources, principal, effect, condition }) => ({
      Sid: sid,
      Effect: effect ?? "Allow",
      ...(principal === undefined ? {} : { Principal: principalJson(principal) }),
      Action: actions,
      Resource: resources,
      ...(condition === undefined ? {} : { Condition: condition }),
    })),
  });
}

function principalJson(principal: NonNullable<Statement["principal"]>) {
  if ("service" in principal) return { Service: principal.service };
  return { AWS: "arn" in principal ? principal.arn : principal.aws };
}

/** Lets a service of AWS take on a role, for resources of this account alone. */
export function assumedBy(
  service: string,
  condition?: Statement["condition"],
): pulumi.Output<string> {
  return pulumi.jsonStringify({
    Version: "2012-10-17",
    Statement: [
      {
        Effect: "Allow",
        Principal: { Service: service },
        Action: "sts:AssumeRole",
        ...(condition === undefined ? {} : { Condition: condition }),
      },
    ],
  });
}
