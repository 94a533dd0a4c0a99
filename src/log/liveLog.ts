// Follows any number of nodes at once: each is started and stopped by itself, goes on by itself after its
// connection was lost, and the entries of all come merged.

import { delay } from '../base/async.ts';
import type { Disposable } from '../base/disposable.ts';
import { Emitter } from '../base/emitter.ts';
import { UserError } from '../base/errors.ts';
import type { EpochMs } from '../base/time.ts';
import type { Node, NodeAccess, NodeFailure } from '../remote/node.ts';
import { connectionClosed, isCutOff, NodeFollow } from './follow.ts';
import { HoldBack, type LiveEntry } from './holdBack.ts';
import type { LogEntry } from './logEntry.ts';
import { toFailure } from './sources.ts';

/** Stands between a node's entries. */
export interface LiveMark {
  /** `gap`: lines may be missing here. `resumed`: here the connection was lost, and came back. */
  readonly kind: 'gap' | 'resumed';
  readonly node: string;
  /** The file; '' when it concerns the whole node. */
  readonly source: string;
  readonly time: EpochMs;
  /** A sentence that is safe to show. */
  readonly reason: string;
}

export type LiveItem = { readonly kind: 'entry'; readonly entry: LiveEntry } | LiveMark;

export interface LiveNode {
  readonly node: string;
  /** `waiting`: the connection was lost, and following goes on when it is there again. */
  readonly state: 'starting' | 'following' | 'waiting' | 'stopped' | 'failed';
  /** Why it failed, or waits. */
  readonly failure: NodeFailure | undefined;
  /** Sentences about what is not followed, or not exactly. */
  readonly warnings: readonly string[];
}

export interface LiveLogOptions {
  /** How long entries are held back for earlier ones of other nodes. Default 500 ms. */
  readonly holdMs?: number;
}

/** How often held entries are looked at. */
const releaseMs = 100;
const maxWarnings = 20;

/**
 * The end of what was read comes before the news that the connection is lost: it is looked at after this time, and
 * later each time that it was lost again at once.
 */
const lookAgainMs = 50;
const maxLookAgainMs = 5000;

const waiting: NodeFailure = {
  code: 'log.followCutOff',
  message: 'Connection lost: follows again by itself.',
  hint: undefined,
};

interface Follow {
  readonly abort: AbortController;
  readonly ended: Promise<void>;
  /** While it waits for the connection: does not wait any longer. */
  readonly retry: Emitter<void>;
}

export class LiveLog implements Disposable {
  private readonly access: NodeAccess;
  private readonly holdBack: HoldBack<LiveMark>;
  private readonly follows = new Map<string, Follow>();
  private readonly states = new Map<string, LiveNode>();
  private readonly added = new Emitter<readonly LiveItem[]>();
  private readonly changed = new Emitter<LiveNode>();
  private timer: NodeJS.Timeout | undefined;

  /** In corrected order; what is late says so. */
  readonly onDidAdd = this.added.event;
  readonly onDidChangeNode = this.changed.event;

  constructor(access: NodeAccess, options: LiveLogOptions = {}) {
    this.access = access;
    this.holdBack = new HoldBack<LiveMark>(options.holdMs ?? 500);
  }

  get nodes(): readonly LiveNode[] {
    return [...this.states.values()];
  }

  isFollowing(node: Node): boolean {
    return this.follows.has(node.name);
  }

  /**
   * Starts to follow a node, and connects to it. One that waits for its connection does not wait any longer; for one
   * that is followed it is harmless.
   */
  start(node: Node): void {
    const known = this.follows.get(node.name);
    if (known !== undefined) return known.retry.fire();
    const abort = new AbortController();
    const retry = new Emitter<void>();
    this.setState({ node: node.name, state: 'starting', failure: undefined, warnings: [] });
    this.follows.set(node.name, { abort, retry, ended: this.run(node, retry, abort.signal) });
    this.timer ??= setInterval(() => this.give(this.holdBack.release(Date.now())), releaseMs);
  }

  /** Stops following a node; what was read until then is still given. */
  async stop(node: Node): Promise<void> {
    const follow = this.follows.get(node.name);
    follow?.abort.abort();
    await follow?.ended;
  }

  /** Stops all, and gives what was held back. */
  async stopAll(): Promise<void> {
    const follows = [...this.follows.values()];
    for (const { abort } of follows) abort.abort();
    await Promise.all(follows.map(({ ended }) => ended));
  }

  dispose(): void {
    this.added.dispose();
    this.changed.dispose();
    for (const { abort } of this.follows.values()) abort.abort();
    clearInterval(this.timer);
  }

  private async run(node: Node, retry: Emitter<void>, signal: AbortSignal): Promise<void> {
    let failure: NodeFailure | undefined;
    const follow = new LiveFollow(node, this.access, retry, {
      onEntry: (entry) => this.holdBack.add(entry, Date.now()),
      onMark: (mark) => this.holdBack.mark(node.name, mark, Date.now()),
      onState: (change) => this.update(node, change),
      onWarning: (message) => this.warn(node, message),
    });
    try {
      await follow.run(signal);
    } catch (error) {
      failure = toFailure(error);
    }
    this.follows.delete(node.name);
    this.holdBack.forget(node.name);
    if (this.follows.size === 0) {
      clearInterval(this.timer);
      this.timer = undefined;
      this.give(this.holdBack.flush());
    }
    this.update(node, { state: failure === undefined ? 'stopped' : 'failed', failure });
  }

  private warn(node: Node, message: string): void {
    const { warnings } = this.states.get(node.name)!;
    if (warnings.length >= maxWarnings || warnings.includes(message)) return;
    this.update(node, { warnings: [...warnings, message] });
  }

  private update(node: Node, change: Partial<LiveNode>): void {
    this.setState({ ...this.states.get(node.name)!, ...change });
  }

  private give(items: readonly (LiveEntry | LiveMark)[]): void {
    if (items.length === 0) return;
    this.added.fire(items.map((item) => ('kind' in item ? item : { kind: 'entry', entry: item })));
  }

  private setState(state: LiveNode): void {
    this.states.set(state.node, state);
    this.changed.fire(state);
  }
}

interface LiveFollowSink {
  onEntry(entry: LogEntry): void;
  onMark(mark: LiveMark): void;
  onState(change: Pick<LiveNode, 'state' | 'failure'>): void;
  onWarning(message: string): void;
}

/** One node, from its start to its end, over all its connections. */
class LiveFollow {
  private readonly node: Node;
  private readonly access: NodeAccess;
  private readonly retry: Emitter<void>;
  private readonly sink: LiveFollowSink;
  private hasFollowed = false;
  private lostAt: EpochMs | undefined;
  /** In a row, without following in between. */
  private losses = 0;
  /** Told since the connection was lost. */
  private gaps = 0;

  constructor(node: Node, access: NodeAccess, retry: Emitter<void>, sink: LiveFollowSink) {
    this.node = node;
    this.access = access;
    this.retry = retry;
    this.sink = sink;
  }

  /** Resolves when aborted; rejects with why it cannot go on. */
  async run(signal: AbortSignal): Promise<void> {
    const follow = new NodeFollow(this.access, this.node, {
      onReady: () => {
        this.hasFollowed = true;
        this.lostAt = undefined;
        this.losses = 0;
        this.sink.onState({ state: 'following', failure: undefined });
      },
      onEntry: (entry) => this.sink.onEntry(entry),
      onGap: (source, reason) => {
        this.gaps++;
        this.mark('gap', source, reason);
      },
      onWarning: (message) => this.sink.onWarning(message),
      onResume: () => this.mark('resumed', '', this.resumeText()),
    });
    try {
      for (;;) {
        try {
          return await follow.run(signal);
        } catch (error) {
          if (!this.mayComeBack(error)) throw error;
        }
        this.lose();
        await this.untilBack(signal);
        if (signal.aborted) return;
        this.sink.onState({ state: 'starting', failure: undefined });
      }
    } finally {
      follow.end();
    }
  }

  private lose(): void {
    if (this.lostAt === undefined) {
      this.lostAt = Date.now();
      this.gaps = 0;
    }
    this.sink.onState({ state: 'waiting', failure: waiting });
  }

  /** Also when connecting again by hand failed, and the connection comes back by itself nevertheless. */
  private mayComeBack(error: unknown): boolean {
    if (isCutOff(error)) return true;
    const isOfNode = error instanceof UserError && error.code.startsWith('node.');
    const { kind } = this.access.state(this.node);
    return isOfNode && this.hasFollowed && (kind === 'waiting' || kind === 'connecting');
  }

  /** Until the connection is there, or somebody asks for it. Rejects when it does not come back by itself. */
  private async untilBack(signal: AbortSignal): Promise<void> {
    let isAsked = false;
    let look = (): void => undefined;
    const watches = [
      this.access.onDidChange(({ name }) => {
        if (name === this.node.name) look();
      }),
      this.retry.event(() => {
        isAsked = true;
        look();
      }),
    ];
    const onAbort = (): void => look();
    signal.addEventListener('abort', onAbort);
    try {
      const settleMs = Math.min(maxLookAgainMs, lookAgainMs * 2 ** this.losses++);
      await delay(settleMs, signal).catch(() => undefined);
      while (!signal.aborted && !isAsked && !this.isBack()) {
        await new Promise<void>((resolve) => (look = resolve));
      }
    } finally {
      signal.removeEventListener('abort', onAbort);
      for (const watch of watches) watch.dispose();
    }
  }

  private isBack(): boolean {
    const state = this.access.state(this.node);
    switch (state.kind) {
      case 'ready':
        return true;
      case 'connecting':
      case 'waiting':
        return false;
      case 'failed': {
        const { code, message, hint } = state.failure;
        throw new UserError(code, message, hint === undefined ? {} : { hint });
      }
      case 'offline':
        throw connectionClosed(this.node);
    }
  }

  private mark(kind: LiveMark['kind'], source: string, reason: string): void {
    this.sink.onMark({ kind, node: this.node.name, source, time: Date.now(), reason });
  }

  private resumeText(): string {
    const seconds = Math.max(0, Math.round((Date.now() - (this.lostAt ?? Date.now())) / 1000));
    const after = `Reconnected after ${seconds < 1 ? 'less than a second' : spanText(seconds)}`;
    return this.gaps === 0
      ? `${after}: nothing was lost.`
      : `${after}: lines may be missing, as told above.`;
  }
}

/** Some time in words. */
function spanText(seconds: number): string {
  if (seconds < 120) return `${seconds} s`;
  const minutes = Math.round(seconds / 60);
  return minutes < 120 ? `${minutes} min` : `${Math.round(minutes / 60)} h`;
}
