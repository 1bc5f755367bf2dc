import fs from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { InvokeCommand, LambdaClient } from "@aws-sdk/client-lambda";
import { containersOf, removeContainers } from "../../cli/docker.ts";
import { type Emulator, labelAt, startEmulator } from "../../cli/rehearsal/emulator.ts";
import { PulumiStack } from "../../cli/rehearsal/pulumi-stack.ts";
import { docker } from "../image/docker.ts";
import { host, requireTools } from "../stack/build.ts";
import { buildExample, exampleFolder, exampleTag } from "./image.ts";

/** Keys of the role of a function. */
export interface FunctionKeys {
  accessKeyId: string;
  secretAccessKey: string;
  sessionToken: string;
}

/** An example's stack, its image, and an emulator of AWS where IAM is enforced. SDK's clients find it without being told. */
export class DeployedExample {
  readonly stack: PulumiStack;
  readonly #name: string;
  readonly #folder: string;
  readonly #emulator: Emulator;

  private constructor(
    name: string,
    stack: PulumiStack,
    parts: { folder: string; emulator: Emulator },
  ) {
    this.stack = stack;
    this.#name = name;
    this.#folder = parts.folder;
    this.#emulator = parts.emulator;
  }

  /** Everything but `pulumi up`. Skips the suite, and says why, where this machine can't. */
  static async prepare(name: string, context: Mocha.Context): Promise<DeployedExample> {
    await requireTools(context);
    const imageId = await buildExample(name, host);
    const emulator = await startEmulator({ enforceIam: true });
    if ("missing" in emulator) {
      process.stderr.write(`skipped: ${emulator.missing}\n`);
      return context.skip();
    }
    process.env["AWS_ENDPOINT_URL"] = emulator.endpoint;
    const folder = await fs.mkdtemp(path.join(os.tmpdir(), "millpond-test-"));
    const stack = new PulumiStack("test", folder, undefined, exampleFolder(name));
    const example = new DeployedExample(name, stack, { folder, emulator });
    try {
      await stack.init(emulator.endpoint);
      await stack.setConfig("architecture", host);
      await stack.setConfig("imageUri", imageId);
      return example;
    } catch (error) {
      await example.remove();
      throw error;
    }
  }

  /** What a function answers, and whether that is an error of its. */
  async invoke(
    functionName: string,
    event: unknown,
  ): Promise<{ failed: boolean; answer: Record<string, unknown> }> {
    const lambda = new LambdaClient();
    try {
      const { FunctionError, Payload } = await lambda.send(
        new InvokeCommand({
          FunctionName: functionName,
          Payload: Buffer.from(JSON.stringify(event)),
        }),
      );
      return {
        failed: FunctionError !== undefined,
        answer: JSON.parse(Buffer.from(Payload ?? []).toString()) as Record<string, unknown>,
      };
    } finally {
      lambda.destroy();
    }
  }

  /** Those that a function runs with: it must have been invoked a moment ago, to have a container. */
  async keysOf(functionName: string): Promise<FunctionKeys> {
    for (const id of await containersOf(labelAt(this.#emulator.endpoint))) {
      const [{ Config }] = JSON.parse(await docker("inspect", id)) as [
        { Config: { Env: string[] } },
      ];
      const of = (name: string) =>
        String(Config.Env.find((one) => one.startsWith(`${name}=`))?.slice(name.length + 1));
      if (of("AWS_LAMBDA_FUNCTION_NAME") !== functionName) continue;
      return {
        accessKeyId: of("AWS_ACCESS_KEY_ID"),
        secretAccessKey: of("AWS_SECRET_ACCESS_KEY"),
        sessionToken: of("AWS_SESSION_TOKEN"),
      };
    }
    throw new Error(`no container runs ${functionName}`);
  }

  /** What is left on this machine. The stack is destroyed before, by who wants to see that. */
  async remove(): Promise<void> {
    delete process.env["AWS_ENDPOINT_URL"];
    await this.#emulator.stop();
    await removeContainers(labelAt(this.#emulator.endpoint));
    await docker("image", "rm", exampleTag(this.#name, host));
    await fs.rm(this.#folder, { recursive: true });
  }
}
