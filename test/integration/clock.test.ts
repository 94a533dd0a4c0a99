// Clocks over slow ways: the offset of every node is known within half its round trip and 5 ms (goal R-96).

import assert from 'node:assert/strict';
import test from 'node:test';
import { Assembler } from '../../src/log/assemble.ts';
import { mergeEntries } from '../../src/log/merge.ts';
import { measureClock } from '../../src/remote/clock.ts';
import { LocalShell } from '../../src/remote/localShell.ts';
import type { ClockOffset } from '../../src/remote/node.ts';

/** Runs a login shell whose words arrive late, on the way there and on the way back. */
const slowWay = `
import { spawn } from 'node:child_process';
const [there, back, ...argv] = process.argv.slice(1);
const child = spawn(argv[0], argv.slice(1), { stdio: ['pipe', 'pipe', 'inherit'] });
const late = (from, to, ms) => {
  from.on('data', (chunk) => setTimeout(() => to.write(chunk), Number(ms)));
  from.on('end', () => setTimeout(() => to.end(), Number(ms)));
};
late(process.stdin, child.stdin, there);
late(child.stdout, process.stdout, back);
child.stdin.on('error', () => {});
child.on('exit', (code) => setTimeout(() => process.exit(code ?? 1), Number(back) + 5));
`;

interface FarNode {
  readonly name: string;
  /** Its clock minus the true time. */
  readonly offsetMs: number;
  readonly thereMs: number;
  readonly backMs: number;
}

// 8 nodes, up to 300 s off, at round trips of up to 50 ms that are unlike in both directions.
const farNodes: readonly FarNode[] = [
  [-300_000, 1, 1],
  [-3_600, 20, 2],
  [-250, 2, 20],
  [0, 25, 25],
  [90, 10, 10],
  [3_500, 30, 5],
  [60_000, 5, 30],
  [300_000, 45, 5],
].map(([offsetMs = 0, thereMs = 0, backMs = 0], index) => ({
  name: `node-${index + 1}`,
  offsetMs,
  thereMs,
  backMs,
}));

/** The node has this machine's clock; that we are as far off the other way looks the same. */
async function measure({ offsetMs, thereMs, backMs }: FarNode): Promise<ClockOffset> {
  const relay = [process.execPath, '--input-type=module', '-e', slowWay];
  const loginShell = [...relay, String(thereMs), String(backMs), '/bin/sh', '-c'];
  const shell = new LocalShell({ loginShell });
  try {
    return await measureClock(shell, undefined, {
      monotonic: () => performance.now(),
      wall: () => Date.now() - offsetMs,
    });
  } finally {
    shell.dispose();
  }
}

test('R-96: offsets of ±300 s are known within half the round trip and 5 ms', async (t) => {
  const clocks = new Map<string, ClockOffset>();
  for (const node of farNodes) {
    const clock = await measure(node);
    clocks.set(node.name, clock);
    const off = Math.abs(clock.offsetMs - node.offsetMs);
    const halfTrip = (node.thereMs + node.backMs) / 2;
    t.diagnostic(
      `${node.name}: off by ${off.toFixed(2)} ms, told ± ${clock.errorMs.toFixed(2)} ms`,
    );
    assert.ok(off <= halfTrip + 5, `${node.name} is off by ${off} ms`);
    assert.ok(
      off <= clock.errorMs,
      `${node.name} is ${off} ms off, but told ± ${clock.errorMs} ms`,
    );
  }

  // A request that goes from node to node and back; its lines are merged by corrected time.
  const start = Date.UTC(2026, 10, 22, 6, 17, 54);
  const files = farNodes.map((node, index) => {
    const clock = clocks.get(node.name);
    const assembler = new Assembler({ node: node.name, source: '/log', zone: 0, clock });
    // Each hop takes as long as the round trips are wide, so that the order can be told.
    const times = [start + index * 200, start + 4000 - index * 200];
    const entries = times.map((time) => {
      assembler.push({
        text: JSON.stringify({ time: time + node.offsetMs, reqId: 'req-1', msg: '-' }),
      });
      return assembler.flush()!;
    });
    return entries;
  });
  const merged = mergeEntries(files).map(({ node }) => Number(node.slice('node-'.length)));
  assert.deepEqual(merged, [1, 2, 3, 4, 5, 6, 7, 8, 8, 7, 6, 5, 4, 3, 2, 1]);
  assert.ok(mergeEntries(files).every(({ errorMs }) => errorMs !== undefined));
});
