import { randomBytes } from "node:crypto";
import { CreateBucketCommand, S3Client } from "@aws-sdk/client-s3";
import { emulatorKeys } from "../../cli/rehearsal/emulator.ts";

/** A client of the emulator, to look at what is there by other eyes than Millpond's. */
export function emulatorClient(endpoint: string): S3Client {
  return new S3Client({
    endpoint,
    forcePathStyle: true,
    region: emulatorKeys.AWS_REGION,
    credentials: {
      accessKeyId: emulatorKeys.AWS_ACCESS_KEY_ID,
      secretAccessKey: emulatorKeys.AWS_SECRET_ACCESS_KEY,
    },
  });
}

/** A bucket of this test alone. */
export async function newBucket(client: S3Client): Promise<string> {
  const name = `pond-${randomBytes(6).toString("hex")}`;
  await client.send(new CreateBucketCommand({ Bucket: name }));
  return name;
}
