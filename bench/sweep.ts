import fs from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { parseArgs } from "node:util";
import { prefixes } from "../app/contract.ts";
import { findStale } from "../app/flow/sweep.ts";
import { outputKey } from "../app/lake/derived-key.ts";
import { encodeOutputMetadata } from "../app/lake/output-metadata.ts";
import type { Store } from "../app/store/store.ts";

/**
 * What a sweep of a large store takes: a listing made up as it is read, as S3 would give it, of which the newest hundredth has to be
 * looked at, and some are missing.
 *
 *   npm run bench:sweep [-- --keys 1000000]
 */
const { values } = parseArgs({ options: { keys: { type: "string", default: "1000000" } } });
const keys = Number(values.keys);
const goalMiB = 512;

const day = 24 * 60 * 60 * 1000;
const now = Date.now();
const sourceKey = (i: number) => `inbox/trips_${i % 100}/2026/11/file-${i}.csv`;
const etag = (i: number) => `"${i.toString(16).padStart(32, "0")}"`;
const isNew = (i: number) => i % 100 === 0;
/** Without an output. */
const isMissing = (i: number) => i % 1000 === 1;
const table = (i: number) => `trips_${i % 100}`;

async function* list(prefix: string) {
  for (let i = 0; i < keys; i += 1) {
    if (prefix === prefixes.inbox) {
      const lastModified = new Date(now - (isNew(i) ? 1 : 30) * day);
      yield { key: sourceKey(i), etag: etag(i), size: 1, lastModified };
    } else if (prefix === prefixes.lake && !isMissing(i)) {
      const key = outputKey(sourceKey(i), table(i));
      yield { key, etag: "o", size: 1, lastModified: new Date(now) };
    }
    // As pages of S3 come, one after the other.
    if (i % 1000 === 999) await new Promise((resolve) => setImmediate(resolve));
  }
}
let looked = 0;
const head = async (key: string) => {
  const i = Number(/file-(\d+)-/.exec(key)?.[1]);
  looked += 1;
  const metadata = encodeOutputMetadata({
    sourceKey: sourceKey(i),
    sourceEtag: etag(i),
    sourceModified: new Date(now),
    rows: 1,
    layout: 1,
  });
  return { key, etag: "o", size: 1, lastModified: new Date(now), metadata };
};
const store = { list, head, read: async () => undefined } as unknown as Store;

const workspace = await fs.mkdtemp(path.join(os.tmpdir(), "millpond-bench-"));
const begun = performance.now();
let stale = 0;
try {
  const counts = await findStale(
    { store, workspace, mirrorDeletes: false, ownTimes: true },
    {
      onStale: () => {
        stale += 1;
      },
      onProgress: ({ sources, outputs }) => {
        if (process.stderr.isTTY) process.stderr.write(`\r${outputs + sources} of ${2 * keys} `);
      },
    },
  );
  if (process.stderr.isTTY) process.stderr.write("\r");
  const expected = { sources: keys, missing: Math.ceil((keys - 1) / 1000) };
  if (counts.sources !== expected.sources || stale !== expected.missing) {
    throw new Error(`found ${stale} of ${expected.missing} missing among ${counts.sources}`);
  }
} finally {
  await fs.rm(workspace, { recursive: true });
}
const seconds = (performance.now() - begun) / 1000;
const peakMiB = process.resourceUsage().maxRSS / 1024;
process.stdout.write(
  `keys      ${keys.toLocaleString("en-US")} sources, as many outputs but ${stale}; ${looked} looked at\n` +
    `time      ${seconds.toFixed(1)} s, ${((seconds * 1e6) / keys).toFixed(1)} µs a source\n` +
    `memory    ${peakMiB.toFixed(0)} MiB at most, goal at most ${goalMiB} MiB\n`,
);
if (peakMiB > goalMiB) process.exitCode = 1;
