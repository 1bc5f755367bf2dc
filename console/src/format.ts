/** Values and times as people read them. */

/** @param type DuckDB's, by which a decimal has its digits */
export function shown(value: unknown, type?: string): string {
  if (value === null || value === undefined) return "";
  const scale = type === undefined ? undefined : /^DECIMAL\(\d+,\s*(\d+)\)$/.exec(type)?.[1];
  // JSON's number says 1.5 where the column says 1.50. Those of more than 15 digits come as text.
  if (scale !== undefined && typeof value === "number") return value.toFixed(Number(scale));
  return typeof value === "object" ? JSON.stringify(value) : String(value);
}

export function isTemporal(type: string): boolean {
  return /^(DATE|TIMESTAMP(_S|_MS|_NS| WITH TIME ZONE)?)$/.test(type);
}

const temporal =
  /^(\d{4}-\d\d-\d\d)(?:[ T](\d\d:\d\d:\d\d)(\.\d{1,3})?\d*([+-]\d\d)?(?::?(\d\d))?)?$/;

/** Where a value stands on an axis, dates as seconds since the epoch. NaN for none. */
export function placeOf(value: unknown, type: string): number {
  if (value === null || value === undefined) return Number.NaN;
  const text = shown(value);
  if (!isTemporal(type)) return Number(text);
  const [, day, time = "00:00:00", fraction = "", hours = "+00", minutes = "00"] =
    temporal.exec(text) ?? [];
  // DuckDB writes an offset as +00, which is none of JavaScript's forms.
  return Date.parse(`${day}T${time}${fraction}${hours}:${minutes}`) / 1000;
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
