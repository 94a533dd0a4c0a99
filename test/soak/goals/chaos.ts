// bits that are flipped on the way, and connections that are reset, at hundreds of offsets.

import { describeError } from '../../../src/base/errors.ts';
import { eventually } from '../../fakes/eventually.ts';
import type { Chaos } from '../../fakes/chaosProxy.ts';
import { startChaosNode, streamLines, type ChaosNode, type StreamedLines } from '../chaosNode.ts';
import { countCrashes } from '../crashes.ts';
import type { Goal } from '../goal.ts';

const lines = 4_000;
/** A login takes about this many bytes to us; the lines about 200,000 more. */
const loginBytes = 4_000;
const streamBytes = 180_000;
const comeBackMs = 30_000;
const maxHarmless = 5;

export const goal: Goal = {
  id: 'R-08',
  how: 'one bit flipped at 200 offsets, reset at 60, through a proxy',
  limitMinutes: 20,
  run: async ({ signal, onProgress }) => {
    using crashed = countCrashes();
    await using chaos = await startChaosNode();
    const faults: Chaos[] = [
      ...spread(60, 0, loginBytes).map((flipAt) => ({ flipAt })),
      ...spread(140, loginBytes, streamBytes).map((flipAt) => ({ flipAt })),
      ...spread(30, 0, loginBytes).map((resetAt) => ({ resetAt })),
      ...spread(30, loginBytes, streamBytes).map((resetAt) => ({ resetAt })),
    ];
    let wrong = 0;
    let harmless = 0;
    let reconnected = 0;
    let slowestMs = 0;
    for (const [index, fault] of faults.entries()) {
      if (signal.aborted) break;
      const suffered = await sufferFault(chaos, fault);
      wrong += suffered.wrong;
      // The padding of packets before the first keys is covered by nothing and used for nothing.
      if (suffered.arrived === lines) harmless++;
      const took = await comeBack(chaos).catch((error: unknown) => {
        throw new Error(`not back after ${JSON.stringify(fault)}: ${describeError(error)}`);
      });
      slowestMs = Math.max(slowestMs, took);
      reconnected++;
      if ((index + 1) % 50 === 0) onProgress(`${index + 1} of ${faults.length} faults`);
    }
    return {
      ok:
        wrong === 0 &&
        harmless <= maxHarmless &&
        crashed.crashes.length === 0 &&
        reconnected === faults.length,
      figure:
        `200 flipped bits (${harmless} in padding), 60 resets: ${wrong} wrong lines, ` +
        `${crashed.crashes.length} crashes, ` +
        `${reconnected}/${faults.length} reconnected, after ${(slowestMs / 1000).toFixed(1)} s at the longest`,
    };
  },
};

/** `count` numbers from `from` up to `to`, at equal distances. */
function spread(count: number, from: number, to: number): number[] {
  return Array.from({ length: count }, (_, i) => from + Math.round((i * (to - from)) / count));
}

/** Connects and reads lines through the fault. */
async function sufferFault(
  { proxy, registry, node }: ChaosNode,
  fault: Chaos,
): Promise<StreamedLines> {
  registry.disconnect(node);
  proxy.chaos = fault;
  try {
    const shell = await registry.shell(node);
    return await streamLines(shell, lines);
  } catch (error) {
    // Refused in words is right; anything else is a bug.
    if (error instanceof Error && error.name !== 'UserError') throw error;
    return { arrived: 0, wrong: 0 };
  } finally {
    proxy.chaos = {};
  }
}

/** Waits until the node is there again and whole, by itself where it had been there; gives how long it took. */
async function comeBack({ registry, node }: ChaosNode): Promise<number> {
  const startedAt = performance.now();
  const isItsOwnAffair = registry.state(node).kind !== 'failed';
  await eventually(async () => {
    const state = registry.state(node);
    if (isItsOwnAffair && state.kind !== 'ready') {
      throw new Error(`it is still ${JSON.stringify(state)}`);
    }
    // A connection that is about to be lost may still look ready.
    const { arrived, wrong } = await streamLines(await registry.shell(node), 100);
    if (arrived !== 100 || wrong !== 0) throw new Error(`${arrived} of 100 lines, ${wrong} wrong`);
  }, comeBackMs);
  return performance.now() - startedAt;
}
