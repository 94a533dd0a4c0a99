import assert from 'node:assert/strict';
import test from 'node:test';
import { UserError } from '../../src/base/errors.ts';
import { LocalShell } from '../../src/remote/localShell.ts';
import type { Node } from '../../src/remote/node.ts';
import { NodeRegistry } from '../../src/remote/nodeRegistry.ts';
import type { Shell } from '../../src/remote/shell.ts';

const node = (name: string, host = name): Node => ({
  name,
  host,
  labels: [],
  logs: [],
  origin: 'settings',
});

function registryOf(connect: () => Promise<Shell>): { registry: NodeRegistry; states: string[] } {
  const registry = new NodeRegistry(connect);
  registry.setNodes([node('a')]);
  const states: string[] = [];
  registry.onDidChange((changed) => states.push(registry.state(changed).kind));
  return { registry, states };
}

test('everybody shares one connection to a node', async () => {
  let connections = 0;
  const { registry, states } = registryOf(() => {
    connections++;
    return Promise.resolve(new LocalShell());
  });
  const [a] = registry.nodes;
  const shells = await Promise.all([registry.shell(a!), registry.shell(a!)]);
  assert.equal(shells[0], shells[1]);
  assert.equal(connections, 1);
  assert.deepEqual(states, ['connecting', 'ready']);
  registry.dispose();
});

test('a failure is kept as the state with its reason, and the next use tries again', async () => {
  let attempts = 0;
  const { registry, states } = registryOf(() => {
    attempts++;
    return attempts === 1
      ? Promise.reject(new UserError('node.refused', 'a refused.', { hint: 'Start sshd.' }))
      : Promise.resolve(new LocalShell());
  });
  const [a] = registry.nodes;
  await assert.rejects(registry.shell(a!), { code: 'node.refused' });
  assert.deepEqual(registry.state(a!), {
    kind: 'failed',
    failure: { code: 'node.refused', message: 'a refused.', hint: 'Start sshd.' },
  });
  await registry.shell(a!);
  assert.deepEqual(states, ['connecting', 'failed', 'connecting', 'ready']);
  registry.dispose();
});

test('a lost connection is a failure with a reason; the next use connects anew', async () => {
  const shells: LocalShell[] = [];
  const { registry } = registryOf(() => {
    const shell = new LocalShell();
    shells.push(shell);
    return Promise.resolve(shell);
  });
  const [a] = registry.nodes;
  await registry.shell(a!);
  shells[0]!.dispose();
  assert.equal(registry.state(a!).kind, 'offline');
  assert.notEqual(await registry.shell(a!), shells[0]);
  registry.dispose();
});

test('the clock is measured over the connection and shown with the state', async () => {
  const { registry } = registryOf(() => Promise.resolve(new LocalShell()));
  const [a] = registry.nodes;
  const clock = await registry.clock(a!);
  assert.ok(Math.abs(clock.offsetMs) <= clock.errorMs + 5);
  assert.deepEqual(registry.state(a!), { kind: 'ready', clock });
  assert.equal(await registry.clock(a!), clock);
  registry.dispose();
});

test('nodes that are gone or reached differently are disconnected', async () => {
  const { registry } = registryOf(() => Promise.resolve(new LocalShell()));
  const [a] = registry.nodes;
  const shell = await registry.shell(a!);
  const closed = new Promise((resolve) => shell.onDidClose(resolve));
  registry.setNodes([node('a', 'elsewhere'), node('b')]);
  await closed;
  assert.equal(registry.state(registry.nodes[0]!).kind, 'offline');
  registry.dispose();
});

test('whoever gives up waiting does not end the connection for others', async () => {
  const { registry } = registryOf(
    () => new Promise((resolve) => setTimeout(() => resolve(new LocalShell()), 50)),
  );
  const [a] = registry.nodes;
  const impatient = registry.shell(a!, AbortSignal.timeout(5));
  const patient = registry.shell(a!);
  await assert.rejects(impatient, { name: 'TimeoutError' });
  assert.ok(await patient);
  registry.dispose();
});
