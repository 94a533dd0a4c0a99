// A connection that is harmed on the way; `npm run soak` does it at hundreds of offsets.

import assert from 'node:assert/strict';
import test from 'node:test';
import { startChaosNode, streamLines } from '../soak/chaosNode.ts';
import { eventually } from '../fakes/eventually.ts';

test('R-08: a flipped bit never gets through, also in the last moment of connecting', async () => {
  await using chaos = await startChaosNode();
  const { proxy, registry, node } = chaos;
  await registry.shell(node);
  const bytesToConnect = proxy.delivered;
  for (const back of [240, 200, 160, 120, 80, 60, 40, 20, 0, -200, -2_000, -20_000]) {
    registry.disconnect(node);
    proxy.chaos = { flipAt: bytesToConnect - back };
    const { arrived, wrong } = await registry
      .shell(node)
      .then((shell) => streamLines(shell, 2_000))
      .catch(() => ({ arrived: 0, wrong: 0 }));
    assert.ok(arrived < 2_000 && wrong === 0, `${back}: ${arrived} arrived, ${wrong} wrong`);
    proxy.chaos = {};
    await eventually(async () => {
      const shell = await registry.shell(node);
      assert.deepEqual(await streamLines(shell, 10), { arrived: 10, wrong: 0 });
    }, 10_000);
  }
});
