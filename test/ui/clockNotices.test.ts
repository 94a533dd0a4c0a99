import assert from 'node:assert/strict';
import test from 'node:test';
import { ClockNotices } from '../../src/ui/clockNotices.ts';

const minute = 60_000;
const step = { at: 0, stepMs: -3_600_000, errorMs: 1, whose: 'node' } as const;

test('a node that keeps setting its clock is told of once an hour, others besides', () => {
  const notices = new ClockNotices();
  assert.equal(notices.isNew('a', step, 0), true);
  assert.equal(notices.isNew('a', step, 30 * minute), false);
  assert.equal(notices.isNew('b', step, 30 * minute), true);
  assert.equal(notices.isNew('a', step, 61 * minute), true);
});

test('a step of our own clock is told of once, though every node shows it', () => {
  const notices = new ClockNotices();
  const ours = { ...step, whose: 'ours' } as const;
  assert.deepEqual(
    ['a', 'b', 'c'].map((node, index) => notices.isNew(node, ours, index * minute)),
    [true, false, false],
  );
  assert.equal(notices.isNew('a', step, 3 * minute), true);
  assert.equal(notices.isNew('a', ours, 16 * minute), true);
});

test('a small step is nothing to interrupt anybody for', () => {
  assert.equal(new ClockNotices().isNew('a', { ...step, stepMs: 499 }, 0), false);
});
