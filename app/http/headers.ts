/** What a browser may do with an answer: show it, and nothing in it. */
const always: Readonly<Record<string, string>> = {
  "content-security-policy": "default-src 'none'; frame-ancestors 'none'",
  "cross-origin-opener-policy": "same-origin",
  "cross-origin-resource-policy": "same-origin",
  "referrer-policy": "no-referrer",
  "x-content-type-options": "nosniff",
  "x-frame-options": "DENY",
};

/** Whoever spoke to it in secret shall go on so for a year. Over plain HTTP it says nothing, and browsers would not listen. */
const secret = { "strict-transport-security": "max-age=31536000" };

/** The headers of every answer, whoever gives it, but for those that it has of its own. `cache-control` is for what changes. */
export function answerHeaders(url: string, own = new Headers()): Record<string, string> {
  const headers = {
    ...always,
    ...(url.startsWith("https:") ? secret : {}),
    "cache-control": "no-store",
  };
  return Object.fromEntries(Object.entries(headers).filter(([name]) => !own.has(name)));
}
