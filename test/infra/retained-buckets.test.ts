import * as aws from "@pulumi/aws";
import { expect } from "chai";
import { DataBucket } from "../../infra/data-bucket.ts";
import { requireRetainedBuckets } from "../../infra/retained-buckets.ts";
import { build } from "./build.ts";

describe("requireRetainedBuckets", () => {
  it("takes buckets that stay, and resources that are none", async () => {
    const built = await build(() => {
      requireRetainedBuckets();
      new aws.sqs.Queue("queue");
      return new DataBucket("data", { bucketName: "millpond-dev" });
    });

    expect(built.all("aws:s3/bucket:Bucket")).to.have.length(1);
  });

  for (const type of ["Bucket", "BucketV2"] as const) {
    it(`refuses a ${type} that would go with its stack, by its name`, async () => {
      const said = await build(() => {
        requireRetainedBuckets();
        return new aws.s3[type]("scratch", { bucket: "scratch" });
      }).then(
        () => "nothing",
        (error: Error) => error.message,
      );

      expect(said).to.match(/the bucket scratch would go with its stack: .*retainOnDelete/);
    });
  }
});
