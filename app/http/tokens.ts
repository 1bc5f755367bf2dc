import { createHash, timingSafeEqual } from "node:crypto";

/** Who may ask: a token for each client, by the client's name. */
export type Tokens = Readonly<Record<string, string>>;

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
