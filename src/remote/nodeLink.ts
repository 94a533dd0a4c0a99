// One node's connection over time: connecting, ready, lost and coming back, and why not.

import { abortable } from '../base/async.ts';
import { UserError, isAbort } from '../base/errors.ts';
import type { ConnectAttempt } from './connect.ts';
import { ConnectionReport } from './connectionReport.ts';
import type { Node, NodeFailure, NodeState } from './node.ts';
import type { Shell } from './shell.ts';

/** A shell that may know more of its connection than others. */
export interface ConnectedShell extends Shell {
  /** Rejects, and closes the shell, when the node gives no sign of life. */
  ping?(timeoutMs: number): Promise<void>;
  /** Somebody is using the connection while this is not 0. */
  readonly channelsInUse?: number;
}

/** Makes a connection; rejects with a UserError that says why it could not. */
export type ConnectNode = (
  node: Node,
  signal: AbortSignal,
  attempt: ConnectAttempt,
) => Promise<ConnectedShell>;

/** What is tried again by itself after a connection was lost; anything else needs the user. */
const passing = new Set([
  'node.connectionLost',
  'node.refused',
  'node.noRoute',
  'node.nameNotFound',
  'node.unreachable',
  'node.noAnswer',
  'node.closed',
  'node.turnedAway',
  'node.garbled',
  'node.handshakeTimeout',
  'node.jumpRefused',
  'node.proxyFailed',
  'node.shellTooSlow',
  'node.timeout',
]);

const backoffBaseMs = 2_000;
const backoffCapMs = 60_000;
const pingTimeoutMs = 5_000;

/**
 * Full jitter (random in [0, min(cap, base × 2^attempts))): many nodes that were lost together do not come back
 * together. See "Exponential Backoff And Jitter" in the AWS architecture blog.
 */
export function backoffMs(attempts: number, random: () => number): number {
  return random() * Math.min(backoffCapMs, backoffBaseMs * 2 ** attempts);
}

interface Attempt {
  readonly shell: Promise<ConnectedShell>;
  readonly abort: AbortController;
  readonly isBackground: boolean;
}

export interface NodeLinkOptions {
  readonly connect: ConnectNode;
  readonly random: () => number;
  /** The state, or something shown with it, is another one now. */
  readonly onDidChange: () => void;
  /** A connection was made. */
  readonly onDidConnect: (shell: ConnectedShell) => void;
}

export class NodeLink {
  node: Node;
  /** Of the last attempt to connect. */
  report: ConnectionReport | undefined;
  private readonly options: NodeLinkOptions;
  private attempt: Attempt | undefined;
  private connected: ConnectedShell | undefined;
  private current: NodeState = { kind: 'offline' };
  private retry: NodeJS.Timeout | undefined;
  /** It was connected and is to be again; ended by the user, or by what only a person can mend. */
  private comesBack = false;
  /** By `performance.now()`. */
  private lastUsedAt = 0;

  constructor(node: Node, options: NodeLinkOptions) {
    this.node = node;
    this.options = options;
  }

  get state(): NodeState {
    if (this.current.kind !== 'connecting') return this.current;
    const step = this.report?.current?.title;
    return step === undefined ? this.current : { kind: 'connecting', step };
  }

  /** The shell, if there is one now: for work that must not connect by itself. */
  get shellNow(): ConnectedShell | undefined {
    return this.connected;
  }

  /** The shell; connects when there is none. Questions may be asked. */
  async shell(signal?: AbortSignal): Promise<Shell> {
    this.lastUsedAt = performance.now();
    if (this.connected !== undefined) return this.connected;
    const running = this.attempt;
    if (running === undefined) return abortable(this.connect(false, 0).shell, signal);
    try {
      return await abortable(running.shell, signal);
    } catch (error) {
      // What could ask nobody in the background may well succeed for somebody who is there.
      if (!running.isBackground || signal?.aborted === true || isAbort(error)) throw error;
      return await this.shell(signal);
    }
  }

  /** Closes the connection and stops coming back; the next use makes a new one. */
  disconnect(): void {
    this.comesBack = false;
    this.drop();
    this.setState({ kind: 'offline' });
  }

  /** Without telling anybody. */
  dispose(): void {
    this.drop();
  }

  /** What waits is tried now; what is connected must give a sign of life. */
  async wake(): Promise<void> {
    if (this.current.kind === 'waiting') this.retryIn(this.options.random() * 1000);
    // A shell that is dead closes, and comes back from there.
    await this.connected?.ping?.(pingTimeoutMs).catch(() => undefined);
  }

  /** Closes a connection that nobody has used for this long. */
  closeIfIdle(idleMs: number): void {
    if (this.connected?.channelsInUse === undefined) return;
    if (this.connected.channelsInUse > 0) this.lastUsedAt = performance.now();
    if (performance.now() - this.lastUsedAt >= idleMs) this.disconnect();
  }

  private connect(isBackground: boolean, attempts: number): Attempt {
    clearTimeout(this.retry);
    const abort = new AbortController();
    const report = new ConnectionReport();
    this.report = report;
    report.onDidChange(() => {
      if (this.report === report && this.current.kind === 'connecting') this.options.onDidChange();
    });
    const attempt: Attempt = {
      abort,
      isBackground,
      shell: this.options.connect(this.node, abort.signal, { isBackground, report }),
    };
    this.attempt = attempt;
    this.setState({ kind: 'connecting' });
    attempt.shell.then(
      (shell) => this.onConnected(attempt, shell),
      (error: unknown) => this.onFailed(attempt, attempts, error),
    );
    return attempt;
  }

  private onConnected(attempt: Attempt, shell: ConnectedShell): void {
    if (this.attempt !== attempt) return shell.dispose();
    this.attempt = undefined;
    this.connected = shell;
    this.comesBack = true;
    this.lastUsedAt = performance.now();
    shell.onDidClose((reason) => {
      if (this.connected !== shell) return;
      this.connected = undefined;
      if (reason === undefined) this.setState({ kind: 'offline' });
      else this.onLost(reason, 0);
    });
    this.setState({ kind: 'ready', clock: undefined });
    this.options.onDidConnect(shell);
  }

  private onFailed(attempt: Attempt, attempts: number, error: unknown): void {
    if (this.attempt !== attempt) return;
    this.attempt = undefined;
    if (isAbort(error)) this.setState({ kind: 'offline' });
    else if (this.comesBack) this.onLost(error, attempts + 1);
    else this.setState({ kind: 'failed', failure: failureOf(error) });
    this.report?.close();
  }

  /** A connection that was there comes back by itself, unless only a person can help. */
  private onLost(error: unknown, attempts: number): void {
    const failure = failureOf(error);
    if (!passing.has(failure.code)) {
      this.comesBack = false;
      return this.setState({ kind: 'failed', failure });
    }
    const waitMs = backoffMs(attempts, this.options.random);
    this.setState({ kind: 'waiting', failure, attempts, retryAt: Date.now() + waitMs });
    this.retryIn(waitMs);
  }

  private retryIn(ms: number): void {
    const { current } = this;
    if (current.kind !== 'waiting') return;
    clearTimeout(this.retry);
    this.retry = setTimeout(() => this.connect(true, current.attempts), ms);
    this.retry.unref();
  }

  private drop(): void {
    clearTimeout(this.retry);
    const { attempt, connected } = this;
    this.attempt = undefined;
    this.connected = undefined;
    attempt?.abort.abort();
    connected?.dispose();
  }

  /** For what is known of a ready node besides. */
  setState(state: NodeState): void {
    this.current = state;
    this.options.onDidChange();
  }
}

function failureOf(error: unknown): NodeFailure {
  if (error instanceof UserError) {
    const { code, message, hint } = error;
    return { code, message, hint };
  }
  const message = error instanceof Error ? error.message : String(error);
  return { code: 'node.failed', message, hint: undefined };
}
