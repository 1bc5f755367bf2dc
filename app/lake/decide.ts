import type { OutputMetadata } from "./output-metadata.ts";
import type { RejectionRecord } from "./rejection.ts";

/** What is there now of one source. An event only hints that this changed. */
export interface SourceState {
  /** The newest version of the source; undefined where it is gone. */
  source: { etag: string } | undefined;
  /** The rules by which its columns come about now. */
  layout: number;
  /** What its output says; undefined where there is none, `metadata` where it doesn't say. */
  output: { etag: string; metadata: OutputMetadata | undefined } | undefined;
  /** Its rejection record, likewise. */
  rejection: { etag: string; record: RejectionRecord | undefined } | undefined;
  /** Whether the rows of a source go with it. */
  mirrorDeletes: boolean;
  /** The Millpond that asks. */
  millpond: string;
}

/** What makes the lake hold exactly the newest version of one source. */
export type Decision =
  /** Nothing is left to do but, where `clearRejection`, to remove a record that no longer holds. */
  | { kind: "done"; why: "gone" | "current" | "rejected"; clearRejection: boolean }
  /** The source is gone, and what was made of it is to go, too. */
  | { kind: "delete" }
  /** Read the source; `attempt` counts the tries of this version that ended the engine. */
  | { kind: "convert"; attempt: number };

export function decide(state: SourceState): Decision {
  const { source, layout, output, rejection, millpond } = state;
  if (source === undefined) {
    // What does not say that it was made of a source is somebody else's.
    if (state.mirrorDeletes && output?.metadata !== undefined) return { kind: "delete" };
    return { kind: "done", why: "gone", clearRejection: rejection !== undefined };
  }
  const made = output?.metadata;
  if (made?.sourceEtag === source.etag && made.layout === layout) {
    return { kind: "done", why: "current", clearRejection: rejection !== undefined };
  }
  const record = rejection?.record;
  const sameVersion = record?.source.etag === source.etag && record.millpond === millpond;
  if (sameVersion && record.final) {
    return { kind: "done", why: "rejected", clearRejection: false };
  }
  return { kind: "convert", attempt: sameVersion ? record.attempts + 1 : 1 };
}
