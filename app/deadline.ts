import { MillpondError } from "./errors.ts";

/**
 * The same promise, but for one that is late.
 * @param deadline in ms since the epoch; undefined for none
 * @throws MillpondError `deadline` when time is up; what was promised goes on, and nobody waits for it
 */
export async function before<T>(deadline: number | undefined, promise: Promise<T>): Promise<T> {
  if (deadline === undefined) return await promise;
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_resolve, reject) => {
    const message = "time is up: the files could not be read in time";
    const timeIsUp = () => reject(new MillpondError("deadline", message));
    timer = setTimeout(timeIsUp, Math.max(0, deadline - Date.now()));
  });
  // Whoever waits hears of it; late is late only once.
  promise.catch(() => {});
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}
