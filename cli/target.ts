import type { IncomingMessage } from "node:http";
import type { Readable } from "node:stream";
import { text } from "node:stream/consumers";
import { Option } from "commander";
import { MillpondError, messageOf } from "../app/errors.ts";
import { type DeployedStack, readStack, readToken, stackOption } from "./deployed-stack.ts";
import { type SentRequest, send } from "./request.ts";
import { UsageError } from "./usage-error.ts";

/** The port of a pond on one machine. */
export const defaultPort = 8686;
const localUrl = `http://127.0.0.1:${defaultPort}`;
/** The token of a pond on one machine, for those who would not have it in their shell's history. */
const tokenVariable = "MILLPOND_TOKEN";

/** A pond that answers over HTTP. */
export interface Target {
  url: string;
  /** Undefined where none is asked for. */
  token: string | undefined;
  /** Where that came from, for whoever has to mend it. */
  tokenOf: string;
  /** Undefined for a pond on one machine. */
  stack: DeployedStack | undefined;
  /** What to do where it does not answer. */
  hint: string;
}

export interface TargetOptions {
  stack?: string;
  url?: string;
  token?: string;
}

/** For commands that ask either kind of pond. */
export const targetOptions = {
  stack: stackOption,
  url: () =>
    new Option("--url <url>", `the pond at this URL (default: ${localUrl})`).conflicts("stack"),
  token: () =>
    new Option(
      "--token <token>",
      `the token to send (default: the stack's own; else ${tokenVariable})`,
    ),
};

/** @throws UsageError for a URL that is none; MillpondError where the stack is not up */
export async function targetOf({ stack: name, url, token }: TargetOptions): Promise<Target> {
  if (name === undefined) {
    if (url !== undefined && !/^https?:$/.test(URL.parse(url)?.protocol ?? "")) {
      throw new UsageError(`--url takes http://<host>[:<port>], got "${url}"`);
    }
    const root = rootOf(url ?? localUrl);
    if (root !== undefined) throw new UsageError(`--url takes the pond's root, ${root}`);
    return {
      url: (url ?? localUrl).replace(/\/+$/, ""),
      token: token ?? (process.env[tokenVariable] || undefined),
      tokenOf: token === undefined ? tokenVariable : "--token",
      stack: undefined,
      hint:
        url === undefined
          ? "npm start serves a pond on this machine; --stack <name> is a deployed one, --url another"
          : "is that its URL, and does npm start run there?",
    };
  }
  const asked = Promise.resolve(token ?? readToken(name));
  // A stack that is not up has no token either: that it isn't comes first.
  asked.catch(() => {});
  const stack = await readStack(name);
  const of = await asked;
  const hint = `npm run smoke -- --stack ${name} looks what is wrong`;
  const tokenOf =
    token === undefined
      ? "the stack's secrets.tokens, which counts five minutes after pulumi up"
      : "--token";
  return { url: stack.apiUrl, token: of, tokenOf, stack, hint };
}

/** Where the pond is whose page or answer has this URL: it may have a path of its own before that. Undefined of a root. */
function rootOf(url: string): string | undefined {
  const { origin, pathname, search, hash } = new URL(url);
  const route = /\/(query|tables(\/[^/]*)?|inbox|rejected|health|hello|q(\/[^/]*)?)\/*$/;
  const base = pathname.replace(route, "").replace(/\/+$/, "");
  const whole = search === "" && hash === "" && base === pathname.replace(/\/+$/, "");
  return whole ? undefined : `${origin}${base}`;
}

/** What a request carries. */
export type Load =
  /** JSON, by POST. */
  | { json: string }
  /** A file, by PUT. */
  | { content: Readable; bytes: number };

/**
 * One request: GET where it carries nothing. Redirects are the caller's.
 * @throws MillpondError `no-answer`
 */
export async function askTarget(
  { url, token, hint }: Target,
  route: string,
  { load, signal }: { load?: Load; signal?: AbortSignal } = {},
): Promise<IncomingMessage> {
  const authorization = token === undefined ? {} : { authorization: `Bearer ${token}` };
  const { headers = {}, ...sent } = load === undefined ? {} : sentAs(load);
  return await send(`${url}${route}`, {
    ...sent,
    headers: { ...headers, ...authorization },
    signal,
  }).catch((error: unknown) => {
    throw new MillpondError("no-answer", `${url} does not answer: ${reasonOf(error)}; ${hint}`, {
      cause: error,
    });
  });
}

/**
 * The same, and of what is too large to go back by itself what waits in the bucket.
 * @returns the pond's answer, and what holds its body
 * @throws MillpondError `no-answer`
 */
export async function askWhole(
  target: Target,
  route: string,
  options: { load?: Load; signal?: AbortSignal } = {},
): Promise<{ answer: IncomingMessage; body: IncomingMessage }> {
  const answer = await askTarget(target, route, options);
  const { location } = answer.headers;
  if (answer.statusCode !== 303 || location === undefined) return { answer, body: answer };
  answer.resume();
  // It goes to the bucket, which gets no token.
  const body = await send(location, { signal: options.signal });
  if (body.statusCode === 200) return { answer, body };
  throw new MillpondError("no-answer", `the large answer can't be fetched: ${body.statusCode}`);
}

/** Why there is no answer, in one line. */
function reasonOf(error: unknown): string {
  // OpenSSL tells of its own files.
  if ((error as NodeJS.ErrnoException).code === "EPROTO") return "it does not speak https";
  return messageOf(error);
}

export function sentAs(load: Load): SentRequest {
  if ("json" in load) {
    const length = String(Buffer.byteLength(load.json));
    const headers = { "content-type": "application/json", "content-length": length };
    return { method: "POST", headers, body: load.json };
  }
  return {
    method: "PUT",
    headers: { "content-length": String(load.bytes) },
    body: load.content,
  };
}

/** What a pond says in place of an answer. */
export interface Problem {
  code: string;
  detail: string;
  [extension: string]: unknown;
}

/**
 * What a pond said in place of an answer.
 * @param own a command's own words for a code, where the pond's are for those who write requests
 */
export async function refusal(
  answer: IncomingMessage,
  target: Target,
  own: Readonly<Record<string, (problem: Problem) => string>> = {},
): Promise<MillpondError> {
  const said = await text(answer);
  const problem = problemIn(said);
  if (problem === undefined) {
    // API Gateway's own: it is busy, or had no answer in time. A path that it does not have is another thing.
    const gateways = /^\s*\{\s*"message"/.test(said) && answer.statusCode !== 404;
    if (target.stack === undefined && !gateways) return noPond(answer, target);
    const start = said.trim().slice(0, 300);
    return new MillpondError("refused", `the answer is ${answer.statusCode}: ${start}`);
  }
  const detail =
    problem.code === "unauthorized"
      ? tokenRefused(target)
      : (own[problem.code]?.(problem) ?? problem.detail);
  // Behind DuckDB's caret it would be part of the picture.
  return new MillpondError(
    "refused",
    `${detail}${detail.includes("\n") ? "\n" : " "}(${problem.code})`,
  );
}

function problemIn(said: string): Problem | undefined {
  try {
    const problem = JSON.parse(said) as Partial<Problem> | null;
    const { code, detail } = problem ?? {};
    return typeof code === "string" && typeof detail === "string"
      ? (problem as Problem)
      : undefined;
  } catch {
    return undefined;
  }
}

/** Of what answers as no pond does: its page says nothing to whoever asked. */
export function noPond({ statusCode, headers }: IncomingMessage, { url }: Target): MillpondError {
  const type = headers["content-type"]?.split(";")[0] ?? "no type";
  return new MillpondError(
    "no-pond",
    `what answers at ${url} is no Millpond (${statusCode}, ${type}): is that its URL?`,
  );
}

/** What a pond answered. @throws MillpondError where that is no JSON */
export async function jsonOf<T>(answer: IncomingMessage, target: Target): Promise<T> {
  const said = await text(answer);
  try {
    return JSON.parse(said) as T;
  } catch {
    throw noPond(answer, target);
  }
}

function tokenRefused({ url, token, tokenOf }: Target): string {
  return token === undefined
    ? `${url} asks for a token: --token <token>, or ${tokenVariable}`
    : `${url} does not take the token of ${tokenOf}`;
}
