import { Secret, UnknownValueError } from "@pulumi/policy";
import { notYet } from "./rules.ts";

/**
 * A copy of a resource's properties, with `notYet` for what a preview doesn't know. Pulumi throws where a policy reads such a value,
 * and then passes over the policy, for all resources at once where it looks at all of them.
 */
export function known(props: object): Record<string, unknown> {
  return Object.fromEntries(
    Object.keys(props).map((key) => {
      try {
        return [key, copy((props as Record<string, unknown>)[key])];
      } catch (error) {
        if (!(error instanceof UnknownValueError)) throw error;
        return [key, notYet];
      }
    }),
  );
}

function copy(value: unknown): unknown {
  if (typeof value !== "object" || value === null) return value;
  return Array.isArray(value) ? Object.values(known(value)) : known(value);
}

/**
 * Where Pulumi keeps a secret, as `environment.variables.A`: in whole values, or in what they were made of. Only remediations can tell,
 * as validations get what is inside.
 * @param props as a remediation gets them
 */
export function secretsIn(props: object, above = ""): string[] {
  return Object.keys(props).flatMap((key) => {
    // To read it would give what is inside, too, and throw where a preview doesn't know it.
    const value: unknown = Object.getOwnPropertyDescriptor(props, key)?.value;
    if (value instanceof Secret) return [above + key];
    return typeof value === "object" && value !== null ? secretsIn(value, `${above}${key}.`) : [];
  });
}
