import fs from "node:fs/promises";
import path from "node:path";
import { gunzipSync } from "node:zlib";

/** The console: a page for people, as `console/build.ts` writes it. */
export interface Page {
  /** With a place for what each answer has of its own. */
  html: string;
  /** What it loads, by names that change with what is in them. */
  files: ReadonlyMap<string, PageFile>;
}

export interface PageFile {
  type: string;
  content: Uint8Array<ArrayBuffer>;
  /** The same by gzip, packed when it was built. */
  packed: Uint8Array<ArrayBuffer>;
}

/** Where the page finds its files. */
export const pagePath = "/console";

const types: Readonly<Record<string, string>> = {
  ".css": "text/css; charset=utf-8",
  ".js": "text/javascript; charset=utf-8",
};

/** @param folder what `console/build.ts` wrote */
export async function readPage(folder: string): Promise<Page> {
  const read = async (file: string, type: string): Promise<PageFile> => {
    const packed = new Uint8Array(await fs.readFile(file));
    return { type, content: new Uint8Array(gunzipSync(packed)), packed };
  };
  const files = await Promise.all(
    (await fs.readdir(folder)).flatMap((file) => {
      const name = file.replace(/\.gz$/, "");
      const type = name === file ? undefined : types[path.extname(name)];
      if (type === undefined) return [];
      return [read(path.join(folder, file), type).then((found) => [name, found] as const)];
    }),
  );
  const html = await fs.readFile(path.join(folder, "index.html"), "utf8");
  return { html, files: new Map(files) };
}

/** What stands in the page where its nonce goes. */
export const nonceMark = "{nonce}";

/**
 * What the page may load and ask: this server, and the bucket, where large answers wait. No script but its files.
 * @param nonce by which the editor may make its style
 * @param bucket its origin. Undefined where answers are streamed.
 */
export function pagePolicy(nonce: string, bucket: string | undefined): string {
  return [
    "default-src 'none'",
    "script-src 'self'",
    `style-src 'self' 'nonce-${nonce}'`,
    // The editor sets its own by attributes; a cell's content never becomes an element.
    "style-src-attr 'unsafe-inline'",
    "img-src 'self' data:",
    ["connect-src 'self'", bucket].filter(Boolean).join(" "),
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
  ].join("; ");
}
