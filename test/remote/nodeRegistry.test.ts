import assert from 'node:assert/strict';
import test from 'node:test';
import { UserError } from '../../src/base/errors.ts';
import { LocalShell } from '../../src/remote/localShell.ts';
import type { Node } from '../../src/remote/node.ts';
import { backoffMs, type ConnectNode } from '../../src/remote/nodeLink.ts';
import { NodeRegistry, type RegistryOptions } from '../../src/remote/nodeRegistry.ts';
import { eventually } from '../fakes/eventually.ts';
import { LosableShell } from '../fakes/losableShell.ts';

const node = (name: string, host = name): Node => ({
  name,
  host,
  labels: [],
  logs: [],
  origin: 'settings',
});

interface TestRegistry {
  registry: NodeRegistry;
  states: string[];
}

function registryOf(connect: ConnectNode, options: RegistryOptions = {}): TestRegistry {
  const registry = new NodeRegistry(connect, options);
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

test('a connection that was closed in order is offline; the next use connects anew', async () => {
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
  assert.deepEqual(await registry.clock(a!), clock);
  assert.deepEqual(registry.clockNow(a!), clock);
  registry.dispose();
});

test('a connected node is asked who keeps its clock, and in which zone it lives', async () => {
  const env = { ...process.env, TZ: 'Asia/Kathmandu' };
  const { registry } = registryOf(() => Promise.resolve(new LocalShell({ env })), {
    keepsClocks: true,
  });
  const [a] = registry.nodes;
  await registry.shell(a!);
  await eventually(() => assert.equal(registry.clockNow(a!)?.facts?.zone?.offsetMinutes, 345));
  const state = registry.state(a!);
  assert.deepEqual(state.kind === 'ready' && state.clock, registry.clockNow(a!));
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

const lost = new UserError('node.connectionLost', 'The connection to a was lost.');
const down = new UserError('node.refused', 'a refused the connection.');

test('a lost connection comes back by itself, asks nobody, and says when it tries again', async () => {
  const shells: LosableShell[] = [];
  const attempts: boolean[] = [];
  const { registry, states } = registryOf(
    (_node, _signal, { isBackground }) => {
      attempts.push(isBackground);
      if (attempts.length === 2) return Promise.reject(down);
      const shell = new LosableShell();
      shells.push(shell);
      return Promise.resolve(shell);
    },
    { random: () => 0.01 },
  );
  const [a] = registry.nodes;
  await registry.shell(a!);
  const before = Date.now();
  shells[0]!.lose(lost);
  const state = registry.state(a!);
  assert.ok(state.kind === 'waiting' && state.retryAt >= before + 20, JSON.stringify(state));
  assert.equal(state.kind === 'waiting' ? state.failure.message : '', lost.message);
  await eventually(() => assert.equal(registry.state(a!).kind === 'ready' && shells.length, 2));
  assert.deepEqual(attempts, [false, true, true]);
  assert.deepEqual(
    states.filter((kind, index) => kind !== states[index - 1]),
    ['connecting', 'ready', 'waiting', 'connecting', 'waiting', 'connecting', 'ready'],
  );
  registry.dispose();
});

for (const code of ['node.authRefused', 'node.hostKeyChanged', 'node.hostKeyUnknown']) {
  test(`nothing is tried again after ${code}`, async () => {
    let attempts = 0;
    const shell = new LosableShell();
    const { registry } = registryOf(
      () => {
        attempts++;
        return attempts === 1 ? Promise.resolve(shell) : Promise.reject(new UserError(code, 'No.'));
      },
      { random: () => 0 },
    );
    const [a] = registry.nodes;
    await registry.shell(a!);
    shell.lose(lost);
    await eventually(() => assert.equal(registry.state(a!).kind, 'failed'));
    await new Promise((resolve) => setTimeout(resolve, 60));
    assert.equal(attempts, 2);
    registry.dispose();
  });
}

test('a first connection that fails is not tried again by itself', async () => {
  let attempts = 0;
  const { registry } = registryOf(
    () => {
      attempts++;
      return Promise.reject(down);
    },
    { random: () => 0 },
  );
  await assert.rejects(registry.shell(registry.nodes[0]!), { code: 'node.refused' });
  await new Promise((resolve) => setTimeout(resolve, 60));
  assert.equal(attempts, 1);
  registry.dispose();
});

test('a use while it waits tries at once, with somebody to ask, and goes on waiting when it fails', async () => {
  const shell = new LosableShell();
  const attempts: boolean[] = [];
  const { registry } = registryOf(
    (_node, _signal, { isBackground }) => {
      attempts.push(isBackground);
      return attempts.length === 1 ? Promise.resolve(shell) : Promise.reject(down);
    },
    { random: () => 0.9 },
  );
  const [a] = registry.nodes;
  await registry.shell(a!);
  shell.lose(lost);
  await assert.rejects(registry.shell(a!), { code: 'node.refused' });
  assert.deepEqual(attempts, [false, false]);
  const state = registry.state(a!);
  assert.equal(state.kind === 'waiting' ? state.attempts : -1, 1);
  registry.disconnect(a!);
  assert.equal(registry.state(a!).kind, 'offline');
  registry.dispose();
});

test('what could not be asked in the background is asked when somebody comes', async () => {
  const shell = new LosableShell();
  const attempts: boolean[] = [];
  let refuse: ((error: Error) => void) | undefined;
  const { registry } = registryOf(
    (_node, _signal, { isBackground }) => {
      attempts.push(isBackground);
      if (attempts.length === 1) return Promise.resolve(shell);
      if (isBackground) return new Promise((_resolve, reject) => (refuse = reject));
      return Promise.resolve(new LosableShell());
    },
    { random: () => 0 },
  );
  const [a] = registry.nodes;
  await registry.shell(a!);
  shell.lose(lost);
  await eventually(() => assert.ok(refuse));
  const wanted = registry.shell(a!);
  refuse!(new UserError('node.authRefused', 'The key is locked.'));
  assert.ok(await wanted);
  assert.deepEqual(attempts, [false, true, false]);
  registry.dispose();
});

test('after a sleep what is dead is noticed, and what waits is tried', async () => {
  const shells: LosableShell[] = [];
  const { registry } = registryOf(
    () => {
      const shell = new LosableShell();
      shells.push(shell);
      return Promise.resolve(shell);
    },
    { random: () => 0 },
  );
  const [a] = registry.nodes;
  await registry.shell(a!);
  shells[0]!.isDead = true;
  await registry.wake();
  await eventually(() => assert.equal(registry.state(a!).kind === 'ready' && shells.length, 2));
  registry.dispose();
});

test('a connection that nobody uses is closed; one with a channel in use never is', async () => {
  const shells: LosableShell[] = [];
  const { registry } = registryOf(
    () => {
      const shell = new LosableShell();
      shell.channelsInUse = shells.length;
      shells.push(shell);
      return Promise.resolve(shell);
    },
    { idleMs: 40 },
  );
  registry.setNodes([node('a'), node('b')]);
  const [a, b] = registry.nodes;
  await registry.shell(a!);
  await registry.shell(b!);
  await eventually(() => assert.equal(registry.state(a!).kind, 'offline'));
  await new Promise((resolve) => setTimeout(resolve, 100));
  assert.equal(registry.state(b!).kind, 'ready');
  registry.dispose();
});

test('the backoff is full jitter: anything up to a bound that doubles and then stays', () => {
  const bounds = [0, 1, 2, 3, 4, 5, 9].map((attempts) => backoffMs(attempts, () => 0.999_999));
  assert.deepEqual(
    bounds.map((bound) => Math.round(bound / 1000)),
    [2, 4, 8, 16, 32, 60, 60],
  );
  assert.equal(
    backoffMs(3, () => 0),
    0,
  );
});
