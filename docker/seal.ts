import { createHash } from "node:crypto";
import fs from "node:fs";
import { createRequire } from "node:module";
import path from "node:path";
import { gunzipSync } from "node:zlib";

/**
 * Makes a folder fit for a layer of the image: everything readable by any user, with the same times whoever builds it
 * and whenever, so that what didn't change isn't pushed again; every binary in it of one architecture, and every
 * extension of DuckDB the one that was published.
 *
 *   node docker/seal.ts <folder> <amd64 | arm64>
 */
const [folder, architecture] = process.argv.slice(2);
if (folder === undefined || architecture === undefined) {
  throw new Error("usage: node docker/seal.ts <folder> <amd64 | arm64>");
}

/** By Docker's names. @see https://refspecs.linuxfoundation.org/elf/gabi4+/ch4.eheader.html */
const elfMachines: Readonly<Record<string, number>> = { amd64: 62, arm64: 183 };

/**
 * SHA-256 of the extensions, unpacked, wherever they come from: the functions trust what is in the image, and don't
 * check its signature at each start.
 */
const published: Readonly<Record<string, string>> = {
  "httpfs v1.5.5 linux_amd64": "887c392b1e49128d11667c81e3698d8b00dfdeb456771acf66d05a0f74f7b7d8",
  "httpfs v1.5.5 linux_arm64": "eba6e263e395a83966090f1f11ade63630b1b21422f0f2813858d179d42ea1e9",
};

const problems: string[] = [];
const files = fs
  .readdirSync(folder, { recursive: true, withFileTypes: true })
  .map((entry) => ({ entry, file: path.join(entry.parentPath, entry.name) }));

for (const { entry, file } of files) {
  // Links are npm's, to commands that nobody runs there; the others are for people who write code.
  if (entry.isSymbolicLink() || /\.(d\.ts|md)$/.test(entry.name)) {
    fs.rmSync(file);
  } else if (entry.isFile()) {
    check(file.endsWith(".duckdb_extension.gz") ? unpack(file) : file);
  }
}
for (const entry of fs.readdirSync(folder, { recursive: true, withFileTypes: true })) {
  const file = path.join(entry.parentPath, entry.name);
  fs.chmodSync(file, entry.isDirectory() ? 0o755 : 0o644);
  fs.utimesSync(file, 0, 0);
}
fs.utimesSync(folder, 0, 0);

if (problems.length > 0) {
  for (const problem of problems) console.error(problem);
  process.exit(1);
}

function unpack(file: string): string {
  const unpacked = file.slice(0, -".gz".length);
  fs.writeFileSync(unpacked, gunzipSync(fs.readFileSync(file)));
  fs.rmSync(file);
  return unpacked;
}

function check(file: string): void {
  const content = fs.readFileSync(file);
  if (content.subarray(0, 4).toString("latin1") === "\x7fELF") {
    const machine = content.readUInt16LE(18);
    const found = Object.entries(elfMachines).find(([, number]) => number === machine)?.[0];
    if (found !== architecture) {
      problems.push(
        `${file} is for ${found ?? `machine ${machine}`}, but the image is for ${architecture}`,
      );
    }
  }
  if (file.endsWith(".duckdb_extension")) checkExtension(file, content);
}

/** What an extension says of itself stands before the signature at its end: fields of 32 bytes, the first one last. */
function checkExtension(file: string, content: Buffer): void {
  const signatureBytes = 256;
  const fieldBytes = 32;
  const field = (number: number) => {
    const end = content.length - signatureBytes - fieldBytes * (number - 1);
    return content
      .subarray(end - fieldBytes, end)
      .toString("latin1")
      .replace(/\0+$/, "");
  };
  const [platform, version] = [field(2), field(3)];
  const expected = { platform: `linux_${architecture}`, version: duckdbVersion() };
  if (platform !== expected.platform || version !== expected.version) {
    problems.push(
      `${file} is for DuckDB ${version} on ${platform}, but the image has DuckDB ${expected.version} on ${expected.platform}`,
    );
    return;
  }
  const name = `${path.basename(file, ".duckdb_extension")} ${version} ${platform}`;
  const digest = createHash("sha256").update(content).digest("hex");
  if (digest !== published[name]) {
    problems.push(`${file} has the SHA-256 ${digest}, but ${name} has ${published[name]}`);
  }
}

/** As package.json pins it: 1.5.5-r.5 is a release of the client for v1.5.5. */
function duckdbVersion(): string {
  const manifest = createRequire(import.meta.url)("../package.json") as {
    dependencies: Record<string, string>;
  };
  return `v${manifest.dependencies["@duckdb/node-api"]?.split("-")[0]}`;
}
