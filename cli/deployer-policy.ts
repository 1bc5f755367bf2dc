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
  withoutBoundary: boolean;
  key: string[];
  build: boolean;
  releases?: string;
  github?: string;
  output?: string;
  configFile?: string;
}

/** What IAM takes. @see https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html */
const mostCharacters = { managed: 6144, inline: 10_240 };

interface AllowStatement {
  Sid: string;
  Effect: "Allow";
  Action: string[];
  Resource?: string[];
  Principal?: object;
  Condition?: object;
}

/** Nothing but some actions, whoever else allows more. */
interface DenyStatement {
  Sid: string;
  Effect: "Deny";
  NotAction: string[];
  Resource: string[];
}

type PolicyStatement = AllowStatement | DenyStatement;

/** GitHub's environment in which images are built. */
const buildEnvironment = "build";

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
      "--key <ARN>",
      "with --boundary: a KMS key that is not the stack's, of a bucket or a topic that was there before; can be given several times",
      (arn: string, before: string[]) => [...before, readKey(arn)],
      [],
    )
    .option(
      "--without-boundary",
      "print it although the functions' roles have no boundary: whoever has it can give them, and so take, any right of the account",
      false,
    )
    .option(
      "--releases <repository>",
      "the images that are deployed lie in this repository of ECR, and none is built",
      readRegistry,
    )
    .option(
      "--build",
      "print what building takes: to push to --releases, and to look at what is there",
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
It is made from what pulumi preview plans and what the stack has, so that it
runs with rights that may do that: an administrator's, the first time. What has
no name before it is there, the API above all, is then any of the region: print
it again after the first deployment; and before one that makes an API or a key
anew, as the next after a destroy does.
First the boundary: --boundary --output prints the command that makes a policy
of it; pulumi config set permissionsBoundary <its ARN>; then the deployer's
policy. It is for a role of its own: besides what it allows it denies all else
on buckets, functions, queues, topics, keys and roles of the stack, whatever
their own policies say. Where Pulumi's state is in a bucket of S3, the rights on
this stack's state are in it.
Without --stack: --build, whose trust policy is --build --github.
With auth of GitHub's: --preview-only --github is for pull requests.
Exit code: 0 printed; 1 it failed; 2 the call is wrong.`,
    )
    .action(async (options: DeployerPolicyOptions) => {
      checkOptions(options);
      const stack = options.build ? buildEnvironment : namedStack(options.stack);
      if (options.github !== undefined) {
        const place = await whereAmI(await regionOf(options));
        print(githubTrust(place, options.github, stack, options.previewOnly));
        return;
      }
      const policy = options.build
        ? buildPolicy(String(options.releases), await whereAmI(undefined))
        : await policyOf(stack, options);
      if (options.output === undefined) advise(print(policy), options);
      else await write(policy, stack, options);
    });
}

function checkOptions({
  github,
  output,
  build,
  releases,
  boundary,
  key,
}: DeployerPolicyOptions): void {
  if (github !== undefined && output !== undefined) {
    throw new UsageError("--output is for policies");
  }
  if (build && github === undefined && releases === undefined) {
    throw new UsageError("--build takes the repository to push to: --releases <repository>");
  }
  if (key.length > 0 && !boundary) throw new UsageError("--key goes with --boundary");
}

/** What is printed for a stack: its boundary, or the policy of whoever deploys or previews it. */
async function policyOf(stack: string, options: DeployerPolicyOptions): Promise<PolicyStatement[]> {
  const { previewOnly, releases } = options;
  const { planned, known, config, project } = await planOf(stack, options.configFile);
  const place = await whereAmI(configured(config, "aws:region"));
  const resources = [...(releases === undefined ? planned : released(planned, releases)), ...known];
  if (options.boundary) return boundaryPolicy(resources, place, { config, keys: options.key });
  const boundary = configured(config, ":permissionsBoundary");
  if (boundary === undefined && !previewOnly) {
    if (!options.withoutBoundary) throw withoutBoundary(stack, place);
    say(
      "without a boundary whoever has this can give the functions' roles any right of the account, and use it by their code",
    );
  }
  const all = [...resources, ...(await stateOf(project, stack))];
  return deployerPolicy(all, place, { previewOnly, boundary });
}

function withoutBoundary(stack: string, { partition, account }: Place): MillpondError {
  const name = fileName(stack, { boundary: true });
  return new MillpondError(
    "boundary-missing",
    [
      "no boundary is set, so that whoever had this policy could give the functions' roles any right of the account, and use it by their code. First, with your own rights:",
      `  npm run deployer-policy -- --stack ${stack} --boundary --output policies     # and run the command that it prints`,
      `  pulumi config set --stack ${stack} permissionsBoundary arn:${partition}:iam::${account}:policy/${name}`,
      "then print it again; or print it as it is: --without-boundary",
    ].join("\n"),
  );
}

const say = (sentence: string) => process.stderr.write(`${sentence}\n`);

function readRepository(text: string): string {
  if (/^[\w.-]+\/[\w.-]+$/.test(text)) return text;
  throw new InvalidArgumentError("It takes <owner>/<repository>.");
}

function readKey(text: string): string {
  if (/^arn:[\w-]+:kms:[\w-]+:\d{12}:key\/[\w-]+$/.test(text)) return text;
  throw new InvalidArgumentError("It takes the ARN of a key: arn:aws:kms:…:key/….");
}

function readRegistry(text: string): string {
  if (/^\d{12}\.dkr\.ecr\.[\w-]+\.[\w.-]+\/[\w./-]+$/.test(text)) return text;
  throw new InvalidArgumentError(
    "It takes <account>.dkr.ecr.<region>.amazonaws.com/<name>, without a tag.",
  );
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

function advise(length: number, { boundary }: DeployerPolicyOptions): void {
  if (length <= mostCharacters.managed) return;
  if (boundary) throw boundaryTooLong(length);
  const inline =
    length <= mostCharacters.inline
      ? `as an inline policy of a role it may have ${mostCharacters.inline}, or `
      : "";
  say(
    `${length} characters, more than the ${mostCharacters.managed} of a managed policy: ${inline}--output <folder> writes several, for one role`,
  );
}

function boundaryTooLong(length: number): MillpondError {
  return new MillpondError(
    "boundary-too-long",
    `${length} characters, and a boundary is one policy of at most ${mostCharacters.managed}: give the stack a shorter name`,
  );
}

function fileName(
  stack: string,
  { boundary = false, previewOnly = false, build = false }: Partial<DeployerPolicyOptions>,
): string {
  if (build) return "millpond-build";
  return `millpond-${stack}-${boundary ? "boundary" : previewOnly ? "preview" : "deployer"}`;
}

/** Writes what managed policies take, and says how they are made of it. */
async function write(
  statements: readonly PolicyStatement[],
  stack: string,
  options: DeployerPolicyOptions,
): Promise<void> {
  const folder = String(options.output);
  const name = fileName(stack, options);
  const parts = managedPolicies(statements);
  if (options.boundary && parts.length > 1) throw boundaryTooLong(charactersOf(statements));
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
function managedPolicies(statements: readonly PolicyStatement[]): PolicyStatement[][] {
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

/** What a stack has, and what it is to have. */
async function planOf(
  stack: string,
  configFile: string | undefined,
): Promise<{
  planned: PlannedResource[];
  known: PlannedResource[];
  config: Record<string, unknown>;
  project: string;
}> {
  const state = JSON.parse(await pulumi(["stack", "export", "--stack", stack])) as {
    deployment?: { resources?: StateResource[] };
  };
  const plan = JSON.parse(
    await pulumi(["preview", "--json", "--show-sames", ...stackArguments(stack, configFile)]),
  ) as Plan;
  const known = (state.deployment?.resources ?? []).filter(isOfAws);
  return {
    planned: plannedBy(plan, new Map(known.map(({ urn, id }) => [urn, id]))),
    // What is to go is still to be removed.
    known: known.map(({ type, inputs = {}, id }) => ({ type, inputs, id })),
    config: plan.config ?? {},
    // A URN is urn:pulumi:<stack>::<project>::….
    project: String(plan.steps?.[0]?.newState?.urn.split("::")[1] ?? "millpond"),
  };
}

/** What `pulumi preview --json` tells. */
export interface Plan {
  config?: Record<string, unknown>;
  steps?: { op: string; newState?: StateResource }[];
}

/** @param ids what AWS knows by now, by their URNs */
export function plannedBy(
  { steps = [] }: Plan,
  ids: ReadonlyMap<string, string | undefined>,
): PlannedResource[] {
  return steps.flatMap(({ op, newState }) => {
    if (newState === undefined || !isOfAws(newState)) return [];
    const { urn, type, inputs = {} } = newState;
    // What is made anew has no name yet, though what it replaces has one.
    const id = /create|replace/.test(op) ? undefined : ids.get(urn);
    return [{ type, inputs, id }];
  });
}

/** The plan of a stage that is given its image, and builds none. */
export function released(
  planned: readonly PlannedResource[],
  repository: string,
): PlannedResource[] {
  return planned.flatMap((resource) => {
    if (/^(awsx|aws):ecr|^docker-build:/.test(resource.type)) return [];
    if (resource.type !== "aws:lambda/function:Function") return [resource];
    return [{ ...resource, inputs: { ...resource.inputs, imageUri: repository } }];
  });
}

/** This stack's state, where it is in a bucket of S3. */
async function stateOf(project: string, stack: string): Promise<PlannedResource[]> {
  const { url = "" } = JSON.parse(await pulumi(["whoami", "--json"])) as { url?: string };
  return stateAt(url, project, stack);
}

/** @param backend as Pulumi names it, `s3://<bucket>/<folder>?region=…` */
export function stateAt(backend: string, project: string, stack: string): PlannedResource[] {
  const [, bucket, folder = ""] = /^s3:\/\/([^/?]+)\/?([^?]*)/.exec(backend) ?? [];
  if (bucket === undefined) return [];
  const inputs = {
    ...{ bucket, project, stack },
    folder: folder === "" || folder.endsWith("/") ? folder : `${folder}/`,
  };
  return [{ type: "state", inputs, id: undefined }];
}

export interface StateResource {
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

/** Where a stack is, as its configuration says. Undefined: there is no such stack here, or it does not say. */
async function regionOf({ stack, configFile }: DeployerPolicyOptions): Promise<string | undefined> {
  if (stack === undefined) return undefined;
  const args = ["config", "get", "aws:region", ...stackArguments(stack, configFile)];
  const text = await pulumi(args).catch(() => "");
  return text.trim() || undefined;
}

/** @param region undefined: the one of AWS's own settings */
async function whereAmI(region: string | undefined): Promise<Place> {
  const client = new STSClient(region === undefined ? {} : { region });
  try {
    const { Account = "", Arn = "" } = await client.send(new GetCallerIdentityCommand());
    return {
      account: Account,
      partition: Arn.split(":")[1] ?? "aws",
      region: await client.config.region(),
    };
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
  const allowed = statements(resources, place, (rights) => {
    if (previewOnly) return { actions: rights.preview ?? [] };
    const bound =
      rights.sid === "RoleGrants" && boundary !== undefined
        ? { StringEquals: { "iam:PermissionsBoundary": boundary } }
        : rights.condition;
    return { actions: [...rights.read, ...rights.write], condition: bound };
  });
  return previewOnly ? allowed : [...allowed, ...closed(resources, place, allowed)];
}

/** Denies all else on what has a policy of its own, which the deployer writes. */
function closed(
  resources: readonly PlannedResource[],
  place: Place,
  allowed: readonly AllowStatement[],
): DenyStatement[] {
  const found = new Map<string, DenyStatement>();
  for (const resource of resources) {
    for (const { sid, closed: isClosed, resources: named } of rightsNeeded(resource)) {
      const arns = named(resource, place);
      if (isClosed !== true || arns.length === 0) continue;
      const Sid = `${sid}Only`;
      const { NotAction = [], Resource = [] } = found.get(Sid) ?? {};
      found.set(Sid, {
        Sid,
        Effect: "Deny",
        NotAction: [
          ...new Set([...NotAction, ...arns.flatMap((arn) => onIt(arn, allowed))]),
        ].sort(),
        Resource: [...new Set([...Resource, ...arns.flatMap(withWhatIsInIt)])].sort(),
      });
    }
  }
  return [...found.values()].sort((a, b) => a.Sid.localeCompare(b.Sid));
}

/** What statements allow on one resource. */
function onIt(arn: string, allowed: readonly AllowStatement[]): string[] {
  const service = arn.split(":")[2];
  return allowed
    .filter(({ Resource = [] }) =>
      Resource.some(
        (one) => one === arn || (one.endsWith("*") && arn.startsWith(one.slice(0, -1))),
      ),
    )
    .flatMap(({ Action }) => Action.filter((action) => action.startsWith(`${service}:`)));
}

/** A bucket's policy may speak of its objects, a function's of its versions. */
function withWhatIsInIt(arn: string): string[] {
  if (arn.includes(":s3:")) return [arn, `${arn}/*`];
  if (arn.includes(":lambda:")) return [arn, `${arn}:*`];
  return [arn];
}

/** The most that a role of the stack may do. */
export function boundaryPolicy(
  resources: readonly PlannedResource[],
  place: Place,
  { config = {}, keys = [] }: { config?: Record<string, unknown>; keys?: readonly string[] } = {},
): PolicyStatement[] {
  const bucket = configured(config, ":bucketName");
  // Somebody else's, which are no resources of the stack.
  const theirs = [
    ...(bucket === undefined
      ? []
      : [{ type: "aws:s3/bucket:Bucket", inputs: { bucket }, id: undefined }]),
    ...keys.map((arn) => ({ type: "theirKey", inputs: { arn }, id: undefined })),
  ];
  const allowed = statements([...resources, ...theirs], place, ({ used = [] }) => ({
    actions: used,
  }));
  const NotAction = [...new Set(allowed.flatMap(({ Action }) => Action))].sort();
  // What a bucket's policy allows a session of a role by its name goes past what a boundary only leaves out.
  return [...allowed, { Sid: "NothingElse", Effect: "Deny", NotAction, Resource: ["*"] }];
}

/** What whoever builds images needs: to push to one repository, and to look at what is there. */
export function buildPolicy(repository: string, place: Place): PolicyStatement[] {
  const build = { type: "build", inputs: { repository }, id: undefined };
  return statements([build], place, ({ read, write }) => ({ actions: [...read, ...write] }));
}

function rightsNeeded({ type }: PlannedResource): readonly Rights[] {
  const needed = rightsOf[type];
  if (needed !== undefined) return needed;
  throw new MillpondError(
    "type-unknown",
    `nothing is known of the rights that ${type} needs: cli/deployer-rights.ts lists those of other types`,
  );
}

function statements(
  resources: readonly PlannedResource[],
  place: Place,
  allowed: (rights: Rights) => { actions: readonly string[]; condition?: object | undefined },
): AllowStatement[] {
  const found = new Map<string, AllowStatement>();
  for (const resource of resources) {
    for (const rights of rightsNeeded(resource)) {
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
function leastOf(statements: readonly AllowStatement[]): AllowStatement[] {
  let kept = statements;
  // A small statement goes into a large one, and is gone.
  const smallestFirst = [...statements].sort((a, b) => a.Action.length - b.Action.length);
  for (const one of smallestFirst) {
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
function githubTrust(
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
