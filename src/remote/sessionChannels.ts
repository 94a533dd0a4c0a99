// SSH sessions (RFC 4254) as packets on a connection that somebody else has made: opens channels, keeps their
// windows, and tells how programs ended.

import { Readable, Writable } from 'node:stream';
import { UserError } from '../base/errors.ts';
import { toDisplay } from '../base/displayText.ts';
import type { Channel, ChannelRequest } from './connection.ts';
import { FieldReader, string, uint32 } from './packetStream.ts';
import type { ProcessExit, TerminalOptions } from './shell.ts';
import { channelRefused, connectionLost, misbehaving, sessionLimit } from './sshFailures.ts';

/** RFC 4250 §4.1.2. */
const message = {
  open: 90,
  openConfirmation: 91,
  openFailure: 92,
  windowAdjust: 93,
  data: 94,
  extendedData: 95,
  eof: 96,
  close: 97,
  request: 98,
  success: 99,
  failure: 100,
} as const;

/** As OpenSSH grants: enough for 20 MB/s over 100 ms. */
const windowBytes = 2 << 20;
const maxPacketBytes = 32 << 10;
/** What a node may send past the window before it is cut off (T-01). */
const windowSlackBytes = 64 << 10;

export interface SessionChannelsOptions {
  /** For error sentences. */
  readonly node: string;
  readonly send: (packet: Buffer, done?: () => void) => void;
  /** The node breaks the rules: the connection must go. */
  readonly onMisbehaving: (error: UserError) => void;
}

export class SessionChannels {
  private readonly options: SessionChannelsOptions;
  private readonly channels = new Map<number, Session>();
  private nextId = 0;
  private lost: Error | undefined;

  constructor(options: SessionChannelsOptions) {
    this.options = options;
  }

  /** Rejects with `node.sessionLimit`, `node.channelRefused` or `node.connectionLost`. */
  async open(request: ChannelRequest): Promise<Channel> {
    const session = this.add();
    await session.opened;
    try {
      await session.begin(request);
    } catch (error) {
      session.dispose();
      throw error;
    }
    return session;
  }

  /**
   * Resolves when the node has answered something that starts nothing: a request that it will refuse on a channel
   * there is, or else a session that is opened and closed.
   */
  async ping(): Promise<void> {
    const there = [...this.channels.values()].find((session) => session.canBeAsked);
    if (there !== undefined) return there.ping();
    const session = this.add();
    try {
      await session.opened;
    } catch (error) {
      // Also a refusal is a sign of life.
      if (this.lost !== undefined) throw error;
    } finally {
      session.dispose();
    }
  }

  /** A packet's type and fields, from the node. */
  accept(packet: Buffer): void {
    const type = packet[0];
    const fields = new FieldReader(packet, 1);
    try {
      const session = this.channels.get(fields.uint32());
      // Late words about a channel that both sides have closed.
      if (session === undefined) return;
      session.accept(type, fields);
    } catch (error) {
      const what = error instanceof Error ? error.message : String(error);
      this.options.onMisbehaving(misbehaving(this.options.node, what));
    }
  }

  /** The connection is gone: every channel ends, with its end not heard of. */
  close(reason: Error | undefined): void {
    this.lost = reason ?? connectionLost(this.options.node);
    for (const session of [...this.channels.values()]) session.lose(this.lost);
    this.channels.clear();
  }

  private add(): Session {
    const id = this.nextId++;
    const session = new Session(id, this.options, () => this.channels.delete(id));
    if (this.lost === undefined) this.channels.set(id, session);
    else session.lose(this.lost);
    return session;
  }
}

interface Reply {
  readonly resolve: () => void;
  readonly reject: (error: Error) => void;
}

class Session implements Channel {
  readonly stdin: Writable;
  readonly stdout: Inflow;
  readonly stderr: Inflow;
  readonly exited: Promise<ProcessExit>;
  readonly closed: Promise<void>;
  /** Resolves when the node has opened the session. */
  readonly opened: Promise<void>;

  private readonly options: SessionChannelsOptions;
  private readonly forget: () => void;
  private onOpened: Reply | undefined;
  private onExited: (exit: ProcessExit) => void = () => undefined;
  private onClosed: () => void = () => undefined;
  /** Requests that wait for their answers, which come in their order (RFC 4254 §4). */
  private readonly replies: Reply[] = [];
  private remoteId: number | undefined;
  private hasTerminal = false;
  private isDisposed = false;
  private hasSentClose = false;
  private isOver = false;

  /** What we may still send, and the largest piece of it. */
  private sendWindow = 0;
  private sendMax = 0;
  private unsent: { rest: Buffer; readonly done: () => void } | undefined;

  /** What the node may still send; what was read since it was last told so. */
  private receiveWindow = windowBytes;
  private taken = 0;

  constructor(id: number, options: SessionChannelsOptions, forget: () => void) {
    this.options = options;
    this.forget = forget;
    this.opened = new Promise((resolve, reject) => (this.onOpened = { resolve, reject }));
    // Whoever waits hears of it; a ping may not wait any more.
    this.opened.catch(() => undefined);
    this.exited = new Promise((resolve) => (this.onExited = resolve));
    this.closed = new Promise((resolve) => (this.onClosed = resolve));
    const onTaken = (bytes: number): void => this.grant(bytes);
    this.stdout = new Inflow(onTaken);
    this.stderr = new Inflow(onTaken);
    this.stdin = new Writable({
      highWaterMark: 256 << 10,
      write: (chunk: Buffer, _encoding, done) => {
        this.unsent = { rest: chunk, done };
        this.sendMore();
      },
      final: (done) => {
        this.send(message.eof);
        done();
      },
    });
    // RFC 4254 §5.1: channel type, our id, window, largest packet.
    const what = [string('session'), uint32(id, windowBytes, maxPacketBytes)];
    options.send(Buffer.concat([Buffer.of(message.open), ...what]));
  }

  get canBeAsked(): boolean {
    return this.remoteId !== undefined && !this.hasSentClose && !this.isOver;
  }

  /** Starts what is asked for on the opened session. */
  async begin(request: ChannelRequest): Promise<void> {
    const { command, terminal } = request;
    const answers: Promise<void>[] = [];
    if (terminal !== undefined) {
      this.hasTerminal = true;
      // RFC 4254 §6.2; no terminal modes: the node's own are right.
      const pty = [string('xterm-256color'), sizeFields(terminal), string('')];
      answers.push(this.ask('pty-req', 'a terminal', ...pty));
    }
    answers.push(
      command === undefined
        ? this.ask('shell', 'a login shell')
        : this.ask('exec', 'a command', string(command)),
    );
    await Promise.all(answers);
  }

  async ping(): Promise<void> {
    // Nobody knows this request, so it changes nothing, and the answer is "failure".
    await this.ask('keepalive@openssh.com', 'a sign of life').catch((error: unknown) => {
      if (this.isOver) throw error;
    });
  }

  resize(size: TerminalOptions): void {
    // RFC 4254 §6.7.
    if (this.hasTerminal) this.request('window-change', false, sizeFields(size));
  }

  dispose(): void {
    this.isDisposed = true;
    this.sendClose();
    this.endStreams();
    this.stdout.destroy();
    this.stderr.destroy();
  }

  /** The connection is gone. */
  lose(reason: Error): void {
    this.over(reason);
  }

  accept(type: number | undefined, fields: FieldReader): void {
    switch (type) {
      case message.openConfirmation:
        this.remoteId = fields.uint32();
        this.sendWindow = fields.uint32();
        this.sendMax = Math.max(1, Math.min(fields.uint32(), maxPacketBytes));
        if (this.isDisposed) this.sendClose();
        this.onOpened?.resolve();
        return;
      case message.openFailure:
        return this.refuse(fields.uint32(), fields.text());
      case message.windowAdjust:
        // Past 2^32 there is no window (RFC 4254 §5.2).
        this.sendWindow = Math.min(this.sendWindow + fields.uint32(), 2 ** 32 - 1);
        return this.sendMore();
      case message.data:
        return this.receive(this.stdout, fields.string());
      case message.extendedData: {
        const isStderr = fields.uint32() === 1;
        const chunk = fields.string();
        return isStderr ? this.receive(this.stderr, chunk) : this.receive(undefined, chunk);
      }
      case message.eof:
        this.stdout.end();
        this.stderr.end();
        return;
      case message.close:
        return this.onClose();
      case message.request:
        return this.onRequest(fields);
      case message.success:
        return this.replies.shift()?.resolve();
      case message.failure:
        return this.replies.shift()?.reject(new Error('it was refused'));
      default:
    }
  }

  private refuse(reason: number, words: string): void {
    // sshd says "connect failed" (2) for a session beyond MaxSessions, others what they like (RFC 4254 §5.1).
    const said = new Error(`${toDisplay(words, 200)} (reason ${reason})`);
    this.over(sessionLimit(this.options.node, said));
  }

  private onClose(): void {
    this.sendClose();
    this.over(channelRefused(this.options.node, new Error('it closed the channel')));
  }

  private onRequest(fields: FieldReader): void {
    const name = fields.text();
    const wantsReply = fields.byte() !== 0;
    if (name === 'exit-status') {
      this.onExited({ exitCode: fields.uint32(), signal: undefined });
    } else if (name === 'exit-signal') {
      this.onExited({ exitCode: undefined, signal: signalName(fields.text()) });
    }
    if (wantsReply) this.send(message.failure);
  }

  private over(reason: Error): void {
    if (this.isOver) return;
    this.isOver = true;
    this.forget();
    this.onOpened?.reject(reason);
    for (const reply of this.replies.splice(0)) reply.reject(reason);
    this.onExited({ exitCode: undefined, signal: undefined });
    this.endStreams();
    this.onClosed();
  }

  private endStreams(): void {
    this.stdout.end();
    this.stderr.end();
    this.stdin.destroy();
    this.unsent?.done();
    this.unsent = undefined;
  }

  // --- what comes in -------------------------------------------------------------------------------------

  private receive(into: Inflow | undefined, chunk: Buffer): void {
    this.receiveWindow -= chunk.length;
    if (this.receiveWindow < -windowSlackBytes) {
      const { node, onMisbehaving } = this.options;
      onMisbehaving(misbehaving(node, 'it sends more than it was allowed to'));
    }
    if (into === undefined || into.destroyed) this.grant(chunk.length);
    else into.accept(chunk);
  }

  private grant(bytes: number): void {
    this.taken += bytes;
    if (this.taken < windowBytes / 2 || !this.canBeAsked) return;
    this.receiveWindow += this.taken;
    this.send(message.windowAdjust, uint32(this.taken));
    this.taken = 0;
  }

  // --- what goes out -------------------------------------------------------------------------------------

  private async ask(name: string, what: string, ...fields: readonly Buffer[]): Promise<void> {
    const { node } = this.options;
    if (!this.canBeAsked) throw connectionLost(node);
    const answer = new Promise<void>((resolve, reject) => this.replies.push({ resolve, reject }));
    this.request(name, true, ...fields);
    try {
      await answer;
    } catch (error) {
      if (error instanceof UserError) throw error;
      throw channelRefused(node, new Error(`it does not allow ${what}`));
    }
  }

  private request(name: string, wantsReply: boolean, ...fields: readonly Buffer[]): void {
    this.send(message.request, string(name), Buffer.of(wantsReply ? 1 : 0), ...fields);
  }

  private sendClose(): void {
    if (this.remoteId === undefined) return;
    this.send(message.close);
    this.hasSentClose = true;
  }

  private send(type: number, ...fields: readonly Buffer[]): void {
    if (this.remoteId === undefined || this.hasSentClose || this.isOver) return;
    this.options.send(Buffer.concat([Buffer.of(type), uint32(this.remoteId), ...fields]));
  }

  private sendMore(): void {
    while (this.unsent !== undefined && this.sendWindow > 0 && this.remoteId !== undefined) {
      const { rest, done } = this.unsent;
      const piece = rest.subarray(0, Math.min(rest.length, this.sendWindow, this.sendMax));
      const isLast = piece.length === rest.length;
      this.sendWindow -= piece.length;
      this.unsent = isLast ? undefined : { rest: rest.subarray(piece.length), done };
      const packet = [Buffer.of(message.data), uint32(this.remoteId), string(piece)];
      this.options.send(Buffer.concat(packet), isLast ? done : undefined);
    }
  }
}

/** What arrives, held until it is read. Tells how much was, so that the node is granted no more than that. */
class Inflow extends Readable {
  private readonly onTaken: (bytes: number) => void;
  private readonly waiting: Buffer[] = [];
  private isWanted = false;
  private isEnded = false;
  private hasToldEnd = false;

  constructor(onTaken: (bytes: number) => void) {
    super({ highWaterMark: 64 << 10 });
    this.onTaken = onTaken;
  }

  accept(chunk: Buffer): void {
    if (this.isEnded) return;
    this.waiting.push(chunk);
    this.pass();
  }

  end(): void {
    if (this.isEnded) return;
    this.isEnded = true;
    this.pass();
  }

  override _read(): void {
    this.isWanted = true;
    this.pass();
  }

  private pass(): void {
    if (this.destroyed) return;
    while (this.isWanted && this.waiting.length > 0) {
      const chunk = this.waiting.shift()!;
      this.isWanted = this.push(chunk);
      this.onTaken(chunk.length);
    }
    if (!this.isEnded || this.waiting.length > 0 || this.hasToldEnd) return;
    this.hasToldEnd = true;
    this.push(null);
  }
}

/** RFC 4254 §6.2 and §6.7: columns, rows; no size in pixels. */
function sizeFields({ columns, rows }: TerminalOptions): Buffer {
  return uint32(columns, rows, 0, 0);
}

/** RFC 4254 §6.10: without the SIG, and perhaps with `@domain` for one that others do not have. */
function signalName(name: string): string {
  return `SIG${toDisplay(name, 40)}`;
}
