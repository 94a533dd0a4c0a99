import assert from 'node:assert/strict';
import test from 'node:test';
import type { NodeClock } from '../../src/remote/clockHistory.ts';
import {
  describeClock,
  describeSync,
  describeZone,
  shortClock,
} from '../../src/remote/clockText.ts';

const showTime = (time: number): string => `t${time}`;

const clock: NodeClock = {
  offsetMs: 3500,
  errorMs: 0.2,
  measuredAt: 7,
  drift: { ppm: -12, errorPpm: 0.4 },
  lastStep: { at: 5, stepMs: -3_600_000, errorMs: 1, whose: 'node' },
  facts: {
    sync: {
      kind: 'chrony',
      synchronised: true,
      offsetMs: 0.01,
      detail: 'Synchronised to 192.0.2.7, stratum 3.',
    },
    zone: { offsetMinutes: 60, name: 'Europe/Berlin', abbreviation: 'CET' },
  },
};

test('a hover has a line for each fact, and a doubt where the node is sure of itself', () => {
  assert.deepEqual(describeClock(clock, showTime), [
    'Clock: +3.50 s ± 0.2 ms, measured at t7',
    'Drift: −12.0 ± 0.4 ppm, 1.04 s a day',
    "The node's clock was set by −1 h 0 min, seen at t5",
    'Kept by chrony. Synchronised to 192.0.2.7, stratum 3. By its own reckoning it is +0.0 ms off.',
    "The node says that it is right: it may be this computer's clock that is off.",
    'Zone: Europe/Berlin (CET, UTC+01:00)',
  ]);
});

test('what is not known is left out', () => {
  const bare = { offsetMs: -0.04, errorMs: 12, measuredAt: 7 };
  assert.deepEqual(describeClock(bare, showTime), ['Clock: −0.0 ms ± 12 ms, measured at t7']);
  const unclear = { ...bare, drift: { ppm: 1, errorPpm: 101 } };
  assert.equal(describeClock(unclear, showTime).length, 1);
});

test('a list says what is wrong in a word', () => {
  assert.equal(shortClock(clock), 'clock +3.50 s ± 0.2 ms');
  const sync = { ...clock.facts!.sync, synchronised: false };
  const loose = { ...clock, facts: { ...clock.facts!, sync } };
  assert.equal(shortClock(loose), 'clock +3.50 s ± 0.2 ms, not synchronised');
  const none = { ...clock, facts: { ...clock.facts!, sync: { ...sync, kind: 'none' as const } } };
  assert.equal(shortClock(none), 'clock +3.50 s ± 0.2 ms');
});

test('every keeper has words, also nobody', () => {
  const facts = { synchronised: undefined, offsetMs: undefined, detail: 'Why.' };
  assert.equal(describeSync({ ...facts, kind: 'unknown' }), 'Time daemon unknown. Why.');
  assert.equal(
    describeSync({ ...facts, kind: 'ntpd', synchronised: false }),
    'Kept by ntpd, not synchronised. Why.',
  );
  assert.equal(
    describeSync({ ...facts, kind: 'none', synchronised: false, detail: 'a\u001b[2Jb' }),
    'No time daemon. a‹ESC›[2Jb',
  );
});

test('zones with and without a name', () => {
  assert.equal(
    describeZone({ offsetMinutes: 345, name: 'Asia/Kathmandu', abbreviation: undefined }),
    'Asia/Kathmandu (UTC+05:45)',
  );
  assert.equal(
    describeZone({ offsetMinutes: 0, name: undefined, abbreviation: 'UTC' }),
    'UTC, UTC+00:00',
  );
});
