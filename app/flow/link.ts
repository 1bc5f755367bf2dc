import type { S3Store } from "../store/s3-store.ts";

/** Seconds for which a URL of the bucket is good: for a download, or for an upload, to begin. */
const lifeSeconds = 15 * 60;

/** What anybody may do one thing with, until it expires. */
export interface Link {
  url: string;
  expires: Date;
}

/** @param saveAs what a browser calls the file that it saves @default - it shows what it can */
export async function linkTo(
  store: S3Store,
  method: "GET" | "PUT",
  key: string,
  saveAs?: string,
): Promise<Link> {
  const expires = new Date(Date.now() + lifeSeconds * 1000);
  return { url: await store.presign(method, key, lifeSeconds, saveAs), expires };
}
