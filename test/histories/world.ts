import fs from "node:fs/promises";
import path from "node:path";
import type { Engine } from "../../app/engine/engine.ts";
import { decodeObjectEvents } from "../../app/events/s3-event.ts";
import { createHandler as createIngest } from "../../app/functions/ingest.ts";
import { createHandler as createSweep } from "../../app/functions/sweep.ts";
import { decodeOutputMetadata } from "../../app/lake/output-metadata.ts";
import { mostAttempts } from "../../app/lake/verdict.ts";
import { createLogger } from "../../app/logger.ts";
import type { Pond } from "../../app/pond.ts";
import { localContext } from "../../cli/local-context.ts";
import { contents, lakeProblems, sources, type Version } from "./check.ts";
import { Events, eventOf } from "./events.ts";
import { MemoryBucket, MemoryStore } from "./memory-bucket.ts";
import { applicable, blamed, type Fault, Turnstile } from "./turnstile.ts";

/** One thing that happens in a history. Numbers choose among what is there, modulo. */
export type Command =
  | { do: "put"; source: number; content: number; skewHours: number }
  | { do: "delete"; source: number }
  /** Events to one handler, in one message. Those of `again` come once more later. */
  | { do: "deliver"; events: number[]; again: boolean }
  | { do: "lose"; event: number }
  /** All sources are gone, as is who would tell of it: a disk that is not mounted. */
  | { do: "vanish" }
  /** Handlers end, and what is under way arrives. */
  | { do: "quiet" }
  | { do: "sweep" }
  | { do: "step"; handler: number; call: number; fault: Fault }
  /** Lets a handler go on to its end. */
  | { do: "finish"; handler: number }
  | { do: "kill"; handler: number };

interface Handler {
  turnstile: Turnstile;
  /** Of the event, which comes again where the handler fails. */
  keys: readonly string[];
  workspace: string;
}

const bucketName = "pond";
const logger = createLogger({ environment: { LOG_LEVEL: "fatal" } });
logger.silent = true;

/** A bucket, the people who drop files, the cloud that tells of them, and handlers of the real function. */
export class World {
  readonly #bucket = new MemoryBucket();
  readonly #engine: Engine;
  readonly #folder: string;
  readonly #mirrorDeletes: boolean;
  readonly #handlers: Handler[] = [];
  readonly events = new Events();
  /** All versions that a source has had, in order. */
  readonly #versions = new Map<string, Version[]>();
  /** Which version each output was made from, by its place among them. */
  readonly #written = new Map<string, number>();
  /** How often a version was blamed for what was injected. */
  readonly #blamed = new Map<string, number>();
  readonly #problems: string[] = [];
  #wake: () => void = () => {};
  #started = 0;

  constructor(engine: Engine, folder: string, mirrorDeletes: boolean) {
    this.#engine = engine;
    this.#mirrorDeletes = mirrorDeletes;
    this.#folder = folder;
    this.#bucket.onWrite = ({ key, metadata }) => {
      const made = decodeOutputMetadata(metadata);
      if (made === undefined) return;
      const before = this.#written.get(key) ?? 0;
      // The same content may have been put twice: it is the first of these that can follow what was there.
      const index = (this.#versions.get(made.sourceKey) ?? []).findIndex(
        ({ etag }, at) => at >= before && etag === made.sourceEtag,
      );
      if (index >= 0) this.#written.set(key, index);
      else this.#problems.push(`an older version took the place of a newer one at ${key}`);
    };
  }

  async run(commands: readonly Command[]): Promise<void> {
    for (const command of commands) {
      await this.#act(command);
      await this.#untilStill();
    }
  }

  async #act(command: Command): Promise<void> {
    const running = this.#handlers.filter(({ turnstile }) => turnstile.parked.length > 0);
    switch (command.do) {
      case "put": {
        const key = sources[command.source % sources.length] as string;
        const content = command.content % contents.length;
        // A person's clock is not ours, but S3's is its own: it is the copies of a mirror that come with other times.
        const skew = command.skewHours * 3_600_000;
        const { etag } = this.#bucket.put(
          key,
          Buffer.from(contents[content]?.text ?? ""),
          {},
          skew,
        );
        this.#versions.set(key, [...(this.#versions.get(key) ?? []), { etag, content }]);
        this.events.add(key);
        return;
      }
      case "delete": {
        const key = sources[command.source % sources.length] as string;
        this.#bucket.remove(key);
        this.events.add(key);
        return;
      }
      case "deliver": {
        const keys = this.events.take(command.events, command.again);
        if (keys.length > 0) this.#ingest(keys);
        return;
      }
      case "lose":
        this.events.lose(command.event);
        return;
      case "vanish":
        for (const key of sources) this.#bucket.remove(key);
        while (this.events.waiting > 0) this.events.lose(0);
        this.events.lost = true;
        return;
      case "quiet":
        await this.drain();
        return;
      case "sweep":
        this.sweep(false);
        return;
      case "step": {
        const handler = running[command.handler % Math.max(1, running.length)];
        const parked = handler?.turnstile.parked[command.call % handler.turnstile.parked.length];
        if (parked === undefined) return;
        if (
          parked.what === "convert" &&
          blamed.includes(applicable(command.fault, "convert", false))
        ) {
          // Which version is read by now is not known here: any that the source has had may be.
          const versions = this.#versions.get(parked.about) ?? [];
          for (const etag of new Set(versions.map((version) => version.etag))) {
            const id = `${parked.about} ${etag}`;
            this.#blamed.set(id, (this.#blamed.get(id) ?? 0) + 1);
          }
        }
        parked.go(command.fault);
        return;
      }
      case "finish": {
        const handler = running[command.handler % Math.max(1, running.length)];
        while (handler !== undefined && !handler.turnstile.finished) {
          handler.turnstile.parked[0]?.go("none");
          await this.#untilStill();
        }
        return;
      }
      case "kill": {
        const handler = running[command.handler % Math.max(1, running.length)];
        if (handler === undefined) return;
        handler.turnstile.killed = true;
        handler.turnstile.parked.length = 0;
        this.events.add(...handler.keys);
        // Its next start removes what it left: openWorkspace, which has tests of its own.
        await fs.rm(handler.workspace, { recursive: true, force: true });
        return;
      }
    }
  }

  #ingest(keys: readonly string[]): void {
    this.#start(keys, async (pond) => {
      await createIngest(async () => pond)(eventOf(bucketName, keys), localContext("ingest"));
    });
  }

  sweep(force: boolean): void {
    this.#start([], async (pond) => {
      await createSweep(async () => pond)({ force }, localContext("sweep"));
    });
  }

  /** Starts a handler, as a process of its own would be. Where it fails its events come again. */
  #start(keys: readonly string[], work: (pond: Pond) => Promise<void>): void {
    this.#started += 1;
    const workspace = path.join(this.#folder, String(this.#started));
    const turnstile = new Turnstile(() => this.#wake());
    // One source at a time: what was checked out last is what is converted.
    let converting = "";
    const store = turnstile.guard(new MemoryStore(this.#bucket));
    const { checkOut } = store;
    store.checkOut = async (key, etag, directory) => {
      converting = key;
      return await checkOut(key, etag, directory);
    };
    const pond = {
      logger,
      store,
      bucket: bucketName,
      sweep: { store, workspace, mirrorDeletes: this.#mirrorDeletes, ownTimes: true },
      ingest: {
        store,
        engine: turnstile.guardEngine(this.#engine, () => converting),
        workspace,
        mirrorDeletes: this.#mirrorDeletes,
      },
      publish: async (message: string) => {
        this.events.add(...decodeObjectEvents(JSON.parse(message)).map(({ key }) => key));
      },
    } as unknown as Pond;
    this.#handlers.push({ turnstile, keys, workspace });
    const end = (failed: boolean) => {
      if (turnstile.killed) return;
      turnstile.finished = true;
      if (failed) this.events.add(...keys);
      this.#wake();
    };
    void fs
      .mkdir(workspace, { recursive: true })
      .then(() => work(pond))
      .then(
        () => end(false),
        () => end(true),
      );
  }

  async #untilStill(): Promise<void> {
    while (this.#handlers.some(({ turnstile }) => !turnstile.still)) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }

  /** Nothing fails any more: handlers end, and events that were not lost arrive. */
  async drain(): Promise<void> {
    for (;;) {
      await this.#untilStill();
      const parked = this.#handlers.find(({ turnstile }) => turnstile.parked.length > 0);
      if (parked !== undefined) {
        parked.turnstile.parked[0]?.go("none");
      } else if (this.events.waiting > 0) {
        this.#ingest(this.events.take([0]));
      } else {
        return;
      }
    }
  }

  async keys(): Promise<string[]> {
    return [...this.#bucket.objects.keys()];
  }

  /** What is wrong with the lake, as a person would say it. Empty where all is right. */
  async findProblems(): Promise<string[]> {
    const problems = [
      ...this.#problems,
      ...(await lakeProblems({
        objects: this.#bucket.objects,
        versions: this.#versions,
        mirrorDeletes: this.#mirrorDeletes,
        given: (key, etag) => (this.#blamed.get(`${key} ${etag}`) ?? 0) >= mostAttempts,
        folder: path.join(this.#folder, "lake"),
      })),
    ];
    for (const { turnstile, workspace } of this.#handlers) {
      if (turnstile.killed) continue;
      const left = await fs.readdir(workspace).catch(() => []);
      if (left.length > 0) problems.push(`a handler left ${left.length} files behind`);
    }
    return problems;
  }
}
