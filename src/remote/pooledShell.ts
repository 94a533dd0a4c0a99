// A Shell over one or more connections to a node: who gets a channel, who waits, when another connection is
// worth its login, and when one has served long enough.

import type { Readable, Writable } from 'node:stream';
import { delay, withDeadline } from '../base/async.ts';
import { Emitter } from '../base/emitter.ts';
import { UserError } from '../base/errors.ts';
import {
  collect,
  countReads,
  countWrites,
  programOutput,
  shellStartTimeoutMs,
  skipToMarker,
} from './channel.ts';
import {
  bootstrapCommand,
  encodeCommand,
  terminalBootstrapCommand,
  terminalReady,
} from './command.ts';
import type { CommandLog, RunningCommand } from './commandLog.ts';
import type { Channel, ChannelRequest, Connection } from './connection.ts';
import { Lifeline } from './lifeline.ts';
import type {
  ExecOptions,
  ExecResult,
  RemoteCommand,
  RemoteProcess,
  RemoteTerminal,
  Shell,
  StartOptions,
  TerminalOptions,
} from './shell.ts';
import {
  connectionLost,
  isRefusal,
  noFreeSession,
  noSessions,
  terminalTaken,
} from './sshFailures.ts';

export interface PoolLimits {
  /** sshd allows ten sessions on a connection (MaxSessions); two are left to others. */
  readonly maxChannels: number;
  /** For nodes that allow few sessions; each connection is a login. */
  readonly maxConnections: number;
  /** Who gets no channel in this time is told so. */
  readonly maxWaitMs: number;
  /** A connection takes no new channels after this time, more or less 25 %, and closes when its last one has. */
  readonly maxAgeMs: number;
  /** A further connection without channels closes after this time; the last one stays. */
  readonly spareIdleMs: number;
  /** Our programs on a node that hears nothing of us for this time are ended there: see lifeline.ts. */
  readonly silenceMs: number;
}

const defaultLimits: PoolLimits = {
  maxChannels: 8,
  maxConnections: 6,
  maxWaitMs: 60_000,
  maxAgeMs: 4 * 3600_000,
  spareIdleMs: 60_000,
  silenceMs: 45_000,
};

export interface PooledShellOptions {
  readonly node: string;
  /** The first connection, ready. */
  readonly connection: Connection;
  /** Makes a further one in the background: nobody is asked anything. */
  readonly connectAnother: (signal: AbortSignal) => Promise<Connection>;
  readonly commands?: CommandLog | undefined;
  readonly limits?: Partial<PoolLimits>;
  /** In [0, 1). */
  readonly random?: () => number;
}

/** A connection and what is on it. */
interface Lane {
  readonly connection: Connection;
  /** Sessions it may carry: our own limit, or what the node's refusals taught us. */
  limit: number;
  used: number;
  /** Of `used`, those that last. */
  long: number;
  /** By `performance.now()`: when the last channel was closed, and when the limit was last found or tried. */
  closedAt: number;
  limitTriedAt: number;
  /** Takes no new channels, and is closed after its last one. */
  isRetired: boolean;
  idle: NodeJS.Timeout | undefined;
  age: NodeJS.Timeout | undefined;
  readonly lifeline: Lifeline;
}

/** Short programs end by themselves in a moment; long ones hold their channel for minutes or hours. */
type Need = 'short' | 'long';

interface Waiting {
  readonly need: Need;
  readonly grant: (lane: Lane) => void;
  readonly refuse: (error: Error) => void;
}

/** After a further connection could not be made it is not tried again for this long. */
const anotherRetryMs = 5 * 60_000;
const refusalDelayMs = 50;
const maxRefusals = 5;
const settleMs = 100;
/** A limit that was learnt is doubted after this time. */
const tryMoreMs = 60_000;

export class PooledShell implements Shell {
  private readonly options: PooledShellOptions;
  private readonly limits: PoolLimits;
  private readonly lanes: Lane[] = [];
  private readonly waiting: Waiting[] = [];
  private readonly closed = new Emitter<Error | undefined>();
  private readonly abort = new AbortController();
  /** A further connection that is being made. */
  private another: Promise<boolean> | undefined;
  private noAnotherUntil = 0;
  private isClosed = false;

  readonly onDidClose = this.closed.event;

  constructor(options: PooledShellOptions) {
    this.options = options;
    this.limits = { ...defaultLimits, ...options.limits };
    this.addLane(options.connection);
  }

  /** Channels that somebody uses: one of them forbids to close the connection. */
  get channelsInUse(): number {
    return this.lanes.reduce((sum, lane) => sum + lane.used - lane.lifeline.channelCount, 0);
  }

  get isOpen(): boolean {
    return !this.isClosed;
  }

  get connectionCount(): number {
    return this.lanes.length;
  }

  /** Rejects, and closes what is dead, when the node gives no sign of life. */
  async ping(timeoutMs: number): Promise<void> {
    await Promise.all(this.lanes.map((lane) => lane.connection.ping(timeoutMs)));
  }

  async exec(
    command: RemoteCommand,
    options: ExecOptions = {},
    signal?: AbortSignal,
  ): Promise<ExecResult> {
    const entry = this.options.commands?.begin(this.options.node, 'exec', command);
    try {
      const program = await this.run(command, {}, 'short', entry, signal);
      const result = await collect(program, options, this.options.node, signal);
      entry?.end({ exitCode: result.exitCode, signal: result.signal });
      if (result.exitCode === undefined && result.signal === undefined) {
        throw connectionLost(this.options.node);
      }
      return result;
    } finally {
      entry?.end(undefined);
    }
  }

  async start(
    command: RemoteCommand,
    options: StartOptions = {},
    signal?: AbortSignal,
  ): Promise<RemoteProcess> {
    const entry = this.options.commands?.begin(this.options.node, 'start', command);
    try {
      const program = await this.run(command, options, 'long', entry, signal);
      void program.exited.then((exit) => entry?.end(exit));
      return program;
    } catch (error) {
      entry?.end(undefined);
      throw error;
    }
  }

  async openTerminal(options: TerminalOptions, command?: RemoteCommand): Promise<RemoteTerminal> {
    const entry = this.options.commands?.begin(this.options.node, 'terminal', command);
    try {
      const program = command === undefined ? undefined : terminalBootstrapCommand;
      const { channel, lane } = await this.open('long', { command: program, terminal: options });
      lane.lifeline.hold(channel.closed);
      void channel.exited.then((exit) => entry?.end(exit));
      const stdin = countWrites(channel.stdin, (bytes) => entry?.sent(bytes));
      const output = countReads(channel.stdout, (bytes) => entry?.received(bytes));
      channel.stderr.resume();
      return {
        output:
          command === undefined
            ? output
            : await this.sendToTerminal(channel, stdin, output, command),
        exited: channel.exited,
        write: (data) => void stdin.write(data),
        resize: (size) => channel.resize(size),
        dispose: () => channel.dispose(),
      };
    } catch (error) {
      entry?.end(undefined);
      throw error;
    }
  }

  dispose(): void {
    this.close(undefined);
  }

  // --- programs ------------------------------------------------------------------------------------------

  /** Sends the command once the terminal is ready for it; gives the output after the command's marker. */
  private async sendToTerminal(
    channel: Channel,
    stdin: Writable,
    output: Readable,
    command: RemoteCommand,
  ): Promise<Readable> {
    const { node } = this.options;
    const start = skipToMarker(output, terminalReady);
    try {
      const { header, marker } = encodeCommand(command, { onTerminal: true });
      const isReady = await withDeadline(start.found, shellStartTimeoutMs, () =>
        terminalTaken(node, start.noise()),
      );
      if (!isReady) {
        const { exitCode, signal } = await channel.exited;
        const isLost = exitCode === undefined && signal === undefined;
        throw isLost ? connectionLost(node) : terminalTaken(node, start.noise());
      }
      stdin.write(header);
      return skipToMarker(start.output, marker.replace('\n', '\r\n')).output;
    } catch (error) {
      channel.dispose();
      throw error;
    }
  }

  private async run(
    command: RemoteCommand,
    options: StartOptions,
    need: Need,
    entry: RunningCommand | undefined,
    signal: AbortSignal | undefined,
  ): Promise<RemoteProcess> {
    // What cannot be sent at all is refused before it costs a channel.
    const { header, marker } = encodeCommand(command, options);
    const { channel, lane } = await this.open(need, { command: bootstrapCommand }, signal);
    const onReceived = (bytes: number): void => entry?.received(bytes);
    const stdin = countWrites(channel.stdin, (bytes) => entry?.sent(bytes));
    stdin.write(header);
    if (need === 'long') lane.lifeline.guard(channel.closed);
    let hasEnded = false;
    const dispose = (): void => {
      signal?.removeEventListener('abort', dispose);
      // A long program hears of the end by its stdin, and may have something to put away. A short one has no stdin
      // any more, and would run on with nobody to hear it.
      if (need === 'short' && !hasEnded) channel.interrupt?.();
      channel.dispose();
      // What is not read any more must not hold the channel open.
      output.stdout.resume();
      output.stderr.resume();
    };
    const output = programOutput(channel, marker, dispose, onReceived);
    signal?.addEventListener('abort', dispose, { once: true });
    void channel.exited.then(() => {
      hasEnded = true;
      signal?.removeEventListener('abort', dispose);
    });
    return { stdin, ...output, exited: channel.exited, dispose };
  }

  /** Opens a channel; a node that allows fewer sessions than we thought teaches us its limit. */
  private async open(
    need: Need,
    request: ChannelRequest,
    signal?: AbortSignal,
  ): Promise<{ readonly channel: Channel; readonly lane: Lane }> {
    for (let refusals = 0; ;) {
      const lane = await this.acquire(need, signal);
      try {
        const channel = await lane.connection.openChannel(request);
        void channel.closed.then(() => this.onChannelClosed(lane, need));
        if (signal?.aborted === true) channel.dispose();
        else return { channel, lane };
      } catch (error) {
        if (!(error instanceof UserError) || error.code !== 'node.sessionLimit') {
          this.release(lane, need);
          throw error;
        }
        const { used, closedAt } = lane;
        this.release(lane, need);
        // To sshd a session that has just ended counts for a moment longer; a node without any stays without.
        if (performance.now() - closedAt > settleMs) this.learn(lane, used - 1);
        if (used === 1 && ++refusals > maxRefusals) throw noSessions(this.options.node, error);
        await delay(refusalDelayMs * 2 ** refusals, signal);
      }
      signal?.throwIfAborted();
    }
  }

  // --- places --------------------------------------------------------------------------------------------

  /** A lane with a place taken on it. */
  private async acquire(need: Need, signal: AbortSignal | undefined): Promise<Lane> {
    signal?.throwIfAborted();
    if (this.isClosed) throw connectionLost(this.options.node);
    const lane = this.take(need);
    if (lane !== undefined) return lane;
    return new Promise<Lane>((resolve, reject) => {
      const leave = (): void => {
        clearTimeout(timer);
        signal?.removeEventListener('abort', onAbort);
        const at = this.waiting.indexOf(waiting);
        if (at >= 0) this.waiting.splice(at, 1);
      };
      const waiting: Waiting = {
        need,
        grant: (granted) => {
          leave();
          resolve(granted);
        },
        refuse: (error) => {
          leave();
          reject(error);
        },
      };
      const onAbort = (): void => waiting.refuse(abortReason(signal));
      const timer = setTimeout(
        () => waiting.refuse(noFreeSession(this.options.node, this.limits.maxWaitMs)),
        this.limits.maxWaitMs,
      );
      signal?.addEventListener('abort', onAbort, { once: true });
      this.waiting.push(waiting);
    });
  }

  /**
   * A long program must leave a place for the short ones: where it would not, another connection is made first,
   * unless that cannot be. So it is where long ones hold every place, since we knew no better when they came.
   */
  private take(need: Need): Lane | undefined {
    const open = this.lanes.filter((lane) => !lane.isRetired);
    // What a short program holds will be free in a moment.
    const places = open.reduce((sum, lane) => sum + Math.max(0, lane.limit - lane.long), 0);
    if (places <= (need === 'long' ? 1 : 0) && this.mayConnectAnother()) {
      this.connectAnother();
      return undefined;
    }
    const lane = open.find(({ used, limit }) => used < limit) ?? this.tryMore(open);
    if (lane === undefined) return undefined;
    this.occupy(lane, need);
    return lane;
  }

  private learn(lane: Lane, limit: number): void {
    lane.limit = Math.max(1, limit);
    lane.limitTriedAt = performance.now();
  }

  /** One more session is tried now and then, since a refusal may have had another reason than MaxSessions. */
  private tryMore(open: readonly Lane[]): Lane | undefined {
    const lane = open.find(
      ({ limit, limitTriedAt }) =>
        limit < this.limits.maxChannels && performance.now() - limitTriedAt > tryMoreMs,
    );
    if (lane !== undefined) this.learn(lane, lane.limit + 1);
    return lane;
  }

  private occupy(lane: Lane, need: Need): void {
    lane.used++;
    if (need === 'long') lane.long++;
    clearTimeout(lane.idle);
  }

  private onChannelClosed(lane: Lane, need: Need): void {
    lane.closedAt = performance.now();
    this.release(lane, need);
  }

  private release(lane: Lane, need: Need): void {
    lane.used--;
    if (need === 'long') lane.long--;
    if (lane.used === 0) this.onEmpty(lane);
    this.serveWaiting();
  }

  private serveWaiting(): void {
    for (const waiting of [...this.waiting]) {
      const lane = this.isClosed ? undefined : this.take(waiting.need);
      if (lane !== undefined) waiting.grant(lane);
    }
  }

  // --- connections ---------------------------------------------------------------------------------------

  private addLane(connection: Connection): Lane {
    // What one connection has taught us holds for the others.
    const wisest = this.lanes.at(-1);
    const lane: Lane = {
      connection,
      limit: wisest?.limit ?? this.limits.maxChannels,
      closedAt: -Infinity,
      limitTriedAt: wisest?.limitTriedAt ?? -Infinity,
      used: 0,
      long: 0,
      isRetired: false,
      idle: undefined,
      age: undefined,
      lifeline: new Lifeline((command) => this.openLifeline(lane, command), this.limits.silenceMs),
    };
    this.lanes.push(lane);
    this.armAge(lane);
    connection.onDidClose((reason) => this.onLaneClosed(lane, reason));
    return lane;
  }

  /** On this very connection, if it has a place to spare. */
  private async openLifeline(lane: Lane, command: RemoteCommand): Promise<Channel | undefined> {
    if (lane.limit < 3 || lane.used >= lane.limit) return undefined;
    this.occupy(lane, 'long');
    try {
      const channel = await lane.connection.openChannel({ command: bootstrapCommand });
      void channel.closed.then(() => this.onChannelClosed(lane, 'long'));
      channel.stdin.write(encodeCommand(command).header);
      return channel;
    } catch {
      // Without it a program outlives a silent loss of the network until sshd notices; nothing else changes.
      this.release(lane, 'long');
      return undefined;
    }
  }

  private armAge(lane: Lane): void {
    const jitter = 0.75 + (this.options.random ?? Math.random)() / 2;
    lane.age = setTimeout(() => void this.replace(lane), this.limits.maxAgeMs * jitter);
    lane.age.unref();
  }

  /** A lane that has served long enough is replaced; where that needs a person, it goes on. */
  private async replace(lane: Lane): Promise<void> {
    if (this.another === undefined && performance.now() >= this.noAnotherUntil) {
      this.connectAnother();
    }
    const isReplaced = await this.another;
    if (this.isClosed || !this.lanes.includes(lane)) return;
    if (isReplaced !== true) return this.armAge(lane);
    lane.isRetired = true;
    if (lane.used === 0) this.onEmpty(lane);
  }

  private onEmpty(lane: Lane): void {
    if (lane.isRetired) return lane.connection.dispose();
    if (this.inService < 2) return;
    lane.idle = setTimeout(() => {
      if (lane.used === 0 && this.inService > 1) lane.connection.dispose();
    }, this.limits.spareIdleMs);
    lane.idle.unref();
  }

  /** Connections that take new channels: one that only serves its last ones is none to fall back on. */
  private get inService(): number {
    return this.lanes.filter((lane) => !lane.isRetired).length;
  }

  private mayConnectAnother(): boolean {
    return (
      this.another !== undefined ||
      (this.lanes.length < this.limits.maxConnections && performance.now() >= this.noAnotherUntil)
    );
  }

  private connectAnother(): void {
    this.another ??= this.options.connectAnother(this.abort.signal).then(
      (connection) => {
        this.another = undefined;
        if (this.isClosed) connection.dispose();
        else if (!this.lanes.includes(this.addLane(connection))) {
          // It was lost already: the next one may well be, too.
          this.noAnotherUntil = performance.now() + anotherRetryMs;
        }
        this.serveWaiting();
        return true;
      },
      (error: unknown) => {
        // Whoever waits goes on with the connections there are.
        this.another = undefined;
        // A login that was refused is not repeated in the background.
        const mayPass = !(error instanceof UserError) || !isRefusal(error);
        this.noAnotherUntil = mayPass ? performance.now() + anotherRetryMs : Infinity;
        this.serveWaiting();
        return false;
      },
    );
  }

  private onLaneClosed(lane: Lane, reason: Error | undefined): void {
    clearTimeout(lane.age);
    clearTimeout(lane.idle);
    lane.lifeline.dispose();
    lane.isRetired = true;
    const at = this.lanes.indexOf(lane);
    if (at >= 0) this.lanes.splice(at, 1);
    if (this.lanes.length === 0) this.close(reason);
  }

  private close(reason: Error | undefined): void {
    if (this.isClosed) return;
    this.isClosed = true;
    this.abort.abort();
    for (const lane of [...this.lanes]) lane.connection.dispose();
    for (const waiting of [...this.waiting])
      waiting.refuse(connectionLost(this.options.node, reason));
    this.closed.fire(reason);
    this.closed.dispose();
  }
}

function abortReason(signal: AbortSignal | undefined): Error {
  return signal?.reason instanceof Error ? signal.reason : new Error('aborted');
}
