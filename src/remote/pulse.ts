// Whether the other side of a connection is still there. Not ssh2's own keepalive, since that counts answers only: a
// slow link that is busy with our data would be taken for dead. As in OpenSSH, whatever comes is a sign of life.

import type { Disposable } from '../base/disposable.ts';

export interface Keepalive {
  /** After so much silence the peer is asked for a sign of life. 0: never. */
  readonly intervalMs: number;
  /** So many questions may stay unanswered. */
  readonly countMax: number;
}

/** A peer that is silent for three intervals is dead: 45 s. */
export const defaultKeepalive: Keepalive = { intervalMs: 15_000, countMax: 2 };

export interface PulseListener {
  /** Sends what the peer has to answer. May throw when it cannot. */
  ask(): void;
  onDead(cause?: unknown): void;
}

/** Beats from the start; dead after `intervalMs × (countMax + 1)` of silence. */
export class Pulse implements Disposable {
  private readonly keepalive: Keepalive;
  private readonly listener: PulseListener;
  private timer: NodeJS.Timeout | undefined;
  private heardAt = performance.now();
  private askedAt = -Infinity;
  private unanswered = 0;

  constructor(keepalive: Keepalive, listener: PulseListener) {
    this.keepalive = keepalive;
    this.listener = listener;
    this.wait(keepalive.intervalMs);
  }

  /** Something came from the peer. */
  hear(): void {
    this.heardAt = performance.now();
  }

  dispose(): void {
    clearTimeout(this.timer);
  }

  private wait(ms: number): void {
    if (this.keepalive.intervalMs === 0) return;
    this.timer = setTimeout(() => this.look(), ms);
    this.timer.unref();
  }

  private look(): void {
    const { intervalMs, countMax } = this.keepalive;
    if (this.heardAt > this.askedAt) this.unanswered = 0;
    const quietMs = performance.now() - Math.max(this.heardAt, this.askedAt);
    // Timers may fire a moment early.
    if (quietMs < intervalMs - 1) return this.wait(intervalMs - quietMs);
    if (++this.unanswered > countMax) return this.listener.onDead();
    this.askedAt = performance.now();
    try {
      this.listener.ask();
    } catch (error) {
      return this.listener.onDead(error);
    }
    this.wait(intervalMs);
  }
}
