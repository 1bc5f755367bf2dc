import {
  DeleteObjectCommand,
  GetObjectCommand,
  HeadObjectCommand,
  ListObjectsV2Command,
  PutObjectCommand,
  type S3Client,
} from "@aws-sdk/client-s3";
import type { SNSEvent } from "aws-lambda";
import { expect } from "chai";
import sharp from "sharp";
import { emulatorClient, newBucket } from "../../../test/s3/emulator.ts";
import { emulatorOf } from "../../../test/s3/fixtures.ts";
import { createHandler } from "../functions/handler.ts";

describe("thumbnails, on S3's protocol", () => {
  let endpoint: string;
  let client: S3Client;
  let bucket: string;
  let handler: ReturnType<typeof createHandler>;
  /** Lines that it logged, as `<what> <key>`. */
  let logged: string[];
  /** Called before a request of the function's goes out. */
  let onRequest: ((command: object) => Promise<void>) | undefined;

  before(async function () {
    ({ endpoint } = await emulatorOf(this));
    client = emulatorClient(endpoint);
  });
  after(() => client?.destroy());
  beforeEach(async () => {
    bucket = await newBucket(client);
    logged = [];
    onRequest = undefined;
    const note = ({ message, key }: Record<string, string>) => logged.push(`${message} ${key}`);
    const own = emulatorClient(endpoint);
    own.middlewareStack.add(
      (next, { commandName }) =>
        async (args) => {
          await onRequest?.({ commandName, ...args.input });
          return await next(args);
        },
      { step: "initialize" },
    );
    handler = createHandler({
      ...{ client: own, bucket, sizesPx: [160, 640] },
      log: { info: note, warn: note, error: note },
    });
  });

  const image = async (background: string, width = 800, height = 400) =>
    await sharp({ create: { width, height, channels: 3, background } })
      .jpeg()
      .toBuffer();
  const upload = async (Key: string, Body: Uint8Array) =>
    await client.send(new PutObjectCommand({ Bucket: bucket, Key, Body }));
  const told = (...keys: string[]) => {
    const Records = keys.map((key) => ({
      s3: { bucket: { name: bucket }, object: { key: key.replaceAll(" ", "+") } },
    }));
    return { Records: [{ Sns: { Message: JSON.stringify({ Records }) } }] } as SNSEvent;
  };
  const thumbnailKeys = async () => {
    const listed = await client.send(
      new ListObjectsV2Command({ Bucket: bucket, Prefix: "thumbnails/" }),
    );
    return (listed.Contents ?? []).map(({ Key }) => Key);
  };
  /** Its mean red, which says which image it is of. */
  const redOf = async (Key: string) => {
    const { Body } = await client.send(new GetObjectCommand({ Bucket: bucket, Key }));
    const { channels } = await sharp(await Body?.transformToByteArray()).stats();
    return channels[0]?.mean;
  };

  it("makes a thumbnail of each size", async () => {
    await upload("uploads/cats/a b.jpg", await image("#c03020"));

    const summary = await handler(told("uploads/cats/a b.jpg"));

    expect(summary).to.deep.equal({ made: 1, removed: 0, unreadable: 0 });
    expect(await thumbnailKeys()).to.deep.equal([
      "thumbnails/160/cats/a b.jpg.webp",
      "thumbnails/640/cats/a b.jpg.webp",
    ]);
    for (const [sizePx, width] of [
      [160, 160],
      [640, 640],
    ]) {
      const { Body, ContentType } = await client.send(
        new GetObjectCommand({ Bucket: bucket, Key: `thumbnails/${sizePx}/cats/a b.jpg.webp` }),
      );
      const metadata = await sharp(await Body?.transformToByteArray()).metadata();
      expect(ContentType).to.equal("image/webp");
      expect(metadata).to.include({ format: "webp", width });
    }
    expect(logged).to.deep.equal(["made uploads/cats/a b.jpg"]);
  });

  it("comes to the same when an event comes twice", async () => {
    await upload("uploads/a.jpg", await image("#c03020"));

    await handler(told("uploads/a.jpg"));
    await handler(told("uploads/a.jpg"));

    expect(await thumbnailKeys()).to.have.length(2);
  });

  it("removes the thumbnails of what is deleted", async () => {
    await upload("uploads/a.jpg", await image("#c03020"));
    await handler(told("uploads/a.jpg"));
    await client.send(new DeleteObjectCommand({ Bucket: bucket, Key: "uploads/a.jpg" }));

    const summary = await handler(told("uploads/a.jpg"));

    expect(summary).to.deep.equal({ made: 0, removed: 1, unreadable: 0 });
    expect(await thumbnailKeys()).to.deep.equal([]);
  });

  it("has no thumbnail of what is no image, nor of what was there before it", async () => {
    await upload("uploads/a.jpg", await image("#c03020"));
    await handler(told("uploads/a.jpg"));
    await upload("uploads/a.jpg", Buffer.from("no image"));

    const summary = await handler(told("uploads/a.jpg"));

    expect(summary).to.deep.equal({ made: 0, removed: 0, unreadable: 1 });
    expect(await thumbnailKeys()).to.deep.equal([]);
    await client.send(new HeadObjectCommand({ Bucket: bucket, Key: "uploads/a.jpg" }));
  });

  it("does not read a file that is too large", async () => {
    await upload("uploads/a.jpg", Buffer.alloc(50 * 1024 * 1024 + 1));

    const summary = await handler(told("uploads/a.jpg"));

    expect(summary).to.include({ unreadable: 1 });
    expect(logged[0]).to.match(/^it has 52428801 bytes/);
  });

  it("shows the newest of an upload that is replaced meanwhile", async () => {
    const newer = await image("#2030c0");
    await upload("uploads/a.jpg", await image("#c03020"));
    onRequest = async ({ commandName }: { commandName?: string }) => {
      if (commandName !== "PutObjectCommand") return;
      onRequest = undefined;
      await upload("uploads/a.jpg", newer);
    };

    const summary = await handler(told("uploads/a.jpg"));

    expect(summary).to.include({ made: 1 });
    for (const sizePx of [160, 640]) {
      expect(await redOf(`thumbnails/${sizePx}/a.jpg.webp`)).to.be.closeTo(0x20, 4);
    }
  });

  it("leaves no thumbnail of an upload that is deleted meanwhile", async () => {
    await upload("uploads/a.jpg", await image("#c03020"));
    onRequest = async ({ commandName }: { commandName?: string }) => {
      if (commandName !== "PutObjectCommand") return;
      onRequest = undefined;
      await client.send(new DeleteObjectCommand({ Bucket: bucket, Key: "uploads/a.jpg" }));
    };

    const summary = await handler(told("uploads/a.jpg"));

    expect(summary).to.include({ removed: 1 });
    expect(await thumbnailKeys()).to.deep.equal([]);
  });

  it("fails, to be tried again, for one that is replaced all the time", async () => {
    let shade = 16;
    await upload("uploads/a.jpg", await image("#c03020", 10, 10));
    onRequest = async ({ commandName }: { commandName?: string }) => {
      if (commandName !== "HeadObjectCommand") return;
      shade += 16;
      await upload("uploads/a.jpg", await image(`rgb(${shade}, 0, 0)`, 10, 10));
    };

    const message = await handler(told("uploads/a.jpg")).catch((error: Error) => error.message);

    expect(message).to.equal(
      "1 of 1 uploads failed: uploads/a.jpg was replaced 5 times while its thumbnails were made",
    );
    expect(shade).to.equal(16 + 5 * 16);
  });

  it("goes on behind an upload that fails, and fails in the end, to be tried again", async () => {
    await upload("uploads/a.jpg", await image("#c03020"));
    await upload("uploads/b.jpg", await image("#c03020"));
    onRequest = async ({ Key }: { Key?: string }) => {
      if (Key === "uploads/a.jpg") throw new Error("no answer");
    };

    const message = await handler(told("uploads/a.jpg", "uploads/b.jpg")).catch(
      (error: Error) => error.message,
    );

    expect(message).to.equal("1 of 2 uploads failed: no answer");
    expect(logged).to.deep.equal(["failed uploads/a.jpg", "made uploads/b.jpg"]);
    expect(await thumbnailKeys()).to.have.length(2);
  });
});
