// Following a node's log files: lines as they are written → entries as they become whole, also after the
// connection was lost and is there again.

import type { Disposable } from '../base/disposable.ts';
import { isAbort, UserError } from '../base/errors.ts';
import type { UtcOffsetMinutes } from '../base/time.ts';
import { pythonProgram } from '../probe/python.ts';
import { probeSource } from '../probe/sources.ts';
import type { ClockOffset, Node, NodeAccess } from '../remote/node.ts';
import type { ProcessExit, RemoteProcess, Shell } from '../remote/shell.ts';
import { Assembler } from './assemble.ts';
import { quietMs } from './followedFile.ts';
import { FollowFrameReader } from './followFrames.ts';
import { ProbeFollow } from './followProbe.ts';
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

/** For who follows on after a lost connection. */
export interface ResumeSink extends FollowSink {
  /** The connection is there again: what comes now comes after the cut. What is missing was told as gaps. */
  onResume(): void;
}

const followedFiles = 1000;
const tailedFiles = 50;
/** After the connection was lost, the lines below an entry are waited for this long: most come back sooner. */
const cutOffQuietMs = 5000;

/**
 * Follows all log files of a node until aborted, which resolves. Rejects with a UserError when the channel
 * ends by itself; see `NodeFollow` for following on then.
 */
export async function followNode(
  access: NodeAccess,
  node: Node,
  sink: FollowSink,
  signal: AbortSignal,
): Promise<void> {
  const follow = new NodeFollow(access, node, {
    onReady: () => sink.onReady(),
    onEntry: (entry) => sink.onEntry(entry),
    onGap: (source, reason) => sink.onGap(source, reason),
    onWarning: (message) => sink.onWarning(message),
    onResume: () => undefined,
  });
  try {
    await follow.run(signal);
  } finally {
    follow.end();
  }
}

/** The connection was lost: it may come back. */
export function isCutOff(error: unknown): boolean {
  return (
    error instanceof UserError &&
    (error.code === 'log.followCutOff' || error.code === 'node.connectionLost')
  );
}

/** On purpose: it does not come back by itself. */
export function connectionClosed(node: Node): UserError {
  return new UserError('log.followClosed', `The connection to ${node.name} was closed.`, {
    hint: 'Start following again to connect.',
  });
}

/** One node's files, over any number of connections. */
export class NodeFollow {
  private readonly access: NodeAccess;
  private readonly node: Node;
  private readonly sink: ResumeSink;
  private readonly probe: ProbeFollow;
  private hasFollowed = false;
  /** It was followed, and what was written since has not come yet. */
  private isCutOff = false;
  private quiet: NodeJS.Timeout | undefined;

  constructor(access: NodeAccess, node: Node, sink: ResumeSink) {
    this.access = access;
    this.node = node;
    this.sink = {
      onReady: () => {
        this.hasFollowed = true;
        if (this.isCutOff) {
          // Nobody took up where it was.
          sink.onGap('', 'Lines that were written meanwhile may be missing.');
          this.sink.onResume();
        }
        sink.onReady();
      },
      onEntry: (entry) => sink.onEntry(entry),
      onGap: (source, reason) => sink.onGap(source, reason),
      onWarning: (message) => sink.onWarning(message),
      onResume: () => {
        this.isCutOff = false;
        sink.onResume();
      },
    };
    this.probe = new ProbeFollow(node, this.sink);
  }

  /**
   * Follows until aborted, which resolves. Rejects with a UserError otherwise; after one that `isCutOff` it can be
   * run again, and goes on where it was.
   */
  async run(signal: AbortSignal): Promise<void> {
    clearTimeout(this.quiet);
    try {
      if (this.node.logs.length === 0) throw noSources(this.node);
      const shell = await this.access.shell(this.node, signal);
      const clock = await this.measureClock(signal);
      await this.follow(shell, clock, signal);
    } catch (error) {
      if (signal.aborted) return;
      this.isCutOff = this.hasFollowed;
      this.quiet = setTimeout(() => this.probe.flush(), cutOffQuietMs);
      throw error;
    }
  }

  /** Gives what is unfinished, as nothing more will come. */
  end(): void {
    clearTimeout(this.quiet);
    this.probe.endAll();
  }

  private async measureClock(signal: AbortSignal): Promise<ClockOffset | undefined> {
    // Asking for the clock makes a connection; following on must not, when this one was lost already.
    if (this.hasFollowed && this.access.state(this.node).kind !== 'ready') {
      throw endings['cut off'](this.node);
    }
    try {
      return await this.access.clock(this.node, signal);
    } catch (error) {
      if (isAbort(error) || isCutOff(error)) throw error;
      this.sink.onWarning(clockUnknown(this.node));
      return undefined;
    }
  }

  private async follow(
    shell: Shell,
    clock: ClockOffset | undefined,
    signal: AbortSignal,
  ): Promise<void> {
    let watch: Disposable | undefined;
    const closed = new Promise<Ending>((resolve) => {
      watch = shell.onDidClose((reason) => resolve(reason === undefined ? 'closed' : 'cut off'));
    });
    try {
      let program = await this.followByProbe(shell, clock, signal);
      if (program === undefined) {
        this.sink.onWarning(
          `${this.node.name} has no python3: lines written just before a rotation may be missed, and long lines are cut.`,
        );
        program = await this.followByTail(shell, clock, signal);
      }
      signal.throwIfAborted();
      throw endings[await Promise.race([closed, program.exited.then(endingOf)])](this.node);
    } finally {
      watch?.dispose();
    }
  }

  // --- with Python: nothing is lost at rotation, and little after a lost connection -----------------------

  /** The program that has ended; undefined when the node has no Python 3. */
  private async followByProbe(
    shell: Shell,
    clock: ClockOffset | undefined,
    signal: AbortSignal,
  ): Promise<RemoteProcess | undefined> {
    const probe = pythonProgram('python/follower.py', { title: 'Follow logs' });
    const program = await shell.start(probe.command, {}, signal);
    const config = {
      globs: this.node.logs,
      maxFiles: followedFiles,
      ...this.probe.begin(clock),
    };
    program.stdin.on('error', () => {
      // The program may end without reading its input; its exit says what happened.
    });
    program.stdin.write(probe.input);
    program.stdin.write(`${JSON.stringify(config)}\n`);
    program.stderr.resume();
    const reader = new FollowFrameReader();
    let isStarted = false;
    await readAll(program, this.probe, (chunk) => {
      isStarted = true;
      for (const frame of reader.push(chunk)) this.probe.take(frame);
    });
    if (isStarted) return program;
    return (await program.exited).exitCode === 127 ? undefined : program;
  }

  // --- without Python: tail -F ----------------------------------------------------------------------------

  private async followByTail(
    shell: Shell,
    clock: ClockOffset | undefined,
    signal: AbortSignal,
  ): Promise<RemoteProcess> {
    const command = {
      title: 'Follow logs without Python',
      script: probeSource('sh/logTail.sh'),
      args: [String(tailedFiles), ...this.node.logs],
    };
    const program = await shell.start(command, { guard: true }, signal);
    program.stderr.resume();
    const reader = new SearchOutputReader();
    const state = new TailFollow(this.node, clock, this.sink);
    try {
      await readAll(program, state, (chunk) => {
        for (const part of reader.push(chunk)) state.take(part);
      });
    } finally {
      state.end();
    }
    return program;
  }
}

/** Why nothing comes any more: the connection was lost, was closed on purpose, or the program ended. */
type Ending = 'cut off' | 'closed' | 'ended';

/** A program whose end was not heard of was on a connection that was lost. */
function endingOf({ exitCode, signal }: ProcessExit): Ending {
  return exitCode === undefined && signal === undefined ? 'cut off' : 'ended';
}

const endings: Readonly<Record<Ending, (node: Node) => UserError>> = {
  'cut off': (node) =>
    new UserError('log.followCutOff', `The connection to ${node.name} was lost.`, {
      hint: 'Start following again to connect.',
    }),
  closed: connectionClosed,
  ended: (node) =>
    new UserError('log.followEnded', `Following the logs of ${node.name} ended.`, {
      hint: 'The follower was stopped on the node. Start it again.',
    }),
};

/** Notes and lines of logTail.sh → entries. A line's number is that of its file. */
class TailFollow {
  private readonly node: Node;
  private readonly clock: ClockOffset | undefined;
  private readonly sink: FollowSink;
  private readonly files: { readonly assembler: Assembler; grewAt: number }[] = [];
  private zone: UtcOffsetMinutes = 0;

  constructor(node: Node, clock: ClockOffset | undefined, sink: FollowSink) {
    this.node = node;
    this.clock = clock;
    this.sink = sink;
  }

  take(part: SearchOutputPart): void {
    const { node, clock, sink } = this;
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
    if (entry !== undefined) this.sink.onEntry(entry);
  }
}

// -------------------------------------------------------------------------------------------------------

/** Hands over all output as it comes, and gives the state the time to end what has become quiet. */
async function readAll(
  program: RemoteProcess,
  state: { flushQuiet(now: number): void },
  take: (chunk: Buffer) => void,
): Promise<void> {
  const timer = setInterval(() => state.flushQuiet(performance.now()), quietMs / 2);
  try {
    for await (const chunk of program.stdout as AsyncIterable<Buffer>) take(chunk);
  } catch (error) {
    if (error instanceof UserError) throw error;
    // A stream that breaks off is told of by how its program ended.
  } finally {
    clearInterval(timer);
    program.dispose();
  }
}
