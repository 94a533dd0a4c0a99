// the entries of eight nodes whose clocks are minutes apart, merged.

import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { searchNodes } from '../../../src/log/search.ts';
import { sshConnector } from '../../../src/remote/connect.ts';
import type { Node } from '../../../src/remote/node.ts';
import { NodeRegistry } from '../../../src/remote/nodeRegistry.ts';
import { ChaosProxy } from '../../fakes/chaosProxy.ts';
import { noStartUpFiles, startSshd } from '../../fakes/sshd.ts';
import { fakeTimeLibrary } from '../fakeTime.ts';
import type { Goal, GoalOutcome } from '../goal.ts';

/** How far each node's clock is ahead, in seconds, and how long a byte takes to it, in milliseconds. */
const clocks = [
  { ahead: -300, delayMs: 0 },
  { ahead: -120, delayMs: 5 },
  { ahead: -7, delayMs: 25 },
  { ahead: -1, delayMs: 10 },
  { ahead: 0, delayMs: 25 },
  { ahead: 2, delayMs: 15 },
  { ahead: 90, delayMs: 20 },
  { ahead: 300, delayMs: 25 },
];
const requests = 200;
const steps = 5;
/** From one node to the next: more than two clocks can be off at a round trip of 50 ms. */
const stepMs = 60;
const toleranceMs = 5;

export const goal: Goal = {
  id: 'R-96',
  how: '8 nodes with clocks up to ±300 s off (libfaketime), round trips up to 50 ms; 200 requests over 5 nodes each',
  limitMinutes: 3,
  run: async ({ signal, seed }) => {
    const cleanUps: (() => unknown)[] = [];
    try {
      return await mergeNodes(signal, seededRandom(seed), (cleanUp) => cleanUps.push(cleanUp));
    } finally {
      for (const cleanUp of cleanUps.reverse()) await cleanUp();
    }
  },
};

async function mergeNodes(
  signal: AbortSignal,
  random: () => number,
  defer: (cleanUp: () => unknown) => void,
): Promise<GoalOutcome> {
  const library = fakeTimeLibrary();
  const nodes: Node[] = [];
  const logs: string[] = [];
  const hosts: string[] = [];
  for (const [index, { ahead, delayMs }] of clocks.entries()) {
    const sshd = await startSshd({
      config: `${noStartUpFiles} LD_PRELOAD=${library} FAKETIME=${ahead < 0 ? '' : '+'}${ahead}s`,
    });
    defer(() => sshd.stop());
    const proxy = await ChaosProxy.start(sshd.port);
    defer(() => proxy.stop());
    proxy.chaos = { delayMs };
    await sshd.knownHosts(sshd.hostKeyLine.replace(String(sshd.port), String(proxy.port)));
    const config = await readFile(await sshd.config(), 'utf8');
    hosts.push(
      config
        .replace('Host node', `Host node-${index}`)
        .replace(`Port ${sshd.port}`, `Port ${proxy.port}`),
    );
    logs.push(join(sshd.dir, 'app.log'));
    const name = `node-${index}`;
    nodes.push({ name, host: name, labels: [], logs: [logs.at(-1)!], origin: 'settings' });
  }
  const configFile = `${logs[0]}.config`;
  await writeFile(configFile, hosts.join('\n'));
  await writeLogs(logs, random);

  const registry = new NodeRegistry(
    sshConnector(
      () => ({ configFile }),
      () => ({}),
    ),
  );
  defer(() => registry.dispose());
  registry.setNodes(nodes);
  const options = { limits: { linesPerFile: requests * steps } };
  const found = await searchNodes(registry, nodes, { text: 'step' }, options, signal);
  if (found.missing.length > 0) throw new Error(JSON.stringify(found.missing));

  const misses = found.clocks.map(({ node, clock }) => {
    const truth = clocks[Number(node.slice('node-'.length))]!.ahead * 1000;
    return { off: Math.abs(clock.offsetMs - truth), errorMs: clock.errorMs };
  });
  const areMeasured =
    misses.length === clocks.length &&
    misses.every(({ off, errorMs }) => off <= errorMs + toleranceMs);
  const unsure = found.entries.filter(({ errorMs }) => errorMs === undefined).length;
  const inversions = countInversions(found.entries.map(({ raw }) => raw));
  const worst = Math.max(...misses.map(({ off }) => off));
  return {
    ok:
      areMeasured && unsure === 0 && inversions === 0 && found.entries.length === requests * steps,
    figure:
      `clocks measured within ${worst.toFixed(1)} ms (told: ±${Math.max(...misses.map(({ errorMs }) => errorMs)).toFixed(1)} ms ` +
      `at most); ${found.entries.length}/${requests * steps} entries, ${unsure} without their uncertainty, ` +
      `${inversions} causal inversions`,
  };
}

/** Each request goes from node to node; each node writes its own time. */
async function writeLogs(files: readonly string[], random: () => number): Promise<void> {
  const startedAt = Date.now() - 60_000;
  const lines = files.map((): { readonly at: number; readonly text: string }[] => []);
  for (let request = 0; request < requests; request++) {
    let at = startedAt + Math.floor(random() * 30_000);
    for (let step = 0; step < steps; step++) {
      const index = Math.floor(random() * files.length);
      const time = new Date(at + clocks[index]!.ahead * 1000).toISOString();
      const entry = JSON.stringify({ time, level: 'info', msg: `request ${request} step ${step}` });
      lines[index]!.push({ at, text: `${entry}\n` });
      at += stepMs;
    }
  }
  for (const [index, file] of files.entries()) {
    const sorted = lines[index]!.sort((a, b) => a.at - b.at);
    await writeFile(file, sorted.map(({ text }) => text).join(''));
  }
}

/** Steps that stand before the step that caused them. */
function countInversions(entries: readonly string[]): number {
  const latest = new Map<string, number>();
  let inversions = 0;
  for (const raw of entries) {
    const [, request = '', step = ''] = /request (\d+) step (\d+)/.exec(raw) ?? [];
    const before = latest.get(request) ?? -1;
    if (Number(step) < before) inversions++;
    latest.set(request, Math.max(before, Number(step)));
  }
  return inversions;
}

/** Numbers in [0, 1), the same for the same seed (mulberry32). */
function seededRandom(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
