// A followed node whose connection is lost: what is shown of it, and what brings it back.

import assert from 'node:assert/strict';
import { appendFileSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { after, type TestContext } from 'node:test';
import { UserError } from '../../src/base/errors.ts';
import { LiveLog, type LiveItem, type LiveNode } from '../../src/log/liveLog.ts';
import type { Node } from '../../src/remote/node.ts';
import { NodeRegistry } from '../../src/remote/nodeRegistry.ts';
import { connectionLost } from '../../src/remote/sshFailures.ts';
import { eventually } from '../fakes/eventually.ts';
import { LosableShell } from '../fakes/losableShell.ts';

const root = mkdtempSync(join(tmpdir(), 'faultline-live-'));
after(() => rmSync(root, { recursive: true, force: true }));

interface Live {
  readonly live: LiveLog;
  readonly registry: NodeRegistry;
  readonly node: Node;
  readonly path: string;
  readonly states: string[];
  readonly texts: string[];
  /** Whether each attempt to connect was made in the background. */
  readonly attempts: boolean[];
  readonly state: () => LiveNode;
  readonly lose: () => void;
}

interface LiveOptions {
  /** Of the time that the registry waits at most. */
  readonly backoff?: number;
  /** Fails the attempts after the first. */
  readonly failure?: (isBackground: boolean) => Error | undefined;
}

async function follow(
  t: TestContext,
  { backoff = 0.05, failure = () => undefined }: LiveOptions = {},
): Promise<Live> {
  const path = join(mkdtempSync(join(root, 'n-')), 'app.log');
  writeFileSync(path, '');
  const shells: LosableShell[] = [];
  const attempts: boolean[] = [];
  const registry = new NodeRegistry(
    async (_node, _signal, { isBackground }) => {
      attempts.push(isBackground);
      const error = attempts.length === 1 ? undefined : failure(isBackground);
      if (error !== undefined) throw error;
      const shell = new LosableShell();
      shells.push(shell);
      return shell;
    },
    { random: () => backoff },
  );
  const node: Node = { name: 'n', host: 'n', labels: [], logs: [path], origin: 'settings' };
  registry.setNodes([node]);
  const live = new LiveLog(registry, { holdMs: 150 });
  t.after(async () => {
    await live.stopAll();
    live.dispose();
    registry.dispose();
  });
  const states: string[] = [];
  const texts: string[] = [];
  live.onDidChangeNode(({ state }) => {
    if (states.at(-1) !== state) states.push(state);
  });
  const textOf = (item: LiveItem): string =>
    item.kind === 'entry' ? item.entry.raw : `${item.kind}: ${item.reason}`;
  live.onDidAdd((items) => texts.push(...items.map(textOf)));
  live.start(node);
  await eventually(() => assert.equal(states.at(-1), 'following'), 10_000);
  return {
    live,
    registry,
    node,
    path,
    states,
    texts,
    attempts,
    state: () => live.nodes[0]!,
    lose: () => shells.at(-1)!.lose(connectionLost('n')),
  };
}

test('a lost connection is waited for, then following goes on, with a mark between', async (t) => {
  const { path, states, texts, attempts, state, lose } = await follow(t);
  appendFileSync(path, 'one\ntwo, to its ');
  await eventually(() => assert.deepEqual(texts, ['one']));
  lose();
  await eventually(() => assert.equal(state().state, 'waiting'));
  assert.equal(state().failure?.message, 'Connection lost: follows again by itself.');
  appendFileSync(path, 'end\nthree\n');
  await eventually(() => assert.equal(texts.length, 4), 10_000);
  assert.deepEqual(texts, [
    'one',
    'resumed: Reconnected after less than a second: nothing was lost.',
    'two, to its end',
    'three',
  ]);
  assert.deepEqual(states, ['starting', 'following', 'waiting', 'starting', 'following']);
  assert.equal(state().failure, undefined);
  assert.deepEqual(attempts, [false, true], 'the registry reconnected, and nobody else');
});

test('a refused login ends it with that reason, and the unfinished is shown', async (t) => {
  const refused = new UserError('node.authRefused', 'n refused the login.', { hint: 'Add a key.' });
  const { path, texts, state, lose } = await follow(t, { failure: () => refused });
  appendFileSync(path, 'one\ntwo, unfinis');
  await eventually(() => assert.deepEqual(texts, ['one']));
  lose();
  await eventually(() => assert.equal(state().state, 'failed'));
  assert.deepEqual(state().failure, {
    code: 'node.authRefused',
    message: 'n refused the login.',
    hint: 'Add a key.',
  });
  assert.deepEqual(texts, ['one', 'two, unfinis']);
});

test('starting by hand waits no longer; where that fails for now, it waits on', async (t) => {
  let isUp = false;
  const down = new UserError('node.refused', 'n refused the connection.');
  const { live, node, path, texts, attempts, state, lose } = await follow(t, {
    backoff: 0.9,
    failure: () => (isUp ? undefined : down),
  });
  lose();
  await eventually(() => assert.equal(state().state, 'waiting'));
  live.start(node);
  await eventually(() => assert.equal(attempts.length, 2));
  await eventually(() => assert.equal(state().state, 'waiting'));
  isUp = true;
  appendFileSync(path, 'meanwhile\n');
  live.start(node);
  await eventually(() => assert.equal(state().state, 'following'));
  assert.deepEqual(attempts, [false, false, false], 'by hand each time');
  await eventually(() => assert.equal(texts.at(-1), 'meanwhile'));
});

test('it is stopped while it waits; a connection that is closed on purpose is not waited for', async (t) => {
  const waiting = await follow(t, { backoff: 0.9 });
  waiting.lose();
  await eventually(() => assert.equal(waiting.state().state, 'waiting'));
  await waiting.live.stop(waiting.node);
  assert.equal(waiting.state().state, 'stopped');

  const closed = await follow(t);
  closed.registry.disconnect(closed.node);
  await eventually(() => assert.equal(closed.state().state, 'failed'));
  assert.equal(closed.state().failure?.code, 'log.followClosed');
  assert.deepEqual(closed.attempts, [false]);
});
