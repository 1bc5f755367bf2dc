import { S3Client } from "@aws-sdk/client-s3";
import { createHandler } from "./handler.ts";
import { settingsFrom } from "./settings.ts";

/** What the image runs: Lambda calls `index.handler`. */
export const handler = createHandler({
  // The endpoint of an emulator has no name for each bucket.
  client: new S3Client({ forcePathStyle: process.env["AWS_ENDPOINT_URL"] !== undefined }),
  log: console,
  ...settingsFrom(process.env),
});
