// What the page of the live logs is sent. The page may be hidden or paused, and then takes nothing: the last
// entries wait here, bounded, with what it already has remembered. Knows no VS Code, so it is tested without.

import { toDisplay, toDisplayLines } from '../base/displayText.ts';
import { writerOf } from '../log/entryText.ts';
import type { LiveItem, LiveNode } from '../log/liveLog.ts';
import type { Node } from '../remote/node.ts';
import type { Counters, LogRow, NodeRow, ToLogs } from '../webview/logs/protocol.ts';

/** Rows in one message: some milliseconds of work for the page. */
const batchRows = 2000;
const maxMessageLength = 1000;

interface FeedLimits {
  readonly rows: number;
  /** Characters of raw text that are kept, so that few huge entries do not fill the memory. */
  readonly characters: number;
}

interface KeptItem {
  readonly id: number;
  readonly item: LiveItem;
  readonly characters: number;
}

export class LiveFeed {
  private readonly limits: FeedLimits;
  private items: KeptItem[] = [];
  private characters = 0;
  private nextId = 1;
  private sentUpTo = 0;
  private counts: Counters = { received: 0, late: 0, gaps: 0 };

  constructor(limits: FeedLimits) {
    this.limits = limits;
  }

  get counters(): Counters {
    return this.counts;
  }

  add(items: readonly LiveItem[]): void {
    let { received, late, gaps } = this.counts;
    for (const item of items) {
      const characters = item.kind === 'entry' ? item.entry.raw.length : 0;
      this.items.push({ id: this.nextId++, item, characters });
      this.characters += characters;
      received++;
      if (item.kind === 'gap') gaps++;
      if (item.kind === 'entry' && item.entry.isLate) late++;
    }
    this.counts = { received, late, gaps };
    this.dropOldest();
  }

  /** The next rows that the page does not have; undefined when it has all. */
  next(): ToLogs | undefined {
    const start = this.indexBehind(this.sentUpTo);
    const batch = this.items.slice(start, start + batchRows);
    const last = batch.at(-1);
    if (last === undefined) return undefined;
    this.sentUpTo = last.id;
    const rows = batch.map(({ id, item }) => toRow(id, item));
    return { type: 'rows', rows, counters: this.counts };
  }

  /** The page is new and has nothing. */
  restart(): void {
    this.sentUpTo = 0;
  }

  clear(): ToLogs {
    this.items = [];
    this.characters = 0;
    this.counts = { received: 0, late: 0, gaps: 0 };
    return { type: 'cleared', upTo: this.nextId - 1, counters: this.counts };
  }

  find(id: number): LiveItem | undefined {
    const kept = this.items[this.indexBehind(id) - 1];
    return kept?.id === id ? kept.item : undefined;
  }

  private dropOldest(): void {
    let excess = Math.max(0, this.items.length - this.limits.rows);
    let characters = this.items.slice(0, excess).reduce((sum, one) => sum + one.characters, 0);
    while (this.characters - characters > this.limits.characters && excess < this.items.length) {
      characters += this.items[excess++]!.characters;
    }
    this.items.splice(0, excess);
    this.characters -= characters;
  }

  /** Index of the first item with a larger id. */
  private indexBehind(id: number): number {
    const first = this.items[0]?.id ?? 0;
    return Math.min(this.items.length, Math.max(0, id + 1 - first));
  }
}

function toRow(id: number, item: LiveItem): LogRow {
  if (item.kind !== 'entry') {
    return {
      id,
      kind: item.kind,
      time: item.time,
      zone: null,
      node: toDisplay(item.node, 60),
      writer: '',
      level: '',
      contextId: '',
      message: toDisplay(item.reason, maxMessageLength),
      moreLines: 0,
      isLate: false,
    };
  }
  const { entry } = item;
  return {
    id,
    kind: 'entry',
    time: entry.time ?? null,
    zone: entry.zone,
    node: toDisplay(entry.node, 60),
    writer: writerOf(entry),
    level: entry.level ?? '',
    contextId: toDisplay(entry.contextId ?? '', 200),
    message: toDisplay(entry.message.split('\n', 1)[0] ?? '', maxMessageLength),
    moreLines: entry.raw.split('\n').length - 1,
    isLate: entry.isLate,
  };
}

/** Nodes that name log files, and those that were followed although they name none. */
export function nodeRows(nodes: readonly Node[], states: readonly LiveNode[]): readonly NodeRow[] {
  const byName = new Map(states.map((state) => [state.node, state]));
  return nodes
    .filter(({ name, logs }) => logs.length > 0 || byName.has(name))
    .map(({ name }) => {
      const live = byName.get(name);
      const failure = live?.failure;
      const notes = [
        ...(failure === undefined
          ? []
          : [[failure.message, failure.hint].filter(Boolean).join(' ')]),
        ...(live?.warnings ?? []),
      ];
      return {
        node: name,
        state: live?.state ?? 'off',
        note: toDisplayLines(notes.join('\n')),
      };
    });
}
