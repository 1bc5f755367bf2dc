import type { SNSEvent } from "aws-lambda";
import { expect } from "chai";
import { uploadedKeys } from "../functions/uploads.ts";

describe("uploadedKeys", () => {
  const s3 = (key: string, bucket = "images") => ({
    s3: { bucket: { name: bucket }, object: { key } },
  });
  const sns = (...messages: object[]) =>
    ({
      Records: messages.map((message) => ({ Sns: { Message: JSON.stringify(message) } })),
    }) as SNSEvent;

  it("reads keys as S3 writes them into events", () => {
    const event = sns({ Records: [s3("uploads/a+b%2Bc/%C3%A4.jpg")] });

    expect(uploadedKeys(event, "images")).to.deep.equal(["uploads/a b+c/ä.jpg"]);
  });

  it("names each upload once", () => {
    const event = sns(
      { Records: [s3("uploads/a"), s3("uploads/b")] },
      { Records: [s3("uploads/a")] },
    );

    expect(uploadedKeys(event, "images")).to.deep.equal(["uploads/a", "uploads/b"]);
  });

  it("passes over thumbnails, other buckets, and the test that S3 sends", () => {
    const event = sns(
      { Records: [s3("thumbnails/160/a.webp"), s3("uploads/a", "another")] },
      { Event: "s3:TestEvent", Bucket: "images" },
    );

    expect(uploadedKeys(event, "images")).to.deep.equal([]);
  });
});
