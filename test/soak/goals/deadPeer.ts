// a node that falls silent is noticed in time, with what Faultline does by default.

import { delay } from '../../../src/base/async.ts';
import { sshConnector } from '../../../src/remote/connect.ts';
import { NodeRegistry } from '../../../src/remote/nodeRegistry.ts';
import { noStartUpFiles, startSshd } from '../../fakes/sshd.ts';
import type { Goal } from '../goal.ts';

/** Three intervals of 15 s, and one second. */
const withinMs = 46_000;

export const goal: Goal = {
  id: 'R-07',
  how: 'the sshd of the session gets SIGSTOP; keepalive as it is by default',
  limitMinutes: 2,
  run: async ({ signal }) => {
    const sshd = await startSshd({ config: noStartUpFiles });
    const configFile = await sshd.config();
    const registry = new NodeRegistry(
      sshConnector(
        () => ({ configFile }),
        () => ({}),
      ),
    );
    registry.setNodes([{ name: 'node', host: 'node', labels: [], logs: [], origin: 'settings' }]);
    const [node] = registry.nodes;
    let stopped: number | undefined;
    try {
      const shell = await registry.shell(node!, signal);
      stopped = Number((await shell.exec({ script: 'echo $PPID' })).stdout.toString());
      process.kill(stopped, 'SIGSTOP');
      const startedAt = performance.now();
      while (registry.state(node!).kind === 'ready' && performance.now() - startedAt < 60_000) {
        await delay(20, signal);
      }
      const tookMs = performance.now() - startedAt;
      const state = registry.state(node!).kind;
      return {
        ok: tookMs <= withinMs && state !== 'ready',
        figure: `a stopped sshd is lost after ${(tookMs / 1000).toFixed(1)} s; the node is then "${state}"`,
      };
    } finally {
      registry.dispose();
      if (stopped !== undefined) process.kill(stopped, 'SIGCONT');
      await sshd.stop();
    }
  },
};
