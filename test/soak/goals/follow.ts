// following goes on by itself, and exactly, however often the connection is lost.

import { followThroughLosses, quantile } from '../../integration/followLosses.ts';
import type { Goal } from '../goal.ts';

const losses = 200;
const linesPerSecond = 2_000;
const medianWithinMs = 2_000;
const p99WithinMs = 6_000;

export const goal: Goal = {
  id: 'R-21',
  how: `the session's sshd killed ${losses} times while ${linesPerSecond} lines/s are followed`,
  limitMinutes: 20,
  run: async ({ signal, onProgress }) => {
    const { resumeMs, ...outcome } = await followThroughLosses({
      losses,
      linesPerSecond,
      signal,
      onLoss: (count) => {
        if (count % 50 === 0) onProgress(`${count} losses`);
      },
    });
    const { written, lost, doubled, changed, gaps } = outcome;
    const [median, p99] = [quantile(resumeMs, 0.5), quantile(resumeMs, 0.99)];
    return {
      ok:
        lost + doubled + changed + gaps.length === 0 &&
        median <= medianWithinMs &&
        p99 <= p99WithinMs,
      figure:
        `${losses} losses: ${lost} of ${written} lines lost, ${doubled} doubled, ${changed} changed, ` +
        `${gaps.length} gaps; followed again after ${seconds(median)} (median), ${seconds(p99)} (p99)`,
    };
  },
};

function seconds(ms: number): string {
  return `${(ms / 1000).toFixed(1)} s`;
}
