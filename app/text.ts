/** Text for people: the page and the command line say the same of the same thing. */

const units = ["B", "kB", "MB", "GB", "TB", "PB"];

/** Bytes with three digits and a decimal unit: 1234567 is "1.23 MB". */
export function bytesText(bytes: number): string {
  let value = bytes;
  let unit = 0;
  while (value >= 999.5 && unit < units.length - 1) {
    value /= 1000;
    unit += 1;
  }
  return `${unit === 0 ? value : value.toPrecision(3)} ${units[unit]}`;
}

/** 1234567 is "1,234,567", whatever the reader's language is. */
export function numberText(number: number): string {
  return number.toLocaleString("en-US");
}

/** "1 row", "1,000 rows". */
export function countText(count: number, what: string): string {
  return `${numberText(count)} ${what}${count === 1 ? "" : "s"}`;
}

/** Without what would begin a line of its own, or tell a terminal something: names and values are what strangers write. */
export function withoutControls(text: string): string {
  return text.replace(
    /\p{Cc}/gu,
    (found) => `\\u${found.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
}
