import { type Resource, type RuleOptions, rules } from "../../policy/rules.ts";

/** What each rule finds, without those that find nothing. */
export function found(
  resources: readonly Resource[],
  options: RuleOptions = {},
): Record<string, string[]> {
  const violations: Record<string, string[]> = {};
  for (const rule of rules) {
    const all =
      "stack" in rule
        ? rule.stack(resources)
        : resources.flatMap((one) => rule.resource(one, options));
    if (all.length > 0) violations[rule.name] = all;
  }
  return violations;
}
