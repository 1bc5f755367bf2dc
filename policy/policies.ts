import type {
  Policies,
  PolicyResource,
  ReportViolation,
  ResourceValidationArgs,
  StackValidationArgs,
} from "@pulumi/policy";
import { architectureNames } from "../app/contract.ts";
import { known, secretsIn } from "./read.ts";
import { type Resource, type RuleOptions, rules } from "./rules.ts";

const resourceOf = ({ type, name, urn, props, opts }: ResourceValidationArgs | PolicyResource) =>
  ({ type, name, urn, props: known(props), protect: opts.protect }) satisfies Resource;

const memberOf = (resource: PolicyResource): Resource => ({
  ...resourceOf(resource),
  uses: Object.fromEntries(
    Object.entries(resource.propertyDependencies).map(([key, used]) => [
      key,
      used.map(({ urn }) => urn),
    ]),
  ),
});

/** The rules as Pulumi takes them. */
export const policies: Policies = rules.map(({ name, description, configurable = [], ...rule }) => {
  const about = {
    name,
    description,
    ...(configurable.includes("architecture")
      ? {
          configSchema: {
            properties: {
              architecture: { type: "string" as const, enum: [...architectureNames] },
            },
          },
        }
      : {}),
  };
  if ("stack" in rule) {
    return {
      ...about,
      validateStack: (args: StackValidationArgs, report: ReportViolation) => {
        for (const found of rule.stack(args.resources.map(memberOf))) report(found);
      },
    };
  }
  const secrets = new Map<string, string[]>();
  return {
    ...about,
    ...(rule.seesSecrets === true
      ? {
          // It changes nothing, and only looks: Pulumi tells remediations alone what is secret. What is left is mandatory.
          enforcementLevel: "remediate" as const,
          remediateResource: ({ urn, props }: ResourceValidationArgs) => {
            secrets.set(urn, secretsIn(props));
          },
        }
      : {}),
    validateResource: (args: ResourceValidationArgs, report: ReportViolation) => {
      const resource = { ...resourceOf(args), secrets: secrets.get(args.urn) ?? [] };
      for (const found of rule.resource(resource, args.getConfig<RuleOptions>())) report(found);
    },
  };
});
