// Follows any number of nodes at once: each is started and stopped by itself, their entries come merged.

import type { Disposable } from '../base/disposable.ts';
import { Emitter } from '../base/emitter.ts';
import type { EpochMs } from '../base/time.ts';
import type { Node, NodeAccess, NodeFailure } from '../remote/node.ts';
import { followNode } from './follow.ts';
import { HoldBack, type LiveEntry } from './holdBack.ts';
import { toFailure } from './sources.ts';

export type LiveItem =
  | { readonly kind: 'entry'; readonly entry: LiveEntry }
  /** Lines of a node's file may be missing here. */
  | {
      readonly kind: 'gap';
      readonly node: string;
      readonly source: string;
      readonly time: EpochMs;
      readonly reason: string;
    };

export interface LiveNode {
  readonly node: string;
  readonly state: 'starting' | 'following' | 'stopped' | 'failed';
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

interface Follow {
  readonly abort: AbortController;
  readonly ended: Promise<void>;
}

export class LiveLog implements Disposable {
  private readonly access: NodeAccess;
  private readonly holdBack: HoldBack;
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
    this.holdBack = new HoldBack(options.holdMs ?? 500);
  }

  get nodes(): readonly LiveNode[] {
    return [...this.states.values()];
  }

  isFollowing(node: Node): boolean {
    return this.follows.has(node.name);
  }

  /** Starts to follow a node; harmless for one that is followed already. */
  start(node: Node): void {
    if (this.follows.has(node.name)) return;
    const abort = new AbortController();
    this.setState({ node: node.name, state: 'starting', failure: undefined, warnings: [] });
    this.follows.set(node.name, { abort, ended: this.run(node, abort.signal) });
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

  private async run(node: Node, signal: AbortSignal): Promise<void> {
    const update = (change: Partial<LiveNode>): void => {
      this.setState({ ...this.states.get(node.name)!, ...change });
    };
    let failure: NodeFailure | undefined;
    try {
      await followNode(
        this.access,
        node,
        {
          onReady: () => update({ state: 'following' }),
          onEntry: (entry) => this.holdBack.add(entry, Date.now()),
          onGap: (source, reason) => this.gap(node, source, reason),
          onWarning: (message) => {
            const { warnings } = this.states.get(node.name)!;
            if (warnings.length < maxWarnings) update({ warnings: [...warnings, message] });
          },
        },
        signal,
      );
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
    update({ state: failure === undefined ? 'stopped' : 'failed', failure });
  }

  /** A gap is shown at once: what is held back is younger than it. */
  private gap(node: Node, source: string, reason: string): void {
    this.added.fire([{ kind: 'gap', node: node.name, source, time: Date.now(), reason }]);
  }

  private give(entries: readonly LiveEntry[]): void {
    if (entries.length > 0) this.added.fire(entries.map((entry) => ({ kind: 'entry', entry })));
  }

  private setState(state: LiveNode): void {
    this.states.set(state.node, state);
    this.changed.fire(state);
  }
}
