import { randomBytes } from "node:crypto";
import fs from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import {
  DeleteBucketCommand,
  ListMultipartUploadsCommand,
  PutObjectCommand,
  type S3Client,
} from "@aws-sdk/client-s3";
import { expect } from "chai";
import { S3Store } from "../../app/store/s3-store.ts";
import { rejection } from "../failure.ts";
import { emulatorClient, newBucket } from "../s3/emulator.ts";
import { emulatorOf } from "../s3/fixtures.ts";
import { WatchingProxy } from "../s3/proxy.ts";
import { itKeepsTheContract } from "./store.contract.ts";

describe("S3Store", () => {
  let endpoint: string;
  let client: S3Client;
  let bucket: string;
  let scratch: string;
  let store: S3Store;

  before(async function () {
    ({ endpoint } = await emulatorOf(this));
    client = emulatorClient(endpoint);
  });

  async function open() {
    scratch = await fs.mkdtemp(path.join(os.tmpdir(), "millpond-test-"));
    bucket = await newBucket(client);
    store = new S3Store({ bucket, endpoint });
    return { store, scratch, drop };
  }
  async function close() {
    await store.close();
    await fs.rm(scratch, { recursive: true });
  }
  async function drop(key: string, content: string) {
    await client.send(
      new PutObjectCommand({ Bucket: bucket, Key: key, Body: Buffer.from(content) }),
    );
  }

  describe("the contract of stores", () => itKeepsTheContract(open, close));

  describe("beside the contract", () => {
    beforeEach(open);
    afterEach(close);

    const absent = { condition: { ifAbsent: true }, contentType: "text/plain" } as const;

    it("leaves no half upload behind when a large write loses", async () => {
      const file = path.join(scratch, "large.bin");
      await fs.writeFile(file, Buffer.alloc(17 * 1024 * 1024, 7));
      await drop("lake/t/a", "theirs");

      const put = await store.putFile("lake/t/a", file, absent);
      const uploads = await client.send(new ListMultipartUploadsCommand({ Bucket: bucket }));

      expect(put).to.deep.equal({ kind: "conflict" });
      expect((await store.read("lake/t/a"))?.text).to.equal("theirs");
      expect(uploads.Uploads ?? []).to.deep.equal([]);
    });

    describe("over a broken network", () => {
      let proxy: WatchingProxy;
      let far: S3Store;
      before(async () => {
        proxy = await WatchingProxy.start(endpoint);
      });
      after(async () => await proxy.close());
      beforeEach(() => {
        far = new S3Store({ bucket, endpoint: proxy.url });
      });
      afterEach(async () => {
        proxy.onRequest = undefined;
        await far.close();
      });

      it("reads to the end what breaks off on its way", async () => {
        const content = randomBytes(20 * 1024 * 1024);
        await client.send(new PutObjectCommand({ Bucket: bucket, Key: "inbox/a", Body: content }));
        const etag = (await far.head("inbox/a"))?.etag as string;
        proxy.cuts = 3;

        const copy = await far.checkOut("inbox/a", etag, scratch);

        expect(proxy.cuts).to.equal(0);
        expect(content.equals(await fs.readFile(copy?.path as string))).to.equal(true);
      });

      it("gives nothing when the object is replaced half-way", async () => {
        const drop20 = async (fill: number) =>
          await client.send(
            new PutObjectCommand({
              Bucket: bucket,
              Key: "inbox/a",
              Body: Buffer.alloc(20 * 1024 * 1024, fill),
            }),
          );
        await drop20(1);
        const etag = (await far.head("inbox/a"))?.etag as string;
        proxy.onRequest = async ({ range }) => {
          if (range !== undefined && !range.startsWith("bytes=0-")) await drop20(2);
        };

        expect(await far.checkOut("inbox/a", etag, scratch)).to.equal(undefined);
        expect(await fs.readdir(scratch)).to.deep.equal([]);
      });

      it("says that another try may help when nothing gets through", async () => {
        proxy.onRequest = () => proxy.drop();

        const error = await rejection(far.read("inbox/a"));

        expect(error).to.include({ code: "store-unavailable", retryable: true });
        expect(error.message).to.contain(`s3:GetObject on s3://${bucket}/inbox/a failed`);
      });
    });

    it("takes keys as long as S3's longest", async () => {
      const key = `inbox/t/${"é".repeat((1024 - 8 - 4) / 2)}.csv`;
      expect(Buffer.byteLength(key)).to.equal(1024);

      await store.putText(key, "long", absent);

      expect((await store.read(key))?.text).to.equal("long");
    });

    it("signs URLs that anybody may use for one thing", async () => {
      const upload = await store.presign("PUT", "inbox/a b+c.csv", 60);
      const put = await fetch(upload, { method: "PUT", body: "by a stranger" });
      const download = await store.presign("GET", "inbox/a b+c.csv", 60);
      const got = await fetch(download);

      expect(put.status).to.equal(200);
      expect(await got.text()).to.equal("by a stranger");
      expect(new URL(download).searchParams.get("X-Amz-Expires")).to.equal("60");
      // S3 itself refuses a body that is not of a checksum in the URL; the emulator doesn't look.
      expect(upload).to.not.match(/checksum/i);
    });

    it("says what is wrong when the bucket is not there", async () => {
      await client.send(new DeleteBucketCommand({ Bucket: bucket }));

      for (const asked of [
        () => store.read("inbox/a.csv"),
        () => store.checkOut("inbox/a.csv", "x", scratch),
        () => store.putText("inbox/a.csv", "x", absent),
      ]) {
        const error = await rejection(asked());
        expect(error).to.include({ code: "store-missing", retryable: false });
        expect(error.message).to.equal(
          `there is no bucket s3://${bucket}: check its name in MILLPOND_STORE`,
        );
      }
    });
  });
});
