import assert from 'node:assert/strict';
import test from 'node:test';
import { expandNodes, expandRanges } from '../../src/remote/nodeRange.ts';

const read: readonly [string, readonly string[]][] = [
  ['web', ['web']],
  ['web-[1-3]', ['web-1', 'web-2', 'web-3']],
  ['web-[08-10,25].eu', ['web-08.eu', 'web-09.eu', 'web-10.eu', 'web-25.eu']],
  ['[1-2]-[07]', ['1-07', '2-07']],
  ['r[1-2]n[1-2]', ['r1n1', 'r1n2', 'r2n1', 'r2n2']],
  ['x[9-11]', ['x9', 'x10', 'x11']],
  ['x[0]', ['x0']],
  ['[::1]', ['[::1]']],
];
for (const [text, names] of read) {
  test(`range ${text}`, () => assert.deepEqual(expandRanges(text), names));
}

const wrong: readonly [string, RegExp][] = [
  ['x[a-c]', /no range of numbers/],
  ['x[]', /no range of numbers/],
  ['x[1-]', /no range of numbers/],
  ['x[1,,2]', /no range of numbers/],
  ['x[3-1]', /goes down/],
  ['x[1-10001]', /more than 10000 nodes/],
  ['x[1-999999999][1-999999999]', /more than 10000 nodes/],
  ['x[1-101][1-100]', /10100 nodes/],
  ['x[9999999999]', /no range of numbers/],
];
for (const [text, reason] of wrong) {
  test(`no range: ${text}`, () => assert.throws(() => expandRanges(text), reason));
}

test('a host counts along with the name', () => {
  assert.deepEqual(expandNodes('a[1-2]', 'me@10.0.[3-4].1'), [
    ['a1', 'me@10.0.3.1'],
    ['a2', 'me@10.0.4.1'],
  ]);
  assert.throws(() => expandNodes('a[1-2]', 'h'), /stands for 2 nodes, but its host "h" for 1/);
});
