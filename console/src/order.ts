import { isNumeric } from "../../app/query/number-type.ts";
import type { Column, Row } from "./api.ts";
import { shown } from "./format.ts";

/** By which column, and which way. */
export interface Sorting {
  column: number;
  descending: boolean;
}

/** NULL comes last, whichever way. NaN is above all numbers, as in DuckDB. */
export function inOrder(rows: Row[], columns: Column[], sorting: Sorting | undefined): Row[] {
  const column = sorting && columns[sorting.column];
  if (column === undefined) return rows;
  const { name, type } = column;
  const sign = sorting?.descending ? -1 : 1;
  const compare = isNumeric(type) ? compareNumbers : compareTexts;
  return [...rows].sort((a, b) => {
    const [left, right] = [a[name], b[name]];
    if (left === null || right === null) return Number(left === null) - Number(right === null);
    return sign * compare(left, right);
  });
}

function compareTexts(a: unknown, b: unknown): number {
  const [left, right] = [shown(a), shown(b)];
  return left < right ? -1 : Number(left > right);
}

/** Doubles tell most apart; where they can't, the digits do. */
function compareNumbers(a: unknown, b: unknown): number {
  const [x, y] = [Number(a), Number(b)];
  if (Number.isNaN(x) || Number.isNaN(y)) return Number(Number.isNaN(x)) - Number(Number.isNaN(y));
  if (x !== y) return x < y ? -1 : 1;
  if (typeof a === "number" && typeof b === "number") return 0;
  return compareDigits(String(a), String(b));
}

const digits = /^(-?\d+)(?:\.(\d+))?$/;

function compareDigits(a: string, b: string): number {
  const [left, right] = [digits.exec(a), digits.exec(b)];
  if (left === null || right === null) return 0;
  const [, whole = "", part = ""] = left;
  const [, otherWhole = "", otherPart = ""] = right;
  const scale = Math.max(part.length, otherPart.length);
  const one = BigInt(whole + part.padEnd(scale, "0"));
  const other = BigInt(otherWhole + otherPart.padEnd(scale, "0"));
  return one < other ? -1 : Number(one > other);
}
