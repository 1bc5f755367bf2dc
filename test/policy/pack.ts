import { type ChildProcess, spawn } from "node:child_process";
import { createRequire } from "node:module";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { type Client, credentials } from "@grpc/grpc-js";
import type { Resource, RuleOptions } from "../../policy/rules.ts";

const require = createRequire(import.meta.url);
const { AnalyzerClient } = require("@pulumi/pulumi/proto/analyzer_grpc_pb.js");
const messages = require("@pulumi/pulumi/proto/analyzer_pb.js");
const { Struct } = require("google-protobuf/google/protobuf/struct_pb.js");
const folder = fileURLToPath(new URL("../../policy/", import.meta.url));

/** What a policy said of a resource. */
export interface Diagnostic {
  policyname: string;
  message: string;
  urn: string;
}

interface Analyzer extends Client {
  configure(request: unknown, done: (error: Error | null) => void): void;
  analyze(request: unknown, done: (error: Error | null, answer: Answer) => void): void;
  analyzeStack(request: unknown, done: (error: Error | null, answer: Answer) => void): void;
}
interface Answer {
  toObject(): { diagnosticsList: Diagnostic[] };
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

  /** All that it says of resources, each alone and together. */
  async analyze(resources: readonly Resource[]): Promise<Diagnostic[]> {
    const said: Diagnostic[] = [];
    const all = new messages.AnalyzeStackRequest();
    for (const { type, name, props, protect } of resources) {
      const urn = `urn:pulumi:dev::millpond::${type}::${name}`;
      const options = new messages.AnalyzerResourceOptions();
      options.setProtect(protect);
      const described = [new messages.AnalyzeRequest(), new messages.AnalyzerResource()];
      for (const one of described) {
        one.setType(type);
        one.setName(name);
        one.setUrn(urn);
        one.setProperties(Struct.fromJavaScript(props));
        one.setOptions(options);
      }
      const [request, member] = described;
      all.addResources(member);
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
