/** Keys of AWS, private keys, tokens of well-known services, and URLs with a password in them. */
const formats = [
  /\b(AKIA|ASIA)[A-Z0-9]{16}\b/,
  /-----BEGIN [A-Z ]*PRIVATE KEY/,
  /\bgh[pousr]_\w{36}/,
  /\bxox[bpas]-\w{10}/,
  /\beyJ[\w-]{10,}\.eyJ[\w-]{10,}\./,
  /\b[sr]k_live_\w{16}/,
  /^[a-z][\w+.-]*:\/\/[^/@\s:]*:[^/@\s]+@/i,
];

/** The last word of a variable's name, if that says that its value is a secret. */
const secretWord =
  /^(PASS|PASSWD|PASSWORD|PASSPHRASE|PWD|SECRET|TOKEN|CREDENTIAL|KEY|APIKEY)(S?)\d*$/;
/** Keys that are no secret, by the word before. */
const plainKeys =
  /^(PARTITION|SORT|HASH|RANGE|PRIMARY|FOREIGN|PUBLIC|GROUP|ROUTING|CACHE|OBJECT|S3)$/;
/** Long hexadecimal values that are no secret, by the name's last word. */
const digests = /^(SHA|SHA1|SHA256|MD5|ETAG|HASH|DIGEST|CHECKSUM|COMMIT|REVISION|VERSION|ID)$/;

/** Where a secret is, not what it is: an ARN, a path or prefix, a URL without a password. */
const reference =
  /^(arn:.*|[a-z][a-z0-9+.-]*:\/\/.*|\.{0,2}\/[\w./-]*|[a-z][\w.-]*(\/[a-z0-9_.-]+)+\/?)$/;

/** Bits of each character of what nobody chose by hand; a word has less. */
const leastEntropy = 4.2;

/**
 * Why the value of a variable seems to be a secret, where nothing says that it is. It passes over what a person would take for a plain
 * setting too: a short secret under a harmless name.
 */
export function secretLike(key: string, value: string): string | undefined {
  if (formats.some((format) => format.test(value))) return "it has the form of one";
  const words = key
    .replace(/([a-z])([A-Z])/g, "$1_$2")
    .toUpperCase()
    .split("_");
  const last = words.at(-1) ?? "";
  if (reference.test(value) || /^(|true|false)$/.test(value)) return undefined;
  const [, word, plural] = secretWord.exec(last) ?? [];
  const counted = plural === "S" && /^\d+$/.test(value);
  if (word !== undefined && !counted && !(word === "KEY" && plainKeys.test(words.at(-2) ?? ""))) {
    return "its name says so";
  }
  return looksRandom(value) && !digests.test(last) ? "it looks random" : undefined;
}

function looksRandom(value: string): boolean {
  if (/^[0-9a-f]{32,}$/i.test(value)) return true;
  const mixed = /[a-z]/.test(value) && /[A-Z]/.test(value) && /\d/.test(value);
  return mixed && /^[\w+/-]{24,}={0,2}$/.test(value) && entropyOf(value) >= leastEntropy;
}

/** Bits of a character, by how often each is there. */
function entropyOf(text: string): number {
  const counts = new Map<string, number>();
  for (const one of text) counts.set(one, (counts.get(one) ?? 0) + 1);
  let bits = 0;
  for (const count of counts.values()) {
    bits -= (count / text.length) * Math.log2(count / text.length);
  }
  return bits;
}
