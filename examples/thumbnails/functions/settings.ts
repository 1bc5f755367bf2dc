export interface Settings {
  bucket: string;
  /** Pixels of the longer side of each thumbnail. */
  sizesPx: readonly number[];
}

/**
 * What the stack tells the function, of its environment.
 * @throws Error with the name of a variable that is missing, or what it must be
 */
export function settingsFrom(environment: Readonly<Record<string, string | undefined>>): Settings {
  const { BUCKET: bucket, SIZES_PX: sizes } = environment;
  if (!bucket) throw new Error("BUCKET is missing: the bucket that images are uploaded to");
  const sizesPx = (sizes ?? "").split(",").map(Number);
  if (!sizesPx.every((size) => Number.isInteger(size) && size > 0)) {
    throw new Error(`SIZES_PX must be pixels with commas between, as 160,640, got "${sizes}"`);
  }
  return { bucket, sizesPx };
}
