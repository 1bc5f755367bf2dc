import type {
  Policies,
  PolicyResource,
  ReportViolation,
  ResourceValidationArgs,
  StackValidationArgs,
} from "@pulumi/policy";
import { architectureNames } from "../app/contract.ts";
import { type Resource, type RuleOptions, rules } from "./rules.ts";

const resourceOf = ({ type, name, props, opts }: ResourceValidationArgs | PolicyResource) =>
  ({ type, name, props, protect: opts.protect }) satisfies Resource;

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
  if ("resource" in rule) {
    return {
      ...about,
      validateResource: (args: ResourceValidationArgs, report: ReportViolation) => {
        for (const found of rule.resource(resourceOf(args), args.getConfig<RuleOptions>())) {
          report(found);
        }
      },
    };
  }
  return {
    ...about,
    validateStack: (args: StackValidationArgs, report: ReportViolation) => {
      for (const found of rule.stack(args.resources.map(resourceOf))) report(found);
    },
  };
});
