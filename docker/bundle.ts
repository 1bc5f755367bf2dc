import { createHash } from "node:crypto";
import fs from "node:fs";
import path from "node:path";
import { type BuildOptions, build } from "esbuild";
import { buildConsole } from "../console/build.ts";

/**
 * Bundles the functions:
 *
 * - `index.mjs`, what Lambda loads: a few lines that start DuckDB's process before anything else
 * - `handlers.mjs`, a handler for each function, and `chunks/`, what only some of them need, loaded when they do
 * - `console/`, the page for people
 * - `worker.mjs`, the process that holds DuckDB, whose native part stays a package beside it
 *
 *   node docker/bundle.ts <folder>
 */
const [folder] = process.argv.slice(2);
if (folder === undefined) throw new Error("usage: node docker/bundle.ts <folder>");

const common: BuildOptions = {
  outdir: path.resolve(folder),
  outExtension: { ".js": ".mjs" },
  bundle: true,
  minify: true,
  format: "esm",
  platform: "node",
  target: "node24",
  // Packages that have ES modules lose what nobody uses.
  mainFields: ["module", "main"],
  external: ["@duckdb/node-bindings*"],
  sourcemap: true,
  // Stack traces need names and lines, not the text.
  sourcesContent: false,
  // Some packages are CommonJS, and ask for Node's modules that way.
  banner: {
    js: 'import { createRequire as __createRequire } from "node:module"; const require = __createRequire(import.meta.url);',
  },
  // Answers to other code are other answers. Of what is read, not of what comes out, so that it is known before.
  define: { millpondBuild: JSON.stringify(hashOf("app", "package-lock.json")) },
  logLevel: "warning",
};

function hashOf(...names: readonly string[]): string {
  const hash = createHash("sha256");
  const files = names.flatMap((name) =>
    fs.statSync(name).isDirectory()
      ? fs.readdirSync(name, { recursive: true, encoding: "utf8" }).map((f) => path.join(name, f))
      : name,
  );
  for (const file of files.filter((one) => fs.statSync(one).isFile()).sort()) {
    hash.update(`${file}\0`).update(fs.readFileSync(file));
  }
  return hash.digest("hex").slice(0, 16);
}

await build({
  ...common,
  entryPoints: { index: "app/functions/image.ts", worker: "app/engine/worker.ts" },
  plugins: [
    {
      name: "handlers-apart",
      setup({ onResolve }) {
        onResolve({ filter: /^\.\/handlers\.ts$/ }, () => ({
          path: "./handlers.mjs",
          external: true,
        }));
      },
    },
  ],
});
await build({
  ...common,
  entryPoints: { handlers: "app/functions/handlers.ts" },
  splitting: true,
  chunkNames: "chunks/[name]-[hash]",
});
await buildConsole(path.resolve(folder, "console"));
