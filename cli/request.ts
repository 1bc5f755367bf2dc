import http from "node:http";
import https from "node:https";
import type { LookupFunction } from "node:net";
import type { Readable } from "node:stream";

export interface Reply {
  status: number;
  headers: http.IncomingHttpHeaders;
  text: string;
}

/** Milliseconds without an answer. The API itself gives up after 30 s. */
const patienceMs = 35_000;

/**
 * Names of this machine that not every resolver knows: those below `localhost`, and what containers call their host.
 * Emulators answer by them.
 * @see https://www.rfc-editor.org/rfc/rfc6761#section-6.3
 */
const ownNames = /(^|\.)localhost$|^host\.docker\.internal$/;

const loopback: LookupFunction = (_, options, callback) => {
  if (options.all) callback(null, [{ address: "127.0.0.1", family: 4 }]);
  else callback(null, "127.0.0.1", 4);
};

export interface SentRequest {
  /** @default "GET" */
  method?: "GET" | "POST" | "PUT";
  headers?: Record<string, string>;
  /** A stream's length stands in the headers. */
  body?: string | Readable | undefined;
  /** Aborted when nobody waits any more. */
  signal?: AbortSignal | undefined;
}

/** One request, without following redirects. Resolves with the answer's header; its body is to be read. */
export async function send(
  url: string,
  { method = "GET", headers = {}, body, signal }: SentRequest = {},
): Promise<http.IncomingMessage> {
  const { protocol, hostname } = new URL(url);
  return await new Promise<http.IncomingMessage>((resolve, reject) => {
    const request = (protocol === "http:" ? http : https).request(
      url,
      {
        method,
        headers,
        timeout: patienceMs,
        agent: false,
        ...(signal === undefined ? {} : { signal }),
        ...(ownNames.test(hostname) ? { lookup: loopback } : {}),
      },
      resolve,
    );
    request.once("timeout", () =>
      request.destroy(new Error(`no answer from ${hostname} in ${patienceMs / 1000} s`)),
    );
    // Also a second one: a server may answer, and leave, before it has all of a body.
    request.on("error", reject);
    if (body === undefined || typeof body === "string") {
      request.end(body);
      return;
    }
    body.once("error", (error) => request.destroy(error));
    request.once("close", () => body.destroy());
    body.pipe(request);
  });
}

/** One GET, without following redirects. */
export async function get(url: string, headers: Record<string, string> = {}): Promise<Reply> {
  const response = await send(url, { headers });
  return {
    status: response.statusCode ?? 0,
    headers: response.headers,
    text: Buffer.concat(await response.toArray()).toString("utf8"),
  };
}
