import * as pulumi from "@pulumi/pulumi";

/** What AWS knows a resource of this stage by: `<project>-<stack>-<name>`. */
export function stageName(name: string): string {
  return `${pulumi.getProject()}-${pulumi.getStack()}-${name}`;
}

/** On everything that can carry them: what the bill is split by, and how a bucket that was left behind is known again. */
export function stageTags(): Record<string, string> {
  return { project: pulumi.getProject(), stack: pulumi.getStack(), "managed-by": "pulumi" };
}

/** A command that changes the stack's settings, whichever stack is selected where it is pasted. */
export function configCommand(verb: "set" | "rm", rest: string): string {
  return `pulumi config ${verb} --stack ${pulumi.getStack()} ${rest}`;
}
