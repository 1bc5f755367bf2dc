import path from "node:path";
import { FolderStore } from "../../app/store/folder-store.ts";

/** Opens the stores that its parent names, and says what came of it. */
process.on("message", async (folder: string) => {
  try {
    await FolderStore.open(folder, path.join(folder, "scratch")).close();
    process.send?.("open");
  } catch (error) {
    process.send?.((error as Error).message);
  }
});
process.send?.("ready");
