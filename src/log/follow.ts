// Following a node's log files: lines as they are written → entries as they become whole.

import { toDisplay } from '../base/displayText.ts';
import { isAbort, UserError } from '../base/errors.ts';
import { LineSplitter } from '../base/lines.ts';
import type { UtcOffsetMinutes } from '../base/time.ts';
import { pythonProgram } from '../probe/python.ts';
import { probeSource } from '../probe/sources.ts';
import type { ClockOffset, Node, NodeAccess } from '../remote/node.ts';
import type { RemoteProcess, Shell } from '../remote/shell.ts';
import { Assembler } from './assemble.ts';
import { FollowFrameReader, type FollowFrame } from './followFrames.ts';
import type { LogEntry } from './logEntry.ts';
import { SearchOutputReader, type SearchOutputPart } from './searchOutput.ts';
import { clockUnknown, fileWarning, noSources } from './sources.ts';
import { parseZone } from './timestamp.ts';

/** What happens while a node is followed. Sentences are safe to show. */
export interface FollowSink {
  /** Lines that are written from now on will come. */
  onReady(): void;
  onEntry(entry: LogEntry): void;
  /** Lines may be missing here. */
  onGap(source: string, reason: string): void;
  onWarning(message: string): void;
}

/** A line below an entry is waited for this long before the entry counts as whole. */
const quietMs = 250;
const followedFiles = 1000;
const tailedFiles = 50;

/**
 * Follows all log files of a node until aborted, which resolves. Rejects with a UserError when the channel
 * ends by itself; following again is the caller's decision.
 */
export async function followNode(
  access: NodeAccess,
  node: Node,
  sink: FollowSink,
  signal: AbortSignal,
): Promise<void> {
  try {
    if (node.logs.length === 0) throw noSources(node);
    const shell = await access.shell(node, signal);
    const clock = await access.clock(node, signal).catch((error: unknown) => {
      if (isAbort(error)) throw error;
      sink.onWarning(clockUnknown(node));
      return undefined;
    });
    const target = { node, clock, sink };
    if (!(await followByProbe(shell, target, signal))) {
      sink.onWarning(
        `${node.name} has no python3: lines written just before a rotation may be missed, and long lines are cut.`,
      );
      await followByTail(shell, target, signal);
    }
    throw followEnded(node);
  } catch (error) {
    if (!signal.aborted) throw error;
  }
}

interface FollowTarget {
  readonly node: Node;
  readonly clock: ClockOffset | undefined;
  readonly sink: FollowSink;
}

function followEnded(node: Node): UserError {
  return new UserError('log.followEnded', `Following the logs of ${node.name} ended.`, {
    hint: 'The connection was lost or the follower was stopped on the node. Start it again.',
  });
}

// --- with Python: nothing is lost at rotation ----------------------------------------------------------

/** False when the node has no Python 3. */
async function followByProbe(
  shell: Shell,
  target: FollowTarget,
  signal: AbortSignal,
): Promise<boolean> {
  const probe = pythonProgram('python/follower.py', { title: 'Follow logs' });
  const program = await shell.start(probe.command, {}, signal);
  program.stdin.on('error', () => {
    // The program may end without reading its input; its exit says what happened.
  });
  program.stdin.write(probe.input);
  program.stdin.write(`${JSON.stringify({ globs: target.node.logs, maxFiles: followedFiles })}\n`);
  program.stderr.resume();
  const reader = new FollowFrameReader();
  const state = new ProbeFollow(target);
  let isStarted = false;
  await readAll(program, state, (chunk) => {
    isStarted = true;
    for (const frame of reader.push(chunk)) state.take(frame);
  });
  return isStarted || (await program.exited).exitCode !== 127;
}

/** Frames → entries. Each generation of a file has its own unfinished line and unfinished entry. */
class ProbeFollow {
  private readonly target: FollowTarget;
  private readonly generations = new Map<number, FollowedFile>();
  private zone: UtcOffsetMinutes = 0;

  constructor(target: FollowTarget) {
    this.target = target;
  }

  take(frame: FollowFrame): void {
    const { sink, node } = this.target;
    switch (frame.kind) {
      case 'zone':
        this.zone = frame.offset;
        break;
      case 'open': {
        const file = new FollowedFile(this.target, frame.path, this.zone, frame.offset);
        this.generations.get(frame.generation)?.end();
        this.generations.set(frame.generation, file);
        break;
      }
      case 'data':
        this.generations.get(frame.generation)?.push(frame.bytes);
        break;
      case 'cut':
        this.generations.get(frame.generation)?.restart(frame.isWhole);
        break;
      case 'close':
        this.generations.get(frame.generation)?.end();
        this.generations.delete(frame.generation);
        break;
      case 'warn': {
        const warning = fileWarning(frame.warning, frame.path, node.name);
        if (warning !== undefined) sink.onWarning(warning);
        break;
      }
      case 'ready':
        sink.onReady();
        break;
      case 'beat':
        break;
    }
  }

  flushQuiet(now: number): void {
    for (const file of this.generations.values()) file.flushQuiet(now);
  }

  end(): void {
    for (const file of this.generations.values()) file.end();
    this.generations.clear();
  }
}

/** Bytes of one file → entries. */
class FollowedFile {
  private readonly sink: FollowSink;
  private readonly source: string;
  private readonly assembler: Assembler;
  private lines = new LineSplitter();
  /** Bytes read of the file, and how many of them are the beginning of an unfinished line. */
  private offset: number;
  private pendingBytes = 0;
  private grewAt = 0;

  constructor(target: FollowTarget, source: string, zone: UtcOffsetMinutes, offset: number) {
    const { node, clock, sink } = target;
    this.sink = sink;
    this.source = source;
    this.assembler = new Assembler({ node: node.name, source, zone, clock });
    this.offset = offset;
  }

  push(bytes: Buffer): void {
    this.grewAt = performance.now();
    let start = 0;
    for (;;) {
      const end = bytes.indexOf(0x0a, start);
      const part = bytes.subarray(start, end < 0 ? bytes.length : end + 1);
      const lineStart = this.offset - this.pendingBytes;
      this.pendingBytes += part.length;
      this.offset += part.length;
      for (const line of this.lines.push(part)) {
        this.give(this.assembler.push({ text: line.text, offset: lineStart }));
        this.pendingBytes = 0;
      }
      if (end < 0) return;
      start = end + 1;
    }
  }

  /** The file was cut to nothing; `isWhole` when all of it had been read. */
  restart(isWhole: boolean): void {
    this.end();
    if (!isWhole) {
      this.sink.onGap(
        this.source,
        `${toDisplay(this.source)} was truncated: lines written just before may be missing.`,
      );
    }
    this.lines = new LineSplitter();
    this.offset = 0;
    this.pendingBytes = 0;
  }

  flushQuiet(now: number): void {
    if (this.assembler.isPending && now - this.grewAt >= quietMs) this.give(this.assembler.flush());
  }

  end(): void {
    const last = this.lines.end();
    if (last !== undefined) {
      this.give(this.assembler.push({ text: last.text, offset: this.offset - this.pendingBytes }));
    }
    this.give(this.assembler.flush());
  }

  private give(entry: LogEntry | undefined): void {
    if (entry !== undefined) this.sink.onEntry(entry);
  }
}

// --- without Python: tail -F ---------------------------------------------------------------------------

async function followByTail(
  shell: Shell,
  target: FollowTarget,
  signal: AbortSignal,
): Promise<void> {
  const command = {
    title: 'Follow logs without Python',
    script: probeSource('sh/logTail.sh'),
    args: [String(tailedFiles), ...target.node.logs],
  };
  const program = await shell.start(command, { guard: true }, signal);
  program.stderr.resume();
  const reader = new SearchOutputReader();
  const state = new TailFollow(target);
  await readAll(program, state, (chunk) => {
    for (const part of reader.push(chunk)) state.take(part);
  });
}

/** Notes and lines of logTail.sh → entries. A line's number is that of its file. */
class TailFollow {
  private readonly target: FollowTarget;
  private readonly files: { readonly assembler: Assembler; grewAt: number }[] = [];
  private zone: UtcOffsetMinutes = 0;

  constructor(target: FollowTarget) {
    this.target = target;
  }

  take(part: SearchOutputPart): void {
    const { node, clock, sink } = this.target;
    if (part.kind === 'line') {
      const file = this.files[(part.line.line ?? 0) - 1];
      if (file === undefined) return;
      file.grewAt = performance.now();
      this.give(file.assembler.push({ text: part.line.text }));
    } else if (part.letter === 'Z') {
      this.zone = parseZone(part.text);
    } else if (part.letter === 'F') {
      const origin = { node: node.name, source: part.text, zone: this.zone, clock };
      this.files.push({ assembler: new Assembler(origin), grewAt: 0 });
    } else if (part.letter === 'W') {
      const [, kind = '', path = ''] = /^(\S*) (.*)$/s.exec(part.text) ?? [];
      const warning = fileWarning(kind, path, node.name);
      if (warning !== undefined) sink.onWarning(warning);
    } else if (part.letter === 'D') {
      sink.onReady();
    }
  }

  flushQuiet(now: number): void {
    for (const { assembler, grewAt } of this.files) {
      if (assembler.isPending && now - grewAt >= quietMs) this.give(assembler.flush());
    }
  }

  end(): void {
    for (const { assembler } of this.files) this.give(assembler.flush());
  }

  private give(entry: LogEntry | undefined): void {
    if (entry !== undefined) this.target.sink.onEntry(entry);
  }
}

// -------------------------------------------------------------------------------------------------------

/** Hands over all output as it comes, and gives the state the time to end what has become quiet. */
async function readAll(
  program: RemoteProcess,
  state: { flushQuiet(now: number): void; end(): void },
  take: (chunk: Buffer) => void,
): Promise<void> {
  const timer = setInterval(() => state.flushQuiet(performance.now()), quietMs / 2);
  try {
    for await (const chunk of program.stdout as AsyncIterable<Buffer>) take(chunk);
  } finally {
    clearInterval(timer);
    state.end();
    program.dispose();
  }
}
