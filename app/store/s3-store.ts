import { randomUUID } from "node:crypto";
import fs from "node:fs";
import fsp from "node:fs/promises";
import { Agent as HttpAgent } from "node:http";
import { Agent as HttpsAgent } from "node:https";
import path from "node:path";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import {
  DeleteObjectCommand,
  GetObjectCommand,
  HeadObjectCommand,
  PutObjectCommand,
  paginateListObjectsV2,
  S3Client,
  type S3ClientConfig,
} from "@aws-sdk/client-s3";
import { Upload } from "@aws-sdk/lib-storage";
import { getSignedUrl } from "@aws-sdk/s3-request-presigner";
import pLimit from "p-limit";
import pRetry from "p-retry";
import type { BucketAccess, BucketKeys } from "../bucket-access.ts";
import { MillpondError } from "../errors.ts";
import { hasStatus, s3Error, saysGone } from "./s3-error.ts";
import type {
  LocalCopy,
  ObjectHead,
  ObjectSummary,
  PutOptions,
  PutResult,
  Store,
  WriteCondition,
} from "./store.ts";

export interface S3StoreOptions {
  bucket: string;
  /** Where S3 is, for an emulator or another maker's. @default - AWS's endpoint of the region */
  endpoint?: string | undefined;
}

/** Bytes of one ranged GET and of one part of an upload. AWS recommends 8 to 16 MB. @see https://docs.aws.amazon.com/AmazonS3/latest/userguide/optimizing-performance-guidelines.html */
const partBytes = 16 * 1024 * 1024;
/** Parts at once: they saturate a Lambda's network, and four of them fit its least memory. */
const partsAtOnce = 4;
/** The same for what is streamed: its parts are in memory, twice for a moment, beside the engine's. */
const streamed = { partSize: 5 * 1024 * 1024, queueSize: 2 };
/** Times that one part is asked for again whose body broke off: the SDK tries again only until the header is there. */
const partRetries = 3;
/** How long a socket is kept without use: S3 closes them some time later, and a frozen function doesn't hear of it. */
const idleMs = 15_000;
/** How long a socket in use may be silent: its other end may have gone while the function was frozen. */
const silenceMs = 5000;
/** Sockets kept: enough to hide the latency of many small objects. */
const sockets = 64;

/**
 * A bucket as a store. One client a process; connections stay open. Versions are ETags, and every write and delete is on
 * condition of one.
 */
export class S3Store implements Store {
  readonly bucket: string;
  readonly endpoint: string | undefined;
  readonly client: S3Client;
  readonly #config: S3ClientConfig;
  #signer: S3Client | undefined;

  constructor({ bucket, endpoint }: S3StoreOptions) {
    this.bucket = bucket;
    this.endpoint = endpoint;
    const agent = { keepAlive: true, maxSockets: sockets, timeout: idleMs };
    this.#config = {
      ...(endpoint === undefined ? {} : { endpoint, forcePathStyle: true }),
      retryMode: "adaptive",
      maxAttempts: 5,
      requestHandler: {
        httpAgent: new HttpAgent(agent),
        httpsAgent: new HttpsAgent(agent),
        connectionTimeout: 3000,
        socketTimeout: silenceMs,
      },
    };
    this.client = new S3Client(this.#config);
  }

  async head(key: string): Promise<ObjectHead | undefined> {
    const head = await this.#get(key, async () =>
      this.client.send(new HeadObjectCommand({ Bucket: this.bucket, Key: key })),
    );
    if (head === undefined) return undefined;
    return {
      key,
      etag: head.ETag as string,
      size: head.ContentLength as number,
      lastModified: head.LastModified as Date,
      metadata: head.Metadata ?? {},
    };
  }

  async *list(prefix: string): AsyncIterable<ObjectSummary> {
    const pages = paginateListObjectsV2(
      { client: this.client },
      // Keys may hold what XML can't.
      { Bucket: this.bucket, Prefix: prefix, EncodingType: "url" },
    );
    try {
      for await (const { Contents } of pages) {
        for (const { Key, ETag, Size, LastModified } of Contents ?? []) {
          yield {
            key: decodeURIComponent((Key as string).replaceAll("+", " ")),
            etag: ETag as string,
            size: Size as number,
            lastModified: wholeSeconds(LastModified as Date),
          };
        }
      }
    } catch (error) {
      throw s3Error(error, "s3:ListBucket", `s3://${this.bucket}/${prefix}`);
    }
  }

  async read(key: string): Promise<{ etag: string; text: string } | undefined> {
    return await this.#get(key, () =>
      persistently(async () => {
        const got = await this.client.send(new GetObjectCommand({ Bucket: this.bucket, Key: key }));
        return {
          etag: got.ETag as string,
          text: (await got.Body?.transformToString("utf8")) ?? "",
        };
      }),
    );
  }

  async checkOut(key: string, etag: string, directory: string): Promise<LocalCopy | undefined> {
    const file = path.join(directory, `source-${randomUUID()}`);
    const complete = await this.#get(key, () => this.#download(key, etag, file)).catch(
      (error: unknown) => error as Error,
    );
    if (complete !== true) {
      await fsp.rm(file, { force: true });
      if (complete === undefined) return undefined;
      throw complete;
    }
    // Nobody else knows of this file, so nothing can change it.
    return { path: file, intact: async () => true };
  }

  async putFile(key: string, file: string, options: PutOptions): Promise<PutResult> {
    const result = await this.#put(key, fs.createReadStream(file), options);
    if (result.kind === "stored") await fsp.rm(file);
    return result;
  }

  async putText(key: string, text: string, options: PutOptions): Promise<PutResult> {
    return await this.#put(key, Buffer.from(text), options);
  }

  /** Writes what comes, however much that is. */
  async putStream(key: string, content: Readable, options: PutOptions): Promise<PutResult> {
    return await this.#put(key, content, options, streamed);
  }

  async delete(key: string, etag: string): Promise<void> {
    try {
      await this.client.send(
        new DeleteObjectCommand({ Bucket: this.bucket, Key: key, IfMatch: etag }),
      );
    } catch (error) {
      // Another version by now, or gone.
      if (hasStatus(error, 404, 409, 412)) return;
      throw s3Error(error, "s3:DeleteObject", this.locate(key));
    }
  }

  /**
   * A URL with which anybody may do one thing for a while, with the rights of whoever signs it.
   * @param seconds how long; it ends with the signer's keys in any case
   * @param saveAs what a browser calls the file that it saves @default - it shows what it can
   */
  async presign(
    method: "GET" | "PUT",
    key: string,
    seconds: number,
    saveAs?: string,
  ): Promise<string> {
    const input = { Bucket: this.bucket, Key: key };
    const disposition =
      saveAs === undefined
        ? {}
        : { ResponseContentDisposition: `attachment; filename="${saveAs}"` };
    const command =
      method === "GET"
        ? new GetObjectCommand({ ...input, ...disposition })
        : new PutObjectCommand(input);
    // Without this the URL holds the checksum of an empty body, and S3 refuses every other.
    this.#signer ??= new S3Client({ ...this.#config, requestChecksumCalculation: "WHEN_REQUIRED" });
    return await getSignedUrl(this.#signer, command, { expiresIn: seconds });
  }

  locate(key: string): string {
    return `s3://${this.bucket}/${key}`;
  }

  locatePrefix(prefix: string): string {
    return this.locate(prefix);
  }

  async close(): Promise<void> {
    this.client.destroy();
    this.#signer?.destroy();
  }

  /** How DuckDB reaches this bucket. */
  async access(): Promise<BucketAccess> {
    const url = this.endpoint === undefined ? undefined : new URL(this.endpoint);
    try {
      return {
        endpoint: url?.host,
        useTls: url?.protocol !== "http:",
        region: await this.client.config.region(),
      };
    } catch (error) {
      throw s3Error(error, "s3:GetObject", this.locate(""));
    }
  }

  /** The keys that the client signs with now: others after those have expired. */
  async keys(): Promise<BucketKeys> {
    try {
      const { accessKeyId, secretAccessKey, sessionToken } = await this.client.config.credentials();
      return { accessKeyId, secretAccessKey, sessionToken };
    } catch (error) {
      throw s3Error(error, "s3:GetObject", this.locate(""));
    }
  }

  /** Undefined where there is no such object, or no such version. */
  async #get<T>(key: string, get: () => Promise<T>): Promise<T | undefined> {
    try {
      return await get();
    } catch (error) {
      if (error instanceof Error && error.name === "NoSuchBucket") {
        throw s3Error(error, "s3:GetObject", this.locate(key));
      }
      if (saysGone(error)) return undefined;
      if (isDiskFull(error)) {
        throw new MillpondError(
          "disk-full",
          `no space is left on the disk for ${this.locate(key)}`,
          {
            retryable: true,
            cause: error,
          },
        );
      }
      throw s3Error(error, "s3:GetObject", this.locate(key));
    }
  }

  async #put(
    key: string,
    body: Buffer | Readable,
    options: PutOptions,
    parts = { partSize: partBytes, queueSize: partsAtOnce },
  ): Promise<PutResult> {
    const upload = new Upload({
      client: this.client,
      params: {
        Bucket: this.bucket,
        Key: key,
        Body: body,
        ContentType: options.contentType,
        Metadata: { ...options.metadata },
        ...conditionHeaders(options.condition),
      },
      ...parts,
    });
    try {
      const { ETag } = await upload.done();
      return { kind: "stored", etag: ETag as string };
    } catch (error) {
      if (isConflict(error)) return { kind: "conflict" };
      throw s3Error(error, "s3:PutObject", this.locate(key));
    } finally {
      if (body instanceof Readable) body.destroy();
    }
  }

  /** Ranges of one version, several at once, each to its place in the file. */
  async #download(key: string, etag: string, file: string): Promise<true> {
    const get = async (range?: { first: number; last: number }) =>
      await this.client.send(
        new GetObjectCommand({
          Bucket: this.bucket,
          Key: key,
          IfMatch: etag,
          ...(range === undefined ? {} : { Range: `bytes=${range.first}-${range.last}` }),
        }),
      );
    const part = async (first: number, last: number) =>
      await persistently(async () => {
        const got = await get({ first, last });
        await write(got.Body as Readable, file, first);
        return got;
      });

    await fsp.writeFile(file, "");
    let size: number;
    try {
      // The first answer says how many there are.
      size = totalOf((await part(0, partBytes - 1)).ContentRange);
    } catch (error) {
      if (!hasStatus(error, 416)) throw error;
      // Nothing can be a range of nothing; but that it is still that version has to be asked.
      await persistently(async () => write((await get()).Body as Readable, file, 0));
      size = 0;
    }
    await checkCapacity(file, size, this.locate(key));
    const limit = pLimit(partsAtOnce);
    const rest: Promise<unknown>[] = [];
    for (let first = partBytes; first < size; first += partBytes) {
      rest.push(limit(() => part(first, Math.min(first + partBytes, size) - 1)));
    }
    const failed = (await Promise.allSettled(rest)).find((one) => one.status === "rejected");
    if (failed !== undefined) throw failed.reason;
    const written = (await fsp.stat(file)).size;
    if (written !== size) throw new Error(`${written} bytes came of ${size}`);
    return true;
  }
}

/** A disk may be full for now; what is larger than the whole of it never fits. */
async function checkCapacity(file: string, size: number, name: string): Promise<void> {
  const { blocks, bsize } = await fsp.statfs(file);
  if (size <= blocks * bsize) return;
  throw new MillpondError(
    "out-of-disk",
    `${name} has ${size} bytes, the disk of this function ${blocks * bsize}`,
    { retryable: true },
  );
}

/** As HEAD gives it: HTTP's dates have no fraction. */
function wholeSeconds(date: Date): Date {
  return new Date(Math.floor(date.getTime() / 1000) * 1000);
}

/**
 * Another version, another write at the same time, or If-Match on what is gone. By name as well: the end of an upload in
 * parts may fail within an answer that began as a success. Its parts are gone when an answer was lost and the first try
 * had succeeded.
 */
function isConflict(error: unknown): boolean {
  const names = ["PreconditionFailed", "ConditionalRequestConflict", "NoSuchKey", "NoSuchUpload"];
  return hasStatus(error, 409, 412) || (error instanceof Error && names.includes(error.name));
}

function conditionHeaders(condition: WriteCondition) {
  return "ifAbsent" in condition ? { IfNoneMatch: "*" } : { IfMatch: condition.ifMatch };
}

/** Of `bytes 0-16777215/50331648`. */
function totalOf(contentRange: string | undefined): number {
  const total = Number(/\/(\d+)$/.exec(contentRange ?? "")?.[1] ?? Number.NaN);
  if (Number.isNaN(total)) throw new Error(`S3 gave no range but ${contentRange}`);
  return total;
}

async function write(body: Readable, file: string, start: number): Promise<void> {
  await pipeline(body, fs.createWriteStream(file, { flags: "r+", start }));
}

/** Reads again what broke off on its way: a body that was reset is no answer of S3, so the SDK doesn't try it again. */
async function persistently<T>(read: () => Promise<T>): Promise<T> {
  return await pRetry(read, {
    retries: partRetries,
    minTimeout: 50,
    // What S3 answered has metadata, and was tried again by the SDK; a full disk stays full.
    shouldRetry: ({ error }) => !("$metadata" in error) && !isDiskFull(error),
  });
}

function isDiskFull(error: unknown): boolean {
  return (error as NodeJS.ErrnoException).code === "ENOSPC";
}
