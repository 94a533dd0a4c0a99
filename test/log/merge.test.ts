import assert from 'node:assert/strict';
import test from 'node:test';
import fc from 'fast-check';
import type { LogEntry } from '../../src/log/logEntry.ts';
import { mergeEntries, sortTimes } from '../../src/log/merge.ts';

function entry(node: string, time: number | undefined, message = '', errorMs = 0): LogEntry {
  return {
    node,
    source: '/f',
    line: undefined,
    offset: undefined,
    format: 'text',
    nodeTime: time,
    time,
    errorMs,
    zone: 0,
    level: undefined,
    contextId: undefined,
    runId: undefined,
    message,
    fields: {},
    raw: message,
  };
}

/** `a1 b2 b-` → one file a node, times as numbers, `-` for none; the result in the same notation. */
function merge(...files: string[]): string {
  const parsed = files.map((file) =>
    file.split(' ').map((text) => {
      const time = text.slice(1) === '-' ? undefined : Number(text.slice(1));
      return entry(text.charAt(0), time, text);
    }),
  );
  return mergeEntries(parsed)
    .map(({ message }) => message)
    .join(' ');
}

const cases: readonly (readonly [what: string, files: readonly string[], merged: string])[] = [
  ['by time', ['a1 a4 a6', 'b2 b3 b7', 'c5'], 'a1 b2 b3 a4 c5 a6 b7'],
  ['equal times in the order of the files', ['b1 b1', 'a1'], 'b1 b1 a1'],
  [
    'a file keeps its order although its times run backwards',
    ['a1 a5 a2', 'b3 b6'],
    'a1 b3 a5 a2 b6',
  ],
  ['entries without a time stay below the one above them', ['a2 a- a4', 'b1 b3'], 'b1 a2 a- b3 a4'],
  ['the first ones stand above the one below them', ['a- a- a2', 'b1'], 'b1 a- a- a2'],
  ['a file without any time comes first', ['b1', 'a- a-'], 'a- a- b1'],
];

for (const [what, files, merged] of cases) {
  test(`merging: ${what}`, () => assert.equal(merge(...files), merged));
}

test('nothing merges to nothing', () => {
  assert.deepEqual(mergeEntries([]), []);
  assert.deepEqual(mergeEntries([[], []]), []);
});

test('merging loses and invents nothing, keeps the order of each file, and sorts where files are sorted', () => {
  const time = fc.option(fc.integer({ min: 0, max: 20 }), { nil: undefined });
  fc.assert(
    fc.property(fc.array(fc.array(time, { maxLength: 8 }), { maxLength: 6 }), (files) => {
      const entries = files.map((times, file) =>
        times.map((value, index) => entry(`n${file}`, value, `${file}.${index}`)),
      );
      const merged = mergeEntries(entries);
      for (const [file, expected] of entries.entries()) {
        assert.deepEqual(
          merged.filter(({ node }) => node === `n${file}`).map(({ message }) => message),
          expected.map(({ message }) => message),
        );
      }
      const sorted = entries.map((list) =>
        [...list].sort((a, b) => (a.time ?? 0) - (b.time ?? 0)).filter((e) => e.time !== undefined),
      );
      const times = mergeEntries(sorted).map((e) => e.time!);
      assert.deepEqual(
        times,
        [...times].sort((a, b) => a - b),
      );
    }),
  );
});

test('sort times are filled from above, then from below', () => {
  const times = sortTimes([undefined, 3, undefined, 2].map((time) => entry('a', time)));
  assert.deepEqual(times, [3, 3, 3, 2]);
  assert.deepEqual(sortTimes([entry('a', undefined)]), [-Infinity]);
});

test('neighbours of two nodes that are closer than the clocks know are marked', () => {
  const merged = mergeEntries([
    [entry('a', 0, '', 0.5), entry('a', 100, '', 0.5), entry('a', 100.2, '', 0.5)],
    [entry('b', 0.9, '', 0.5), entry('b', 102, '', 0.5), entry('b', undefined, '', 0.5)],
  ]);
  assert.deepEqual(
    merged.map(({ node, time, orderUnknown }) => [node, time, orderUnknown]),
    [
      ['a', 0, true],
      ['b', 0.9, true],
      ['a', 100, false],
      ['a', 100.2, false],
      ['b', 102, false],
      ['b', undefined, false],
    ],
  );
});

test('a time is written to the millisecond, and cut: what is less apart than that may be the other way round', () => {
  const orders = (first: number, second: number): readonly boolean[] =>
    mergeEntries([[entry('a', first, '', 0.1)], [entry('b', second, '', 0.1)]]).map(
      ({ orderUnknown }) => orderUnknown,
    );
  assert.deepEqual(orders(100, 101), [true, true]);
  assert.deepEqual(orders(100, 102), [false, false]);
  // Microseconds are written whole.
  assert.deepEqual(orders(100.5, 101), [false, false]);
});

test('also what lies further apart in the list may be as close in time', () => {
  const merged = mergeEntries([
    [entry('a', 100, '', 0.1), entry('a', 100, '', 0.1), entry('a', 100.5, '', 0.1)],
    [entry('b', 100.55, '', 0.1), entry('b', 300, '', 0.1)],
  ]);
  assert.deepEqual(
    merged.map(({ node, orderUnknown }) => [node, orderUnknown]),
    [
      ['a', true],
      ['a', true],
      ['a', true],
      ['b', true],
      ['b', false],
    ],
  );
});

test('without a measured clock no order between nodes is known', () => {
  const unmeasured = { ...entry('b', 5000), errorMs: undefined };
  const merged = mergeEntries([[entry('a', 0)], [unmeasured]]);
  assert.deepEqual(
    merged.map(({ orderUnknown }) => orderUnknown),
    [true, true],
  );
});
