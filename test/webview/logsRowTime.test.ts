import assert from 'node:assert/strict';
import test from 'node:test';
import { rowTime, timeTitle, timeWidth, utcTimes } from '../../src/webview/logs/rowTime.ts';

const time = Date.UTC(2026, 10, 22, 6, 17, 54, 123) + 0.4;
const zones = { localZone: 'Europe/Berlin' } as const;

test('a row has its time in the chosen zone, and as a whole for the one who asks', () => {
  const row = { time, zone: -210 };
  assert.deepEqual(rowTime(row, utcTimes), {
    text: '06:17:54.123Z',
    title: '2026-11-22 06:17:54.123400Z',
  });
  assert.equal(rowTime(row, { display: 'local', ...zones }).text, '07:17:54.123+01:00');
  assert.equal(rowTime(row, { display: 'node', ...zones }).text, '02:47:54.123-03:30');
  // A gap is ours, and of no zone of the node's.
  assert.equal(rowTime({ time, zone: null }, { display: 'node', ...zones }).text, '06:17:54.123Z');
});

test('what has no time, or an impossible one, breaks nothing', () => {
  assert.deepEqual(rowTime({ time: null, zone: 60 }, utcTimes), { text: '', title: '' });
  for (const display of ['utc', 'local', 'node'] as const) {
    assert.match(rowTime({ time: 8.64e15, zone: 60 }, { display, localZone: '?' }).text, /:/);
  }
});

test('the column is as wide as its times', () => {
  for (const display of ['utc', 'local', 'node'] as const) {
    const times = { display, ...zones };
    assert.equal(timeWidth(times), rowTime({ time, zone: 60 }, times).text.length);
    assert.ok(timeTitle(times).startsWith('Time ('));
  }
});
