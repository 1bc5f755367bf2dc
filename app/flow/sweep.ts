import pLimit from "p-limit";
import { prefixes } from "../contract.ts";
import { decide } from "../lake/decide.ts";
import { outputKey, rejectionKey } from "../lake/derived-key.ts";
import { parseRejection } from "../lake/rejection.ts";
import { parseSourceKey } from "../lake/source-key.ts";
import { requestsAtOnce, type Store } from "../store/store.ts";
import { sourceState } from "./source-state.ts";

export interface SweepResult {
  /** Sources under `inbox/`. */
  sources: number;
  /** Keys of those whose output or rejection is not of their newest version. */
  stale: string[];
}

/**
 * Finds sources that no event told of: those dropped while nothing listened, and those whose event got lost. It only
 * finds; what is stale is then announced like any other change.
 */
export async function findStale(store: Store): Promise<SweepResult> {
  const outputs = new Set<string>();
  for await (const { key } of store.list(prefixes.lake)) outputs.add(key);
  const limit = pLimit(requestsAtOnce);
  const rejections = new Set<string>();
  for await (const { key } of store.list(prefixes.rejected)) rejections.add(key);

  const result: SweepResult = { sources: 0, stale: [] };
  const looks: Promise<string | undefined>[] = [];
  // A record whose source is gone still has to be cleared; what remains here at the end is such.
  for await (const source of store.list(prefixes.inbox)) {
    const parsed = parseSourceKey(source.key);
    if (parsed.kind === "ignored") continue;
    result.sources += 1;
    const rejectedAt = rejectionKey(source.key, parsed.table);
    const rejected = rejections.delete(rejectedAt);
    const convertedAt = parsed.kind === "source" ? outputKey(source.key, parsed.table) : undefined;
    const look = async () => {
      const rejection = rejected ? await store.read(rejectedAt) : undefined;
      const output =
        convertedAt !== undefined && outputs.has(convertedAt)
          ? await store.head(convertedAt)
          : undefined;
      const decision = decide(sourceState({ source, output, rejection }));
      const stale = decision.kind === "convert" || decision.clearRejection;
      return stale ? source.key : undefined;
    };
    looks.push(limit(look));
  }
  for (const key of rejections) {
    looks.push(limit(async () => parseRejection((await store.read(key))?.text ?? "")?.source.key));
  }
  result.stale.push(...(await Promise.all(looks)).filter((key) => key !== undefined));
  return result;
}
