import { createHash } from "node:crypto";
import { build } from "../version.ts";
import type { Question } from "./ask.ts";
import type { NamedFiles } from "./catalog.ts";

/**
 * The entity tag of an answer: the same for the same question to the same files by the same code. Weak, as the order of rows that
 * nobody asked to be sorted, and the time that it took, may differ.
 */
export function answerTag(question: Question, tables: readonly NamedFiles[]): string {
  const hash = createHash("sha256").update(build);
  const { sql, parameters, format } = question;
  const whole = (_key: string, value: unknown) =>
    typeof value === "bigint" ? `${value} as a whole number` : value;
  hash.update(JSON.stringify([sql, format, parameters], whole));
  for (const { name, files } of tables) {
    hash.update(JSON.stringify([name, files.map(({ key, etag }) => [key, etag])]));
  }
  return `W/"${hash.digest("base64url").slice(0, 22)}"`;
}

/**
 * Whether a caller has the answer of that tag already.
 * @param header `If-None-Match`: tags with commas between. `*` is none, as nobody knows what it stands for before a query ran
 * @see https://www.rfc-editor.org/rfc/rfc9110#section-13.1.2
 */
export function isTagged(header: string | undefined, tag: string): boolean {
  const opaque = (text: string) => text.replace(/^W\//, "");
  const listed = header?.match(/(?:W\/)?"[^"]*"/g) ?? [];
  return listed.some((one) => opaque(one) === opaque(tag));
}
