import type { Readable } from "node:stream";
import { MillpondError } from "../errors.ts";
import { outputKey, rejectionKey } from "../lake/derived-key.ts";
import { decodeOutputMetadata } from "../lake/output-metadata.ts";
import { parseRejection } from "../lake/rejection.ts";
import type { Offer, SourceOutcome } from "../lake/reports.ts";
import { parseSourceKey } from "../lake/source-key.ts";
import type { Store } from "../store/store.ts";
import type { Link } from "./link.ts";

/** Of an object of S3. @see https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-keys.html */
const mostKeyBytes = 1024;

/** How a file gets into the inbox for somebody who has no rights there. */
export type Door =
  /** By a URL that leads to the bucket itself: no function takes what is larger than a few megabytes. */
  | { kind: "bucket"; link: (key: string) => Promise<Link> }
  /** Through this process. */
  | { kind: "folder"; receive: (key: string, content: Readable) => Promise<{ etag: string }> };

/** Uploads by people who have nothing but the pond's URL. */
export class Uploads {
  readonly #store: Store;
  readonly #door: Door | undefined;

  /** @param door undefined where callers may only ask */
  constructor(store: Store, door: Door | undefined) {
    this.#store = store;
    this.#door = door;
  }

  /** Says where a file of that key may be put; what is there already is replaced. */
  async offer(key: string): Promise<Offer> {
    const table = tableOfSource(key);
    const door = this.#opened();
    if (door.kind === "folder") {
      const url = `/inbox?${new URLSearchParams({ key })}`;
      return { key, table, method: "PUT", url, expires: null };
    }
    const { url, expires } = await door.link(key);
    return { key, table, method: "PUT", url, expires: expires.toISOString() };
  }

  /** Takes the file itself, where this process is the way in. The file is there when all of it is. */
  async receive(key: string, content: Readable): Promise<{ key: string; etag: string }> {
    tableOfSource(key);
    const door = this.#opened();
    if (door.kind === "bucket") {
      const message = "files go to the bucket itself: POST /inbox says where";
      throw new MillpondError("method-not-allowed", message);
    }
    return { key, ...(await door.receive(key, content)) };
  }

  #opened(): Door {
    if (this.#door !== undefined) return this.#door;
    throw new MillpondError("uploads-off", "this pond takes no files from callers");
  }

  /** What became of a source, in two small requests to the store however large its table is. */
  async outcome(key: string): Promise<SourceOutcome> {
    const table = tableOfSource(key);
    const [output, rejected] = await Promise.all([
      this.#store.head(outputKey(key, table)),
      this.#store.read(rejectionKey(key, table)),
    ]);
    const made = output && decodeOutputMetadata(output.metadata);
    return {
      key,
      table,
      rows:
        output === undefined || made === undefined
          ? null
          : {
              etag: made.sourceEtag,
              modified: made.sourceModified.toISOString(),
              queryable: output.lastModified.toISOString(),
              rows: made.rows,
              bytes: output.size,
            },
      rejection: parseRejection(rejected?.text ?? "") ?? null,
    };
  }
}

/** @throws MillpondError `key-invalid` for a file that would be passed over, or rejected by its name alone */
function tableOfSource(key: string): string {
  if (Buffer.byteLength(key) > mostKeyBytes) {
    throw new MillpondError("key-invalid", `a key has at most ${mostKeyBytes} bytes`);
  }
  const parsed = parseSourceKey(key);
  if (parsed.kind === "source") return parsed.table;
  const message =
    parsed.kind === "ignored"
      ? `${key} would be passed over: ${parsed.reason}`
      : `${parsed.message}: expected ${parsed.expected}`;
  const code = parsed.kind === "ignored" ? "ignored" : parsed.code;
  throw new MillpondError("key-invalid", message, { details: { reason: code } });
}
