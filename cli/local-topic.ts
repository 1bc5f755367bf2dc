import pLimit from "p-limit";

/** Handles one event, as the ingest function does. */
export type Subscriber = (event: unknown) => Promise<unknown>;

/**
 * What SNS is on AWS: takes events, hands each to the subscriber soon, some at a time. An event that fails is not
 * handed over again, as the next sweep finds what it was about.
 */
export class LocalTopic {
  readonly #limit: ReturnType<typeof pLimit>;
  readonly #subscriber: Subscriber;
  readonly #underWay = new Set<Promise<unknown>>();

  constructor(subscriber: Subscriber, atOnce: number) {
    // What is dropped must end, too: somebody may be waiting for it.
    this.#limit = pLimit({ concurrency: atOnce, rejectOnClear: true });
    this.#subscriber = subscriber;
  }

  /** Resolves when the event was handled; failures are the subscriber's to log, and don't reject. */
  async publish(event: unknown): Promise<void> {
    const handled = this.#limit(() => this.#subscriber(event)).catch(() => undefined);
    this.#underWay.add(handled);
    await handled;
    this.#underWay.delete(handled);
  }

  /** Drops what has not begun, and resolves when what has is done. */
  async drain(): Promise<void> {
    this.#limit.clearQueue();
    await Promise.all(this.#underWay);
  }
}
