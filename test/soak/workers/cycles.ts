// R-14's process: connects, runs a command and disconnects, again and again, and sends what it holds meanwhile.
// Arguments: ssh configuration, cycles, cycles between two messages.

import { getEventListeners } from 'node:events';
import { readdirSync } from 'node:fs';
import { eventually } from '../../fakes/eventually.ts';
import { sshConnector } from '../../../src/remote/connect.ts';
import type { Node } from '../../../src/remote/node.ts';
import { NodeRegistry } from '../../../src/remote/nodeRegistry.ts';

/** What a process holds once everything is disconnected. */
export interface Holdings {
  readonly cycles: number;
  readonly fds: number;
  /** Of the process, of an AbortSignal that all cycles share, and whatever keeps the process alive. */
  readonly listeners: number;
  readonly rssBytes: number;
}

const [configFile = '', cycles = '', every = ''] = process.argv.slice(2);
const registry = new NodeRegistry(
  sshConnector(
    () => ({ configFile }),
    () => ({}),
  ),
);
const node: Node = { name: 'node', host: 'node', labels: [], logs: [], origin: 'settings' };
registry.setNodes([node]);
const { signal } = new AbortController();

for (let cycle = 1; cycle <= Number(cycles); cycle++) {
  const shell = await registry.shell(node, signal);
  await shell.exec({ script: 'echo here' }, {}, signal);
  registry.disconnect(node);
  if (cycle % Number(every) === 0) process.send?.(await holdings(cycle));
}
registry.dispose();
process.disconnect();

async function holdings(cycle: number): Promise<Holdings> {
  // The farewell takes a moment; then only the sockets to the parent and the like are left.
  let fds = openFds();
  await eventually(() => {
    const now = openFds();
    const isStill = now === fds;
    fds = now;
    if (!isStill) throw new Error('still closing');
  });
  await new Promise((resolve) => setTimeout(resolve, 1_000));
  gc?.();
  const ofProcess = process.eventNames().map((name) => process.listenerCount(name));
  return {
    cycles: cycle,
    fds: openFds(),
    listeners:
      ofProcess.reduce((sum, count) => sum + count, 0) +
      getEventListeners(signal, 'abort').length +
      process.getActiveResourcesInfo().length,
    rssBytes: process.memoryUsage.rss(),
  };
}

function openFds(): number {
  return readdirSync('/proc/self/fd').length;
}
