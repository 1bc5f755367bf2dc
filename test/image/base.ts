import { execFile } from "node:child_process";
import { createHash } from "node:crypto";
import fs from "node:fs/promises";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

const run = promisify(execFile);
const cache = fileURLToPath(new URL("../../.cache/", import.meta.url));

interface Descriptor {
  mediaType: string;
  digest: string;
  size: number;
  platform?: { architecture: string; os: string };
  annotations?: Record<string, string>;
}
interface Manifest {
  config: Descriptor;
  layers: Descriptor[];
}
interface Config {
  architecture: string;
  rootfs: { type: string; diff_ids: string[] };
  history: object[];
}

/**
 * Where AWS's registry can't be reached: one OCI layout, tagged 24, for all architectures of which there is a stand-in
 * of Lambda's base image, with npm added, which AWS's image has and the stand-ins lack.
 * @param layouts folder with a layout for each architecture
 */
export async function standInBase(layouts: string): Promise<string> {
  await fs.mkdir(cache, { recursive: true });
  // Apart until it is complete: another process may make the same at this moment, or build from it.
  const out = await fs.mkdtemp(path.join(cache, "lambda-base-new-"));
  const blobs = path.join(out, "blobs/sha256");
  await fs.mkdir(blobs, { recursive: true });

  const put = async (content: Buffer | string, mediaType: string): Promise<Descriptor> => {
    const data = Buffer.from(content);
    const digest = createHash("sha256").update(data).digest("hex");
    await fs.writeFile(path.join(blobs, digest), data);
    return { mediaType, digest: `sha256:${digest}`, size: data.length };
  };
  const npm = await put(await npmLayer(), "application/vnd.oci.image.layer.v1.tar");

  const manifests: Descriptor[] = [];
  for (const architecture of await fs.readdir(layouts)) {
    const layout = path.join(layouts, architecture);
    const blob = (digest: string) =>
      path.join(layout, "blobs/sha256", digest.replace("sha256:", ""));
    const readJson = async <T>(file: string) => JSON.parse(await fs.readFile(file, "utf8")) as T;
    const index = await readJson<{ manifests: [Descriptor] }>(path.join(layout, "index.json"));
    const manifest = await readJson<Manifest>(blob(index.manifests[0].digest));
    for (const { digest } of manifest.layers) {
      const from = blob(digest);
      const to = path.join(blobs, path.basename(from));
      await fs.link(from, to).catch(() => fs.copyFile(from, to));
    }
    const config = await readJson<Config>(blob(manifest.config.digest));
    config.rootfs.diff_ids.push(npm.digest);
    config.history.push({ created_by: "npm" });
    const written = await put(JSON.stringify(config), manifest.config.mediaType);
    const layers = [...manifest.layers, npm];
    const one = await put(
      JSON.stringify({ ...manifest, config: written, layers }),
      "application/vnd.oci.image.manifest.v1+json",
    );
    manifests.push({ ...one, platform: { architecture: config.architecture, os: "linux" } });
  }
  const mediaType = "application/vnd.oci.image.index.v1+json";
  const list = await put(JSON.stringify({ schemaVersion: 2, mediaType, manifests }), mediaType);
  const annotations = { "org.opencontainers.image.ref.name": "24" };
  await fs.writeFile(
    path.join(out, "index.json"),
    JSON.stringify({ schemaVersion: 2, manifests: [{ ...list, annotations }] }),
  );
  await fs.writeFile(path.join(out, "oci-layout"), '{"imageLayoutVersion": "1.0.0"}');
  // By what is in it: one that is there already is the same.
  const complete = path.join(cache, `lambda-base-${list.digest.slice(-12)}`);
  await fs.rename(out, complete).catch(async (error: NodeJS.ErrnoException) => {
    await fs.rm(out, { recursive: true });
    if (error.code !== "ENOTEMPTY" && error.code !== "EEXIST") throw error;
  });
  return `oci-layout://${complete}:24`;
}

/** This machine's npm, where AWS's image has its own. */
async function npmLayer(): Promise<Buffer> {
  const modules = (await run("npm", ["root", "--global"])).stdout.trim();
  const work = await fs.mkdtemp(path.join(cache, "npm-layer-"));
  try {
    const bin = path.join(work, "var/lang/bin");
    const target = path.join(work, "var/lang/lib/node_modules/npm");
    await fs.mkdir(bin, { recursive: true });
    await fs.cp(path.join(modules, "npm"), target, { recursive: true });
    await fs.symlink("../lib/node_modules/npm/bin/npm-cli.js", path.join(bin, "npm"));
    const deterministic = [
      "--sort=name",
      "--owner=0",
      "--group=0",
      "--numeric-owner",
      "--mtime=@0",
    ];
    const { stdout } = await run("tar", [...deterministic, "-C", work, "-c", "."], {
      encoding: "buffer",
      maxBuffer: 1 << 28,
    });
    return stdout;
  } finally {
    await fs.rm(work, { recursive: true, force: true });
  }
}
