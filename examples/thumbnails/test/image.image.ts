import { existsSync } from "node:fs";
import fs from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { expect } from "chai";
import { architectureNames, architectures } from "../../../app/contract.ts";
import { buildExample, exampleTag } from "../../../test/examples/image.ts";
import { lastLayers } from "../../../test/image/build.ts";
import { docker, dockerMissing } from "../../../test/image/docker.ts";
import { host } from "../../../test/stack/build.ts";

describe("the image of examples/thumbnails", function () {
  // Builds, and a program under an emulated processor.
  this.timeout(600_000);
  const script = `
    import sharp from "sharp";
    const create = { width: 8, height: 8, channels: 3, background: "#c03020" };
    const { info } = await sharp({ create }).webp().toBuffer({ resolveWithObject: true });
    console.log(process.arch, info.format);`;

  before(async function () {
    const missing = await dockerMissing();
    if (missing === undefined) return;
    process.stderr.write(`skipped: ${missing}\n`);
    this.skip();
  });

  for (const architecture of architectureNames) {
    describe(`for ${architecture}`, () => {
      let work: string;
      const { node, platform } = architectures[architecture];
      const tag = exampleTag("thumbnails", architecture);
      const emulated = { arm64: "aarch64", x86_64: "x86_64" }[architecture];
      const runs = architecture === host || existsSync(`/proc/sys/fs/binfmt_misc/qemu-${emulated}`);

      before(async () => {
        work = await fs.mkdtemp(path.join(os.tmpdir(), "millpond-test-"));
        await buildExample("thumbnails", architecture);
      });
      after(async () => {
        await docker("image", "rm", "--force", tag);
        await fs.rm(work, { recursive: true });
      });

      it("has the function, and sharp for that architecture alone", async () => {
        // Beside the base: sharp, then the function.
        const layers = await lastLayers(tag, 2, work);
        const files = layers.flatMap((layer) => layer.files.map((file) => file.path));

        expect(files).to.include.members([
          "var/task/index.mjs",
          "var/task/node_modules/sharp/package.json",
        ]);
        const binaries = new Set(
          files.flatMap((file) => /@img\/(sharp-(?:libvips-)?linux[\w-]*)\//.exec(file)?.[1] ?? []),
        );
        expect([...binaries]).to.have.members([
          `sharp-linux-${node}`,
          `sharp-libvips-linux-${node}`,
        ]);
      });

      it("makes images without a network, on a read-only disk, as any user", async function () {
        if (!runs) {
          process.stderr.write(`skipped: this machine runs no ${architecture}\n`);
          this.skip();
        }
        const said = await docker(
          ...["run", "--rm", "--platform", platform, "--network", "none", "--read-only"],
          ...["--user", "993:990", "--workdir", "/var/task", "--entrypoint", "/var/lang/bin/node"],
          ...[tag, "--input-type=module", "--eval", script],
        );

        expect(said).to.equal(`${node} webp`);
      });
    });
  }
});
