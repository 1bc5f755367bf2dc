import { type ChildProcess, spawn } from "node:child_process";
import { createRequire } from "node:module";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { type Client, credentials } from "@grpc/grpc-js";
import { Secret } from "@pulumi/policy";
import { expect } from "chai";
import { notYet, type Resource, type RuleOptions } from "../../policy/rules.ts";

const require = createRequire(import.meta.url);
const { AnalyzerClient } = require("@pulumi/pulumi/proto/analyzer_grpc_pb.js");
const messages = require("@pulumi/pulumi/proto/analyzer_pb.js");
const { Struct } = require("google-protobuf/google/protobuf/struct_pb.js");
const folder = fileURLToPath(new URL("../../policy/", import.meta.url));

/** A resource as Pulumi sends it: unknown values are `notYet`, secrets are `Secret`. */
export interface Sent extends Resource {
  /** What policies of the whole stack get in place of `props`. @default - the same */
  outputs?: Record<string, unknown>;
}

/** What a policy said of a resource. */
export interface Diagnostic {
  policyname: string;
  message: string;
  urn: string;
  /** 1 is mandatory. */
  enforcementlevel: number;
}

interface Analyzer extends Client {
  configure(request: unknown, done: (error: Error | null) => void): void;
  analyze(request: unknown, done: (error: Error | null, answer: Answer) => void): void;
  remediate(request: unknown, done: (error: Error | null, answer: Remedies) => void): void;
  analyzeStack(request: unknown, done: (error: Error | null, answer: Answer) => void): void;
}
interface Answer {
  toObject(): { diagnosticsList: Diagnostic[] };
}

interface Remedies {
  toObject(): { remediationsList: { policyname: string; diagnostic: string }[] };
}

/** Pulumi's sign that an object is a secret, and what it sends in place of a text that it doesn't know. */
const secretSignature = {
  "4dabf18193072939515e22adb298388d": "1b47061264138c4ac30d75fd1eb44270",
};
const unknownText = "04da6b54-80e4-46f7-96ec-b56ff0331ba9";

function sent(value: unknown): unknown {
  if (value === notYet) return unknownText;
  if (value instanceof Secret) return { ...secretSignature, value: sent(value.value) };
  if (Array.isArray(value)) return value.map(sent);
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, one]) => [key, sent(one)]));
}

/** As Pulumi names it where the resource says nothing. */
export function urnOf({ urn, type, name }: Resource): string {
  return urn ?? `urn:pulumi:dev::millpond::${type}::${name}`;
}

/** The policy pack as a process of its own, as Pulumi's language host for Node starts it, asked over Pulumi's own protocol. */
export class PolicyPackProcess {
  readonly #child: ChildProcess;
  readonly #client: Analyzer;

  private constructor(child: ChildProcess, port: string) {
    this.#child = child;
    this.#client = new AnalyzerClient(`127.0.0.1:${port}`, credentials.createInsecure());
  }

  static async start(): Promise<PolicyPackProcess> {
    const program = require.resolve("@pulumi/pulumi/cmd/run-policy-pack");
    // The engine's address: the pack speaks to it only to log.
    const child = spawn(process.execPath, [program, "127.0.0.1:1", folder], {
      cwd: folder,
      stdio: ["ignore", "pipe", "inherit"],
    });
    const port = await new Promise<string>((resolve, reject) => {
      child.stdout.once("data", (chunk: Buffer) => resolve(String(chunk).trim()));
      child.once("close", (code) => reject(new Error(`the policy pack ended with ${code}`)));
    });
    return new PolicyPackProcess(child, port);
  }

  /** As `--policy-pack-config` does. */
  async configure(rule: string, options: RuleOptions): Promise<void> {
    const request = new messages.ConfigureAnalyzerRequest();
    const config = new messages.PolicyConfig();
    // Mandatory, as the pack itself says.
    config.setEnforcementlevel(1);
    config.setProperties(Struct.fromJavaScript(options));
    request.getPolicyconfigMap().set(rule, config);
    await promisify(this.#client.configure.bind(this.#client))(request);
  }

  /** All that it says of resources, each alone and together. It is asked for remedies first, as by Pulumi, and has none. */
  async analyze(resources: readonly Sent[]): Promise<Diagnostic[]> {
    const said: Diagnostic[] = [];
    const all = new messages.AnalyzeStackRequest();
    for (const resource of resources) {
      const { type, name, props, outputs = props, uses = {} } = resource;
      const options = new messages.AnalyzerResourceOptions();
      options.setProtect(resource.protect);
      const request = new messages.AnalyzeRequest();
      const member = new messages.AnalyzerResource();
      for (const [one, properties] of [
        [request, props],
        [member, outputs],
      ]) {
        one.setType(type);
        one.setName(name);
        one.setUrn(urnOf(resource));
        one.setProperties(Struct.fromJavaScript(sent(properties)));
        one.setOptions(options);
      }
      for (const [key, urns] of Object.entries(uses)) {
        const dependencies = new messages.AnalyzerPropertyDependencies();
        dependencies.setUrnsList([...urns]);
        member.getPropertydependenciesMap().set(key, dependencies);
      }
      all.addResources(member);
      const remedies = await promisify(this.#client.remediate.bind(this.#client))(request);
      expect(remedies.toObject().remediationsList).to.deep.equal([]);
      const answer = await promisify(this.#client.analyze.bind(this.#client))(request);
      said.push(...answer.toObject().diagnosticsList);
    }
    const answer = await promisify(this.#client.analyzeStack.bind(this.#client))(all);
    said.push(...answer.toObject().diagnosticsList);
    return said;
  }

  stop(): void {
    this.#client.close();
    this.#child.kill();
  }
}
