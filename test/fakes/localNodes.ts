// Nodes that are this machine: what the core asks of the set of nodes, without ssh.

import { Emitter } from '../../src/base/emitter.ts';
import { LocalShell, type LocalShellOptions } from '../../src/remote/localShell.ts';
import type { ClockOffset, Node, NodeAccess, NodeState } from '../../src/remote/node.ts';
import type { Shell } from '../../src/remote/shell.ts';

export interface LocalNodeOptions {
  readonly logs?: readonly string[];
  readonly labels?: readonly string[];
  /** Default: an offset of 0 ± 0.1 ms. An error makes the clock unreadable. */
  readonly clock?: ClockOffset | Error;
  readonly shell?: LocalShellOptions;
  /** The node cannot be reached, for this reason. */
  readonly failure?: Error;
}

const exactClock: ClockOffset = { offsetMs: 0, errorMs: 0.1, measuredAt: 0 };

export class LocalNodes implements NodeAccess {
  readonly nodes: readonly Node[];
  private readonly options: Readonly<Record<string, LocalNodeOptions>>;
  private readonly changed = new Emitter<Node>();
  private readonly shells = new Map<string, LocalShell>();

  readonly onDidChange = this.changed.event;

  constructor(options: Readonly<Record<string, LocalNodeOptions>>) {
    this.options = options;
    this.nodes = Object.entries(options).map(([name, { logs = [], labels = [] }]) => ({
      name,
      host: name,
      labels,
      logs,
      origin: 'settings',
    }));
  }

  node(name: string): Node {
    const node = this.nodes.find((candidate) => candidate.name === name);
    if (node === undefined) throw new Error(`no node ${name}`);
    return node;
  }

  state(node: Node): NodeState {
    return this.shells.has(node.name) ? { kind: 'ready', clock: undefined } : { kind: 'offline' };
  }

  async shell(node: Node, signal?: AbortSignal): Promise<Shell> {
    signal?.throwIfAborted();
    const { failure, shell } = this.options[node.name] ?? {};
    if (failure !== undefined) throw failure;
    const known = this.shells.get(node.name);
    if (known !== undefined) return known;
    const made = new LocalShell(shell);
    this.shells.set(node.name, made);
    this.changed.fire(node);
    return made;
  }

  async clock(node: Node): Promise<ClockOffset> {
    const clock = this.options[node.name]?.clock ?? exactClock;
    if (clock instanceof Error) throw clock;
    return clock;
  }

  dispose(): void {
    for (const shell of this.shells.values()) shell.dispose();
    this.shells.clear();
    this.changed.dispose();
  }
}
