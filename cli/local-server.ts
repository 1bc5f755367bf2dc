import { randomUUID } from "node:crypto";
import type { Socket } from "node:net";
import { type HttpBindings, type ServerType, serve } from "@hono/node-server";
import { RESPONSE_ALREADY_SENT } from "@hono/node-server/utils/response";
import { MillpondError } from "../app/errors.ts";
import { handler as hello } from "../app/functions/hello.ts";
import type { AnswerFile } from "../app/http/answer-file.ts";
import type { ServerEnvironment } from "../app/http/app.ts";
import { answerHeaders } from "../app/http/headers.ts";
import { problemResponse } from "../app/http/problem.ts";
import { withInvocationKeys } from "../app/logger.ts";
import type { Pond } from "../app/pond.ts";
import { localContext } from "./local-context.ts";
import { unwelcome } from "./local-guard.ts";
import { sendFile } from "./send-file.ts";

export interface LocalServer {
  url: string;
  /** Answers what is under way, and drops every other connection. */
  close(): Promise<void>;
}

export interface LocalServerOptions {
  host: string;
  port: number;
  /** Which requests may call it by, beside localhost, the host and addresses. */
  names: readonly string[];
  /** Milliseconds for which a connection may stand still, be it that a query runs, or that nobody reads the answer. */
  stallMs: number;
  /** Milliseconds that the head of a request may take to arrive. @default 60000 */
  headMs?: number;
}

/**
 * Serves a pond, as API Gateway does on AWS.
 * @throws MillpondError `listen` where the port is taken, or the address is not this machine's
 */
export async function serveLocal(
  pond: Pond,
  { host, port, names, stallMs, headMs = 60_000 }: LocalServerOptions,
): Promise<LocalServer> {
  const known = new Set(["localhost", host, ...names].map((name) => name.toLowerCase()));
  const { promise: listening, resolve, reject } = Promise.withResolvers<void>();
  const server = serve(
    {
      fetch: (request, environment) => {
        const refusal = unwelcome(request, known);
        if (refusal !== undefined) return refused(pond, refusal, request);
        return new URL(request.url).pathname === "/hello"
          ? greet(request)
          : withInvocationKeys({ function_name: "query" }, () =>
              answer(pond, request, environment as HttpBindings),
            );
      },
      hostname: host,
      port,
      serverOptions: {
        // A file takes as long as it takes: Node would cut it after five minutes. Whoever sends nothing is dropped by stallMs.
        requestTimeout: 0,
        headersTimeout: headMs,
        connectionsCheckingInterval: headMs / 2,
      },
    },
    () => resolve(),
  );
  server.once("error", (error: NodeJS.ErrnoException) => {
    const where = `${host}:${port}`;
    const reason =
      error.code === "EADDRINUSE"
        ? `port ${port} is taken: choose another with --port, or stop what listens on ${where}`
        : `can't listen on ${where}: ${error.message}`;
    reject(new MillpondError("listen", reason, { cause: error }));
  });
  // An answer lies on the disk for as long as somebody takes it.
  server.setTimeout(stallMs);
  const close = closer(server);
  await listening;
  return { url: addressOf(server, host), close };
}

/**
 * Browsers keep connections open on which they ask nothing, and Node waits for those for ever: each connection is
 * followed, so that it can be dropped as soon as no request is under way on it.
 */
function closer(server: ServerType): () => Promise<void> {
  const open = new Set<Socket>();
  const busy = new Set<Socket>();
  let closing = false;
  server.on("connection", (socket: Socket) => {
    open.add(socket);
    socket.once("close", () => open.delete(socket));
  });
  server.on("request", ({ socket }: { socket: Socket }, response: NodeJS.EventEmitter) => {
    busy.add(socket);
    response.once("close", () => {
      busy.delete(socket);
      if (closing) socket.end();
    });
  });
  return async () => {
    closing = true;
    const closed = new Promise<void>((resolve) => server.close(() => resolve()));
    for (const socket of open) if (!busy.has(socket)) socket.destroy();
    await closed;
  };
}

/** Answers as the routes do; but what waits in a file goes the short way. */
async function answer(pond: Pond, request: Request, server: HttpBindings): Promise<Response> {
  let file: AnswerFile | undefined;
  const environment: HttpBindings & ServerEnvironment = {
    ...server,
    onFile: (found) => {
      file = found;
    },
  };
  const response = await pond.http.fetch(request, environment);
  if (file === undefined) return response;
  await sendFile(server.outgoing, response, file).catch((error: unknown) => {
    pond.logger.error("an answer was cut off", { error });
  });
  return RESPONSE_ALREADY_SENT;
}

/** As the routes themselves refuse: with an id, and a line in the log. */
function refused(pond: Pond, refusal: MillpondError, { url }: Request): Response {
  const id = randomUUID();
  return withInvocationKeys({ function_request_id: id }, () => {
    pond.logger.warn("request refused", { code: refusal.code });
    return problemResponse(refusal, undefined, { ...answerHeaders(url), "x-request-id": id });
  });
}

/** The hello function has a route of its own, as on AWS. */
async function greet(request: Request): Promise<Response> {
  const queryStringParameters = Object.fromEntries(new URL(request.url).searchParams);
  const context = localContext("hello");
  const answer = await hello({ queryStringParameters }, context);
  const headers = { ...answer.headers, "x-request-id": context.awsRequestId };
  return new Response(answer.body, { status: answer.statusCode, headers });
}

function addressOf(server: ServerType, host: string): string {
  const address = server.address();
  const port = typeof address === "object" && address !== null ? address.port : 0;
  return urlOf(host, port);
}

export function urlOf(host: string, port: number): string {
  return `http://${host.includes(":") ? `[${host}]` : host}:${port}`;
}
