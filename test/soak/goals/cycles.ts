// what 500 connections leave behind.

import { fork } from 'node:child_process';
import path from 'node:path';
import { noStartUpFiles, startSshd } from '../../fakes/sshd.ts';
import type { Goal } from '../goal.ts';
import type { Holdings } from '../workers/cycles.ts';

const cycles = 500;
const every = 50;
const maxGrowthBytes = 10 << 20;

export const goal: Goal = {
  id: 'R-14',
  how: 'connect, run, disconnect; counted in a process of its own from the 50th on',
  limitMinutes: 10,
  run: async ({ signal, onProgress }) => {
    const sshd = await startSshd({ config: noStartUpFiles });
    try {
      const seen: Holdings[] = [];
      const worker = fork(
        path.join(import.meta.dirname, '../workers/cycles.ts'),
        [await sshd.config(), String(cycles), String(every)],
        { execArgv: ['--expose-gc'], signal },
      );
      worker.on('message', (holdings: Holdings) => {
        seen.push(holdings);
        if (holdings.cycles % 100 === 0) onProgress(`${holdings.cycles} cycles`);
      });
      const code = await new Promise((resolve, reject) => {
        worker.once('exit', resolve);
        worker.once('error', reject);
      });
      const [first, last] = [seen[0], seen.at(-1)];
      if (code !== 0 || first === undefined || last === undefined || last.cycles !== cycles) {
        return {
          ok: false,
          figure: `the process ended with ${String(code)} after ${last?.cycles ?? 0} cycles`,
        };
      }
      const fds = last.fds - first.fds;
      const listeners = last.listeners - first.listeners;
      const growth = slope(seen) * (cycles - every);
      return {
        ok: fds <= 0 && listeners <= 0 && growth < maxGrowthBytes,
        figure:
          `${cycles} cycles: fds ${signed(fds)}, listeners ${signed(listeners)}, ` +
          `RSS ${signed(growth / (1 << 20), 1)} MB`,
      };
    } finally {
      await sshd.stop();
    }
  },
};

/** Of the straight line that fits best, in bytes a cycle. */
function slope(seen: readonly Holdings[]): number {
  const mean = (values: readonly number[]): number =>
    values.reduce((sum, value) => sum + value, 0) / values.length;
  const x = mean(seen.map((one) => one.cycles));
  const y = mean(seen.map((one) => one.rssBytes));
  const covariance = mean(seen.map((one) => (one.cycles - x) * (one.rssBytes - y)));
  return covariance / mean(seen.map((one) => (one.cycles - x) ** 2));
}

function signed(value: number, digits = 0): string {
  return `${value < 0 ? '' : '+'}${value.toFixed(digits)}`;
}
