// A file that grows fast, followed over connections that are cut again and again: how many lines were lost or
// doubled, and how long it took each time. For the integration test, and in a longer form for the soak.

import { closeSync, openSync, writeSync } from 'node:fs';
import path from 'node:path';
import { delay } from '../../src/base/async.ts';
import { LiveLog } from '../../src/log/liveLog.ts';
import { sshConnector } from '../../src/remote/connect.ts';
import type { Node } from '../../src/remote/node.ts';
import { NodeRegistry } from '../../src/remote/nodeRegistry.ts';
import { eventually } from '../fakes/eventually.ts';
import { startSshd } from '../fakes/sshd.ts';

export interface LossOptions {
  /** How often the session's sshd is killed. */
  readonly losses: number;
  readonly linesPerSecond: number;
  readonly signal?: AbortSignal;
  readonly onLoss?: (count: number) => void;
}

export interface LossOutcome {
  readonly written: number;
  readonly lost: number;
  readonly doubled: number;
  /** Lines that are not what was written. */
  readonly changed: number;
  readonly gaps: readonly string[];
  /** From each kill until lines came again, shortest first. */
  readonly resumeMs: readonly number[];
}

const writeEveryMs = 20;
const text = (n: number): string => `line ${n} of the file that is followed`;

/** Writes numbered lines at a rate, also when it is late. */
export class LineWriter {
  private written = 0;
  private readonly fd: number;
  private readonly timer: NodeJS.Timeout;

  constructor(file: string, linesPerSecond: number) {
    this.fd = openSync(file, 'a');
    const startedAt = performance.now();
    this.timer = setInterval(() => {
      const due = Math.floor(((performance.now() - startedAt) / 1000) * linesPerSecond);
      const from = this.written;
      this.written = Math.max(due, from);
      const lines = Array.from({ length: this.written - from }, (_, n) => `${text(from + n)}\n`);
      if (lines.length > 0) writeSync(this.fd, lines.join(''));
    }, writeEveryMs);
  }

  /** Gives how many lines there are. */
  stop(): number {
    clearInterval(this.timer);
    closeSync(this.fd);
    return this.written;
  }
}

/** Counts each line. */
export class LineTally {
  /** Lines that are not what was written. */
  changed = 0;
  private readonly times = new Map<number, number>();

  add(line: string): void {
    const n = Number(/^line (\d+) /.exec(line)?.[1] ?? NaN);
    if (line !== text(n)) this.changed++;
    else this.times.set(n, (this.times.get(n) ?? 0) + 1);
  }

  get size(): number {
    return this.times.size;
  }

  /** The number of the first line that was seen. */
  get first(): number {
    let first = Infinity;
    for (const n of this.times.keys()) first = Math.min(first, n);
    return first;
  }

  get doubled(): number {
    return [...this.times.values()].reduce((sum, times) => sum + times - 1, 0);
  }
}

export async function followThroughLosses(options: LossOptions): Promise<LossOutcome> {
  const { losses, linesPerSecond, signal, onLoss } = options;
  const sshd = await startSshd();
  const file = path.join(sshd.dir, 'app.log');
  const writer = new LineWriter(file, linesPerSecond);
  const configFile = await sshd.config();
  const registry = new NodeRegistry(
    sshConnector(
      () => ({ configFile }),
      () => ({}),
    ),
  );
  const node: Node = { name: 'node', host: 'node', labels: [], logs: [file], origin: 'settings' };
  registry.setNodes([node]);
  const live = new LiveLog(registry);
  const tally = new LineTally();
  const gaps: string[] = [];
  const resumeMs: number[] = [];
  live.onDidAdd((items) => {
    for (const item of items) {
      if (item.kind === 'entry') tally.add(item.entry.raw);
      else if (item.kind === 'gap') gaps.push(item.reason);
    }
  });
  const state = (): string => live.nodes[0]?.state ?? 'off';
  const until = (wanted: string): Promise<void> =>
    eventually(() => {
      if (state() !== wanted) throw new Error(`it is ${JSON.stringify(live.nodes[0])}`);
    }, 60_000);
  try {
    // What there is when a follow begins is no part of it, but for an unfinished line.
    live.start(node);
    await until('following');
    await eventually(() => {
      if (tally.size === 0) throw new Error('no line came');
    }, 10_000);
    for (let loss = 1; loss <= losses; loss++) {
      // At another moment of reading, sending and writing each time.
      await delay(200 + ((loss * 137) % 300), signal);
      const startedAt = performance.now();
      await sshd.killSessions();
      await until('waiting');
      await until('following');
      resumeMs.push(performance.now() - startedAt);
      onLoss?.(loss);
    }
    const written = writer.stop();
    const first = tally.first;
    await eventually(() => {
      if (tally.size < written - first) throw new Error('lines are missing');
    }, 10_000).catch(() => undefined);
    // What comes twice comes late.
    await delay(700, signal);
    return {
      written: written - first,
      lost: written - first - tally.size,
      doubled: tally.doubled,
      changed: tally.changed,
      gaps,
      resumeMs: resumeMs.sort((a, b) => a - b),
    };
  } finally {
    await live.stopAll();
    live.dispose();
    registry.dispose();
    await sshd.stop();
  }
}

/** Of values in order, e.g. 0.5 for the median. */
export function quantile(sorted: readonly number[], part: number): number {
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * part))] ?? NaN;
}
