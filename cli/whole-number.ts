import { UsageError } from "./usage-error.ts";

/** Reads an option's whole number. @throws UsageError, which names the option, where it is none or out of range */
export function wholeNumber(option: string, least: number, most: number): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (/^\d+$/.test(text) && value >= least && value <= most) return value;
    throw new UsageError(`${option} takes a number from ${least} to ${most}, got "${text}"`);
  };
}
