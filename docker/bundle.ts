import path from "node:path";
import { build } from "esbuild";

/**
 * Bundles the functions: `index.mjs` exports a handler for each, `worker.mjs` is the process that holds DuckDB, whose
 * packages stay beside them, as they are native.
 *
 *   node docker/bundle.ts <folder>
 */
const [folder] = process.argv.slice(2);
if (folder === undefined) throw new Error("usage: node docker/bundle.ts <folder>");

await build({
  entryPoints: { index: "app/functions/index.ts", worker: "app/engine/worker.ts" },
  outdir: path.resolve(folder),
  outExtension: { ".js": ".mjs" },
  bundle: true,
  minify: true,
  keepNames: true,
  format: "esm",
  platform: "node",
  target: "node24",
  external: ["@duckdb/*"],
  sourcemap: true,
  // Stack traces need names and lines, not the text.
  sourcesContent: false,
  // Some packages are CommonJS, and ask for Node's modules that way.
  banner: {
    js: 'import { createRequire as __createRequire } from "node:module"; const require = __createRequire(import.meta.url);',
  },
  logLevel: "warning",
});
