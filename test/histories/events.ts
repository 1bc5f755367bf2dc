import { prefixes } from "../../app/contract.ts";
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
    if (this.#remove(number).length > 0) this.lost = true;
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
  /** @param force whether rows go, where they are to, though the whole inbox is gone */
  sweep(force: boolean): Promise<void> | void;
  /** Keys of all objects. */
  keys(): Promise<string[]>;
  findProblems(): Promise<string[]>;
}

/** @returns what is wrong when all is quiet, and already before the sweep where no event was lost: it is not there to mend handlers */
export async function quiesce(world: Restless): Promise<string[]> {
  await world.drain();
  const before = world.events.lost ? [] : await world.findProblems();
  const keys = await world.keys();
  await world.sweep(false);
  await world.drain();
  const emptied = !keys.some((key) => key.startsWith(prefixes.inbox));
  const gone: string[] = [];
  if (emptied) {
    const left = new Set(await world.keys());
    gone.push(...keys.filter((key) => key.startsWith(prefixes.lake) && !left.has(key)));
    await world.sweep(true);
    await world.drain();
  }
  return [
    ...before.map((problem) => `before the sweep: ${problem}`),
    ...gone.map((key) => `${key} went with an inbox that was emptied, and nobody said so`),
    ...(await world.findProblems()),
  ];
}
