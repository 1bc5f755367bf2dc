import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import fs from "node:fs/promises";
import path from "node:path";
import { fileURLToPath } from "node:url";
import {
  DeleteObjectCommand,
  GetObjectCommand,
  ListMultipartUploadsCommand,
  PutObjectCommand,
  paginateListObjectsV2,
  type S3Client,
} from "@aws-sdk/client-s3";
import { environmentNames } from "../../app/contract.ts";
import type { SeenRequest, WatchingProxy } from "../s3/proxy.ts";
import { contents, lakeProblems, type Quiet, sources, type Version } from "./check.ts";
import { Events, eventOf } from "./events.ts";
import type { Ending, Invocation } from "./handler-process.ts";

/** What may go wrong with one request of a handler, on its way to S3 or back. */
export const accidents = [
  "none",
  /** The process, by SIGKILL: before the request is made, or when it is done and nobody heard. */
  "kill before",
  "kill after",
  /** The child that holds DuckDB. */
  "kill engine",
  /** Once; or from there on, so that the function fails. */
  "503",
  "slow down",
  "down",
  /** It waits, while others go on. */
  "late",
  /** The connection, before S3 has it all; when it is done, and nobody heard; in the middle of an answer. */
  "reset",
  "answer lost",
  "cut",
  /** Of writes on condition alone. */
  "409",
  "412",
] as const;
export type Accident = (typeof accidents)[number];

export type RealCommand =
  | { do: "put"; source: number; content: number }
  | { do: "delete"; source: number }
  | { do: "lose"; event: number }
  /**
   * Events to one handler, in one message; what befalls its request of that number. Without `wait` the next commands
   * happen meanwhile.
   */
  | {
      do: "deliver";
      events: number[];
      again: boolean;
      handler: number;
      wait: boolean;
      at: number;
      accident: Accident;
    }
  | { do: "sweep"; handler: number; at: number; accident: Accident };

export interface Surroundings {
  client: S3Client;
  proxy: WatchingProxy;
  /** One for all histories; each finds it empty. */
  bucket: string;
  folder: string;
}

/** Those that are nothing but another answer, or none. */
const refused = {
  "503": "ServiceUnavailable",
  down: "ServiceUnavailable",
  "slow down": "SlowDown",
} as const;
const unmet = { "409": "ConditionalRequestConflict", "412": "PreconditionFailed" } as const;
const broken = { reset: "reset", "answer lost": "answer lost", cut: "cut" } as const;

/** What befalls the requests of one invocation. */
interface Plan {
  at: number;
  accident: Accident;
}
const nothing: Plan = { at: 0, accident: "none" };

const sweepOf = (force: boolean) => ({ function: "sweep", event: { force } }) as const;

/** Commands that a late request waits for. */
const lateFor = 4;

/** A process that handles events, and what befalls it. */
class Handler {
  readonly #environment: Record<string, string | undefined>;
  readonly temporary: string;
  readonly keyId: string;
  #child: ChildProcess | undefined;
  #requests = 0;
  #plan = nothing;
  busy: Promise<void> = Promise.resolve();
  /** Invocations that wait for the one before them. */
  wanted = 0;

  constructor(index: number, { proxy, bucket, folder }: Surroundings) {
    this.keyId = `handler${index}`;
    this.temporary = path.join(folder, this.keyId);
    const { PATH } = process.env;
    this.#environment = {
      PATH,
      [environmentNames.store]: `s3://${bucket}`,
      [environmentNames.auth]: "none",
      AWS_ENDPOINT_URL: proxy.url,
      AWS_REGION: "eu-central-1",
      AWS_ACCESS_KEY_ID: this.keyId,
      AWS_SECRET_ACCESS_KEY: "secret",
      TMPDIR: this.temporary,
    };
  }

  /** @returns whether it ended well: it was not killed, and threw nothing */
  async invoke(invocation: Invocation, plan: Plan): Promise<boolean> {
    const child = await this.start();
    this.#requests = 0;
    this.#plan = plan;
    child.send(invocation);
    const ended = await new Promise<Ending | undefined>((resolve) => {
      const over = (ending: unknown) => {
        child.off("message", over).off("exit", over);
        // An exit gives a number, or nothing where it was a signal.
        resolve(typeof ending === "object" && ending !== null ? (ending as Ending) : undefined);
      };
      child.on("message", over).on("exit", over);
    });
    this.#plan = nothing;
    if (ended === undefined) this.#child = undefined;
    return ended?.ok === true;
  }

  async start(): Promise<ChildProcess> {
    if (this.#child !== undefined) return this.#child;
    await fs.mkdir(this.temporary, { recursive: true });
    const child = fork(fileURLToPath(new URL("handler-process.ts", import.meta.url)), {
      env: this.#environment,
      // Its engine would hold what the test waits for.
      stdio: ["ignore", "ignore", "ignore", "ipc"],
    });
    this.#child = child;
    await once(child, "message");
    return child;
  }

  /** What befalls the next request. */
  accident(): Accident {
    const { at, accident } = this.#plan;
    const now = this.#requests === at || (accident === "down" && this.#requests > at);
    this.#requests += 1;
    return now ? accident : "none";
  }

  async kill(): Promise<void> {
    const child = this.#child;
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    const ended = once(child, "exit");
    child.kill("SIGKILL");
    await ended;
    this.#child = undefined;
  }

  /** Kills the processes that this one has started. */
  async killEngine(): Promise<void> {
    const pid = this.#child?.pid;
    const text = await fs.readFile(`/proc/${pid}/task/${pid}/children`, "utf8").catch(() => "");
    for (const one of text.split(" ").filter((number) => number !== "")) {
      try {
        process.kill(Number(one), "SIGKILL");
      } catch {
        // It has ended by itself.
      }
    }
  }
}

/** A real bucket, real processes, and the network between them. */
export class RealWorld {
  readonly #around: Surroundings;
  readonly #handlers: Handler[];
  readonly events = new Events();
  readonly #versions = new Map<string, Version[]>();
  /** Requests that wait: for so many commands, or until their handler is needed. */
  #held: { handler: Handler; commands: number; go: () => void }[] = [];
  #quiet = false;
  #mirrorDeletes = false;

  /** @param around the processes that it starts serve all histories, unless they are killed */
  constructor(around: Surroundings) {
    this.#around = around;
    this.#handlers = [0, 1].map((index) => new Handler(index, around));
    around.proxy.onRequest = (request) => this.#befall(request);
  }

  /** Back to an empty bucket. */
  async clear(mirrorDeletes: boolean): Promise<void> {
    this.#mirrorDeletes = mirrorDeletes;
    const { client, bucket: Bucket } = this.#around;
    for (const { Key } of await this.#list())
      await client.send(new DeleteObjectCommand({ Bucket, Key }));
    this.events.clear();
    this.#versions.clear();
    this.#quiet = false;
  }

  async run(commands: readonly RealCommand[]): Promise<void> {
    for (const command of commands) {
      await this.#act(command);
      for (const held of this.#held) held.commands -= 1;
      this.#release(({ commands: left }) => left <= 0);
    }
  }

  #release(which: (held: { handler: Handler; commands: number }) => boolean): void {
    const free = this.#held.filter(which);
    this.#held = this.#held.filter((held) => !which(held));
    for (const { go } of free) go();
  }

  async #act(command: RealCommand): Promise<void> {
    const { client, bucket: Bucket } = this.#around;
    switch (command.do) {
      case "put": {
        const key = sources[command.source % sources.length] as string;
        const content = command.content % contents.length;
        const Body = Buffer.from(contents[content]?.text ?? "");
        const { ETag } = await client.send(new PutObjectCommand({ Bucket, Key: key, Body }));
        const before = this.#versions.get(key) ?? [];
        this.#versions.set(key, [...before, { etag: String(ETag), content }]);
        this.events.add(key);
        return;
      }
      case "delete": {
        const Key = sources[command.source % sources.length] as string;
        await client.send(new DeleteObjectCommand({ Bucket, Key }));
        this.events.add(Key);
        return;
      }
      case "lose":
        this.events.lose(command.event);
        return;
      case "deliver": {
        const keys = this.events.take(command.events, command.again);
        if (keys.length === 0) return;
        const done = this.#ingest(keys, command.handler, command);
        if (command.wait && command.accident !== "late") await done;
        return;
      }
      case "sweep": {
        const done = this.#invoke(command.handler, sweepOf(false), command);
        if (command.accident !== "late") await done;
        return;
      }
    }
  }

  async #ingest(keys: readonly string[], index: number, plan: Plan): Promise<void> {
    const event = eventOf(this.#around.bucket, keys);
    const well = await this.#invoke(index, { function: "ingest", event }, plan);
    if (!well) this.events.add(...keys);
  }

  async #invoke(
    index: number,
    what: Omit<Invocation, "mirrorDeletes">,
    plan: Plan,
  ): Promise<boolean> {
    const invocation = { ...what, mirrorDeletes: this.#mirrorDeletes };
    const handler = this.#handlers[index % this.#handlers.length] as Handler;
    // Whoever waits for the handler must not wait for a request that waits for others.
    handler.wanted += 1;
    this.#release((held) => held.handler === handler);
    const ended = handler.busy.then(() => {
      handler.wanted -= 1;
      return handler.invoke(invocation, plan);
    });
    handler.busy = ended.then(() => undefined);
    return await ended;
  }

  async #befall(request: SeenRequest): Promise<void> {
    const handler = this.#handlers.find(({ keyId }) => keyId === request.keyId);
    if (handler === undefined) return;
    const accident = handler.accident();
    switch (accident) {
      case "none":
        return;
      case "kill before":
        request.instead = "reset";
        await handler.kill();
        return;
      case "kill after":
        request.instead = "answer lost";
        request.after = () => handler.kill();
        return;
      case "kill engine":
        await handler.killEngine();
        return;
      case "late":
        if (handler.wanted > 0 || this.#quiet) return;
        await new Promise<void>((go) => {
          this.#held.push({ handler, commands: lateFor, go });
        });
        return;
      default:
        // Writes alone are made on condition.
        if (accident in unmet && request.method !== "PUT") return;
        request.instead = { ...refused, ...unmet, ...broken }[accident];
    }
  }

  async sweep(force: boolean): Promise<void> {
    await this.#invoke(0, sweepOf(force), nothing);
  }

  async keys(): Promise<string[]> {
    return (await this.#list()).flatMap(({ Key }) => Key ?? []);
  }

  /** Nothing befalls anybody any more. */
  async drain(): Promise<void> {
    this.#quiet = true;
    this.#release(() => true);
    await Promise.all(this.#handlers.map(({ busy }) => busy));
    for (let tries = 0; this.events.waiting > 0; tries += 1) {
      if (tries > 100) throw new Error("the events never end");
      const keys = this.events.take([0]);
      await this.#ingest(keys, 0, nothing);
    }
  }

  async findProblems(): Promise<string[]> {
    const { client, bucket: Bucket, folder } = this.#around;
    const objects: Quiet["objects"] = new Map(
      await Promise.all(
        (await this.#list()).map(async ({ Key = "" }) => {
          const got = await client.send(new GetObjectCommand({ Bucket, Key }));
          const content = Buffer.from((await got.Body?.transformToByteArray()) ?? []);
          const head = { etag: String(got.ETag), metadata: got.Metadata ?? {} };
          return [Key, { content, head }] as const;
        }),
      ),
    );
    const problems = await lakeProblems({
      ...{
        objects,
        versions: this.#versions,
        mirrorDeletes: this.#mirrorDeletes,
        given: () => false,
      },
      folder: path.join(folder, "lake"),
    });
    const { Uploads = [] } = await client.send(new ListMultipartUploadsCommand({ Bucket }));
    if (Uploads.length > 0) problems.push(`${Uploads.length} half uploads are left`);
    for (const handler of this.#handlers) {
      // Where the last process was killed, the next one removes what it left.
      await handler.start();
      const base = path.join(handler.temporary, "millpond");
      const workspaces = await fs.readdir(base);
      if (workspaces.length !== 1) problems.push(`${workspaces.length} workspaces are there`);
      for (const name of ["ingest", "sweep"]) {
        const left = await fs.readdir(path.join(base, String(workspaces[0]), name));
        if (left.length > 0) problems.push(`a handler left ${left.length} files in ${name}/`);
      }
    }
    return problems;
  }

  async #list(): Promise<{ Key?: string | undefined }[]> {
    const { client, bucket: Bucket } = this.#around;
    const all: { Key?: string | undefined }[] = [];
    for await (const { Contents = [] } of paginateListObjectsV2({ client }, { Bucket })) {
      all.push(...Contents);
    }
    return all;
  }

  async close(): Promise<void> {
    await Promise.all(this.#handlers.map((handler) => handler.kill()));
  }
}
