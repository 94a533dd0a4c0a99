// The entries of many files → one list in the order in which things happened, as far as clocks can tell.

import type { EpochMs } from '../base/time.ts';
import type { LogEntry, MergedEntry } from './logEntry.ts';

/**
 * One file's entries, in the file's order, with the time each is sorted by. An entry without a time of its
 * own has that of the entry above it in its file (the first ones: of the entry below).
 */
interface Sequence {
  readonly entries: readonly LogEntry[];
  readonly times: readonly EpochMs[];
  readonly index: number;
  next: number;
}

/**
 * Merges by corrected time. Entries of one file keep the file's order even where its times run backwards:
 * the file knows better. Equal times keep the order of `files`.
 */
export function mergeEntries(files: readonly (readonly LogEntry[])[]): readonly MergedEntry[] {
  const heap = new SequenceHeap(
    files
      .filter((entries) => entries.length > 0)
      .map((entries, index) => ({ entries, times: sortTimes(entries), index, next: 0 })),
  );
  const merged: LogEntry[] = [];
  for (let head = heap.first; head !== undefined; head = heap.first) {
    merged.push(head.entries[head.next]!);
    head.next++;
    heap.settleFirst();
  }
  return markUnknownOrder(merged);
}

/** The times to sort a file's entries by; -Infinity when none of them has one. */
export function sortTimes(entries: readonly LogEntry[]): readonly EpochMs[] {
  let time = entries.find((entry) => entry.time !== undefined)?.time ?? -Infinity;
  return entries.map((entry) => (time = entry.time ?? time));
}

/**
 * Two entries of different nodes whose times are closer than the sum of their clocks' errors, and of what the
 * earlier one's written time leaves out, may have happened the other way round. Each is compared with the nearest
 * ones of other nodes before and after it. Entries of one node are compared by one clock and are never marked for
 * it.
 */
function markUnknownOrder(entries: readonly LogEntry[]): readonly MergedEntry[] {
  const unknown = new Array<boolean>(entries.length).fill(false);
  /** Takes the entries in either direction. */
  const compare = (indexes: Iterable<number>): void => {
    let last: number | undefined;
    let lastOfOther: number | undefined;
    for (const index of indexes) {
      const entry = entries[index]!;
      if (last !== undefined && entries[last]!.node !== entry.node) lastOfOther = last;
      const other = lastOfOther === undefined ? undefined : entries[lastOfOther]!;
      if (other !== undefined && (lastOfOther === last || (isTimed(other) && isTimed(entry)))) {
        if (couldSwap(other, entry)) unknown[index] = true;
      }
      last = index;
    }
  };
  compare(entries.keys());
  compare([...entries.keys()].reverse());
  return entries.map((entry, index) => ({ ...entry, orderUnknown: unknown[index]! }));
}

/** Without a time or a measured clock nothing can be reckoned: then only neighbours are doubted. */
function isTimed({ time, errorMs }: LogEntry): boolean {
  return time !== undefined && errorMs !== undefined;
}

function couldSwap(a: LogEntry, b: LogEntry): boolean {
  if (a.time === undefined || b.time === undefined) return true;
  if (a.errorMs === undefined || b.errorMs === undefined) return true;
  const gap = Math.abs(b.time - a.time);
  const errors = a.errorMs + b.errorMs;
  return gap <= errors || gap < errors + cutMs(a.time < b.time ? a : b);
}

/** Written times are cut, not rounded: what is written as .123 happened up to a millisecond later. */
function cutMs({ nodeTime }: LogEntry): number {
  return Number.isInteger(nodeTime) ? 1 : 0;
}

/** A binary heap of sequences, the one whose next entry is the earliest on top. */
class SequenceHeap {
  private readonly items: Sequence[];

  constructor(items: Sequence[]) {
    this.items = items;
    for (let at = items.length >> 1; at >= 0; at--) this.sink(at);
  }

  get first(): Sequence | undefined {
    return this.items[0];
  }

  /** Puts the top back in order after its next entry was taken; drops it when it has no more. */
  settleFirst(): void {
    const [first] = this.items;
    if (first === undefined) return;
    if (first.next === first.entries.length) {
      const last = this.items.pop()!;
      if (this.items.length === 0) return;
      this.items[0] = last;
    }
    this.sink(0);
  }

  private sink(start: number): void {
    const { items } = this;
    for (let at = start; ;) {
      let least = at;
      for (const child of [2 * at + 1, 2 * at + 2]) {
        if (child < items.length && isBefore(items[child]!, items[least]!)) least = child;
      }
      if (least === at) return;
      [items[at], items[least]] = [items[least]!, items[at]!];
      at = least;
    }
  }
}

function isBefore(a: Sequence, b: Sequence): boolean {
  const [timeA, timeB] = [a.times[a.next]!, b.times[b.next]!];
  return timeA === timeB ? a.index < b.index : timeA < timeB;
}
