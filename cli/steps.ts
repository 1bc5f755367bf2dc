import { setTimeout as pause } from "node:timers/promises";
import { MillpondError, messageOf } from "../app/errors.ts";
import { endingSignals } from "./signals.ts";
import { fittedTo, secondsText } from "./text.ts";

/** One thing that was tried, and how it ended. */
export interface StepResult {
  step: string;
  ok: boolean;
  milliseconds: number;
  /** What was found, or what went wrong. */
  detail: string;
}

/** Where results go as they come. */
export type Report = (result: StepResult) => void;

/** For people: a line for each step. For scripts: a JSON object a line. */
export function reporter(json: boolean): Report {
  return (result) => {
    if (json) {
      process.stdout.write(`${JSON.stringify(result)}\n`);
      return;
    }
    const { ok, step, detail, milliseconds } = result;
    const said = detail === "" ? "" : `: ${detail}`;
    const line = `${ok ? "✔" : "✘"} ${step} (${secondsText(milliseconds)})${said}`;
    process.stdout.write(`${fittedTo(process.stdout, line)}\n`);
  };
}

/** What a step gives: what to tell, and what later steps need. */
export interface StepOutcome<T> {
  detail: string;
  value: T;
}

/** Runs steps in order, and tells how each ended. */
export class Steps {
  readonly #report: Report;
  readonly #stopped: AbortSignal | undefined;
  failed = 0;

  /** @param stopped ends what is under way, and all that would follow */
  constructor(report: Report, stopped?: AbortSignal) {
    this.#report = report;
    this.#stopped = stopped;
  }

  /**
   * One that others can do without.
   * @returns what the work gives; undefined where it failed
   * @throws MillpondError `interrupted`
   */
  async run<T>(step: string, work: () => Promise<StepOutcome<T>>): Promise<T | undefined> {
    const begun = performance.now();
    // On a terminal, so that a slow one is seen to run; how it ended takes its place.
    const live = process.stderr.isTTY;
    if (live) process.stderr.write(`  ${step} …\r`);
    const tell = (ok: boolean, detail: string) => {
      if (live) process.stderr.write("\u001b[2K");
      if (!ok) this.failed += 1;
      this.#report({ step, ok, milliseconds: Math.round(performance.now() - begun), detail });
    };
    try {
      const { detail, value } = await this.#unlessStopped(work);
      tell(true, detail);
      return value;
    } catch (error) {
      if (this.#stopped?.aborted) throw this.#stopped.reason;
      tell(false, messageOf(error));
      return undefined;
    }
  }

  /** One that cleans up: it runs also where all else was stopped. */
  async always(step: string, work: () => Promise<StepOutcome<unknown>>): Promise<void> {
    const steps = new Steps(this.#report);
    await steps.run(step, work);
    this.failed += steps.failed;
  }

  /** One without which the rest makes no sense. @throws MillpondError `step` where it fails */
  async must<T>(step: string, work: () => Promise<StepOutcome<T>>): Promise<T> {
    const before = this.failed;
    const value = await this.run(step, work);
    if (this.failed === before) return value as T;
    throw new MillpondError("step", `stopped, as what follows needs this: ${step}`);
  }

  async #unlessStopped<T>(work: () => Promise<T>): Promise<T> {
    const stopped = this.#stopped;
    if (stopped === undefined) return await work();
    stopped.throwIfAborted();
    const { promise, reject } = Promise.withResolvers<never>();
    const stop = () => reject(stopped.reason as Error);
    stopped.addEventListener("abort", stop);
    try {
      return await Promise.race([work(), promise]);
    } finally {
      stopped.removeEventListener("abort", stop);
    }
  }
}

/** Milliseconds from one look to the next: what is there soon is seen soon, and a bucket, which is paid by the look, is not asked much more. */
const looks = { first: 50, last: 500 };

/**
 * Asks again until there is an answer: soon at first, then less and less often.
 * @param wait from one look to the next @default - for that many milliseconds
 * @throws Error when it takes too long
 */
export async function eventually<T>(
  seconds: number,
  what: string,
  look: () => Promise<T | undefined>,
  wait: (milliseconds: number) => Promise<unknown> = pause,
): Promise<T> {
  const end = Date.now() + seconds * 1000;
  for (let next = looks.first; ; next = Math.min(2 * next, looks.last)) {
    const found = await look();
    if (found !== undefined) return found;
    if (Date.now() > end) throw new Error(`${what} within ${seconds} s`);
    await wait(next);
  }
}

/** Aborted by Ctrl-C, with the reason that such a command ends with. */
export function interruption(): AbortSignal {
  const controller = new AbortController();
  const stop = (signal: NodeJS.Signals) => {
    process.stderr.write("interrupted: cleaning up, Ctrl-C again to leave it\n");
    controller.abort(new MillpondError("interrupted", `ended by ${signal}`));
  };
  for (const signal of endingSignals) process.once(signal, stop);
  return controller.signal;
}
