import { createHash, timingSafeEqual } from "node:crypto";
import * as v from "valibot";
import { isToken, leastTokenLength } from "../contract.ts";
import { MillpondError } from "../errors.ts";

/** Who may ask: a token for each client, by the client's name. */
export type Tokens = Readonly<Record<string, string>>;

/**
 * Reads the secret that holds the tokens: a JSON object of tokens by client, or one token alone.
 * @throws MillpondError `secret-invalid`, which says nothing of what is in it
 */
export function parseTokens(secret: string): Tokens {
  const text = secret.trim();
  // A token that looks like JSON is JSON that somebody got wrong.
  const value = /^["{[]/.test(text) ? parseJson(text) : { token: text };
  const parsed = v.safeParse(tokensSchema, value);
  if (parsed.success) return parsed.output;
  throw new MillpondError(
    "secret-invalid",
    `the secret tokens must be one token, or {"<client>": "<token>"}, each of ${leastTokenLength} characters or more without a space`,
  );
}

const tokensSchema = v.pipe(
  v.custom<object>((value) => !Array.isArray(value)),
  v.record(v.string(), v.custom<string>(isToken)),
  v.check((tokens) => Object.keys(tokens).length > 0),
);

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    // The error would quote the text.
    return undefined;
  }
}

const digest = (text: string) => createHash("sha256").update(text, "utf8").digest();

/**
 * The name of the client whose token an `Authorization` header carries. Undefined for any other. Takes the same time
 * for each token, however much of it is right.
 */
export function clientOf(tokens: Tokens, authorization: string | undefined): string | undefined {
  const given = /^Bearer +([^\s]+) *$/i.exec(authorization ?? "")?.[1];
  const presented = digest(given ?? "");
  let found: string | undefined;
  for (const [name, token] of Object.entries(tokens)) {
    if (timingSafeEqual(presented, digest(token)) && given !== undefined) found = name;
  }
  return found;
}
