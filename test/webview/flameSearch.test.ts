import assert from 'node:assert/strict';
import test from 'node:test';
import { buildFlameGraph } from '../../src/profile/flameGraph.ts';
import { FlameModel, FrameTexts, weighThreads } from '../../src/webview/flame/model.ts';
import {
  baseName,
  formatDuration,
  formatShare,
  formatWeight,
  shortPath,
} from '../../src/webview/flame/format.ts';
import { describeBox, speakBox } from '../../src/webview/flame/describe.ts';
import { search } from '../../src/webview/flame/search.ts';
import { drawProfile } from '../profile/columns.ts';

const profile = drawProfile(`
  main main main main main
  fib  fib  run  run  poll
  fib  .    sum  fib  .
  fib  .    .    .    .
`);
const graph = buildFlameGraph(profile, { kind: 'wall' });

test('what is found is counted by function, and weighed without counting a sample twice', () => {
  const found = search(profile.frames, graph, 'FIB');
  assert.equal(found?.functionCount, 1);
  assert.equal(found.boxes.length, 4, 'three below each other and one below run');
  assert.equal(found.share, 3 / 5);
});

test('the heaviest box comes first', () => {
  const found = search(profile.frames, graph, 'fib');
  assert.deepEqual(
    found?.boxes.map((box) => graph.totals[box]),
    [2, 1, 1, 1],
  );
});

test('files are searched too', () => {
  assert.equal(search(profile.frames, graph, '/srv/')?.functionCount, 5);
  assert.equal(search(profile.frames, graph, '/srv/')?.share, 1);
});

test('nothing wanted, nothing found', () => {
  assert.equal(search(profile.frames, graph, '  '), undefined);
  const none = search(profile.frames, graph, '.*');
  assert.deepEqual([none?.functionCount, none?.share], [0, 0], 'the text is no pattern');
});

test('a run of boxes knows whether it holds a found one', () => {
  const found = search(profile.frames, graph, 'sum')!;
  const [box] = found.boxes;
  assert.equal(found.foundBefore[box! + 1]! - found.foundBefore[box!]!, 1);
  assert.equal(found.foundBefore.at(-1), 1);
});

test('threads are listed by their weight', () => {
  const threads = drawProfile('a a a\nthread T1 T2 T2\ncpu 1 0 0');
  assert.deepEqual(
    weighThreads(threads, 'wall').map(({ thread, weight }) => [threads.threads[thread], weight]),
    [
      ['T2', 2],
      ['T1', 1],
    ],
  );
});

const model = new FlameModel(
  drawProfile('main:12 main:14 main:14\nsum . .'),
  new FrameTexts(drawProfile('main:12 main:14 main:14\nsum . .')),
  'wall',
  undefined,
);

test('a box in words', () => {
  assert.deepEqual(describeBox(model, 1), {
    name: 'main',
    place: '/srv/main.py:14',
    shortPlace: '/srv/main.py:14',
    total: '100.0% · 3 samples · ≈ 60 ms',
    self: '66.7% · 2 samples · ≈ 40 ms',
    totalShare: 1,
    selfShare: 2 / 3,
    lines: 'Hottest at line 14: 66.7% of its total · function starts at line 10',
  });
  assert.equal(
    describeBox(model, 2).place,
    '/srv/sum.py:10',
    "the function's line, as no other is known",
  );
  assert.equal(describeBox(model, 0).name, 'All samples');
  assert.equal(
    speakBox(model, 2),
    'sum, /srv/sum.py:10. Total 33.3% · 1 sample · ≈ 20 ms. Self 33.3% · 1 sample · ≈ 20 ms. Level 2.',
  );
});

test('code without a file has no source', () => {
  assert.equal(model.sourceOf(0), undefined);
});

test('numbers as people read them', () => {
  assert.deepEqual([0, 0.0001, 0.12345, 1].map(formatShare), ['0%', '<0.1%', '12.3%', '100.0%']);
  assert.equal(formatWeight(1, 'samples'), '1 sample');
  assert.equal(formatWeight(12_345, 'samples'), '12,345 samples');
  assert.equal(formatWeight(3 << 20, 'bytes'), '3.0 MiB');
  assert.equal(formatWeight(1500, 'milliseconds'), '1.5 s');
  assert.deepEqual([0.25, 5, 250, 61_000, 600_000].map(formatDuration), [
    '250 µs',
    '5.0 ms',
    '250 ms',
    '61.0 s',
    '10.0 min',
  ]);
  assert.equal(baseName('/srv/shop/ledger.py'), 'ledger.py');
  assert.equal(shortPath('/srv/shop/current/shop/ledger.py'), '…/current/shop/ledger.py');
  assert.equal(shortPath('/a/b.py'), '/a/b.py');
});
