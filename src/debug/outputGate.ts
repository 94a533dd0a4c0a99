// A program may print faster than anybody can read and than the editor can show. The gate joins what
// arrives close together into few messages, and drops, aloud, what exceeds its rate.

import type { Disposable } from '../base/disposable.ts';
import { TerminalTextFilter } from './terminalText.ts';

/** `console` holds our own words. (`important` would be a notification for each message.) */
export type OutputCategory = 'stdout' | 'stderr' | 'console';

export interface OutputLimits {
  /** Pause between two messages of joined output, in milliseconds. */
  readonly intervalMs: number;
  /** Characters that are let through in each interval. */
  readonly charsPerInterval: number;
}

/** 2 million characters a second: some 25,000 lines, many more than a debug console keeps. */
const defaultLimits: OutputLimits = { intervalMs: 50, charsPerInterval: 100_000 };

export class OutputGate implements Disposable {
  private readonly send: (category: OutputCategory, text: string) => void;
  private readonly limits: OutputLimits;
  private readonly filters = new Map<OutputCategory, TerminalTextFilter>();
  private parts: { readonly category: OutputCategory; text: string }[] = [];
  private room: number;
  private droppedChars = 0;
  private timer: NodeJS.Timeout | undefined;

  constructor(
    send: (category: OutputCategory, text: string) => void,
    limits: OutputLimits = defaultLimits,
  ) {
    this.send = send;
    this.limits = limits;
    this.room = limits.charsPerInterval;
  }

  push(category: OutputCategory, text: string): void {
    const shown = this.filter(category).push(text);
    const kept = cut(shown, this.room);
    this.room -= kept.length;
    this.droppedChars += shown.length - kept.length;
    const last = this.parts.at(-1);
    if (last?.category === category) last.text += kept;
    else if (kept !== '') this.parts.push({ category, text: kept });
    this.timer ??= setTimeout(() => this.onInterval(), this.limits.intervalMs);
  }

  /** Sends what waits, at once: before an event that must not overtake the output. */
  flush(): void {
    const parts = this.parts;
    this.parts = [];
    for (const { category, text } of parts) this.send(category, text);
    if (this.droppedChars > 0) {
      const dropped = this.droppedChars.toLocaleString('en-US');
      this.droppedChars = 0;
      this.send('console', `\n[${dropped} characters of output were dropped: too fast to show]\n`);
    }
  }

  dispose(): void {
    clearTimeout(this.timer);
    this.timer = undefined;
    this.parts = [];
  }

  private onInterval(): void {
    this.timer = undefined;
    this.room = this.limits.charsPerInterval;
    this.flush();
  }

  private filter(category: OutputCategory): TerminalTextFilter {
    let filter = this.filters.get(category);
    if (filter === undefined) {
      filter = new TerminalTextFilter('console');
      this.filters.set(category, filter);
    }
    return filter;
  }
}

/** The first `length` UTF-16 units, without half a character at the end. */
function cut(text: string, length: number): string {
  return text.length <= length ? text : text.slice(0, length).replace(/[\ud800-\udbff]$/, '');
}
