/** Values and sizes as people read them. */

export function shown(value: unknown): string {
  if (value === null || value === undefined) return "";
  return typeof value === "object" ? JSON.stringify(value) : String(value);
}

const numberTypes = /^(U?(TINY|SMALL|BIG|HUGE)?INT(EGER)?|FLOAT|DOUBLE|DECIMAL.*)$/;

export function isNumeric(type: string): boolean {
  return numberTypes.test(type);
}

export function isTemporal(type: string): boolean {
  return /^(DATE|TIMESTAMP)/.test(type);
}

/** Where a value stands on an axis, dates as seconds since the epoch. NaN for none. */
export function placeOf(value: unknown, type: string): number {
  if (value === null || value === undefined) return Number.NaN;
  if (!isTemporal(type)) return Number(value);
  const text = String(value).replace(" ", "T");
  return (
    Date.parse(/[zZ]|[+-]\d\d(:?\d\d)?$|^\d{4}-\d\d-\d\d$/.test(text) ? text : `${text}Z`) / 1000
  );
}

const counts = new Intl.NumberFormat("en");
export const count = (n: number): string => counts.format(n);

export function plural(n: number, word: string): string {
  return `${count(n)} ${word}${n === 1 ? "" : "s"}`;
}

export function bytes(n: number): string {
  const units = ["B", "kB", "MB", "GB", "TB"];
  const step = Math.min(units.length - 1, n < 1 ? 0 : Math.floor(Math.log10(n) / 3));
  const value = n / 1000 ** step;
  return `${value < 10 && step > 0 ? value.toFixed(1) : Math.round(value)} ${units[step]}`;
}

/** Buckets keep whole seconds: less than one is all that can be said. */
export function duration(milliseconds: number): string {
  const seconds = milliseconds / 1000;
  if (seconds < 1) return "under 1 s";
  return seconds < 120 ? `${seconds.toFixed(1)} s` : `${Math.round(seconds / 60)} min`;
}

const ages = new Intl.RelativeTimeFormat("en", { numeric: "auto" });
export function age(iso: string, now = Date.now()): string {
  const seconds = (now - Date.parse(iso)) / 1000;
  for (const [unit, size] of [
    ["day", 86_400],
    ["hour", 3600],
    ["minute", 60],
  ] as const) {
    if (seconds >= size) return ages.format(-Math.floor(seconds / size), unit);
  }
  return "just now";
}
