import type { S3Event, SNSEvent } from "aws-lambda";

/** What people upload lies here. */
export const uploadsPrefix = "uploads/";

/**
 * Keys of the uploads that an event tells of, each once. What lies elsewhere is none: above all a thumbnail, which would lead to another.
 * @see https://docs.aws.amazon.com/AmazonS3/latest/userguide/notification-content-structure.html
 */
export function uploadedKeys(event: SNSEvent, bucket: string): string[] {
  const changes = event.Records.flatMap(({ Sns }) => {
    // The test that S3 sends when a notification is made has no records.
    const { Records = [] } = JSON.parse(Sns.Message) as Partial<S3Event>;
    return Records.map(({ s3 }) => ({ bucket: s3.bucket.name, key: decodeKey(s3.object.key) }));
  });
  const own = changes.filter((one) => one.bucket === bucket && one.key.startsWith(uploadsPrefix));
  return [...new Set(own.map(({ key }) => key))];
}

/** S3 writes keys into events as forms are encoded: `+` is a space. */
function decodeKey(encoded: string): string {
  return decodeURIComponent(encoded.replaceAll("+", " "));
}
