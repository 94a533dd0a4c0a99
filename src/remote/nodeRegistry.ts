// The nodes, their states, one shared connection to each, and what is known of their clocks.

import { abortable, delay, mapBounded } from '../base/async.ts';
import { Emitter } from '../base/emitter.ts';
import type { Disposable } from '../base/disposable.ts';
import { Wakefulness } from '../base/wakefulness.ts';
import { measureClock } from './clock.ts';
import { ClockHistory, type ClockStep, type NodeClock } from './clockHistory.ts';
import type { ConnectionReport } from './connectionReport.ts';
import type { ClockOffset, Node, NodeAccess, NodeState } from './node.ts';
import { NodeLink, type ConnectedShell, type ConnectNode } from './nodeLink.ts';
import type { Shell } from './shell.ts';
import { readClockFacts } from './syncDaemon.ts';

export interface RegistryOptions {
  /** In [0, 1). */
  readonly random?: () => number;
  /** A connection without a channel in use is closed after this time. */
  readonly idleMs?: number;
  readonly wakefulness?: Wakefulness;
  /**
   * Measures each node's clock soon after connecting and again at intervals. Without it a clock is only measured
   * for whoever asks.
   */
  readonly keepsClocks?: boolean;
}

/** A clock drifts: an older measurement is taken again before it is relied on. */
const clockMaxAgeMs = 10 * 60_000;
/** Daemons and zones change rarely: they are asked about with every sixth measurement, once an hour. */
const roundsPerFacts = 6;
const defaultIdleMs = 15 * 60_000;
const idleCheckMs = 30_000;
/** The first look at a clock lets what the connection was made for go first. */
const firstClockMs = 400;
/** Whoever asked for the clock while it connected has just had it measured. */
const freshMs = 10_000;
const maxPingsAtOnce = 8;

interface Entry {
  readonly link: NodeLink;
  readonly clocks: ClockHistory;
  measuring: Promise<ClockOffset> | undefined;
}

export class NodeRegistry implements NodeAccess, Disposable {
  private readonly connectNode: ConnectNode;
  private readonly random: () => number;
  private readonly idleMs: number;
  private readonly keepsClocks: boolean;
  private readonly wakefulness: Wakefulness;
  private readonly entries = new Map<string, Entry>();
  private readonly changed = new Emitter<Node>();
  private readonly nodesChanged = new Emitter<void>();
  private readonly clockStepped = new Emitter<{ readonly node: Node; readonly step: ClockStep }>();
  private readonly stopped = new AbortController();
  private idleTimer: NodeJS.Timeout | undefined;
  private known: readonly Node[] = [];

  readonly onDidChange = this.changed.event;
  readonly onDidChangeNodes = this.nodesChanged.event;
  /** A clock was set, so that times before and after it cannot be compared as they stand. */
  readonly onDidStepClock = this.clockStepped.event;

  constructor(connectNode: ConnectNode, options: RegistryOptions = {}) {
    this.connectNode = connectNode;
    this.random = options.random ?? Math.random;
    this.idleMs = options.idleMs ?? defaultIdleMs;
    this.keepsClocks = options.keepsClocks ?? false;
    this.wakefulness = options.wakefulness ?? new Wakefulness();
    this.wakefulness.onDidWake(() => void this.wake());
  }

  get nodes(): readonly Node[] {
    return this.known;
  }

  /** Replaces the set of nodes. Connections to nodes that are gone or reached differently are closed. */
  setNodes(nodes: readonly Node[]): void {
    const next = new Map(nodes.map((node) => [node.name, node]));
    for (const [name, { link }] of this.entries) {
      const node = next.get(name);
      if (node !== undefined && node.host === link.node.host) {
        link.node = node;
        continue;
      }
      link.disconnect();
      this.entries.delete(name);
    }
    this.known = nodes;
    this.nodesChanged.fire();
  }

  state(node: Node): NodeState {
    return this.entries.get(node.name)?.link.state ?? { kind: 'offline' };
  }

  /** What happened the last time this node was connected to; undefined when it never was. */
  report(node: Node): ConnectionReport | undefined {
    return this.entries.get(node.name)?.link.report;
  }

  /** The shell, if there is a connection now: for work that must not make one. */
  shellNow(node: Node): Shell | undefined {
    return this.entries.get(node.name)?.link.shellNow;
  }

  async shell(node: Node, signal?: AbortSignal): Promise<Shell> {
    return this.entry(node).link.shell(signal);
  }

  async clock(node: Node, signal?: AbortSignal): Promise<ClockOffset> {
    await this.shell(node, signal);
    const entry = this.entry(node);
    const known = entry.clocks.current();
    if (known !== undefined && Date.now() - known.measuredAt < clockMaxAgeMs) return known;
    return abortable(this.measure(entry), signal);
  }

  /** Everything known of a node's clock, without asking it. */
  clockNow(node: Node): NodeClock | undefined {
    return this.entries.get(node.name)?.clocks.current();
  }

  /** Closes the connection to a node; the next use makes a new one. */
  disconnect(node: Node): void {
    this.entries.get(node.name)?.link.disconnect();
  }

  /** Looks at all connections now: after a sleep, or when the network is another one. */
  async wake(): Promise<void> {
    await mapBounded([...this.entries.values()], maxPingsAtOnce, ({ link }) => link.wake());
  }

  dispose(): void {
    this.stopped.abort();
    clearInterval(this.idleTimer);
    this.wakefulness.dispose();
    for (const { link } of this.entries.values()) link.dispose();
    this.changed.dispose();
    this.nodesChanged.dispose();
    this.clockStepped.dispose();
  }

  private entry(node: Node): Entry {
    const known = this.entries.get(node.name);
    if (known !== undefined) return known;
    const link = new NodeLink(node, {
      connect: this.connectNode,
      random: this.random,
      onDidChange: () => this.changed.fire(link.node),
      onDidConnect: (shell) => {
        if (this.keepsClocks) void this.keepClock(entry, shell);
      },
    });
    const entry: Entry = { link, clocks: new ClockHistory(), measuring: undefined };
    this.entries.set(node.name, entry);
    this.watch();
    return entry;
  }

  /** From the first use on: connections need looking after. */
  private watch(): void {
    if (this.idleTimer !== undefined) return;
    this.wakefulness.start();
    this.idleTimer = setInterval(
      () => {
        for (const { link } of this.entries.values()) link.closeIfIdle(this.idleMs);
      },
      Math.min(idleCheckMs, this.idleMs),
    );
    this.idleTimer.unref();
  }

  /** Measures on connecting, and again at intervals for as long as this connection is there. */
  private async keepClock(entry: Entry, shell: ConnectedShell): Promise<void> {
    const gone = new AbortController();
    shell.onDidClose(() => gone.abort());
    const signal = AbortSignal.any([gone.signal, this.stopped.signal]);
    try {
      await delay(firstClockMs * (1 + this.random()), signal);
      for (let round = 0; !signal.aborted; round++) {
        // A node that cannot tell its time is still of use; whoever needs the clock asks and hears why.
        if (!isFresh(entry)) await this.measure(entry).catch(() => undefined);
        if (round % roundsPerFacts === 0) await this.learn(entry, shell).catch(() => undefined);
        await delay(entry.clocks.nextMeasurementInMs(this.random), signal);
      }
    } catch {
      // Aborted: the connection is gone.
    }
  }

  private measure(entry: Entry): Promise<ClockOffset> {
    entry.measuring ??= this.measureNow(entry).finally(() => {
      entry.measuring = undefined;
    });
    return entry.measuring;
  }

  /** Not through `link.shell`, as looking at the clock is no use of the connection that keeps it open. */
  private async measureNow({ link, clocks }: Entry): Promise<ClockOffset> {
    const shell = link.shellNow ?? (await link.shell());
    const offset = await measureClock(shell);
    const step = clocks.add(offset);
    const clock = clocks.current() ?? offset;
    if (link.shellNow === shell) link.setState({ kind: 'ready', clock });
    if (step !== undefined) this.clockStepped.fire({ node: link.node, step });
    return clock;
  }

  /** Who keeps the clock right, and the node's zone. */
  private async learn({ link, clocks }: Entry, shell: Shell): Promise<void> {
    clocks.learn(await readClockFacts(shell));
    const clock = clocks.current();
    if (link.shellNow === shell && clock !== undefined) link.setState({ kind: 'ready', clock });
  }
}

function isFresh({ clocks }: Entry): boolean {
  const known = clocks.current();
  return known !== undefined && Math.abs(Date.now() - known.measuredAt) < freshMs;
}
