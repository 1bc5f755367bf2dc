import sharp from "sharp";

/** Pixels of the largest image that is decoded: a file of some kilobytes can unpack to gigabytes. */
const mostPixels = 100_000_000;

/** What was uploaded is no image, or none that can be read: trying again changes nothing. */
export class UnreadableImage extends Error {
  override readonly name = "UnreadableImage";
}

/**
 * An image, upright, as WebP. It is never enlarged, and nothing of its metadata is kept: a photograph may say where it was taken.
 * @param sizePx of a square that it fits into
 * @throws UnreadableImage
 */
export async function makeThumbnail(image: Uint8Array, sizePx: number): Promise<Buffer> {
  try {
    return await sharp(image, { limitInputPixels: mostPixels })
      .autoOrient()
      .resize({ width: sizePx, height: sizePx, fit: "inside", withoutEnlargement: true })
      .webp()
      .toBuffer();
  } catch (error) {
    // From memory to memory: nothing but the image can be at fault.
    throw new UnreadableImage((error as Error).message, { cause: error });
  }
}
