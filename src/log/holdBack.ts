// Live entries of many nodes → one stream in time order. Each is held back for a moment, so that what
// happened earlier but arrives a little later can still take its place before it.

import type { EpochMs } from '../base/time.ts';
import type { LogEntry } from './logEntry.ts';

/** An entry in its place in a live stream. */
export interface LiveEntry extends LogEntry {
  /** Entries that happened after it were already given. */
  readonly isLate: boolean;
}

interface HeldItem<Mark> {
  readonly item: LogEntry | Mark;
  readonly sortTime: EpochMs;
  readonly arrivedAt: EpochMs;
}

/** `Mark` is what can stand between a node's entries without being one. */
export class HoldBack<Mark extends { readonly kind: string } = never> {
  private readonly holdMs: number;
  /** In order of time; equal times in order of arrival. */
  private held: HeldItem<Mark>[] = [];
  private lastGiven: EpochMs = -Infinity;
  /** By file: the time of its last entry, as a file's entries keep their order. */
  private readonly lastOfFile = new Map<string, EpochMs>();
  /** By node: the time of its last mark, which none of its entries pass. */
  private readonly lastMark = new Map<string, EpochMs>();

  constructor(holdMs: number) {
    this.holdMs = holdMs;
  }

  get size(): number {
    return this.held.length;
  }

  /** `now` is our clock. An entry without a time counts as happening when it arrives. */
  add(entry: LogEntry, now: EpochMs): void {
    const file = `${entry.node}\0${entry.source}`;
    const before = Math.max(
      this.lastOfFile.get(file) ?? -Infinity,
      this.lastMark.get(entry.node) ?? -Infinity,
    );
    // Nothing happens after it was read: a wrong time in the future must not hold up the others.
    const sortTime = Math.max(before, Math.min(entry.time ?? now, now));
    this.lastOfFile.set(file, sortTime);
    this.insert({ item: entry, sortTime, arrivedAt: now });
  }

  /** Stands behind all entries of the node that were added before it, and before all that are added later. */
  mark(node: string, mark: Mark, now: EpochMs): void {
    let latest: EpochMs | undefined;
    for (const [file, time] of this.lastOfFile) {
      if (file.startsWith(`${node}\0`)) latest = Math.max(latest ?? time, time);
    }
    const sortTime = latest ?? now;
    this.lastMark.set(node, sortTime);
    this.insert({ item: mark, sortTime, arrivedAt: now });
  }

  /** What was held long enough, and all that happened before it, in order. */
  release(now: EpochMs): readonly (LiveEntry | Mark)[] {
    const due = this.held.findLastIndex(({ arrivedAt }) => arrivedAt <= now - this.holdMs);
    return this.held.splice(0, due + 1).map(({ item, sortTime }) => {
      const isLate = sortTime < this.lastGiven;
      if (!isLate) this.lastGiven = sortTime;
      return 'kind' in item ? item : { ...item, isLate };
    });
  }

  /** Everything, without waiting. */
  flush(): readonly (LiveEntry | Mark)[] {
    return this.release(Infinity);
  }

  private insert(held: HeldItem<Mark>): void {
    // By halves: a node that catches up after a lost connection inserts many before those of the others.
    let [low, high] = [0, this.held.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.held[middle]!.sortTime > held.sortTime) high = middle;
      else low = middle + 1;
    }
    this.held.splice(low, 0, held);
  }

  /** The files of this node are not followed any more. */
  forget(node: string): void {
    this.lastMark.delete(node);
    for (const file of this.lastOfFile.keys()) {
      if (file.startsWith(`${node}\0`)) this.lastOfFile.delete(file);
    }
  }
}
