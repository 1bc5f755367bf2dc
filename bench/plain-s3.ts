import http from "node:http";

/** S3's protocol without a signature, as the emulator takes it. */
export class PlainS3 {
  readonly #endpoint: URL;
  readonly #agent = new http.Agent({ keepAlive: true });

  constructor(endpoint: string) {
    this.#endpoint = new URL(endpoint);
  }

  send(method: string, objectPath: string, body?: Buffer): Promise<void> {
    const { hostname, port } = this.#endpoint;
    return new Promise((resolve, reject) => {
      const options = { hostname, port, method, path: objectPath, agent: this.#agent };
      const request = http.request(options, (response) => {
        response.resume();
        response.once("error", reject);
        response.once("end", () => {
          const { statusCode = 0 } = response;
          // What is asked about may not be there, as for Millpond; what is put must be.
          if (statusCode < (method === "PUT" ? 300 : 500)) resolve();
          else reject(new Error(`${method} ${objectPath}: ${statusCode}`));
        });
      });
      request.once("error", reject);
      request.end(body);
    });
  }

  close(): void {
    this.#agent.destroy();
  }
}
