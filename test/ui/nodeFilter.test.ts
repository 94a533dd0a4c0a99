import assert from 'node:assert/strict';
import test from 'node:test';
import type { Node } from '../../src/remote/node.ts';
import {
  describeCounts,
  describeFilter,
  groupNodes,
  matchesFilter,
  parseFilter,
  suggestFilters,
  type StateKind,
} from '../../src/ui/nodeFilter.ts';

function node(name: string, labels: readonly string[] = [], group?: string): Node {
  const inGroup = group === undefined ? {} : { group };
  return { name, host: `${name}.example`, labels, logs: [], origin: 'settings', ...inGroup };
}

const nodes = [
  node('web-1', ['blue', 'production'], 'web'),
  node('web-2', ['development'], 'web'),
  node('db', ['production'], 'eu west'),
  node('lone'),
];
const states: Readonly<Record<string, StateKind>> = {
  'web-1': 'ready',
  'web-2': 'failed',
  db: 'waiting',
};
const stateOf = ({ name }: Node): StateKind => states[name] ?? 'offline';

const filters: readonly [string, readonly string[]][] = [
  ['web', ['web-1', 'web-2']],
  ['WEB -2', ['web-2']],
  ['example', ['web-1', 'web-2', 'db', 'lone']],
  ['label:production', ['web-1', 'db']],
  ['Label:Production web', ['web-1']],
  ['label:production label:development', ['web-1', 'web-2', 'db']],
  ['state:failed', ['web-2']],
  ['state:failed state:waiting', ['web-2', 'db']],
  ['state:not', ['lone']],
  ['state:off', ['lone']],
  ['state:nonsense', []],
  ['group:"eu west"', ['db']],
  ['group:"eu west', ['db']],
  ['group:web label:blue', ['web-1']],
  ['prod', ['web-1', 'db']],
  ['.*', []],
  ['web label:', ['web-1', 'web-2']],
  ['label: web', ['web-1', 'web-2']],
  ['state:', ['web-1', 'web-2', 'db', 'lone']],
];
for (const [text, expected] of filters) {
  test(`filter ${text}`, () => {
    const filter = parseFilter(text);
    const found = nodes.filter(
      (each) => filter === undefined || matchesFilter(each, stateOf(each), filter),
    );
    assert.deepEqual(
      found.map(({ name }) => name),
      expected,
    );
  });
}

test('a text that asks for nothing is no filter', () => {
  for (const text of ['', '  ', '""']) assert.equal(parseFilter(text), undefined);
});

test('what nodes have is suggested, with counts', () => {
  const suggested = suggestFilters(nodes, stateOf).map(({ token, count }) => `${token} ${count}`);
  assert.deepEqual(suggested, [
    'state:failed 1',
    'state:waiting 1',
    'state:ready 1',
    'state:not-connected 1',
    'group:"eu west" 1',
    'group:web 2',
    'label:blue 1',
    'label:development 1',
    'label:production 2',
  ]);
});

const titles = (grouping: 'none' | 'group' | 'label' | 'state'): string[] => {
  const { groups, others } = groupNodes(nodes, grouping, stateOf);
  return [
    ...groups.map((group) => `${group.title}: ${group.nodes.map(({ name }) => name).join(' ')}`),
    others.map(({ name }) => name).join(' '),
  ];
};

test('groups', () => {
  assert.deepEqual(titles('none'), ['web-1 web-2 db lone']);
  assert.deepEqual(titles('group'), ['web: web-1 web-2', 'eu west: db', 'lone']);
  assert.deepEqual(titles('label'), ['production: web-1 db', 'development: web-2', 'lone']);
  assert.deepEqual(titles('state'), [
    'failed: web-2',
    'waiting: db',
    'ready: web-1',
    'not connected: lone',
    '',
  ]);
});

test('counts', () => {
  assert.equal(describeCounts(['ready', 'failed', 'failed', 'offline']), '1 of 4 ready · 2 failed');
  assert.equal(describeCounts([]), '0 of 0 ready');
  assert.equal(describeFilter(' web ', 2, 10), '2 of 10 nodes: web');
});
