import fs from "node:fs/promises";
import path from "node:path";
import { GetCallerIdentityCommand, STSClient } from "@aws-sdk/client-sts";
import { Command, InvalidArgumentError } from "commander";
import { MillpondError } from "../app/errors.ts";
import { awsError } from "./aws-error.ts";
import { configFileOption, namedStack, stackArguments, stackOption } from "./deployed-stack.ts";
import { type Place, type PlannedResource, type Rights, rightsOf } from "./deployer-rights.ts";
import { pulumi } from "./pulumi.ts";
import { UsageError } from "./usage-error.ts";

interface DeployerPolicyOptions {
  stack?: string;
  previewOnly: boolean;
  boundary: boolean;
  github?: string;
  output?: string;
  configFile?: string;
}

/** What IAM takes. @see https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html */
const mostCharacters = { managed: 6144, inline: 10_240 };

interface PolicyStatement {
  Sid: string;
  Effect: "Allow";
  Action: string[];
  Resource?: string[];
  Principal?: object;
  Condition?: object;
}

export function deployerPolicyCommand(): Command {
  return new Command("deployer-policy")
    .description(
      "print the least IAM policy with which a stack can be previewed, deployed and destroyed",
    )
    .addOption(stackOption())
    .option(
      "--preview-only",
      "the least with which it can be previewed, and nothing changed",
      false,
    )
    .option(
      "--boundary",
      "print the most that the functions' roles may be given, for the setting permissionsBoundary",
      false,
    )
    .option(
      "--github <owner/repository>",
      "print who may take the deployer's role on: the workflows of this repository, in the environment of the stack's name",
      readRepository,
    )
    .option(
      "--output <folder>",
      "write it there, in as many files as managed policies have room for",
    )
    .addOption(configFileOption())
    .addHelpText(
      "after",
      `
It is made from what pulumi preview plans and what the stack has, so that it runs
with rights that may do that: an administrator's, the first time. After the first
deployment print it again: what has no name before it is there, the API above
all, is then named. Pulumi's own state is apart: its bucket's rights, if it is in
one, are yours to add.
With auth of GitHub's: --preview-only --github is for pull requests.
Exit code: 0 printed; 1 it failed; 2 the call is wrong.`,
    )
    .action(async (options: DeployerPolicyOptions) => {
      const stack = namedStack(options.stack);
      if (options.github !== undefined) {
        if (options.output !== undefined) throw new UsageError("--output is for policies");
        print(githubTrust(await whereAmI(), options.github, stack, options.previewOnly));
        return;
      }
      const { resources, config } = await planOf(stack, options.configFile);
      const region = configured(config, "aws:region") ?? process.env["AWS_REGION"] ?? "";
      const place = { ...(await whereAmI()), region };
      const boundary = configured(config, ":permissionsBoundary");
      const { previewOnly } = options;
      const policy = options.boundary
        ? boundaryPolicy(resources, place, config)
        : deployerPolicy(resources, place, { previewOnly, boundary });
      if (options.output === undefined) advise(print(policy));
      else await write(policy, options.output, fileName(stack, options));
      if (boundary === undefined && !previewOnly && !options.boundary) {
        say(
          `whoever has it can give the functions' roles more than they need, and by them take it: npm run deployer-policy -- --stack ${stack} --boundary prints a boundary; make a policy of it, and pulumi config set permissionsBoundary <its ARN>`,
        );
      }
    });
}

const say = (sentence: string) => process.stderr.write(`${sentence}\n`);

function readRepository(text: string): string {
  if (/^[\w.-]+\/[\w.-]+$/.test(text)) return text;
  throw new InvalidArgumentError("It takes <owner>/<repository>.");
}

function document(statements: readonly PolicyStatement[]) {
  return { Version: "2012-10-17", Statement: statements };
}

/** As IAM counts them, without white space. */
function charactersOf(statements: readonly PolicyStatement[]): number {
  return JSON.stringify(document(statements)).length;
}

/** @returns its characters */
function print(statements: PolicyStatement[]): number {
  process.stdout.write(`${JSON.stringify(document(statements), undefined, 2)}\n`);
  return charactersOf(statements);
}

function advise(length: number): void {
  if (length <= mostCharacters.managed) return;
  const inline =
    length <= mostCharacters.inline
      ? `as an inline policy of a role it may have ${mostCharacters.inline}, or `
      : "";
  say(
    `${length} characters, more than the ${mostCharacters.managed} of a managed policy: ${inline}--output <folder> writes several, for one role`,
  );
}

function fileName(stack: string, { boundary, previewOnly }: DeployerPolicyOptions): string {
  return `millpond-${stack}-${boundary ? "boundary" : previewOnly ? "preview" : "deployer"}`;
}

/** Writes what managed policies take, and says how they are made of it. */
async function write(
  statements: readonly PolicyStatement[],
  folder: string,
  name: string,
): Promise<void> {
  const parts = managedPolicies(statements);
  await fs.mkdir(folder, { recursive: true });
  for (const [i, part] of parts.entries()) {
    const own = parts.length === 1 ? name : `${name}-${i + 1}`;
    const file = path.join(folder, `${own}.json`);
    await fs.writeFile(file, `${JSON.stringify(document(part))}\n`);
    process.stdout.write(
      `aws iam create-policy --policy-name ${own} --policy-document file://${file}\n`,
    );
  }
}

/** Statements in as many policies as they need: a role takes ten. */
export function managedPolicies(statements: readonly PolicyStatement[]): PolicyStatement[][] {
  const policies: PolicyStatement[][] = [];
  // The largest first, so that the small ones find room beside them.
  const left = [...statements].sort((a, b) => charactersOf([b]) - charactersOf([a]));
  for (const statement of left) {
    const fitting = policies.find(
      (policy) => charactersOf([...policy, statement]) <= mostCharacters.managed,
    );
    if (fitting === undefined) policies.push([statement]);
    else fitting.push(statement);
  }
  return policies;
}

/** The resources that a stack has and is to have. */
async function planOf(
  stack: string,
  configFile: string | undefined,
): Promise<{ resources: PlannedResource[]; config: Record<string, unknown> }> {
  const state = JSON.parse(await pulumi(["stack", "export", "--stack", stack])) as {
    deployment?: { resources?: StateResource[] };
  };
  const planned = JSON.parse(
    await pulumi(["preview", "--json", "--show-sames", ...stackArguments(stack, configFile)]),
  ) as { config?: Record<string, unknown>; steps?: { newState?: StateResource }[] };
  const known = (state.deployment?.resources ?? []).filter(isOfAws);
  const ids = new Map(known.map(({ urn, id }) => [urn, id]));
  const resources = (planned.steps ?? [])
    .flatMap(({ newState }) => (newState !== undefined && isOfAws(newState) ? [newState] : []))
    .map(({ urn, type, inputs = {} }) => ({ type, inputs, id: ids.get(urn) }));
  // What is to go is still to be removed.
  const rest = known.map(({ type, inputs = {}, id }) => ({ type, inputs, id }));
  return { resources: [...resources, ...rest], config: planned.config ?? {} };
}

interface StateResource {
  urn: string;
  type: string;
  id?: string;
  inputs?: Record<string, unknown>;
}

function isOfAws({ type }: StateResource): boolean {
  return !/^(millpond|pulumi):/.test(type);
}

/** A setting of the stack that is no secret. @param key the end of its name */
function configured(config: Record<string, unknown>, key: string): string | undefined {
  const [, value] = Object.entries(config).find(([name]) => name.endsWith(key)) ?? [];
  return typeof value === "string" && value !== "" ? value : undefined;
}

async function whereAmI(): Promise<Pick<Place, "partition" | "account">> {
  const client = new STSClient();
  try {
    const { Account = "", Arn = "" } = await client.send(new GetCallerIdentityCommand());
    return { account: Account, partition: Arn.split(":")[1] ?? "aws" };
  } catch (error) {
    throw awsError(error, "sts:GetCallerIdentity", "your account");
  } finally {
    client.destroy();
  }
}

/** @throws MillpondError `type-unknown` for a resource of which nobody has said what it needs */
export function deployerPolicy(
  resources: readonly PlannedResource[],
  place: Place,
  { previewOnly = false, boundary }: { previewOnly?: boolean; boundary?: string | undefined } = {},
): PolicyStatement[] {
  return statements(resources, place, (rights) => {
    const bound =
      rights.sid === "RoleGrants" && boundary !== undefined
        ? { StringEquals: { "iam:PermissionsBoundary": boundary } }
        : rights.condition;
    return {
      actions: previewOnly ? rights.read : [...rights.read, ...rights.write],
      condition: bound,
    };
  });
}

/** The most that a role of the stack may be given. */
export function boundaryPolicy(
  resources: readonly PlannedResource[],
  place: Place,
  config: Record<string, unknown> = {},
): PolicyStatement[] {
  const bucket = configured(config, ":bucketName");
  // Somebody else's, which is no resource of the stack.
  const theirs =
    bucket === undefined
      ? []
      : [{ type: "aws:s3/bucket:Bucket", inputs: { bucket }, id: undefined }];
  return statements([...resources, ...theirs], place, ({ used = [] }) => ({ actions: used }));
}

function statements(
  resources: readonly PlannedResource[],
  place: Place,
  allowed: (rights: Rights) => { actions: readonly string[]; condition?: object | undefined },
): PolicyStatement[] {
  const found = new Map<string, PolicyStatement>();
  for (const resource of resources) {
    const needed = rightsOf[resource.type];
    if (needed === undefined) {
      throw new MillpondError(
        "type-unknown",
        `nothing is known of the rights that ${resource.type} needs: cli/deployer-rights.ts lists those of other types`,
      );
    }
    for (const rights of needed) {
      const { actions, condition } = allowed(rights);
      const arns = rights.resources(resource, place);
      if (actions.length === 0 || arns.length === 0) continue;
      const { Action = [], Resource = [] } = found.get(rights.sid) ?? {};
      found.set(rights.sid, {
        Sid: rights.sid,
        Effect: "Allow",
        Action: [...new Set([...Action, ...actions])].sort(),
        Resource: [...new Set([...Resource, ...arns])].sort(),
        ...(condition === undefined ? {} : { Condition: condition }),
      });
    }
  }
  return leastOf([...found.values()].sort((a, b) => a.Sid.localeCompare(b.Sid)));
}

/** Without what another statement allows already. */
function leastOf(statements: readonly PolicyStatement[]): PolicyStatement[] {
  let kept = statements;
  for (const one of statements) {
    const others = kept.filter(({ Sid, Condition }) => Sid !== one.Sid && Condition === undefined);
    const covered = (action: string) =>
      others.some(
        ({ Action, Resource = [] }) =>
          Action.includes(action) && one.Resource?.every((arn) => Resource.includes(arn)),
      );
    const Action = one.Action.filter((action) => !covered(action));
    kept = kept.flatMap((each) =>
      each !== one ? [each] : Action.length === 0 ? [] : [{ ...one, Action }],
    );
  }
  return [...kept];
}

/**
 * Who may take on a role: GitHub's workflows of one repository, for previews those of pull requests, else those in the environment that
 * has the stack's name.
 * @see https://docs.github.com/en/actions/how-tos/secure-your-work/security-harden-deployments/oidc-in-aws
 */
export function githubTrust(
  { partition, account }: Pick<Place, "partition" | "account">,
  repository: string,
  stack: string,
  previewOnly: boolean,
): PolicyStatement[] {
  const issuer = "token.actions.githubusercontent.com";
  return [
    {
      Sid: "GitHub",
      Effect: "Allow",
      Principal: { Federated: `arn:${partition}:iam::${account}:oidc-provider/${issuer}` },
      Action: ["sts:AssumeRoleWithWebIdentity"],
      Condition: {
        StringEquals: {
          [`${issuer}:aud`]: "sts.amazonaws.com",
          [`${issuer}:sub`]: `repo:${repository}:${previewOnly ? "pull_request" : `environment:${stack}`}`,
        },
      },
    },
  ];
}
