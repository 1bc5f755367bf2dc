import type { Readable } from "node:stream";
import {
  DeleteObjectCommand,
  GetObjectCommand,
  HeadObjectCommand,
  PutObjectCommand,
  type S3Client,
} from "@aws-sdk/client-s3";
import type { Settings } from "./settings.ts";
import { makeThumbnail, UnreadableImage } from "./thumbnail.ts";
import { uploadsPrefix } from "./uploads.ts";

export interface Store extends Settings {
  client: S3Client;
  /** Lambda's console makes a line of JSON of each object. */
  log: Pick<Console, "info" | "warn" | "error">;
}

/** What became of the thumbnails of one upload. */
export type Outcome = "made" | "removed" | "unreadable";

/** Bytes of the largest file that is read: it is held in memory. */
const mostBytes = 50 * 1024 * 1024;

/** How often an upload may be replaced while its thumbnails are made. */
const mostAttempts = 5;

/** `uploads/cats/tom.jpg` → `thumbnails/160/cats/tom.jpg.webp`, so that `tom.png` has another. */
export function thumbnailKey(key: string, sizePx: number): string {
  return `thumbnails/${sizePx}/${key.slice(uploadsPrefix.length)}.webp`;
}

/**
 * Makes the thumbnails of an upload be those of what it is now, and removes them where there is nothing to show. An event is a hint
 * that something changed: it may come twice, late, or beside another of the same upload.
 * @throws Error what S3 fails with, or where the upload changes all the time
 */
export async function updateThumbnails(store: Store, key: string): Promise<Outcome> {
  for (let attempt = 0; attempt < mostAttempts; attempt += 1) {
    const upload = await read(store, key);
    const outcome = await updateFrom(store, key, upload);
    // Whoever was slower may have written over what the newer one made: the last to look makes it right.
    if ((await currentEtag(store, key)) === upload?.etag) return outcome;
  }
  throw new Error(`${key} was replaced ${mostAttempts} times while its thumbnails were made`);
}

async function updateFrom(store: Store, key: string, upload: Upload | undefined): Promise<Outcome> {
  if (upload === undefined) {
    await remove(store, key);
    return "removed";
  }
  try {
    await make(store, key, await upload.bytes());
    return "made";
  } catch (error) {
    if (!(error instanceof UnreadableImage)) throw error;
    store.log.warn({ message: error.message, key });
    // Those of an earlier upload of that name show something else.
    await remove(store, key);
    return "unreadable";
  }
}

async function make({ client, bucket, sizesPx }: Store, key: string, image: Uint8Array) {
  for (const sizePx of sizesPx) {
    await client.send(
      new PutObjectCommand({
        Bucket: bucket,
        Key: thumbnailKey(key, sizePx),
        Body: await makeThumbnail(image, sizePx),
        ContentType: "image/webp",
      }),
    );
  }
}

async function remove({ client, bucket, sizesPx }: Store, key: string) {
  for (const sizePx of sizesPx) {
    await client.send(new DeleteObjectCommand({ Bucket: bucket, Key: thumbnailKey(key, sizePx) }));
  }
}

interface Upload {
  etag: string | undefined;
  /** @throws UnreadableImage where it is too large */
  bytes(): Promise<Uint8Array>;
}

/** Undefined where there is none. */
async function read({ client, bucket }: Store, key: string): Promise<Upload | undefined> {
  const found = await client
    .send(new GetObjectCommand({ Bucket: bucket, Key: key }))
    .catch(undefinedIf("NoSuchKey"));
  if (found === undefined) return undefined;
  const { ETag: etag, ContentLength: size = 0, Body } = found;
  const bytes = async () => {
    if (size <= mostBytes) return (await Body?.transformToByteArray()) ?? new Uint8Array();
    (Body as Readable).destroy();
    throw new UnreadableImage(`it has ${size} bytes, and ${mostBytes} are read at most`);
  };
  return { etag, bytes };
}

async function currentEtag({ client, bucket }: Store, key: string): Promise<string | undefined> {
  const found = await client
    .send(new HeadObjectCommand({ Bucket: bucket, Key: key }))
    .catch(undefinedIf("NotFound"));
  return found?.ETag;
}

/** S3's name for what is not there differs between GET and HEAD. */
function undefinedIf(name: string) {
  return (error: Error): undefined => {
    if (error.name !== name) throw error;
  };
}
