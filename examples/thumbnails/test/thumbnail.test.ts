import { crc32 } from "node:zlib";
import { expect } from "chai";
import sharp from "sharp";
import { makeThumbnail, UnreadableImage } from "../functions/thumbnail.ts";

describe("makeThumbnail", () => {
  const image = (width: number, height: number) =>
    sharp({ create: { width, height, channels: 3, background: "#c03020" } });
  const unreadable = async (bytes: Uint8Array) =>
    await makeThumbnail(bytes, 160).then(
      () => "it was read",
      (error: Error) => error,
    );

  for (const [name, [width, height], [thumbnailWidth, thumbnailHeight]] of [
    ["a wide image", [800, 400], [160, 80]],
    ["a tall image", [300, 1200], [40, 160]],
    ["a small image, which it does not enlarge", [60, 30], [60, 30]],
  ] as const) {
    it(`fits ${name} into its square, as WebP`, async () => {
      const made = await makeThumbnail(await image(width, height).jpeg().toBuffer(), 160);

      const { format, width: w, height: h } = await sharp(made).metadata();
      expect({ format, w, h }).to.deep.equal({
        format: "webp",
        w: thumbnailWidth,
        h: thumbnailHeight,
      });
    });
  }

  it("shows what the image shows", async () => {
    const made = await makeThumbnail(await image(800, 400).png().toBuffer(), 160);

    const { channels } = await sharp(made).stats();
    // WebP keeps colours nearly.
    const [red, green, blue] = channels.map(({ mean }) => mean);
    expect(red).to.be.closeTo(0xc0, 4);
    expect(green).to.be.closeTo(0x30, 4);
    expect(blue).to.be.closeTo(0x20, 4);
  });

  it("turns a photograph upright, and leaves out where it was taken", async () => {
    const photograph = await image(400, 200)
      .withExif({ IFD3: { GPSLatitudeRef: "N", GPSLatitude: "51/1 30/1 0/1" } })
      // Taken with the camera on its side.
      .withMetadata({ orientation: 6 })
      .jpeg()
      .toBuffer();
    expect((await sharp(photograph).metadata()).exif).to.not.equal(undefined);

    const { width, height, exif, orientation } = await sharp(
      await makeThumbnail(photograph, 160),
    ).metadata();

    expect({ width, height, exif, orientation }).to.deep.equal({
      ...{ width: 80, height: 160 },
      ...{ exif: undefined, orientation: undefined },
    });
  });

  it("refuses what is no image, or half of one", async () => {
    const half = (await image(800, 400).png().toBuffer()).subarray(0, 300);

    for (const bytes of [Buffer.from("no image"), Buffer.alloc(0), half]) {
      expect(await unreadable(bytes)).to.be.instanceOf(UnreadableImage);
    }
  });

  it("refuses a small file that unpacks to a large image", async () => {
    const bomb = await image(10, 10).png().toBuffer();
    // What the header says decides. https://www.w3.org/TR/png-3/#11IHDR
    bomb.writeUInt32BE(16_000, 16);
    bomb.writeUInt32BE(8000, 20);
    bomb.writeUInt32BE(crc32(bomb.subarray(12, 29)), 29);

    expect(await unreadable(bomb))
      .to.be.instanceOf(UnreadableImage)
      .with.property("message")
      .that.contains("pixel limit");
  });
});
