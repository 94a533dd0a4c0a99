import assert from 'node:assert/strict';
import test from 'node:test';
import { formatIso } from '../../src/base/time.ts';
import { parseEpoch, parseTimestamp, parseWhen, parseZone } from '../../src/log/timestamp.ts';

const texts: readonly (readonly [text: string, zone: number, iso: string | undefined])[] = [
  ['2026-11-22T06:17:54.123Z', 60, '2026-11-22T06:17:54.123Z'],
  ['2026-11-22 06:17:54,123', 0, '2026-11-22T06:17:54.123Z'],
  ['2026-11-22 06:17:54,123', 330, '2026-11-22T00:47:54.123Z'],
  ['2026-11-22 06:17:54', -210, '2026-11-22T09:47:54.000Z'],
  ['2026-11-22T06:17:54.123456789+01:00', 0, '2026-11-22T05:17:54.123457Z'],
  ['2026/11/22 06:17:54 -0330', 0, '2026-11-22T09:47:54.000Z'],
  ['2026-11-22T06:17:54+02', 0, '2026-11-22T04:17:54.000Z'],
  ['2026-11-22 06:17:54 UTC', 60, '2026-11-22T06:17:54.000Z'],
  ['0000-02-29T06:17:54Z', 0, '0000-02-29T06:17:54.000Z'],
  ['0099-12-31T06:17:54Z', 0, '0099-12-31T06:17:54.000Z'],
  ['9999-12-31T23:59:59Z', 0, '9999-12-31T23:59:59.000Z'],
  ['2016-12-31T23:59:60Z', 0, '2017-01-01T00:00:00.000Z'],
  ['2026-02-30 06:17:54', 0, undefined],
  ['2026-11-22 06:17:99', 0, undefined],
  ['2026-13-22 06:17:54', 0, undefined],
  ['2026-11-22 06:77:54', 0, undefined],
  ['2026-11-22', 0, undefined],
  ['yesterday', 0, undefined],
  ['', 0, undefined],
];

test('times as text', () => {
  for (const [text, zone, iso] of texts) {
    const time = parseTimestamp(text, zone);
    assert.equal(time === undefined ? undefined : formatIso(time), iso, text);
  }
});

const numbers: readonly (readonly [value: number, iso: string | undefined])[] = [
  [1_795_328_274, '2026-11-22T06:17:54.000Z'],
  [1_795_328_274.123, '2026-11-22T06:17:54.123Z'],
  [1_795_328_274_123, '2026-11-22T06:17:54.123Z'],
  [1_795_328_274_123_456, '2026-11-22T06:17:54.123456Z'],
  [1_795_328_274_123_456_000, '2026-11-22T06:17:54.123456Z'],
  [7, undefined],
  [-1_795_328_274, undefined],
  [Infinity, undefined],
  [1e300, undefined],
  [NaN, undefined],
];

test('times as numbers, whatever their unit', () => {
  for (const [value, iso] of numbers) {
    const time = parseEpoch(value);
    assert.equal(time === undefined ? undefined : formatIso(time), iso, String(value));
  }
});

test('zones as `date +%z` and ISO 8601 write them', () => {
  assert.deepEqual(
    ['+0000', 'Z', '+0200', '-0330', '+05:45', '-08', 'nonsense'].map(parseZone),
    [0, 0, 120, -210, 345, -480, 0],
  );
});

test('times as people write them', () => {
  const now = Date.parse('2026-11-22T06:00:00Z');
  const whens: readonly (readonly [text: string, iso: string | undefined])[] = [
    ['10m', '2026-11-22T05:50:00.000Z'],
    ['1.5h', '2026-11-22T04:30:00.000Z'],
    ['2 d', '2026-11-20T06:00:00.000Z'],
    ['30s', '2026-11-22T05:59:30.000Z'],
    ['2026-11-22', '2026-11-22T00:00:00.000Z'],
    ['2026-11-22 05:30', '2026-11-22T05:30:00.000Z'],
    ['2026-11-22T05:30+01:00', '2026-11-22T04:30:00.000Z'],
    ['2026-11-22T05:30:01.5Z', '2026-11-22T05:30:01.500Z'],
    ['10', undefined],
    ['soon', undefined],
    ['-5m', undefined],
  ];
  for (const [text, iso] of whens) {
    const time = parseWhen(text, now);
    assert.equal(time === undefined ? undefined : formatIso(time), iso, text);
  }
});
