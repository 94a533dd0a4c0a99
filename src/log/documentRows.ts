// Which entry stands on which lines of a log document.

import type { MergedEntry } from './logEntry.ts';

export interface LogDocument {
  readonly text: string;
  /** In the order of their lines. */
  readonly rows: readonly DocumentRow[];
}

/** An entry's place. Lines are counted from 0. */
export interface DocumentRow {
  readonly entry: MergedEntry;
  readonly firstLine: number;
  readonly lineCount: number;
}

/** The row that a line belongs to; undefined in the header. */
export function rowAt({ rows }: LogDocument, line: number): DocumentRow | undefined {
  let [low, high] = [0, rows.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (rows[middle]!.firstLine <= line) low = middle + 1;
    else high = middle;
  }
  const row = rows[low - 1];
  return row !== undefined && line < row.firstLine + row.lineCount ? row : undefined;
}
