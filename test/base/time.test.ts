import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import test from 'node:test';
import fc from 'fast-check';
import { formatTime, formatTimeOfDay, noDate, zoneMark } from '../../src/base/time.ts';

const noon = Date.UTC(2026, 10, 22, 12, 3, 4, 123);
const berlin = { offsetMinutes: 60, name: 'Europe/Berlin' };

test('UTC is marked with Z, every other zone with its distance', () => {
  assert.equal(formatTime(noon, 'utc'), '2026-11-22 12:03:04.123Z');
  assert.equal(formatTime(noon + 0.456, 'utc'), '2026-11-22 12:03:04.123456Z');
  assert.equal(formatTimeOfDay(noon, 'utc', berlin), '12:03:04.123Z');
  assert.equal(formatTime(noon, 'node', berlin), '2026-11-22 13:03:04.123+01:00');
  assert.equal(formatTime(noon, 'node', { offsetMinutes: -570 }), '2026-11-22 02:33:04.123-09:30');
  assert.deepEqual([undefined, 0, 120, -570, 345].map(zoneMark), [
    'Z',
    '+00:00',
    '+02:00',
    '-09:30',
    '+05:45',
  ]);
});

test('a node whose zone is not known is shown in UTC, and marked so', () => {
  assert.equal(formatTime(noon, 'node'), '2026-11-22 12:03:04.123Z');
});

test('a named zone has its summer time, whenever the node was asked', () => {
  const july = Date.UTC(2026, 6, 1, 12);
  assert.equal(formatTimeOfDay(july, 'node', berlin), '14:00:00.000+02:00');
  const kathmandu = { offsetMinutes: 0, name: 'Asia/Kathmandu' };
  assert.equal(formatTimeOfDay(july, 'node', kathmandu), '17:45:00.000+05:45');
  assert.equal(
    formatTimeOfDay(july, 'node', { offsetMinutes: 0, name: 'UTC' }),
    '12:00:00.000+00:00',
  );
  // A name that is none: what the node told of its distance counts.
  const odd = { offsetMinutes: 90, name: 'Mars/Olympus' };
  assert.equal(formatTimeOfDay(july, 'node', odd), '13:30:00.000+01:30');
});

test('an hour that comes twice is told apart by its mark', () => {
  const first = Date.UTC(2026, 9, 25, 0, 30);
  assert.equal(formatTimeOfDay(first, 'node', berlin), '02:30:00.000+02:00');
  assert.equal(formatTimeOfDay(first + 3_600_000, 'node', berlin), '02:30:00.000+01:00');
});

/** What `local` shows under this TZ, in a process of its own: a process reads TZ once. */
function localTimes(zone: string, times: readonly number[]): string[] {
  const module = join(import.meta.dirname, '../../src/base/time.ts');
  const program =
    `import { formatTime } from ${JSON.stringify(module)};` +
    `console.log(JSON.stringify(${JSON.stringify(times)}.map((time) => formatTime(time, 'local'))))`;
  const args = ['--input-type=module-typescript', '-e', program];
  const env = { ...process.env, TZ: zone };
  return JSON.parse(execFileSync(process.execPath, args, { env, encoding: 'utf8' })) as string[];
}

test('local is this computer’s zone, with summer time as of each time shown', () => {
  const beforeSpring = Date.UTC(2026, 2, 29, 0, 59, 59, 999);
  assert.deepEqual(localTimes('Europe/Berlin', [noon, beforeSpring, beforeSpring + 1]), [
    '2026-11-22 13:03:04.123+01:00',
    '2026-03-29 01:59:59.999+01:00',
    '2026-03-29 03:00:00.000+02:00',
  ]);
  // Half an hour of summer time, and a zone west of UTC.
  assert.deepEqual(localTimes('Australia/Lord_Howe', [noon]), ['2026-11-22 23:03:04.123+11:00']);
  assert.deepEqual(localTimes('America/St_Johns', [noon]), ['2026-11-22 08:33:04.123-03:30']);
  assert.deepEqual(localTimes('UTC', [noon]), ['2026-11-22 12:03:04.123+00:00']);
});

test('years 0 and 9999 are dates; what is none has a mark of the same width', () => {
  assert.equal(formatTime(Date.UTC(9999, 11, 31), 'utc'), '9999-12-31 00:00:00.000Z');
  assert.equal(formatTime(-62_167_219_200_000, 'utc'), '0000-01-01 00:00:00.000Z');
  for (const odd of [NaN, Infinity, -Infinity, 9e15]) {
    for (const display of ['utc', 'local', 'node'] as const) {
      assert.equal(formatTime(odd, display, berlin), `${noDate}Z`);
    }
  }
  assert.equal(noDate.length, '2026-11-22 12:03:04.123'.length);
});

test('no time and no zone makes it throw, and the mark is always there', () => {
  const anyZone = fc.record({
    offsetMinutes: fc.integer({ min: -5999, max: 5999 }),
    name: fc.option(fc.oneof(fc.string(), fc.constantFrom('Europe/Berlin', 'UTC', '+01:00')), {
      nil: undefined,
    }),
  });
  const anyDisplay = fc.constantFrom('utc', 'local', 'node');
  fc.assert(
    fc.property(fc.double(), anyDisplay, anyZone, (time, display, zone) => {
      assert.match(formatTime(time, display, zone), /(Z|[+-]\d\d:\d\d)$/);
    }),
  );
});
