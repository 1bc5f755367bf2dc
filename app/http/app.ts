import { randomUUID } from "node:crypto";
import fsp from "node:fs/promises";
import { Readable } from "node:stream";
import type { ReadableStream as NodeReadableStream } from "node:stream/web";
import { type Context, Hono } from "hono";
import { bodyLimit } from "hono/body-limit";
import { before } from "../deadline.ts";
import type { Engine } from "../engine/engine.ts";
import { MillpondError } from "../errors.ts";
import { type Answer, type AskParts, ask, type Question } from "../flow/ask.ts";
import type { Catalog } from "../flow/catalog.ts";
import { type LargeAnswers, mostInlineBytes } from "../flow/large-answers.ts";
import { Reviews } from "../flow/reviews.ts";
import type { SavedQueries } from "../flow/saved-queries.ts";
import type { Uploads } from "../flow/uploads.ts";
import { currentRequestId, type Logger, type Measures, withInvocationKeys } from "../logger.ts";
import { type QueryFormat, queryFormats } from "../query/result-format.ts";
import {
  readSavedParameters,
  type SavedQuery,
  savedParameterPattern,
} from "../query/saved-query.ts";
import { version } from "../version.ts";
import { type AnswerFile, bodyOf, piecesOf } from "./answer-file.ts";
import { answerHeaders } from "./headers.ts";
import { nonceMark, type Page, pagePath, pagePolicy } from "./page.ts";
import { problemResponse, type QueryLimits } from "./problem.ts";
import {
  bodyTooLarge,
  mostBodyBytes,
  readBody,
  readFormat,
  readOptions,
  readParameters,
  readQuestion,
  readUpload,
} from "./question.ts";
import { clientOf, type Tokens } from "./tokens.ts";

export interface HttpParts {
  catalog: Catalog;
  engine: Engine;
  saved: SavedQueries;
  /** A folder for answers on their way out. */
  workspace: string;
  logger: Logger;
  limits: QueryLimits;
  /** Takes answers that are too large to go back by themselves. Undefined: all are streamed. */
  large: LargeAnswers | undefined;
  guard: Guard;
  /** Whether callers may send SQL of their own. */
  adHocSql: boolean;
  uploads: Uploads;
  /** The page for people, read when first asked for. Undefined where there is none. */
  page: (() => Promise<Page>) | undefined;
}

/** Who may ask. */
export type Guard =
  /** Whoever sends one of these, now. */
  | { kind: "token"; tokens: () => Promise<Tokens> }
  /** Whoever API Gateway says it has checked: in the event's context, where no caller writes. */
  | { kind: "iam" }
  /** Anybody who gets here, so that something else must keep strangers out. */
  | { kind: "none" };

/** What is known of a request beside what it says. */
interface Arrival {
  /** In ms since the epoch. */
  deadline: number;
  /** The name of whoever asks, where that is known. */
  client?: string;
  /** What a query ran to. */
  answer?: Answer;
  /** Of the problem that it was answered with: what is our own is called by its own name. */
  code?: string;
}

/** What of its environment the functions' adapter hands over. @see https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-access-control-iam.html */
interface LambdaEnvironment {
  requestContext?: { authorizer?: { iam?: { userArn?: string } } };
}

/** What of its environment a server of this machine hands over. */
export interface ServerEnvironment {
  /** Told of an answer that waits in a file: who sends that by itself leaves the response's body alone. */
  onFile?: (file: AnswerFile) => void;
}

const mebibyte = 1024 * 1024;

/** What each route is for; `GET /` answers with it, and a wrong method is told by it. */
const routes: readonly { method: "GET" | "POST" | "PUT"; path: string; what: string }[] = [
  { method: "GET", path: "/", what: "this list; the console for a browser" },
  { method: "GET", path: "/health", what: "whether the engine runs" },
  { method: "GET", path: "/hello", what: "a greeting, for smoke tests" },
  { method: "GET", path: "/tables", what: "the tables: files, rows, bytes, columns" },
  { method: "GET", path: "/rejected", what: "the files that can't be read, and why" },
  { method: "GET", path: "/tables/:name", what: "one table, its sources and what was rejected" },
  { method: "POST", path: "/query", what: 'SQL: {"sql": "select …", "params": […]}' },
  { method: "GET", path: "/query", what: "SQL: ?sql=select …&params=[…]&format=csv" },
  { method: "GET", path: "/q", what: "the saved queries and their parameters" },
  { method: "GET", path: "/q/:saved", what: "a saved query: ?<parameter>=…&format=csv" },
  { method: "POST", path: "/inbox", what: 'where to PUT a file: {"key": "inbox/<table>/<file>"}' },
  { method: "GET", path: "/inbox", what: "what became of a file: ?key=inbox/<table>/<file>" },
  { method: "PUT", path: "/inbox", what: "a file itself, where POST /inbox says so: ?key=…" },
];

/** The routes of the query function, the same under Lambda and on one machine. */
export function createHttpApp(parts: HttpParts): Hono {
  const { catalog, engine, saved, logger, guard, limits } = parts;
  const app = new Hono();
  const asker: AskParts = {
    catalog,
    engine,
    reviews: new Reviews(engine),
    workspace: parts.workspace,
    mostBytes: limits.diskMiB * mebibyte,
  };
  const handing = (c: Context): HandOptions => ({
    ...within(c),
    // Only the header is asked for.
    head: c.req.method === "HEAD",
    large: parts.large,
    representation: /(^|[,;\s])return=representation\b/i.test(c.req.header("prefer") ?? ""),
  });
  const answer = async (c: Context, question: Question): Promise<Response> =>
    await respond(asker, question, {
      ...handing(c),
      onAnswer: (answer) => {
        arrivalOf(c).answer = answer;
      },
      onFile: ((c.env ?? {}) as ServerEnvironment).onFile,
      signal: c.req.raw.signal,
      // An answer to POST is nobody's to keep.
      known: c.req.method === "POST" ? undefined : (c.req.header("if-none-match") ?? ""),
    });
  /** A list that grows with the lake, and may be too large to go back by itself. */
  const list = async (c: Context, value: object): Promise<Response> => {
    const bytes = Buffer.from(JSON.stringify(value));
    const { head, large } = handing(c);
    if (head || large === undefined || bytes.length <= mostInlineBytes) {
      return c.body(bytes, 200, { "content-type": "application/json" });
    }
    const body = Readable.from([bytes]);
    return await handOver(large, body, "json", { bytes: bytes.length }, handing(c));
  };
  // From the arrival: asking for the token is part of it.
  const arrivals = new WeakMap<Context, Arrival>();
  const arrivalOf = (c: Context): Arrival =>
    arrivals.get(c) ?? { deadline: Date.now() + limits.deadlineMs };
  const within = (c: Context) => ({ deadline: arrivalOf(c).deadline });

  // In Lambda the invocation has an id; elsewhere each request gets one here.
  app.use(async (c, next) => {
    arrivals.set(c, { deadline: Date.now() + limits.deadlineMs });
    const id = currentRequestId() ?? randomUUID();
    await withInvocationKeys({ function_request_id: id }, next);
    c.header("x-request-id", id);
  });
  app.use(async (c, next) => {
    await next();
    for (const [name, value] of Object.entries(answerHeaders(c.req.url, c.res.headers))) {
      c.header(name, value);
    }
  });

  app.use(async (c, next) => {
    const begun = performance.now();
    await next();
    const { client, answer, code } = arrivalOf(c);
    logger.info("request", {
      method: c.req.method,
      // Not the query string: it may hold SQL and its parameters.
      path: c.req.path,
      status: c.res.status,
      milliseconds: Math.round(performance.now() - begun),
      code,
      client,
      ...(answer === undefined ? {} : queried(answer)),
    });
  });

  app.use(async (c, next) => {
    const arrival = arrivalOf(c);
    const client = await clientAt(c, guard, arrival.deadline);
    if (client !== undefined) arrival.client = client;
    await next();
  });

  servePage(app, parts);

  app.get("/health", async (c) => {
    await engine.start();
    return c.json({ status: "ok", millpond: version });
  });

  app.get("/tables", async (c) => list(c, { tables: await catalog.summaries(within(c)) }));

  app.get("/rejected", async (c) => list(c, { rejections: await catalog.rejections(within(c)) }));

  app.get("/tables/:name", async (c) => {
    const name = c.req.param("name");
    const table = await catalog.details(name, within(c));
    if (table === undefined) {
      throw new MillpondError("not-found", `there is no table ${name}: GET /tables lists them`);
    }
    return await list(c, table);
  });

  app.use("/query", async (_, next) => {
    if (parts.adHocSql) return await next();
    throw new MillpondError("ad-hoc-sql-off", "there are saved queries alone: GET /q lists them");
  });

  const bounded = bodyLimit({ maxSize: mostBodyBytes, onError: tooLarge });
  const jsonBody = async (c: Context): Promise<string> => {
    const type = c.req.header("content-type");
    if (type !== undefined && !/^application\/json\s*(;|$)/i.test(type)) {
      throw new MillpondError(
        "media-type",
        `the body must be application/json, got ${type}: send content-type: application/json`,
      );
    }
    const bytes = new Uint8Array(await c.req.arrayBuffer());
    return await readBody(bytes, c.req.header("content-encoding"));
  };

  app.post("/query", bounded, async (c) => {
    const options = readOptions(c.req.queries(), ["format"]);
    const format = readFormat(options.format, c.req.header("accept"));
    const question = readQuestion(await jsonBody(c));
    return await answer(c, { ...question, format });
  });

  app.get("/query", async (c) => {
    const { sql, ...options } = readOptions(c.req.queries(), ["sql", "params", "format"]);
    if (sql === undefined) {
      throw new MillpondError("body-invalid", "sql is missing: GET /query?sql=select …");
    }
    const format = readFormat(options.format, c.req.header("accept"));
    const parameters = readParameters(options.params);
    return await answer(c, { sql, parameters, format });
  });

  app.get("/q", async (c) => c.json(await listed(saved)));

  app.get("/q/:saved", async (c) => {
    const name = c.req.param("saved");
    const query = await saved.find(name);
    if (query === undefined) {
      throw new MillpondError("not-found", `there is no saved query ${name}: GET /q lists them`);
    }
    const { format: named, ...given } = c.req.queries();
    const format = readFormat(named?.[0], c.req.header("accept"));
    const parameters = readSavedParameters(query, given);
    return await answer(c, { sql: query.sql, parameters, format }).catch((error: unknown) => {
      throw misdeclared(query, error) ?? error;
    });
  });

  const keyOf = (c: Context): string => {
    const key = c.req.query("key");
    if (key !== undefined) return key;
    throw new MillpondError("key-invalid", "key is missing: ?key=inbox/<table>/<file>");
  };
  app.post("/inbox", bounded, async (c) => {
    return c.json(await parts.uploads.offer(readUpload(await jsonBody(c)).key));
  });
  app.get("/inbox", async (c) => {
    return c.json(await before(within(c).deadline, parts.uploads.outcome(keyOf(c))));
  });
  app.put("/inbox", async (c) => {
    const { body } = c.req.raw;
    const content =
      body === null ? Readable.from([]) : Readable.fromWeb(body as NodeReadableStream);
    const stored = await parts.uploads.receive(keyOf(c), content).catch((error: unknown) => {
      // What came of it is nowhere.
      if (c.req.raw.signal.aborted) throw new MillpondError("client-left", "it left meanwhile");
      throw error;
    });
    return c.json(stored, 201, { etag: `"${stored.etag}"` });
  });

  const refused = (c: Context, error: Error, headers: Record<string, string> = {}) => {
    arrivalOf(c).code = error instanceof MillpondError ? error.code : "internal";
    return problemResponse(error, limits, headers);
  };
  app.notFound((c) => {
    const path = c.req.path;
    const methods = routes.filter((route) => matches(route.path, path)).map((r) => r.method);
    if (methods.length > 0 && !(methods as string[]).includes(c.req.method)) {
      const allow = methods.join(", ");
      const error = new MillpondError("method-not-allowed", `${path} takes ${allow}`);
      return refused(c, error, { allow });
    }
    return refused(c, new MillpondError("not-found", `there is nothing at ${path}`));
  });

  app.onError((error, c) => {
    const scheme = guard.kind === "iam" ? "AWS4-HMAC-SHA256" : 'Bearer realm="millpond"';
    const code = error instanceof MillpondError ? error.code : undefined;
    const headers = code === "unauthorized" ? { "www-authenticate": scheme } : {};
    const response = refused(c, error, headers);
    if (response.status >= 500) logger.error("request failed", { error });
    return response;
  });

  return app;
}

/** The page for people, and what it loads. `GET /` lists the routes for programs. */
function servePage(app: Hono, { page: read, large }: Pick<HttpParts, "page" | "large">): void {
  let page: Promise<Page> | undefined;
  const pageBy = (reading: () => Promise<Page>) => {
    page ??= reading().catch((error: unknown) => {
      page = undefined;
      throw error;
    });
    return page;
  };
  app.get("/", async (c) => {
    c.header("vary", "accept");
    if (read === undefined || !wantsPage(c)) return c.json({ millpond: version, routes });
    const { html } = await pageBy(read);
    const nonce = randomUUID();
    return c.body(html.replace(nonceMark, nonce), 200, {
      "content-type": "text/html; charset=utf-8",
      "content-security-policy": pagePolicy(nonce, await large?.origin()),
      "cache-control": "no-store",
    });
  });
  app.get(`${pagePath}/:file`, async (c) => {
    const file = read && (await pageBy(read)).files.get(c.req.param("file"));
    if (file === undefined) return c.notFound();
    const packed = takesGzip(c.req.header("accept-encoding"));
    return c.body(packed ? file.packed : file.content, 200, {
      "content-type": file.type,
      "cache-control": "public, max-age=31536000, immutable",
      vary: "accept-encoding",
      ...(packed ? { "content-encoding": "gzip" } : {}),
    });
  });
}

/**
 * Who asks, by name. Undefined where anybody may.
 * @throws MillpondError `unauthorized` for who may not
 */
async function clientAt(c: Context, guard: Guard, deadline: number): Promise<string | undefined> {
  if (guard.kind === "iam") {
    const { requestContext } = (c.env ?? {}) as LambdaEnvironment;
    const client = requestContext?.authorizer?.iam?.userArn;
    if (client !== undefined) return client;
    throw new MillpondError("unauthorized", "sign the request, as IAM asks for");
  }
  if (guard.kind === "none" || isOpen(c)) return undefined;
  const tokens = await before(deadline, guard.tokens());
  const given = c.req.header("authorization");
  const client = clientOf(tokens, given);
  if (client !== undefined) return client;
  const said = given === undefined ? "send a token" : "this token is not one of those that count";
  throw new MillpondError("unauthorized", `${said}: Authorization: Bearer <token>`);
}

/** Whether a browser shows the answer to a person. */
function wantsPage(c: Context): boolean {
  return /\btext\/html\b/.test(c.req.header("accept") ?? "");
}

/** Neither API Gateway nor the server of one machine packs what it passes on. */
function takesGzip(accepted: string | undefined): boolean {
  return /(^|,)\s*gzip\s*(;\s*q=(1|0\.\d*[1-9]\d*)[^,]*)?\s*(,|$)/i.test(accepted ?? "");
}

/** What needs no token: it says nothing of anybody's. The page asks for one. */
function isOpen(c: Context): boolean {
  const { path } = c.req;
  return path === "/health" || path.startsWith(`${pagePath}/`) || (path === "/" && wantsPage(c));
}

/** What the log says of a query: never its SQL. */
function queried({ rows, bytes, scanned, elapsed }: Answer) {
  const metrics: Measures = {
    QueryDuration: Math.round(elapsed * 1000),
    BytesScanned: scanned,
    RowsAnswered: rows,
  };
  return { rows, bytes, scanned, metrics };
}

function tooLarge(): never {
  throw bodyTooLarge();
}

function matches(route: string, path: string): boolean {
  const pattern = route.replace(/:[^/]+/g, "[^/]+");
  return new RegExp(`^${pattern}/?$`).test(path);
}

/** Saved queries as `GET /q` shows them: their SQL is the operator's. One that can't be read hides no other. */
async function listed(saved: SavedQueries) {
  const { queries, broken } = await saved.all();
  const shown = ({ name, description, parameters }: SavedQuery) => ({
    name,
    description,
    parameters,
  });
  return { queries: queries.map(shown), broken };
}

/** Where a saved query's header and its SQL don't have the same parameters: that is no mistake of whoever asks. */
function misdeclared({ name }: SavedQuery, error: unknown): MillpondError | undefined {
  if (!(error instanceof MillpondError) || error.code !== "parameters-invalid") return undefined;
  const { missing = [], unknown = [] } = error.details as Partial<Record<string, string[]>>;
  const problems = [
    ...missing.map((one) =>
      savedParameterPattern.test(one)
        ? `its SQL has $${one}, which no line "-- @param ${one} <type>" declares`
        : `its SQL has $${one}, and a parameter of a saved query has a name such as $least_age`,
    ),
    ...unknown.map((one) => `its header declares ${one}, and its SQL has no $${one}`),
  ];
  if (problems.length === 0) return undefined;
  return new MillpondError(
    "saved-query-parameters",
    `the saved query ${name} is for its author to mend: ${problems.join("; ")}`,
  );
}

interface HandOptions {
  deadline: number;
  /** Whether only the header is asked for. Hono answers HEAD by the route of GET. */
  head: boolean;
  large: LargeAnswers | undefined;
  /** Whether a redirect is to be told, not made: for clients that would send their token along with it. */
  representation: boolean;
}

interface RespondOptions extends HandOptions {
  /** Aborted when the client leaves, where that can be told. */
  signal: AbortSignal;
  /** Tags of the answers that the client has. Undefined: it is none to keep. */
  known: string | undefined;
  /** Called when a query has run. */
  onAnswer: (answer: Answer) => void;
  /** Called with an answer that waits in a file, beside the response that has it as its body. */
  onFile: ((file: AnswerFile) => void) | undefined;
}

async function respond(
  parts: AskParts,
  question: Question,
  options: RespondOptions,
): Promise<Response> {
  const { deadline, signal, known, head, large, onAnswer, onFile } = options;
  const answer = await ask(parts, question, { deadline, signal, known });
  const keeping: Record<string, string> =
    known === undefined || answer.tag === undefined
      ? { "cache-control": "no-store" }
      : { "cache-control": "private, no-cache", etag: answer.tag, vary: "accept, authorization" };
  if (answer.kind === "unchanged") return new Response(null, { status: 304, headers: keeping });
  onAnswer(answer);
  const [prologue, epilogue] = question.format === "json" ? envelope(answer) : ["", ""];
  const length = Buffer.byteLength(prologue) + answer.bytes + Buffer.byteLength(epilogue);
  const facts = {
    "x-millpond-rows": String(answer.rows),
    "x-millpond-elapsed": answer.elapsed.toFixed(6),
  };
  const headers = {
    "content-type": contentType(question.format),
    "content-length": String(length),
    ...keeping,
    ...facts,
  };
  if (answer.content.kind === "bytes") {
    const whole = [Buffer.from(prologue), answer.content.bytes, Buffer.from(epilogue)];
    return new Response(head ? null : Buffer.concat(whole), { headers });
  }
  // The file has no name from here on: it is gone when its handle is closed, however that happens.
  const handle = await fsp.open(answer.content.file);
  await fsp.rm(answer.content.file);
  const file = { handle, prologue, epilogue };
  if (head) {
    await handle.close();
    return new Response(null, { headers });
  }
  if (large !== undefined && length > mostInlineBytes) {
    const body = Readable.from(piecesOf(file));
    // Also where nobody reads.
    body.once("close", () => void handle.close());
    const size = { bytes: length, rows: answer.rows };
    // Where it can be fetched is nobody's to keep: that ends sooner than the answer.
    const passing = { ...facts, "cache-control": "no-store" };
    return await handOver(large, body, question.format, size, options, passing);
  }
  onFile?.(file);
  return new Response(bodyOf(file), { headers });
}

/** Puts an answer where it can be fetched, and says where. */
async function handOver(
  large: LargeAnswers,
  body: Readable,
  format: QueryFormat,
  size: { bytes: number; rows?: number },
  { deadline, representation }: HandOptions,
  headers: Record<string, string> = {},
): Promise<Response> {
  const handed = large.hand(body, format, contentType(format));
  const { url, expires } = await before(deadline, handed).catch((error: unknown) => {
    // It ends the upload as well, which would go on where nobody waits for it.
    body.destroy();
    throw error;
  });
  return new Response(`${JSON.stringify({ url, expires, ...size })}\n`, {
    status: representation ? 200 : 303,
    headers: {
      "content-type": "application/json",
      ...(representation ? { "preference-applied": "return=representation" } : { location: url }),
      ...headers,
    },
  });
}

function contentType(format: QueryFormat): string {
  const { mediaType } = queryFormats[format];
  return format === "csv" ? `${mediaType}; charset=utf-8; header=present` : mediaType;
}

/** What stands before and after the rows, which DuckDB wrote as a JSON array: the shape of ClickHouse's `JSON`. */
function envelope({ columns, rows, elapsed }: Answer): [string, string] {
  const meta = JSON.stringify(columns);
  const statistics = JSON.stringify({ elapsed: Number(elapsed.toFixed(6)) });
  return [`{"meta":${meta},"data":`, `,"rows":${rows},"statistics":${statistics}}\n`];
}
