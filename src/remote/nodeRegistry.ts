// The nodes, their states, and one shared connection to each.

import { Emitter } from '../base/emitter.ts';
import { UserError, isAbort } from '../base/errors.ts';
import type { Disposable } from '../base/disposable.ts';
import { abortable } from '../base/async.ts';
import { measureClock } from './clock.ts';
import type { ClockOffset, Node, NodeAccess, NodeState } from './node.ts';
import type { Shell } from './shell.ts';

/** Makes a connection; rejects with a UserError that says why it could not. */
export type ConnectNode = (node: Node, signal: AbortSignal) => Promise<Shell>;

/** A clock drifts: an older measurement is taken again. */
const clockMaxAgeMs = 5 * 60_000;

interface Connection {
  readonly shell: Promise<Shell>;
  readonly abort: AbortController;
  clock: Promise<ClockOffset> | undefined;
}

export class NodeRegistry implements NodeAccess, Disposable {
  private readonly connectNode: ConnectNode;
  private readonly connections = new Map<string, Connection>();
  private readonly states = new Map<string, NodeState>();
  private readonly changed = new Emitter<Node>();
  private readonly nodesChanged = new Emitter<void>();
  private known: readonly Node[] = [];

  readonly onDidChange = this.changed.event;
  readonly onDidChangeNodes = this.nodesChanged.event;

  constructor(connectNode: ConnectNode) {
    this.connectNode = connectNode;
  }

  get nodes(): readonly Node[] {
    return this.known;
  }

  /** Replaces the set of nodes. Connections to nodes that are gone or reached differently are closed. */
  setNodes(nodes: readonly Node[]): void {
    for (const node of this.known) {
      const next = nodes.find((candidate) => candidate.name === node.name);
      if (next === undefined || next.host !== node.host) this.disconnect(node);
    }
    this.known = nodes;
    this.nodesChanged.fire();
  }

  state(node: Node): NodeState {
    return this.states.get(node.name) ?? { kind: 'offline' };
  }

  async shell(node: Node, signal?: AbortSignal): Promise<Shell> {
    const connection = this.connections.get(node.name) ?? this.connect(node);
    return abortable(connection.shell, signal);
  }

  async clock(node: Node, signal?: AbortSignal): Promise<ClockOffset> {
    await this.shell(node, signal);
    const connection = this.connections.get(node.name) ?? this.connect(node);
    const measured = await connection.clock;
    if (measured !== undefined && Date.now() - measured.measuredAt < clockMaxAgeMs) return measured;
    connection.clock = connection.shell.then((shell) => measureClock(shell));
    const clock = await abortable(connection.clock, signal);
    if (this.connections.get(node.name) === connection) {
      this.setState(node, { kind: 'ready', clock });
    }
    return clock;
  }

  /** Closes the connection to a node; the next use makes a new one. */
  disconnect(node: Node): void {
    this.drop(node)?.abort.abort();
    this.setState(node, { kind: 'offline' });
  }

  dispose(): void {
    for (const node of this.known) this.drop(node)?.abort.abort();
    this.changed.dispose();
    this.nodesChanged.dispose();
  }

  private drop(node: Node): Connection | undefined {
    const connection = this.connections.get(node.name);
    this.connections.delete(node.name);
    connection?.shell.then(
      (shell) => shell.dispose(),
      () => {
        // There is no shell to dispose of; whoever asked for it has been told.
      },
    );
    return connection;
  }

  private connect(node: Node): Connection {
    const abort = new AbortController();
    const connection: Connection = {
      abort,
      shell: this.connectNode(node, abort.signal),
      clock: undefined,
    };
    this.connections.set(node.name, connection);
    this.setState(node, { kind: 'connecting' });
    connection.shell.then(
      (shell) => this.onConnected(node, connection, shell),
      (error: unknown) => this.onFailed(node, connection, error),
    );
    return connection;
  }

  private onConnected(node: Node, connection: Connection, shell: Shell): void {
    if (this.connections.get(node.name) !== connection) return shell.dispose();
    shell.onDidClose((error) => {
      if (this.connections.get(node.name) !== connection) return;
      this.connections.delete(node.name);
      this.setState(node, error === undefined ? { kind: 'offline' } : failed(error));
    });
    this.setState(node, { kind: 'ready', clock: undefined });
  }

  private onFailed(node: Node, connection: Connection, error: unknown): void {
    if (this.connections.get(node.name) !== connection) return;
    this.connections.delete(node.name);
    this.setState(node, isAbort(error) ? { kind: 'offline' } : failed(error));
  }

  private setState(node: Node, state: NodeState): void {
    this.states.set(node.name, state);
    this.changed.fire(node);
  }
}

function failed(error: unknown): NodeState {
  if (error instanceof UserError) {
    const { code, message, hint } = error;
    return { kind: 'failed', failure: { code, message, hint } };
  }
  const message = error instanceof Error ? error.message : String(error);
  return { kind: 'failed', failure: { code: 'node.failed', message, hint: undefined } };
}
