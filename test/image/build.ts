import { execFile } from "node:child_process";
import fs from "node:fs/promises";
import path from "node:path";
import { promisify } from "node:util";
import { type Architecture, architectures } from "../../app/contract.ts";
import { extensionFor } from "../../cli/rehearsal/emulator.ts";
import { runCli } from "../run-cli.ts";
import { standInBase } from "./base.ts";

const run = promisify(execFile);

/** What stands in for AWS's base image where its registry is not reached, as options of `docker buildx build`. */
export async function baseSubstitute(): Promise<string[]> {
  // Set by whoever brings a stand-in.
  const layouts = process.env["LAMBDA_BASE_LAYOUTS"];
  if (layouts === undefined) return [];
  const base = await standInBase(layouts);
  return ["--builder", "millpond", "--build-context", `public.ecr.aws/lambda/nodejs:24=${base}`];
}

/** What stands in for hosts that this machine doesn't reach, as options of `npm run image`. */
export async function substitutes(wanted: readonly Architecture[]): Promise<string[]> {
  const options = await baseSubstitute();
  const reached = await fetch("https://extensions.duckdb.org/", { method: "HEAD" }).then(
    () => true,
    () => false,
  );
  if (!reached) {
    process.stderr.write("extensions.duckdb.org is not reached: httpfs comes from PyPI\n");
    let folder = "";
    for (const architecture of wanted)
      folder = await extensionFor(architectures[architecture].duckdb);
    options.push("--build-context", `extensions=${folder}`);
  }
  return options;
}

/** Runs `millpond image`. @returns exit code and all it wrote */
export async function image(...args: string[]): Promise<{ code: number | null; text: string }> {
  const { code, text } = await runCli(["image", ...args]);
  return { code, text };
}

/** One file of the layers that Millpond adds to its base. */
export interface LayerFile {
  path: string;
  mode: string;
  bytes: number;
}

export interface Layer {
  digest: string;
  files: LayerFile[];
}

/** The last layers of an image, as Docker saves them. */
export async function lastLayers(tag: string, count: number, work: string): Promise<Layer[]> {
  await fs.mkdir(work, { recursive: true });
  await run("sh", ["-c", `docker save "$1" | tar -x -C "$2"`, "sh", tag, work]);
  const readJson = async <T>(file: string) =>
    JSON.parse(await fs.readFile(path.join(work, file), "utf8")) as T;
  const [saved] = await readJson<[{ Config: string; Layers: string[] }]>("manifest.json");
  const { rootfs } = await readJson<{ rootfs: { diff_ids: string[] } }>(saved.Config);
  const layers: Layer[] = [];
  for (let index = saved.Layers.length - count; index < saved.Layers.length; index += 1) {
    const { stdout } = await run("tar", ["-tvf", path.join(work, saved.Layers[index] as string)], {
      maxBuffer: 1 << 26,
    });
    const files = stdout
      .trim()
      .split("\n")
      .map((line) => {
        const [mode = "", , bytes = "", , , name = ""] = line.split(/\s+/);
        return { mode, bytes: Number(bytes), path: name };
      });
    layers.push({ digest: rootfs.diff_ids[index] as string, files });
  }
  return layers;
}
