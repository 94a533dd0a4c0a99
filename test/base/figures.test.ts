import assert from 'node:assert/strict';
import test from 'node:test';
import { formatBytes, formatCount, formatDuration } from '../../src/base/figures.ts';

test('sizes have three digits and a binary unit', () => {
  const sizes = [0, 512, 1024, 8000, 340_000, 1.5 * 2 ** 30, 2 ** 60];
  assert.deepEqual(sizes.map(formatBytes), [
    '0 bytes',
    '512 bytes',
    '1.00 KiB',
    '7.81 KiB',
    '332 KiB',
    '1.50 GiB',
    '1024 PiB',
  ]);
});

test('durations are in the unit that reads best', () => {
  const durations = [0.04, 9.94, 250.4, 3504, 250_000, 7_500_000];
  assert.deepEqual(durations.map(formatDuration), [
    '0.0 ms',
    '9.9 ms',
    '250 ms',
    '3.50 s',
    '4 min 10 s',
    '2 h 5 min',
  ]);
});

test('counts agree with their noun', () => {
  assert.equal(formatCount(1, 'node', 'nodes'), '1 node');
  assert.equal(formatCount(1200, 'entry', 'entries'), '1,200 entries');
});
