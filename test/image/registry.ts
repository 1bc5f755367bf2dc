import { createHash } from "node:crypto";
import http from "node:http";
import type { AddressInfo } from "node:net";

/**
 * As much of a registry as a client needs that reads an image's manifest and configuration.
 * @see https://github.com/opencontainers/distribution-spec/blob/main/spec.md
 */
export class Registry {
  readonly #blobs = new Map<string, { content: string; mediaType: string }>();
  readonly #tags = new Map<string, string>();
  readonly #server: http.Server;

  private constructor(server: http.Server) {
    this.#server = server;
  }

  static async start(): Promise<Registry> {
    const server = http.createServer((request, response) => {
      const asked = /^\/v2\/[\w/-]+\/(?:manifests|blobs)\/(.+)$/.exec(request.url ?? "")?.[1];
      if (asked === undefined) {
        response.writeHead(request.url === "/v2/" ? 200 : 404).end();
        return;
      }
      const digest = registry.#tags.get(asked) ?? asked;
      const blob = registry.#blobs.get(digest);
      if (blob === undefined) {
        response.writeHead(404).end();
        return;
      }
      response.writeHead(200, {
        "content-type": blob.mediaType,
        "content-length": Buffer.byteLength(blob.content),
        "docker-content-digest": digest,
      });
      response.end(request.method === "HEAD" ? undefined : blob.content);
    });
    const registry = new Registry(server);
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    return registry;
  }

  /** An image for each architecture, by its tag; several are an index. */
  push(tag: string, architectures: readonly string[]): string {
    const manifests = architectures.map((architecture) => {
      const config = this.#put(
        { architecture, os: "linux", config: {}, rootfs: { type: "layers", diff_ids: [] } },
        "application/vnd.oci.image.config.v1+json",
      );
      const manifest = { schemaVersion: 2, config, layers: [] };
      const platform = { architecture, os: "linux" };
      return { ...this.#put(manifest, "application/vnd.oci.image.manifest.v1+json"), platform };
    });
    const [only] = manifests;
    const index = { schemaVersion: 2, manifests };
    const root =
      manifests.length === 1 && only !== undefined
        ? only
        : this.#put(index, "application/vnd.oci.image.index.v1+json");
    this.#tags.set(tag, root.digest);
    return `127.0.0.1:${(this.#server.address() as AddressInfo).port}/millpond:${tag}`;
  }

  #put(value: object, mediaType: string) {
    const content = JSON.stringify({ mediaType, ...value });
    const digest = `sha256:${createHash("sha256").update(content).digest("hex")}`;
    this.#blobs.set(digest, { content, mediaType });
    return { mediaType, digest, size: Buffer.byteLength(content) };
  }

  async close(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }
}
