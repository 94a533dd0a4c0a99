// The rows a page holds, and those of them that its filter lets through. No DOM.

import type { LogRow, RowLevel } from './protocol.ts';

export interface RowFilter {
  /** Found in any column, without regard to case; '' lets all through. */
  readonly text: string;
  /** This level or a more severe one; '' lets all through, also rows without a level. */
  readonly level: RowLevel;
  /** '' lets all through. */
  readonly node: string;
}

export const noFilter: RowFilter = { text: '', level: '', node: '' };

const severity: Readonly<Record<RowLevel, number>> = {
  '': 0,
  trace: 1,
  debug: 2,
  info: 3,
  warn: 4,
  error: 5,
  fatal: 6,
};

export class RowStore {
  private readonly capacity: number;
  private rows: LogRow[] = [];
  private shown: LogRow[] = [];
  private filter = noFilter;
  private droppedRows = 0;

  constructor(capacity: number) {
    this.capacity = capacity;
  }

  /** Rows that pass the filter, oldest first. */
  get visible(): readonly LogRow[] {
    return this.shown;
  }

  get size(): number {
    return this.rows.length;
  }

  /** Rows that were dropped since they are older than the newest `capacity`. */
  get dropped(): number {
    return this.droppedRows;
  }

  /** The number of visible rows that were dropped at the beginning to make room. */
  add(rows: readonly LogRow[]): number {
    for (const row of rows) {
      this.rows.push(row);
      if (passes(row, this.filter)) this.shown.push(row);
    }
    const excess = this.rows.length - this.capacity;
    if (excess <= 0) return 0;
    this.droppedRows += excess;
    return this.removeFirst(excess);
  }

  /** Removes all rows up to and with this id. */
  clear(upTo: number): void {
    this.removeFirst(countUntil(this.rows, upTo));
  }

  setFilter(filter: RowFilter): void {
    this.filter = filter;
    this.shown = this.rows.filter((row) => passes(row, filter));
  }

  /** Where the row stands among the visible ones; -1 when it does not. */
  indexOf(id: number): number {
    const index = countUntil(this.shown, id) - 1;
    return this.shown[index]?.id === id ? index : -1;
  }

  private removeFirst(count: number): number {
    const last = this.rows[count - 1];
    if (last === undefined) return 0;
    this.rows.splice(0, count);
    const gone = countUntil(this.shown, last.id);
    this.shown.splice(0, gone);
    return gone;
  }
}

/** A mark passes whatever is filtered but for its node: that lines are missing concerns every filter. */
function passes(row: LogRow, { text, level, node }: RowFilter): boolean {
  if (node !== '' && row.node !== node) return false;
  if (row.kind !== 'entry') return true;
  if (severity[row.level] < severity[level]) return false;
  if (text === '') return true;
  const wanted = text.toLowerCase();
  return [row.message, row.contextId, row.writer, row.node].some((part) =>
    part.toLowerCase().includes(wanted),
  );
}

/** How many rows have an id up to this one; rows are in the order of their ids. */
function countUntil(rows: readonly LogRow[], id: number): number {
  let [low, high] = [0, rows.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (rows[middle]!.id <= id) low = middle + 1;
    else high = middle;
  }
  return low;
}
