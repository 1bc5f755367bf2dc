import http from "node:http";
import type { AddressInfo, Socket } from "node:net";

/** One request as it went by. */
export interface SeenRequest {
  method: string;
  /** Path and query string, as sent. */
  path: string;
  range: string | undefined;
  /** Whose request it is: DuckDB's or that of AWS's SDK. */
  by: "duckdb" | "sdk";
  /** The id of the key that signed it. */
  keyId: string | undefined;
  /**
   * What happens in place of it, if `onRequest` sets it: a status of S3's without S3 hearing of it; the connection breaks before S3 has
   * all of the request, when all is done, or in the middle of the answer.
   */
  instead?: keyof typeof refusals | "reset" | "answer lost" | "cut";
  /** Called when S3 has done it, and waited for before the answer goes on. */
  after?: () => Promise<void>;
}

/** What S3 answers when it does not do a request, and by which status. */
const refusals = {
  ConditionalRequestConflict: 409,
  PreconditionFailed: 412,
  ServiceUnavailable: 503,
  SlowDown: 503,
} as const;

/** Stands between Millpond and the emulator: sees what is asked, and breaks what networks break. */
export class WatchingProxy {
  readonly seen: SeenRequest[] = [];
  /** Called before a request goes on, which waits for it. */
  onRequest: ((request: SeenRequest) => Promise<void> | void) | undefined;
  /** Whether nothing behind it can be reached. */
  down = false;
  /** How many of the next bodies break off half-way. */
  cuts = 0;
  readonly #server: http.Server;
  readonly #sockets = new Set<Socket>();
  readonly #dead = new WeakSet<Socket>();

  private constructor(server: http.Server) {
    this.#server = server;
    server.on("connection", (socket) => {
      this.#sockets.add(socket);
      socket.once("close", () => this.#sockets.delete(socket));
    });
  }

  static async start(target: string): Promise<WatchingProxy> {
    const agent = new http.Agent({ keepAlive: true });
    const { hostname, port } = new URL(target);
    const server = http.createServer((request, response) => {
      void (async () => {
        // A connection that a network forgot: it takes what is sent, and nothing comes back.
        if (proxy.#dead.has(request.socket)) return;
        const seen = describe(request);
        proxy.seen.push(seen);
        await proxy.onRequest?.(seen);
        const { instead } = seen;
        if (instead !== undefined && instead in refusals) {
          // All of it is taken first, as S3 does.
          request.resume().once("end", () => {
            const status = refusals[instead as keyof typeof refusals];
            response.writeHead(status, { "content-type": "application/xml" });
            response.end(`<Error><Code>${instead}</Code></Error>`);
          });
          return;
        }
        // A body breaks off half-way; what has none never arrives.
        if (proxy.down || (instead === "reset" && request.method !== "PUT")) {
          request.socket.destroy();
          return;
        }
        const { method, url: path, headers } = request;
        const onward = http.request({ hostname, port, method, path, headers, agent }, (answer) => {
          if (instead === "answer lost") {
            answer.resume();
            void (async () => {
              await seen.after?.();
              request.socket.destroy();
            })();
            return;
          }
          response.writeHead(answer.statusCode ?? 502, answer.rawHeaders);
          const length = Number(answer.headers["content-length"]);
          if ((proxy.cuts > 0 || instead === "cut") && method === "GET" && length > 1) {
            if (instead !== "cut") proxy.cuts -= 1;
            cut(answer, response, length / 2);
          } else {
            answer.pipe(response);
          }
        });
        onward.once("error", () => response.destroy());
        if (instead === "reset") {
          request.once("data", (chunk: Buffer) => {
            onward.write(chunk.subarray(0, chunk.length / 2), () => {
              onward.destroy();
              request.socket.destroy();
            });
          });
          return;
        }
        request.pipe(onward);
      })();
    });
    const proxy = new WatchingProxy(server);
    server.keepAliveTimeout = 600_000;
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    return proxy;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  /** The requests since the last call. */
  take(): SeenRequest[] {
    return this.seen.splice(0);
  }

  /** Closes all connections, as a server does with those that say nothing for long. */
  drop(): void {
    for (const socket of this.#sockets) socket.destroy();
  }

  /** Lets all connections of now be, but answers nothing on them any more. */
  forget(): void {
    for (const socket of this.#sockets) this.#dead.add(socket);
  }

  async close(): Promise<void> {
    this.drop();
    await new Promise((resolve) => this.#server.close(resolve));
  }
}

/** Hands on some bytes of a body, and breaks the connection. */
function cut(answer: http.IncomingMessage, response: http.ServerResponse, bytes: number): void {
  let left = bytes;
  answer.on("data", (chunk: Buffer) => {
    response.write(chunk.subarray(0, left));
    left -= chunk.length;
    if (left > 0) return;
    answer.destroy();
    // After what was written has left.
    setImmediate(() => response.socket?.destroy());
  });
}

function describe({ method = "", url = "", headers }: http.IncomingMessage): SeenRequest {
  return {
    method,
    path: url,
    range: headers.range,
    by: headers["user-agent"]?.startsWith("aws-sdk") ? "sdk" : "duckdb",
    keyId: /Credential=([^/]+)/.exec(headers.authorization ?? "")?.[1],
  };
}
