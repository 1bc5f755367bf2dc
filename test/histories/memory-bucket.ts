import { createHash, randomUUID } from "node:crypto";
import fs from "node:fs/promises";
import path from "node:path";
import type {
  LocalCopy,
  ObjectHead,
  ObjectSummary,
  PutOptions,
  PutResult,
  Store,
} from "../../app/store/store.ts";

interface StoredObject {
  content: Buffer;
  head: ObjectHead;
}

/**
 * What S3 promises, and no more, in memory: strong reads, an ETag that is a hash of the content alone, writes and deletes on
 * condition of one. Each call happens at one moment.
 */
export class MemoryBucket {
  readonly objects = new Map<string, StoredObject>();
  /** Told of each write, before it happens. */
  onWrite: ((next: ObjectHead) => void) | undefined;

  /** What anybody may do: a write without a condition. @param skewMs by which the time of the write is off */
  put(key: string, content: Buffer, metadata: ObjectHead["metadata"] = {}, skewMs = 0): ObjectHead {
    const etag = `"${createHash("md5").update(content).digest("hex")}"`;
    // S3 tells whole seconds.
    const lastModified = new Date(Math.floor((Date.now() + skewMs) / 1000) * 1000);
    const head = { key, etag, size: content.length, lastModified, metadata };
    this.onWrite?.(head);
    this.objects.set(key, { content, head });
    return head;
  }

  remove(key: string): void {
    this.objects.delete(key);
  }
}

/** A bucket as one handler has it. */
export class MemoryStore implements Store {
  readonly #bucket: MemoryBucket;

  constructor(bucket: MemoryBucket) {
    this.#bucket = bucket;
  }

  async head(key: string): Promise<ObjectHead | undefined> {
    return this.#bucket.objects.get(key)?.head;
  }

  async *list(prefix: string): AsyncIterable<ObjectSummary> {
    for (const [key, { head }] of [...this.#bucket.objects].sort(([a], [b]) => (a < b ? -1 : 1))) {
      if (!key.startsWith(prefix)) continue;
      const { metadata: _, ...summary } = head;
      yield summary;
    }
  }

  async read(key: string): Promise<{ etag: string; text: string } | undefined> {
    const found = this.#bucket.objects.get(key);
    return found && { etag: found.head.etag, text: found.content.toString("utf8") };
  }

  async checkOut(key: string, etag: string, directory: string): Promise<LocalCopy | undefined> {
    const found = this.#bucket.objects.get(key);
    if (found?.head.etag !== etag) return undefined;
    const file = path.join(directory, `source-${randomUUID()}`);
    await fs.writeFile(file, found.content);
    return { path: file, intact: async () => true };
  }

  async putFile(key: string, file: string, options: PutOptions): Promise<PutResult> {
    const content = await fs.readFile(file);
    const result = this.#putIf(key, content, options);
    if (result.kind === "stored") await fs.rm(file);
    return result;
  }

  async putText(key: string, text: string, options: PutOptions): Promise<PutResult> {
    return this.#putIf(key, Buffer.from(text), options);
  }

  async delete(key: string, etag: string): Promise<void> {
    if (this.#bucket.objects.get(key)?.head.etag === etag) this.#bucket.remove(key);
  }

  locate(key: string): string {
    return `memory://${key}`;
  }

  locatePrefix(prefix: string): string {
    return this.locate(prefix);
  }

  async close(): Promise<void> {}

  #putIf(key: string, content: Buffer, { condition, metadata }: PutOptions): PutResult {
    const found = this.#bucket.objects.get(key);
    const holds =
      "ifAbsent" in condition ? found === undefined : found?.head.etag === condition.ifMatch;
    if (!holds) return { kind: "conflict" };
    return { kind: "stored", etag: this.#bucket.put(key, content, metadata).etag };
  }
}
