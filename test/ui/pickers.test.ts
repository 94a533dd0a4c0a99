import assert from 'node:assert/strict';
import test, { afterEach } from 'node:test';
import type { Node, NodeAccess } from '../../src/remote/node.ts';
import '../fakes/useVscode.ts';
import { fake, QuickPickItemKind } from '../fakes/vscode.ts';

const { pickNode, pickNodes } = await import('../../src/ui/pickers.ts');

afterEach(() => fake.reset());

function accessOf(...nodes: Node[]): NodeAccess {
  const access: Pick<NodeAccess, 'nodes' | 'state'> = { nodes, state: () => ({ kind: 'offline' }) };
  return access as NodeAccess;
}

const node = (name: string, labels: string[] = [], group?: string): Node => ({
  name,
  host: name,
  labels,
  logs: [],
  origin: 'settings',
  ...(group === undefined ? {} : { group }),
});

test('nodes are offered under their groups, with state and labels', async () => {
  const access = accessOf(node('a', ['production'], 'web'), node('b'), node('c', [], 'web'));
  fake.pick = () => 'c';
  assert.equal(await pickNode(access, 'Choose'), access.nodes[2]);
  assert.deepEqual(
    fake.offered.map(({ label, description, kind }) =>
      kind === QuickPickItemKind.Separator ? `-- ${label}` : `${label} | ${description}`,
    ),
    ['b | not connected', '-- web', 'a | not connected · production', 'c | not connected'],
  );
});

test('several can be chosen, and those excepted are not offered', async () => {
  const access = accessOf(node('a'), node('b'));
  fake.pick = () => 'b';
  assert.deepEqual(await pickNodes(access, 'Choose'), [access.nodes[1]]);
  await pickNode(access, 'Choose', [access.nodes[0]!]);
  assert.deepEqual(
    fake.offered.map(({ label }) => label),
    ['b'],
  );
});

test('choosing none is cancelling', async () => {
  assert.equal(await pickNodes(accessOf(node('a')), 'Choose'), undefined);
  assert.equal(await pickNode(accessOf(node('a')), 'Choose'), undefined);
});

test('without nodes the next step is said', async () => {
  await assert.rejects(pickNode(accessOf(), 'Choose'), { code: 'node.none' });
});
