import type { ExactType, Proposal } from "../lake/exact-types.ts";

/** A source as a DuckDB relation, and how each column of it becomes a column of the table. */
export interface Relation {
  /** SQL that stands after FROM. */
  from: string;
  columns: Column[];
  /** The source was unpacked as a whole, so its packing is known to be sound. @default false */
  unpacked?: boolean;
  /** The source in another way, where a value does not bear out what its start proposes. @default - types from all values */
  otherwise?: () => Promise<Relation>;
}

export interface Column {
  name: string;
  /** SQL of the value that types are read from, or of the value itself where there is nothing to choose. */
  expression: string;
  /** Types that the column may get, narrow ones first. Empty where its type is settled. */
  rungs: readonly ExactType[];
  /** What the start of the source proposes. */
  proposal: Proposal;
}

/** For a column whose type is what its expression has. */
export const settled: Proposal = { kind: "type", type: undefined };

/** Rows that a type is proposed from; as many as DuckDB's detection reads. */
export const sampleRows = 20_480;
