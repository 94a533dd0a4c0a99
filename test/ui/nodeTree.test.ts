import assert from 'node:assert/strict';
import test, { afterEach, beforeEach, mock } from 'node:test';
import { Emitter } from '../../src/base/emitter.ts';
import { ConnectionReport } from '../../src/remote/connectionReport.ts';
import type { ClockOffset, Node, NodeState } from '../../src/remote/node.ts';
import type { NodeRow, NodeTree as Tree } from '../../src/ui/nodeTree.ts';
import '../fakes/useVscode.ts';
import { fake, Uri, type FakeTreeView, type TreeItem } from '../fakes/vscode.ts';

const { NodeTree } = await import('../../src/ui/nodeTree.ts');

function node(name: string, change: Partial<Node> = {}): Node {
  return { name, host: name, labels: [], logs: [], origin: 'settings', ...change };
}

const failure = { code: 'node.refused', message: 'It refused.', hint: 'Start sshd.' };

/** A set of nodes whose states a test sets. */
class Source {
  nodes: readonly Node[];
  readonly states = new Map<string, NodeState>();
  readonly reports = new Map<string, ConnectionReport>();
  private readonly changed = new Emitter<Node>();
  private readonly nodesChanged = new Emitter<void>();
  readonly onDidChange = this.changed.event;
  readonly onDidChangeNodes = this.nodesChanged.event;

  constructor(nodes: readonly Node[]) {
    this.nodes = nodes;
  }
  state(of: Node): NodeState {
    return this.states.get(of.name) ?? { kind: 'offline' };
  }
  report(of: Node): ConnectionReport | undefined {
    return this.reports.get(of.name);
  }
  set(name: string, state: NodeState): void {
    this.states.set(name, state);
    this.changed.fire(this.nodes.find((known) => known.name === name)!);
  }
  replace(nodes: readonly Node[]): void {
    this.nodes = nodes;
    this.nodesChanged.fire();
  }
}

class Memory {
  readonly values = new Map<string, unknown>();
  get<T>(key: string): T | undefined {
    return this.values.get(key) as T | undefined;
  }
  update(key: string, value: unknown): Promise<void> {
    this.values.set(key, value);
    return Promise.resolve();
  }
}

interface Shown {
  readonly tree: Tree;
  readonly view: FakeTreeView;
  /** What was asked to be refreshed, `all` or names and group titles. */
  readonly refreshed: string[];
}

const opened: { dispose(): unknown }[] = [];

function show(source: Source, memory?: Memory): Shown {
  const tree = new NodeTree(source, memory);
  opened.push(tree.register());
  const refreshed: string[] = [];
  tree.onDidChangeTreeData((rows) => {
    refreshed.push(rows === undefined ? 'all' : rows.map(titleOf).join(' '));
  });
  tree.getChildren();
  return { tree, view: fake.views.get('faultline.nodes')!, refreshed };
}

function titleOf(row: NodeRow): string {
  return 'title' in row ? row.title : row.name;
}

function item(tree: Tree, row: NodeRow): TreeItem & Record<string, unknown> {
  return tree.getTreeItem(row) as unknown as TreeItem & Record<string, unknown>;
}

/** The tree as lines, as a person reads it. */
function drawn(tree: Tree): string[] {
  return tree.getChildren().flatMap((row) => {
    const { label, description } = item(tree, row);
    const children = tree.getChildren(row).map((child) => `  ${titleOf(child)}`);
    return [`${label} | ${String(description)}`, ...children];
  });
}

beforeEach(() =>
  mock.timers.enable({ apis: ['setTimeout', 'setInterval', 'Date'], now: 1_000_000 }),
);
afterEach(() => {
  for (const each of opened.splice(0)) each.dispose();
  mock.timers.reset();
  fake.reset();
});

const states: readonly [NodeState, string, string, string, string][] = [
  [{ kind: 'offline' }, 'blue', 'circle-outline', 'node.offline', 'a, not connected, blue'],
  [
    { kind: 'connecting' },
    'connecting…',
    'loading~spin',
    'node.connecting',
    'a, connecting, connecting…',
  ],
  [
    { kind: 'connecting', step: 'Log in as me' },
    'connecting: Log in as me…',
    'loading~spin',
    'node.connecting',
    'a, connecting, connecting: Log in as me…',
  ],
  [{ kind: 'ready', clock: undefined }, 'ready', 'vm-active', 'node.ready', 'a, ready, ready'],
  [
    { kind: 'waiting', failure, retryAt: 1_012_000, attempts: 2 },
    'lost · again in 12 s',
    'watch',
    'node.waiting',
    'a, waiting, lost · again in 12 s',
  ],
  [
    { kind: 'failed', failure },
    'connection refused · It refused.',
    'error',
    'node.failed',
    'a, failed, connection refused · It refused.',
  ],
];
for (const [state, description, icon, context, spoken] of states) {
  test(`state ${context}: ${description}`, () => {
    const source = new Source([node('a', { labels: ['blue'] })]);
    source.set('a', state);
    const shown = item(show(source).tree, source.nodes[0]!);
    assert.equal(shown['description'], description);
    assert.equal((shown['iconPath'] as { id: string }).id, icon);
    assert.equal(shown['contextValue'], context);
    assert.deepEqual(shown['accessibilityInformation'], { label: spoken });
  });
}

test('a production node says so in words, in every state, and by a badge', () => {
  const source = new Source([node('a', { labels: ['production'] }), node('b')]);
  const { tree } = show(source);
  for (const [state, description] of [
    [{ kind: 'offline' }, 'production'],
    [{ kind: 'ready', clock: undefined }, 'production · ready'],
    [{ kind: 'failed', failure }, 'production · connection refused · It refused.'],
  ] as const) {
    source.set('a', state);
    assert.equal(item(tree, source.nodes[0]!)['description'], description);
  }
  const badgeOf = (uri: Uri): unknown => fake.decorations[0]!.provideFileDecoration(uri);
  const uriOf = (row: Node): Uri => item(tree, row)['resourceUri'] as Uri;
  assert.equal((badgeOf(uriOf(source.nodes[0]!)) as { badge: string }).badge, 'P');
  assert.equal(badgeOf(uriOf(source.nodes[1]!)), undefined);
  assert.equal(badgeOf(Uri.from({ scheme: 'file', path: '/a' })), undefined);
});

test('the tooltip tells the reason, the next step, and what is not supported, as text', () => {
  const source = new Source([node('a', { group: 'web*', host: 'h', labels: ['blue'] })]);
  source.set('a', { kind: 'waiting', failure, retryAt: 0, attempts: 3 });
  const report = new ConnectionReport();
  report.note('Not supported', 'BindAddress (~/.ssh/config:3)');
  source.reports.set('a', report);
  const { tree } = show(source);
  assert.equal(item(tree, source.nodes[0]!)['tooltip'], undefined);
  const { tooltip } = tree.resolveTreeItem(tree.getTreeItem(source.nodes[0]!), source.nodes[0]!);
  assert.deepEqual((tooltip as { value: string }).value.split('\n\n'), [
    'a · waiting',
    'It refused.',
    'Start sshd.',
    'Tried 3 times since it was lost',
    'Host: h',
    'Group: web\\*',
    'Labels: blue',
    'From the settings',
    'Not supported of its configuration: BindAddress \\(\\~/.ssh/config:3\\)',
    '',
  ]);
});

test('groups have counts, keep being collapsed, and are the parents of their nodes', () => {
  const source = new Source([
    node('a', { group: 'web' }),
    node('b', { group: 'web' }),
    node('c', { group: 'db' }),
    node('d'),
  ]);
  source.set('a', { kind: 'ready', clock: undefined });
  source.set('b', { kind: 'failed', failure });
  const memory = new Memory();
  const { tree, view } = show(source, memory);
  assert.deepEqual(drawn(tree), [
    'd | ',
    'web | 1 of 2 ready · 1 failed',
    '  a',
    '  b',
    'db | 0 of 1 ready',
    '  c',
  ]);
  const [, web] = tree.getChildren();
  assert.equal(tree.getParent(source.nodes[0]!), web);
  assert.equal(tree.getParent(source.nodes[3]!), undefined);
  assert.equal(tree.getParent(web!), undefined);
  assert.equal(item(tree, web!)['collapsibleState'], 2);
  assert.equal(item(tree, web!)['contextValue'], 'nodeGroup');
  view.collapsed.fire({ element: web });
  assert.equal(item(tree, web!)['collapsibleState'], 1);
  assert.deepEqual(memory.get('nodes.collapsed'), ['group:web']);
  const next = show(source, memory).tree;
  assert.equal(item(next, next.getChildren()[1]!)['collapsibleState'], 1);
});

test('the grouping is chosen, kept, and known to menus', async () => {
  const source = new Source([node('a', { labels: ['production'] }), node('b')]);
  const memory = new Memory();
  const { tree, refreshed } = show(source, memory);
  assert.equal(fake.contexts.get('faultline.nodes.grouping'), 'group');
  fake.pick = (labels) => labels.find((label) => label === 'By State');
  await tree.commands()['groupNodes']!();
  assert.deepEqual(refreshed, ['all']);
  assert.deepEqual(drawn(tree), ['not connected | 2 nodes', '  a', '  b']);
  assert.equal(fake.contexts.get('faultline.nodes.grouping'), 'state');
  assert.equal(drawn(show(source, memory).tree)[0], 'not connected | 2 nodes');
});

test('a filter is typed, seen at once, said above the nodes, and cleared', async () => {
  mock.timers.reset();
  const source = new Source([node('web-1', { labels: ['blue'] }), node('web-2'), node('db')]);
  source.set('web-2', { kind: 'failed', failure });
  const { tree, view } = show(source);
  fake.inputs = [
    (input) => {
      input.type('web');
      assert.deepEqual(drawn(tree).length, 2);
      assert.match(input.items[0]!.label, /Show 2 of 3 nodes/);
      input.choose(/state:failed/);
      assert.equal(input.value, 'state:failed ');
      input.type('web state:failed');
      input.choose(/Show 1 of 3/);
    },
  ];
  await tree.commands()['filterNodes']!();
  assert.deepEqual(drawn(tree), ['web-2 | connection refused · It refused.']);
  assert.equal(view.message, '1 of 3 nodes: web state:failed');
  assert.equal(fake.contexts.get('faultline.nodes.filtered'), true);
  fake.inputs = [
    (input) => {
      input.type('nothing');
      assert.deepEqual(drawn(tree), []);
      input.hide();
    },
  ];
  await tree.commands()['filterNodes']!();
  assert.equal(drawn(tree).length, 1, 'Escape brings the filter back');
  tree.commands()['clearNodeFilter']!();
  assert.equal(drawn(tree).length, 3);
  assert.equal(view.message, undefined);
  assert.equal(fake.contexts.get('faultline.nodes.filtered'), false);
});

test('a hidden node is shown when it is revealed', async () => {
  const source = new Source([node('a'), node('b')]);
  const { tree, view } = show(source);
  tree.setFilter('b');
  await tree.reveal(source.nodes[0]!);
  assert.deepEqual(view.revealed, [source.nodes[0]]);
  assert.equal(drawn(tree).length, 2);
});

test('changes of many nodes are one refresh, of the changed nodes or of everything', () => {
  const source = new Source(Array.from({ length: 200 }, (_, i) => node(`n${i}`, { group: 'g' })));
  const { refreshed } = show(source);
  for (const name of ['n1', 'n2', 'n1']) source.set(name, { kind: 'connecting' });
  assert.deepEqual(refreshed, []);
  mock.timers.tick(100);
  assert.deepEqual(refreshed, ['n1 n2']);
  mock.timers.tick(400);
  assert.deepEqual(refreshed, ['n1 n2', 'g']);
  for (let i = 0; i < 51; i++) source.set(`n${i}`, { kind: 'connecting' });
  mock.timers.tick(100);
  assert.deepEqual(refreshed.at(-1), 'all');
});

test('a node that is gone meanwhile is not refreshed', () => {
  const source = new Source([node('a'), node('b')]);
  const { refreshed } = show(source);
  source.set('a', { kind: 'connecting' });
  source.nodes = [source.nodes[1]!];
  mock.timers.tick(100);
  assert.deepEqual(refreshed, []);
  source.replace([]);
  assert.deepEqual(refreshed, ['all']);
});

test('where rows move, everything is refreshed', () => {
  const source = new Source([node('a')]);
  const { tree, refreshed } = show(source);
  tree.setFilter('state:ready');
  source.set('a', { kind: 'ready', clock: undefined });
  mock.timers.tick(100);
  assert.deepEqual(refreshed, ['all', 'all']);
});

test('the badge counts nodes that cannot be used', () => {
  const source = new Source([node('a'), node('b')]);
  const { view } = show(source);
  assert.equal(view.badge, undefined);
  source.set('a', { kind: 'failed', failure });
  source.set('b', { kind: 'failed', failure });
  mock.timers.tick(100);
  assert.deepEqual(view.badge, { value: 2, tooltip: '2 nodes cannot be used' });
  source.set('a', { kind: 'connecting' });
  mock.timers.tick(100);
  assert.deepEqual(view.badge, { value: 1, tooltip: '1 node cannot be used' });
  source.set('b', { kind: 'offline' });
  mock.timers.tick(100);
  assert.equal(view.badge, undefined);
});

test('seconds are counted down while a node waits and somebody can see it, and only then', () => {
  const source = new Source([node('a'), node('b')]);
  const { tree, view, refreshed } = show(source);
  mock.timers.tick(5000);
  assert.deepEqual(refreshed, []);
  source.set('a', { kind: 'waiting', failure, retryAt: Date.now() + 3000, attempts: 0 });
  mock.timers.tick(100);
  const description = (): unknown => item(tree, source.nodes[0]!)['description'];
  assert.equal(description(), 'lost · again in 3 s');
  mock.timers.tick(1000);
  assert.equal(description(), 'lost · again in 2 s');
  assert.deepEqual(refreshed, ['a', 'a']);
  mock.timers.tick(5000);
  assert.equal(description(), 'lost · again now');
  view.visible = false;
  view.visibility.fire({ visible: false });
  refreshed.length = 0;
  mock.timers.tick(5000);
  assert.deepEqual(refreshed, []);
  view.visible = true;
  view.visibility.fire({ visible: true });
  mock.timers.tick(1000);
  assert.deepEqual(refreshed, ['a']);
  source.set('a', { kind: 'failed', failure });
  mock.timers.tick(100);
  refreshed.length = 0;
  mock.timers.tick(5000);
  assert.deepEqual(refreshed, []);
});

test('names and reasons are shown, never interpreted', () => {
  const source = new Source([node('a\u202e\u001b[31m', { labels: ['$(x)\u0007'] })]);
  const { tree } = show(source);
  const shown = item(tree, source.nodes[0]!);
  assert.equal(shown.label, 'a‹U+202E›‹ESC›[31m');
  assert.equal(shown['description'], '$(x)‹BEL›');
});

test('1,000 nodes in 50 groups are drawn within 50 ms', () => {
  mock.timers.reset();
  const nodes = Array.from({ length: 1000 }, (_, i) =>
    node(`node-${i}`, { group: `g${i % 50}`, labels: ['production', `rack-${i % 7}`] }),
  );
  const source = new Source(nodes);
  for (const { name } of nodes) source.states.set(name, { kind: 'failed', failure });
  const { tree } = show(source);
  tree.setFilter('node label:production');
  const draw = (): number => {
    const startedAt = performance.now();
    let rows = 0;
    for (const row of tree.getChildren()) {
      tree.getTreeItem(row);
      for (const child of tree.getChildren(row)) {
        tree.getTreeItem(child);
        tree.getParent(child);
        rows++;
      }
    }
    assert.equal(rows, 1000);
    return performance.now() - startedAt;
  };
  // The best of several: other programs share the machine.
  const best = Math.min(...Array.from({ length: 5 }, draw));
  assert.ok(best < 50, `it took ${best.toFixed(1)} ms`);
});

test('the hover tells all that is known of the clock, with times as the user wants them', () => {
  const web = node('web-1');
  const source = new Source([web]);
  source.set('web-1', {
    kind: 'ready',
    clock: {
      offsetMs: 3500,
      errorMs: 0.2,
      measuredAt: 7,
      facts: {
        sync: { kind: 'chrony', synchronised: false, offsetMs: undefined, detail: 'No _source_.' },
        zone: { offsetMinutes: 60, name: 'Europe/Berlin', abbreviation: 'CET' },
      },
    } as ClockOffset,
  });
  const tree = new NodeTree(source, undefined, (time, { name }) => `t${time} of ${name}`);
  const item = tree.getTreeItem(web);
  assert.equal(item.description, 'clock +3.50 s ± 0.2 ms, not synchronised');
  const hover = (tree.resolveTreeItem(item, web).tooltip as { value: string }).value;
  assert.match(hover, /measured at t7 of web\\-1/);
  assert.match(hover, /Kept by chrony, not synchronised\. No \\_source\\_\./);
  assert.match(hover, /Zone: Europe\/Berlin/);
});
