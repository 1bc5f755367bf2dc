import { isIP } from "node:net";
import { MillpondError } from "../app/errors.ts";

/**
 * Whom a pond on this machine answers. Whatever page a browser shows may send requests to this machine, under a name of its own that
 * leads here too (DNS rebinding): so it answers to the names that it was told, to addresses, which nobody can rebind, and to no page
 * but its own.
 * @param names lower-case
 * @returns MillpondError `host-unknown` or `cross-site`, or undefined for who is welcome
 */
export function unwelcome(
  { headers, method, url }: Request,
  names: ReadonlySet<string>,
): MillpondError | undefined {
  const host = headers.get("host") ?? "";
  const name = hostName(host);
  if (isIP(name) === 0 && !names.has(name)) {
    return new MillpondError(
      "host-unknown",
      `this pond is not called ${name || "so"}: start it with --allow-host ${name || "<name>"}, or ask by its address`,
    );
  }
  const origin = headers.get("origin");
  if (origin !== null && URL.parse(origin)?.host !== host.toLowerCase()) {
    return new MillpondError("cross-site", "a page of another site asks: it gets no answer");
  }
  const site = headers.get("sec-fetch-site");
  if (site === null || site === "same-origin" || site === "none") return undefined;
  // Whoever follows a link sees the page. It runs no SQL by that: what a link asks for waits for a person to say so (console/src/main.tsx).
  const follows =
    method === "GET" &&
    headers.get("sec-fetch-mode") === "navigate" &&
    headers.get("sec-fetch-dest") === "document" &&
    new URL(url).pathname === "/";
  if (follows) return undefined;
  return new MillpondError("cross-site", "a page of another site asks: it gets no answer");
}

/** Of a Host header, without port, brackets and the dot of a name that is complete. */
function hostName(host: string): string {
  const name = /^\[([^\]]*)\](:\d+)?$/.exec(host)?.[1] ?? host.replace(/:\d*$/, "");
  return name.toLowerCase().replace(/\.$/, "");
}
