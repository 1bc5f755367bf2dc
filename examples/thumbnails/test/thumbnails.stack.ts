import {
  DeleteBucketPolicyCommand,
  DeleteObjectCommand,
  GetObjectCommand,
  ListObjectsV2Command,
  PutObjectCommand,
  S3Client,
} from "@aws-sdk/client-s3";
import { expect } from "chai";
import sharp from "sharp";
import { eventually } from "../../../cli/steps.ts";
import { DeployedExample } from "../../../test/examples/deployed-example.ts";

/** In the order of a stack's life: each test begins where the one before it ended. */
describe("the stack of examples/thumbnails", function () {
  this.timeout(600_000);
  let example: DeployedExample;
  let outputs: { bucketName: string; functionName: string };
  let s3: S3Client;

  before(async function () {
    example = await DeployedExample.prepare("thumbnails", this);
    s3 = new S3Client({ forcePathStyle: true });
  });
  after(async () => {
    s3?.destroy();
    await example?.remove();
  });

  const bucket = () => ({ Bucket: outputs.bucketName });
  const upload = async (Key: string, Body: Uint8Array) =>
    await s3.send(new PutObjectCommand({ ...bucket(), Key, Body }));
  const keysUnder = async (Prefix: string) => {
    const { Contents = [] } = await s3.send(new ListObjectsV2Command({ ...bucket(), Prefix }));
    return Contents.map(({ Key }) => Key);
  };
  const untilThumbnails = async (wanted: readonly string[]) =>
    await eventually(60, `the thumbnails were not ${wanted.join(", ") || "gone"}`, async () => {
      const found = await keysUnder("thumbnails/");
      return JSON.stringify(found) === JSON.stringify(wanted) ? true : undefined;
    });

  it("comes up from nothing, and a second time there is nothing to do", async () => {
    const { create = 0 } = await example.stack.up();

    outputs = (await example.stack.outputs()) as typeof outputs;
    expect(create).to.be.above(20);
    expect(await example.stack.isCurrent()).to.equal(true);
    // The emulator speaks no TLS, without which the bucket takes nothing.
    await s3.send(new DeleteBucketPolicyCommand(bucket()));
  });

  it("makes thumbnails of an image that is uploaded", async () => {
    const create = { width: 1200, height: 800, channels: 3, background: "#c03020" } as const;
    await upload("uploads/cats/a b.jpg", await sharp({ create }).jpeg().toBuffer());

    const keys = ["thumbnails/160/cats/a b.jpg.webp", "thumbnails/640/cats/a b.jpg.webp"];
    await untilThumbnails(keys);
    for (const [Key, width, height] of [
      [keys[0], 160, 107],
      [keys[1], 640, 427],
    ] as const) {
      const { Body } = await s3.send(new GetObjectCommand({ ...bucket(), Key }));
      expect(await sharp(await Body?.transformToByteArray()).metadata()).to.include({
        ...{ format: "webp", width, height },
      });
    }
  });

  it("has none of what is no image, and removes those of what is deleted", async () => {
    const create = { width: 20, height: 20, channels: 3, background: "#2030c0" } as const;
    await upload("uploads/b.png", await sharp({ create }).png().toBuffer());
    await untilThumbnails([
      "thumbnails/160/b.png.webp",
      "thumbnails/160/cats/a b.jpg.webp",
      "thumbnails/640/b.png.webp",
      "thumbnails/640/cats/a b.jpg.webp",
    ]);

    await upload("uploads/b.png", Buffer.from("no image"));
    await untilThumbnails(["thumbnails/160/cats/a b.jpg.webp", "thumbnails/640/cats/a b.jpg.webp"]);
    await s3.send(new DeleteObjectCommand({ ...bucket(), Key: "uploads/cats/a b.jpg" }));
    await untilThumbnails([]);
  });

  it("gives the function no more rights than its work takes", async () => {
    const create = { width: 20, height: 20, channels: 3, background: "#20c030" } as const;
    await upload("uploads/c.png", await sharp({ create }).png().toBuffer());
    const made = ["thumbnails/160/c.png.webp", "thumbnails/640/c.png.webp"];
    await untilThumbnails(made);
    const credentials = await example.keysOf(outputs.functionName);
    const own = new S3Client({ credentials, forcePathStyle: true });
    const attempt = async (work: () => Promise<unknown>) =>
      await work().then(
        () => "it was let",
        (error: Error) => error.name,
      );

    const Key = "uploads/c.png";
    const read = () => own.send(new GetObjectCommand({ ...bucket(), Key }));
    expect(await attempt(read)).to.equal("it was let");
    for (const forbidden of [
      () => own.send(new PutObjectCommand({ ...bucket(), Key, Body: "x" })),
      () => own.send(new DeleteObjectCommand({ ...bucket(), Key })),
      () => own.send(new GetObjectCommand({ ...bucket(), Key: made[0] })),
      () => own.send(new PutObjectCommand({ ...bucket(), Key: "other/x", Body: "x" })),
      () => own.send(new DeleteBucketPolicyCommand(bucket())),
    ]) {
      expect(await attempt(forbidden), String(forbidden)).to.match(/^AccessDenied/);
    }
    own.destroy();
  });

  it("goes, but for the images", async () => {
    const gone = await example.stack.destroy();

    expect(gone["delete"]).to.be.above(20);
    expect(await keysUnder("")).to.deep.equal([
      "thumbnails/160/c.png.webp",
      "thumbnails/640/c.png.webp",
      "uploads/b.png",
      "uploads/c.png",
    ]);
    expect(
      (await example.invoke(outputs.functionName, {}).catch((error: Error) => error)) as Error,
    ).to.have.property("name", "ResourceNotFoundException");
  });
});
