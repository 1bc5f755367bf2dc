import path from "node:path";
import { type BuildOptions, build } from "esbuild";

/**
 * Bundles the functions:
 *
 * - `index.mjs`, what Lambda loads: a few lines that start DuckDB's process before anything else
 * - `handlers.mjs`, a handler for each function, and `chunks/`, what only some of them need, loaded when they do
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
  logLevel: "warning",
};

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
