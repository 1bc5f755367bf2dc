import { objectMessage } from "../../app/events/s3-event.ts";

/** Keys of events that are under way. Numbers choose among what is there, modulo. */
export class Events {
  readonly #keys: string[] = [];
  /** Whether one was lost that was under way. */
  lost = false;

  get waiting(): number {
    return this.#keys.length;
  }

  add(...keys: readonly string[]): void {
    this.#keys.push(...keys);
  }

  /** Takes some out. @param again whether they come once more later */
  take(numbers: readonly number[], again = false): string[] {
    const keys = numbers.flatMap((number) => this.#remove(number));
    if (again) this.add(...keys);
    return keys;
  }

  lose(number: number): void {
    this.lost ||= this.#remove(number).length > 0;
  }

  clear(): void {
    this.#keys.length = 0;
    this.lost = false;
  }

  #remove(number: number): string[] {
    return this.#keys.splice(number % Math.max(1, this.#keys.length), 1);
  }
}

/** One message of S3 about several keys. */
export function eventOf(bucket: string, keys: readonly string[]): { Records: object[] } {
  const Records = keys.flatMap((key) => {
    const message = objectMessage(bucket, key, "ObjectCreated:Put", new Date());
    return (JSON.parse(message) as { Records: object[] }).Records;
  });
  return { Records };
}

/** What is to be quiet. */
export interface Restless {
  readonly events: Events;
  /** Handlers end, and events that were not lost arrive; nothing fails any more. */
  drain(): Promise<void>;
  sweep(): Promise<void> | void;
  findProblems(): Promise<string[]>;
}

/** @returns what is wrong when all is quiet, and already before the sweep where no event was lost: it is not there to mend handlers */
export async function quiesce(world: Restless): Promise<string[]> {
  await world.drain();
  const before = world.events.lost ? [] : await world.findProblems();
  await world.sweep();
  await world.drain();
  return [
    ...before.map((problem) => `before the sweep: ${problem}`),
    ...(await world.findProblems()),
  ];
}
