import type { IncomingMessage } from "node:http";
import { text } from "node:stream/consumers";
import { Option } from "commander";
import { MillpondError, messageOf } from "../app/errors.ts";
import { type DeployedStack, readStack, readToken } from "./deployed-stack.ts";
import { send } from "./request.ts";
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
  stack: () => new Option("--stack <name>", "this stack of Pulumi's"),
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
    if (url !== undefined && !URL.canParse(url)) {
      throw new UsageError(`--url takes http://<host>[:<port>], got "${url}"`);
    }
    return {
      url: (url ?? localUrl).replace(/\/+$/, ""),
      token: token ?? (process.env[tokenVariable] || undefined),
      stack: undefined,
      hint: "npm start serves a pond on this machine; --stack <name> is a deployed one, --url another",
    };
  }
  const [stack, of] = await Promise.all([readStack(name), token ?? readToken(name)]);
  const hint = `npm run smoke -- --stack ${name} looks what is wrong`;
  return { url: stack.apiUrl, token: of, stack, hint };
}

/**
 * One request: POST where it has a body, of JSON. Redirects are the caller's.
 * @throws MillpondError `no-answer`
 */
export async function askTarget(
  { url, token, hint }: Target,
  route: string,
  { body, signal }: { body?: string; signal?: AbortSignal } = {},
): Promise<IncomingMessage> {
  const authorization = token === undefined ? {} : { authorization: `Bearer ${token}` };
  const json = { "content-type": "application/json" };
  const sent =
    body === undefined
      ? { headers: authorization }
      : {
          method: "POST" as const,
          headers: { ...json, "content-length": String(Buffer.byteLength(body)), ...authorization },
          body,
        };
  return await send(`${url}${route}`, { ...sent, signal }).catch((error: unknown) => {
    throw new MillpondError("no-answer", `${url} does not answer: ${messageOf(error)}; ${hint}`, {
      cause: error,
    });
  });
}

/** What a pond said in place of an answer. */
export async function refusal(answer: IncomingMessage): Promise<MillpondError> {
  const said = await text(answer);
  try {
    const { code, detail } = JSON.parse(said) as { code: string; detail: string };
    return new MillpondError("refused", `${detail} (${code})`);
  } catch {
    // API Gateway's own, or somebody else's server.
    const start = said.trim().slice(0, 300);
    return new MillpondError("refused", `the answer is ${answer.statusCode}: ${start}`);
  }
}
