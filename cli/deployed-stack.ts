import { Option } from "commander";
import { type FunctionName, secretNames } from "../app/contract.ts";
import { MillpondError } from "../app/errors.ts";
import { pulumi } from "./pulumi.ts";
import { UsageError } from "./usage-error.ts";

/** What index.ts exports. */
export interface DeployedStack {
  name: string;
  region: string;
  apiUrl: string;
  bucketName: string;
  topicArn: string;
  functionNames: Record<FunctionName, string>;
  /** Of the functions, and of the requests as API Gateway saw them. */
  logGroups: Record<FunctionName | "api", string>;
  /** URLs of the queues in which waits what failed for good, by the function that was to do it. */
  failureQueues: Partial<Record<FunctionName, string[]>>;
  imageUri: string;
  /** Name of the parameter whose history says which images ran. Undefined of a stack that an older version deployed. */
  imageRecord?: string;
  /** Whether the rows of a file go with it. */
  mirrorDeletes: boolean;
}

/** For commands about a deployed stack, or about either kind of pond. */
export function stackOption(): Option {
  return new Option("--stack <name>", "the stack of Pulumi's, as in pulumi up --stack <name>");
}

/** For commands that change a stack, or look at what would change. */
export function configFileOption(): Option {
  return new Option("--config-file <file>", "the stack's file, where it is not beside Pulumi.yaml");
}

/** What Pulumi is told of a stack. */
export function stackArguments(name: string, configFile: string | undefined): string[] {
  return ["--stack", name, ...(configFile === undefined ? [] : ["--config-file", configFile])];
}

/** The stack that such a command is about. @throws UsageError where none was named */
export function namedStack(name: string | undefined): string {
  if (name === undefined) throw new UsageError("which stack? --stack <name>");
  return name;
}

/** @throws MillpondError where there is no such stack, or it is not up */
export async function readStack(name: string): Promise<DeployedStack> {
  const text = await pulumi(["stack", "output", "--json", "--stack", name]);
  const outputs = JSON.parse(text) as Partial<DeployedStack>;
  if (outputs.apiUrl === undefined || outputs.failureQueues === undefined) {
    throw new MillpondError(
      "stack-empty",
      `the stack ${name} is not up, or was deployed by another version: pulumi up --stack ${name}`,
    );
  }
  return { ...(outputs as DeployedStack), name };
}

/** A token that the stack's API takes. Undefined where it asks for none. */
export async function readToken(name: string): Promise<string | undefined> {
  const text = await pulumi(["config", "--json", "--show-secrets", "--stack", name]);
  const config = JSON.parse(text) as Record<
    string,
    { value?: string; objectValue?: Record<string, unknown> }
  >;
  const of = (key: string) =>
    Object.entries(config).find(([one]) => one.split(":")[1] === key)?.[1];
  const auth = of("auth")?.value ?? "token";
  if (auth === "none") return undefined;
  if (auth === "iam") {
    throw new MillpondError(
      "auth",
      `the API of ${name} asks for AWS's signatures (auth iam), which this command does not make`,
    );
  }
  const tokens = of("secrets")?.objectValue?.[secretNames.tokens];
  if (typeof tokens !== "string") {
    throw new MillpondError(
      "auth",
      `the stack ${name} has no tokens: pulumi config set --stack ${name} --secret --path 'secrets.${secretNames.tokens}' …`,
    );
  }
  if (!tokens.trimStart().startsWith("{")) return tokens;
  // One for each client: any will do.
  return Object.values(JSON.parse(tokens) as Record<string, string>)[0];
}
