// Which steps of clocks are worth a message. A node may set its clock as often as it likes, and a step of our own
// clock is seen against every node: the user hears of each thing once.

import type { EpochMs } from '../base/time.ts';
import type { ClockStep } from '../remote/clockHistory.ts';

/** A smaller step is in the node's hover only. */
const leastStepMs = 500;
/** Not more often of one node. */
const nodeQuietMs = 60 * 60_000;
/** Nodes see a step of our own clock at their next measurements, which are ten minutes apart or more. */
const ownQuietMs = 15 * 60_000;

export class ClockNotices {
  private readonly toldAt = new Map<string, EpochMs>();
  private ownToldAt = -Infinity;

  /** True once for what should be told; `now` is any clock that does not step. */
  isNew(node: string, step: ClockStep, now: number): boolean {
    if (Math.abs(step.stepMs) < leastStepMs) return false;
    if (step.whose === 'ours') {
      if (now - this.ownToldAt < ownQuietMs) return false;
      this.ownToldAt = now;
      return true;
    }
    if (now - (this.toldAt.get(node) ?? -Infinity) < nodeQuietMs) return false;
    this.toldAt.set(node, now);
    return true;
  }
}
