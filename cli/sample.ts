import fs from "node:fs";
import fsp from "node:fs/promises";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { prefixes } from "../app/contract.ts";

const sampleFolder = fileURLToPath(new URL("../sample/", import.meta.url));

/** Drops the sample into a pond's inbox. */
export async function copySample(root: string): Promise<void> {
  const inbox = path.join(root, prefixes.inbox);
  for (const entry of await fsp.readdir(sampleFolder, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile() || entry.name.endsWith(".md")) continue;
    const from = path.join(entry.parentPath, entry.name);
    const to = path.join(inbox, path.relative(sampleFolder, from));
    await fsp.mkdir(path.dirname(to), { recursive: true });
    // A file of the same name is somebody's own.
    await fsp
      .copyFile(from, to, fs.constants.COPYFILE_EXCL)
      .catch((error: NodeJS.ErrnoException) => {
        if (error.code !== "EEXIST") throw error;
      });
  }
}
