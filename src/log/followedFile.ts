// Bytes of one followed file → entries, and how far it was read.

import { LineSplitter } from '../base/lines.ts';
import { Assembler, type LineOrigin } from './assemble.ts';
import { advanceMark, restartMark, type FileMark } from './followMark.ts';
import type { LogEntry } from './logEntry.ts';

/** A line below an entry is waited for this long before the entry counts as whole. */
export const quietMs = 250;

/**
 * One generation of a file. It outlives a lost connection: the file is then read on from the very byte that came
 * last, wherever that was in a line, in a character or in an entry of many lines.
 */
export class FollowedFile {
  private readonly onEntry: (entry: LogEntry) => void;
  private readonly assembler: Assembler;
  private lines = new LineSplitter();
  private read: FileMark;
  /** How many of the bytes read are the beginning of an unfinished line. */
  private pendingBytes = 0;
  private grewAt = 0;

  constructor(mark: FileMark, origin: LineOrigin, onEntry: (entry: LogEntry) => void) {
    this.read = mark;
    this.assembler = new Assembler(origin);
    this.onEntry = onEntry;
  }

  /** Where it is to be read on. */
  get mark(): FileMark {
    return this.read;
  }

  /** It goes on after the connection was lost: under another name or inode, with a clock that was measured again. */
  goOn(mark: FileMark, origin: LineOrigin): void {
    this.read = mark;
    this.assembler.origin = origin;
  }

  push(bytes: Buffer): void {
    this.grewAt = performance.now();
    let { offset } = this.read;
    let start = 0;
    for (;;) {
      const end = bytes.indexOf(0x0a, start);
      const part = bytes.subarray(start, end < 0 ? bytes.length : end + 1);
      const lineStart = offset - this.pendingBytes;
      this.pendingBytes += part.length;
      offset += part.length;
      for (const line of this.lines.push(part)) {
        this.give(this.assembler.push({ text: line.text, offset: lineStart }));
        this.pendingBytes = 0;
      }
      if (end < 0) break;
      start = end + 1;
    }
    this.read = advanceMark(this.read, bytes);
  }

  /** The file was cut to nothing. */
  restart(): void {
    this.end();
    this.lines = new LineSplitter();
    this.read = restartMark(this.read);
    this.pendingBytes = 0;
  }

  flushQuiet(now: number): void {
    if (this.assembler.isPending && now - this.grewAt >= quietMs) this.flush();
  }

  /** Gives the entry of the lines that are whole; an unfinished line stays. */
  flush(): void {
    this.give(this.assembler.flush());
  }

  /** Nothing more will come of it: an unfinished line is given as it is. */
  end(): void {
    const last = this.lines.end();
    if (last !== undefined) {
      const offset = this.read.offset - this.pendingBytes;
      this.give(this.assembler.push({ text: last.text, offset }));
    }
    this.flush();
  }

  private give(entry: LogEntry | undefined): void {
    if (entry !== undefined) this.onEntry(entry);
  }
}
