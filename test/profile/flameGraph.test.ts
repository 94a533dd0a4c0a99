import assert from 'node:assert/strict';
import test from 'node:test';
import fc from 'fast-check';
import {
  boxCount,
  buildFlameGraph,
  firstChild,
  hotLine,
  levelCount,
  levelOf,
  pathTo,
  type FlameGraph,
} from '../../src/profile/flameGraph.ts';
import { childrenOf, weighFunctions } from '../../src/profile/functions.ts';
import { ProfileBuilder, type Profile } from '../../src/profile/profile.ts';
import { drawGraph, drawProfile, plainMeta } from './columns.ts';

const shop = drawProfile(`
  main main main main  main
  run  run  run  poll  run
  sum  tax  sum  .     sum
  cpu  1 1 1 0 1
`);

test('stacks are merged, the heaviest child stands on the left', () => {
  const graph = buildFlameGraph(shop, { kind: 'wall' });
  assert.equal(
    drawGraph(graph, shop),
    ['all 5/0', 'main 5/0', 'run 4/0 | poll 1/1', 'sum 3/3 | tax 1/1'].join('\n'),
  );
  const sum = graph.levelStarts[3]!;
  assert.deepEqual([graph.lefts[sum], graph.rights[sum]], [0, 3 / 5]);
  assert.deepEqual([graph.lefts[sum + 1], graph.rights[sum + 1]], [3 / 5, 4 / 5]);
});

test('what was never on a processor is not in the cpu graph', () => {
  const graph = buildFlameGraph(shop, { kind: 'cpu' });
  assert.equal(
    drawGraph(graph, shop),
    ['all 4/0', 'main 4/0', 'run 4/0', 'sum 3/3 | tax 1/1'].join('\n'),
  );
});

test('one thread, or all of them', () => {
  const profile = drawProfile(`
    main main main
    a    b    a
    thread T1 T2 T1
  `);
  assert.deepEqual(profile.threads, ['T1', 'T2']);
  const graphOf = (thread?: number): string =>
    drawGraph(buildFlameGraph(profile, { kind: 'wall', thread }), profile);
  assert.equal(graphOf(), 'all 3/0\nmain 3/0\na 2/2 | b 1/1');
  assert.equal(graphOf(0), 'all 2/0\nmain 2/0\na 2/2');
  assert.equal(graphOf(1), 'all 1/0\nmain 1/0\nb 1/1');
});

test('calls of one function from several lines are one box, which knows its hottest line', () => {
  const profile = drawProfile(`
    main:3 main:5 main:5
    sum:11 sum:12 sum:13
  `);
  const graph = buildFlameGraph(profile, { kind: 'wall' });
  assert.equal(drawGraph(graph, profile), 'all 3/0\nmain 3/0\nsum 3/3');
  assert.deepEqual(hotLine(profile, graph, 1), { line: 5, weight: 2 });
  assert.deepEqual(hotLine(profile, graph, 2), { line: 11, weight: 1 }, 'the first of equals');
  assert.deepEqual(hotLine(profile, graph, 0), { line: 0, weight: 0 }, 'the root has no lines');
});

test('equally heavy boxes stand in the order of their names', () => {
  const profile = drawProfile('c b a');
  assert.equal(
    drawGraph(buildFlameGraph(profile, { kind: 'wall' }), profile),
    'all 3/0\na 1/1 | b 1/1 | c 1/1',
  );
});

test('samples without a stack belong to the root', () => {
  const builder = new ProfileBuilder();
  const thread = builder.thread('T');
  const frame = builder.frame({ name: 'f', file: '', line: 0 });
  builder.sample({ timeMs: 0, stack: -1, thread, wall: 2 });
  builder.sample({ timeMs: 0, stack: builder.stack([[frame, 0]]), thread, wall: 1 });
  const profile = builder.build(plainMeta);
  assert.equal(drawGraph(buildFlameGraph(profile, { kind: 'wall' }), profile), 'all 3/2\nf 1/1');
});

test('an empty profile is one empty box', () => {
  const profile = new ProfileBuilder().build(plainMeta);
  const graph = buildFlameGraph(profile, { kind: 'cpu' });
  assert.equal(drawGraph(graph, profile), 'all 0/0');
  assert.deepEqual([graph.lefts[0], graph.rights[0]], [0, 1]);
});

test('levels, paths and first children are found', () => {
  const graph = buildFlameGraph(shop, { kind: 'wall' });
  for (let box = 0; box < boxCount(graph); box++) {
    const level = levelOf(graph, box);
    assert.ok(graph.levelStarts[level]! <= box && box < graph.levelStarts[level + 1]!);
    assert.equal(pathTo(graph, box).length, level + 1);
    assert.equal(pathTo(graph, box).at(-1), box);
  }
  assert.deepEqual([...childrenOf(graph, 2)], [4, 5]);
  assert.equal(firstChild(graph, 3), undefined, 'poll calls nothing');
  assert.equal(firstChild(graph, 5), undefined, 'the last level has no children');
});

test('a recursive function counts once for each sample', () => {
  const profile = drawProfile(`
    fib fib fib
    fib fib .
    fib .   .
  `);
  const graph = buildFlameGraph(profile, { kind: 'wall' });
  assert.equal(drawGraph(graph, profile), 'all 3/0\nfib 3/1\nfib 2/1\nfib 1/1');
  assert.deepEqual(weighFunctions(graph), [{ frame: 0, self: 3, total: 3 }]);
});

test('functions are sorted by self weight, then by total', () => {
  const graph = buildFlameGraph(shop, { kind: 'wall' });
  assert.deepEqual(
    weighFunctions(graph).map(({ frame, self, total }) => [shop.frames.names[frame], self, total]),
    [
      ['sum', 3, 3],
      ['tax', 1, 1],
      ['poll', 1, 1],
      ['main', 0, 5],
      ['run', 0, 4],
    ],
  );
});

const randomProfile = fc
  .array(
    fc.record({
      stack: fc.array(fc.nat({ max: 6 }), { maxLength: 12 }),
      thread: fc.nat({ max: 2 }),
      wall: fc.nat({ max: 1000 }),
    }),
    { maxLength: 60 },
  )
  .map((samples): Profile => {
    const builder = new ProfileBuilder();
    for (const { stack, thread, wall } of samples) {
      const calls = stack.map(
        (f) => [builder.frame({ name: `f${f}`, file: '', line: 0 }), f] as const,
      );
      builder.sample({
        timeMs: 0,
        stack: builder.stack(calls),
        thread: builder.thread(`T${thread}`),
        wall,
        cpu: wall % 7,
      });
    }
    return builder.build(plainMeta);
  });

test('property: self weights sum up to the root, and boxes of a level never overlap', () => {
  fc.assert(
    fc.property(randomProfile, fc.constantFrom('cpu', 'wall'), (profile, kind) => {
      const graph = buildFlameGraph(profile, { kind });
      const selfSum = graph.selfs.reduce((sum, self) => sum + self, 0);
      assert.equal(selfSum, graph.totals[0]);
      assertLaidOut(graph);
      const functions = weighFunctions(graph);
      const fromFunctions = functions.reduce((sum, { self }) => sum + self, graph.selfs[0]!);
      assert.equal(fromFunctions, graph.totals[0]);
      for (const { self, total } of functions)
        assert.ok(self <= total && total <= graph.totals[0]!);
    }),
    { numRuns: 200 },
  );
});

function assertLaidOut(graph: FlameGraph): void {
  for (let level = 0; level < levelCount(graph); level++) {
    let edge = 0;
    for (let box = graph.levelStarts[level]!; box < graph.levelStarts[level + 1]!; box++) {
      const [left, right, parent] = [graph.lefts[box]!, graph.rights[box]!, graph.parents[box]!];
      assert.ok(left >= edge, `box ${box} begins before its neighbour ends`);
      assert.ok(right >= left);
      if (parent >= 0) {
        assert.ok(left >= graph.lefts[parent]! && right <= graph.rights[parent]!);
        assert.ok(graph.totals[box]! <= graph.totals[parent]!);
      }
      edge = right;
    }
  }
}
