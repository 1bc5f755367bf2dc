import type { RejectionRecord } from "../app/lake/rejection.ts";
import { countText, withoutControls } from "../app/text.ts";

/** Why a file was rejected, for people. @param head what was rejected */
export function rejectionText(
  head: string,
  { code, message, expected, line, keptRows }: RejectionRecord,
): string {
  const where = line === undefined ? "" : ` in line ${line}`;
  const kept =
    keptRows === null ? "" : `\n  ${countText(keptRows, "row")} of its last good version stay`;
  const [what, wanted] = [withoutControls(message), withoutControls(expected)];
  return `✘ ${head}: rejected${where}: ${what} (${code})\n  expected: ${wanted}${kept}`;
}
