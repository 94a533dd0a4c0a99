// Frames of follower.py → entries, over any number of connections: what one told of the files is what the next
// one is given to go on with.

import { toDisplay } from '../base/displayText.ts';
import type { UtcOffsetMinutes } from '../base/time.ts';
import type { ClockOffset, Node } from '../remote/node.ts';
import type { LineOrigin } from './assemble.ts';
import { FollowedFile } from './followedFile.ts';
import type { FollowFrame } from './followFrames.ts';
import { toResume, type FileMark } from './followMark.ts';
import type { LogEntry } from './logEntry.ts';
import { fileWarning, gapText } from './sources.ts';

export interface ProbeFollowSink {
  onReady(): void;
  onEntry(entry: LogEntry): void;
  onGap(source: string, reason: string): void;
  onWarning(message: string): void;
  /** All gaps since the connection was lost were told, and the files go on. */
  onResume(): void;
}

/** The follower's own limit is far below, unless somebody else answers in its place. */
const maxClosed = 8192;

export class ProbeFollow {
  private readonly node: Node;
  private readonly sink: ProbeFollowSink;
  private readonly files = new Map<number, FollowedFile>();
  /** Files that need no reading, but would be taken for new ones if nothing were known of them. */
  private readonly closed = new Map<
    number,
    { readonly mark: FileMark; readonly isCopy: boolean }
  >();
  private clock: ClockOffset | undefined;
  private zone: UtcOffsetMinutes = 0;
  private since: number | undefined;
  private isReady = false;

  constructor(node: Node, sink: ProbeFollowSink) {
    this.node = node;
    this.sink = sink;
  }

  /**
   * Before a connection's first frame. Gives what the follower is told to go on where an earlier connection was
   * cut off; nothing when there was none, or it had not got as far as to know all files.
   */
  begin(clock: ClockOffset | undefined): { readonly since?: number; readonly resume?: object } {
    this.clock = clock;
    if (!this.isReady) {
      this.forgetAll();
      return {};
    }
    const open = [...this.files.values()].map(({ mark }) =>
      toResume(mark, { open: true, copy: false }),
    );
    const closed = [...this.closed.values()].map(({ mark, isCopy }) =>
      toResume(mark, { open: false, copy: isCopy }),
    );
    return { since: this.since!, resume: [...open, ...closed] };
  }

  take(frame: FollowFrame): void {
    const { sink, files, closed } = this;
    switch (frame.kind) {
      case 'zone':
        this.zone = frame.offset;
        this.since = frame.since;
        break;
      case 'open':
        this.open(frame.mark);
        break;
      case 'known':
        this.close(frame.mark, frame.isCopy);
        break;
      case 'data':
        files.get(frame.generation)?.push(frame.bytes);
        break;
      case 'cut':
        this.restart(frame.generation, frame.isWhole);
        break;
      case 'close': {
        const file = this.end(frame.generation);
        if (file !== undefined) this.close(file.mark, false);
        break;
      }
      case 'forget':
        closed.delete(frame.generation);
        break;
      case 'gap':
        this.end(frame.generation);
        sink.onGap(frame.path, gapText(frame));
        break;
      case 'warn': {
        const warning = fileWarning(frame.warning, frame.path, this.node.name);
        if (warning !== undefined) sink.onWarning(warning);
        break;
      }
      case 'resumed':
        sink.onResume();
        break;
      case 'ready':
        this.isReady = true;
        sink.onReady();
        break;
      case 'beat':
        break;
    }
  }

  flushQuiet(now: number): void {
    for (const file of this.files.values()) file.flushQuiet(now);
  }

  /** Gives the entries whose lines are whole, without waiting for more. */
  flush(): void {
    for (const file of this.files.values()) file.flush();
  }

  end(generation: number): FollowedFile | undefined {
    const file = this.files.get(generation);
    this.files.delete(generation);
    file?.end();
    return file;
  }

  /** Nothing more will come: all that is unfinished is given. */
  endAll(): void {
    for (const generation of [...this.files.keys()]) this.end(generation);
  }

  /** A new follower begins at the last unfinished lines of the files, and reads those again. */
  private forgetAll(): void {
    this.flush();
    this.files.clear();
    this.closed.clear();
  }

  private open(mark: FileMark): void {
    const { node, zone, clock } = this;
    const origin: LineOrigin = { node: node.name, source: mark.path, zone, clock };
    this.closed.delete(mark.generation);
    const cutOff = this.files.get(mark.generation);
    if (cutOff?.mark.offset === mark.offset) return cutOff.goOn(mark, origin);
    cutOff?.end();
    this.files.set(
      mark.generation,
      new FollowedFile(mark, origin, (entry) => this.sink.onEntry(entry)),
    );
  }

  private close(mark: FileMark, isCopy: boolean): void {
    this.closed.set(mark.generation, { mark, isCopy });
    if (this.closed.size <= maxClosed) return;
    const [oldest] = this.closed.keys();
    this.closed.delete(oldest!);
  }

  private restart(generation: number, isWhole: boolean): void {
    const file = this.files.get(generation);
    if (file === undefined) return;
    const { path } = file.mark;
    file.restart();
    if (isWhole) return;
    this.sink.onGap(
      path,
      `${toDisplay(path)} was truncated: lines written just before may be missing.`,
    );
  }
}
