import { createHash } from "node:crypto";
import fs from "node:fs/promises";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";
import { build } from "esbuild";

const own = fileURLToPath(new URL("./", import.meta.url));

/**
 * Builds the page: `index.html`, and its script and style under names that change with what is in them, each also packed.
 *
 * @param folder made anew
 */
export async function buildConsole(folder: string): Promise<void> {
  const { outputFiles } = await build({
    entryPoints: [path.join(own, "src/main.tsx")],
    bundle: true,
    minify: true,
    write: false,
    outdir: folder,
    format: "esm",
    target: "es2022",
    jsx: "automatic",
    jsxImportSource: "preact",
    define: { "process.env.NODE_ENV": '"production"' },
    logLevel: "warning",
  });
  await fs.rm(folder, { recursive: true, force: true });
  await fs.mkdir(folder, { recursive: true });
  let html = await fs.readFile(path.join(own, "index.html"), "utf8");
  for (const { path: file, contents } of outputFiles) {
    const { name, ext } = path.parse(file);
    const hash = createHash("sha256").update(contents).digest("hex").slice(0, 12);
    const named = `${name}-${hash}${ext}`;
    html = html.replace(`/console/${name}${ext}`, `/console/${named}`);
    // Packed alone: the plain file would make half of the image's last layer.
    await fs.writeFile(path.join(folder, `${named}.gz`), gzipSync(contents, { level: 9 }));
  }
  await fs.writeFile(path.join(folder, "index.html"), html);
}
