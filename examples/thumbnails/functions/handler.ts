import type { SNSEvent } from "aws-lambda";
import { type Outcome, type Store, updateThumbnails } from "./update-thumbnails.ts";
import { uploadedKeys } from "./uploads.ts";

/** Takes what S3 tells the topic, and keeps the thumbnails of each upload. */
export function createHandler(store: Store) {
  return async (event: SNSEvent): Promise<Record<Outcome, number>> => {
    const summary = { made: 0, removed: 0, unreadable: 0 };
    const failures: unknown[] = [];
    const keys = uploadedKeys(event, store.bucket);
    for (const key of keys) {
      try {
        const outcome = await updateThumbnails(store, key);
        summary[outcome] += 1;
        store.log.info({ message: outcome, key });
      } catch (error) {
        // The others go on. Lambda hands the event in again, and in the end to the failure queue.
        store.log.error({ message: "failed", key, error });
        failures.push(error);
      }
    }
    if (failures.length === 0) return summary;
    const [first] = failures as [Error];
    throw new Error(`${failures.length} of ${keys.length} uploads failed: ${first.message}`, {
      cause: first,
    });
  };
}
