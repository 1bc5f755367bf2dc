import { randomUUID } from "node:crypto";
import type { Readable } from "node:stream";
import { prefixes } from "../contract.ts";
import { MillpondError } from "../errors.ts";
import { type QueryFormat, queryFormats } from "../query/result-format.ts";
import type { S3Store } from "../store/s3-store.ts";
import { type Link, linkTo } from "./link.ts";

/** Bytes of the largest answer that goes back by itself: as Base64 it fits the 6 MB that a function may return. */
export const mostInlineBytes = 4 * 1024 * 1024;

/** Answers that are too large for a function to return: they go to the bucket, and whoever asked fetches them there. */
export class LargeAnswers {
  readonly #store: S3Store;

  constructor(store: S3Store) {
    this.#store = store;
  }

  /** Where answers are fetched from, as a browser names it. */
  async origin(): Promise<string> {
    return new URL(await this.#store.presign("GET", prefixes.results, 1)).origin;
  }

  async hand(content: Readable, format: QueryFormat, contentType: string): Promise<Link> {
    // Nobody can guess it, and nobody else has it: the bucket's lifecycle removes it.
    const key = `${prefixes.results}${randomUUID()}.${queryFormats[format].ending}`;
    const put = await this.#store.putStream(key, content, {
      condition: { ifAbsent: true },
      contentType,
    });
    if (put.kind === "conflict") throw new MillpondError("conflict", `${key} is there already`);
    return await linkTo(this.#store, "GET", key, `answer.${queryFormats[format].ending}`);
  }
}
