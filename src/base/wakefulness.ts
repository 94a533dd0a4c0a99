// Notices that this machine slept, that its clock was set, or that its network changed: whatever waits on another
// machine should look again then, instead of at its next timer.

import { networkInterfaces } from 'node:os';
import type { Disposable } from './disposable.ts';
import { Emitter } from './emitter.ts';

const tickMs = 5_000;
/** A tick that comes this much later than asked for means that we did not run: sleep, or a stopped process. */
const lateMs = 10_000;
/** A wall clock that moved this much against the monotonic one was set (or stood still in a sleep). */
const stepMs = 2_000;

export interface Awakening {
  readonly why: 'slept' | 'clockSet' | 'networkChanged';
  /** For how long we did not run, or how far the wall clock was moved; 0 for the network. */
  readonly ms: number;
}

export class Wakefulness implements Disposable {
  private readonly woke = new Emitter<Awakening>();
  private timer: NodeJS.Timeout | undefined;
  private monotonic = 0;
  private wall = 0;
  private network = '';

  readonly onDidWake = this.woke.event;

  /** Watches from now on; calling it again changes nothing. */
  start(): void {
    if (this.timer !== undefined) return;
    this.look();
    this.timer = setInterval(() => this.check(), tickMs);
    this.timer.unref();
  }

  stop(): void {
    clearInterval(this.timer);
    this.timer = undefined;
  }

  dispose(): void {
    this.stop();
    this.woke.dispose();
  }

  private check(): void {
    const { monotonic, wall, network } = this;
    this.look();
    const ran = this.monotonic - monotonic;
    const shift = this.wall - wall - ran;
    if (ran > tickMs + lateMs) this.woke.fire({ why: 'slept', ms: ran - tickMs });
    // Many systems stop the monotonic clock while they sleep: the wall clock is ahead then.
    else if (shift > lateMs) this.woke.fire({ why: 'slept', ms: shift });
    else if (Math.abs(shift) > stepMs) this.woke.fire({ why: 'clockSet', ms: shift });
    else if (this.network !== network) this.woke.fire({ why: 'networkChanged', ms: 0 });
  }

  private look(): void {
    this.monotonic = performance.now();
    this.wall = Date.now();
    this.network = addresses();
  }
}

function addresses(): string {
  return Object.values(networkInterfaces())
    .flatMap((list) => list ?? [])
    .filter((one) => !one.internal)
    .map((one) => one.address)
    .sort()
    .join(' ');
}
