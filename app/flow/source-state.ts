import type { SourceState } from "../lake/decide.ts";
import { decodeOutputMetadata, layoutOf } from "../lake/output-metadata.ts";
import { parseRejection } from "../lake/rejection.ts";
import type { SourceKey } from "../lake/source-key.ts";
import type { ObjectHead, Store } from "../store/store.ts";
import { version } from "../version.ts";

/** What a store was found to hold of one source. */
export interface Found {
  key: SourceKey;
  source: { etag: string } | undefined;
  output: ObjectHead | undefined;
  rejection: Awaited<ReturnType<Store["read"]>>;
  mirrorDeletes: boolean;
}

/** The same as `decide` takes it: metadata and record read, undefined where they don't say anything. */
export function sourceState({ key, source, output, rejection, mirrorDeletes }: Found): SourceState {
  return {
    source,
    layout: key.kind === "source" ? layoutOf(key) : 0,
    output: output && { etag: output.etag, metadata: decodeOutputMetadata(output.metadata) },
    rejection: rejection && { etag: rejection.etag, record: parseRejection(rejection.text) },
    mirrorDeletes,
    millpond: version,
  };
}
