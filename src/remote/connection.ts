// What a transport gives: one authenticated connection to a node, on which channels are opened. ssh2Connection.ts
// and opensshConnection.ts make one; pooledShell.ts turns connections into a Shell.

import type { Readable, Writable } from 'node:stream';
import type { Disposable } from '../base/disposable.ts';
import type { Event } from '../base/emitter.ts';
import type { ConnectionReport } from './connectionReport.ts';
import type { LoginPrompts } from './loginPrompts.ts';
import type { LoginGate } from './loginGate.ts';
import type { ProcessExit, TerminalOptions } from './shell.ts';
import type { SshTarget } from './sshConfig.ts';

export interface ChannelRequest {
  /** What sshd hands to the user's login shell, a constant text. Undefined: an interactive login shell. */
  readonly command: string | undefined;
  /** A pseudo terminal of this size. */
  readonly terminal?: TerminalOptions;
}

/** One session on a connection. Disposing of it closes it. */
export interface Channel extends Disposable {
  readonly stdin: Writable;
  readonly stdout: Readable;
  readonly stderr: Readable;
  /** Resolves once; never rejects. Both parts are undefined when the end was never heard of. */
  readonly exited: Promise<ProcessExit>;
  /** Resolves when the session no longer counts against sshd's limits; never rejects. */
  readonly closed: Promise<void>;
  /** Does nothing without a terminal. */
  resize(size: TerminalOptions): void;
  /** Asks sshd to end the program and its process group (RFC 4254 §6.9); where that cannot be, nothing happens. */
  interrupt?(): void;
}

export interface Connection extends Disposable {
  /**
   * Fires once, when the connection is gone, with the reason when it was not asked for. Who comes later is called at
   * once: a connection may be lost before anybody can listen.
   */
  readonly onDidClose: Event<Error | undefined>;
  /**
   * Errors: `node.sessionLimit` when sshd allows no further session on this connection (MaxSessions),
   * `node.connectionLost`, `node.channelRefused`. Has a deadline of its own.
   */
  openChannel(request: ChannelRequest): Promise<Channel>;
  /** Resolves when the node gave a sign of life; otherwise the connection is closed and it rejects. */
  ping(timeoutMs: number): Promise<void>;
}

export interface ConnectOptions {
  /** The node's name, for error sentences. */
  readonly node: string;
  readonly target: SshTarget;
  /** Resolves the alias of a jump host. */
  readonly resolve: (alias: string) => Promise<SshTarget>;
  readonly prompts: LoginPrompts;
  /** Unknown host keys that the user has accepted during this connecting (`acceptanceOf`). */
  readonly acceptedHostKeys: ReadonlySet<string>;
  readonly gate: LoginGate;
  readonly report: ConnectionReport;
}

/**
 * Makes a connection. Errors are UserErrors that say why and what next; an unknown host key that a person could
 * accept is an `UnknownHostKey` (hostKeyTrust.ts), thrown after the connection was closed.
 */
export type Transport = (options: ConnectOptions, signal?: AbortSignal) => Promise<Connection>;
