import assert from 'node:assert/strict';
import test from 'node:test';
import fc from 'fast-check';
import { ClockHistory, fitDrift } from '../../src/remote/clockHistory.ts';
import type { ClockOffset } from '../../src/remote/node.ts';

const minute = 60_000;
const begin = Date.UTC(2026, 10, 22, 10);

/** A measurement after so many minutes. */
function at(minutes: number, offsetMs: number, errorMs = 0.5): ClockOffset {
  return { offsetMs, errorMs, measuredAt: begin + minutes * minute };
}

/** Our two clocks agree: nothing was set, nothing slept. */
function historyOf(...measurements: readonly ClockOffset[]): ClockHistory {
  const history = new ClockHistory();
  for (const one of measurements) history.add(one, 0);
  return history;
}

test('a steady drift is found with its error, and is no step', () => {
  // 30 ppm are 1.8 ms a minute.
  const history = historyOf(...[0, 1, 3, 7, 15, 25, 35].map((min) => at(min, 100 + 1.8 * min)));
  const clock = history.current();
  assert.equal(clock?.lastStep, undefined);
  const { ppm = NaN, errorPpm = NaN } = clock?.drift ?? {};
  assert.ok(Math.abs(ppm - 30) < 0.01, `${ppm} ppm`);
  assert.ok(errorPpm > 0.1 && errorPpm < 1, `± ${errorPpm} ppm`);
  assert.equal(clock?.measuredAt, begin + 35 * minute);
});

test('two measurements tell no drift, and neither do many at one moment', () => {
  assert.equal(historyOf(at(0, 1), at(1, 2)).drift(), undefined);
  assert.equal(fitDrift([at(0, 1), at(0, 2), at(0, 3)]), undefined);
});

test('a poor measurement hardly counts, and does not spoil what is known', () => {
  const history = historyOf(at(0, 5, 0.1), at(1, 5, 0.1), at(2, 90, 100));
  const clock = history.current();
  assert.ok(clock !== undefined);
  assert.ok(Math.abs(clock.offsetMs - 5) < 1, `${clock.offsetMs} ms`);
  assert.ok(clock.errorMs < 20, `± ${clock.errorMs} ms`);
});

test('the uncertainty grows with the distance to what was measured', () => {
  const history = historyOf(...[0, 1, 2, 4, 8].map((min) => at(min, 3)));
  const errors = [8, 9, 20, 100].map((min) => history.predict(begin + min * minute)!.errorMs);
  assert.deepEqual(
    errors,
    errors.toSorted((a, b) => a - b),
  );
  assert.ok(errors[0]! < 0.51 && errors[3]! > 50);
  assert.equal(new ClockHistory().predict(begin), undefined);
  assert.equal(new ClockHistory().current(), undefined);
});

test('what is predicted holds the truth: any drift up to 100 ppm, any honest errors', () => {
  const anyError = fc.double({ min: 0.05, max: 50, noNaN: true });
  const anySlant = fc.double({ min: -1, max: 1, noNaN: true });
  const anyMeasured = fc.array(fc.tuple(anyError, anySlant), { minLength: 1, maxLength: 20 });
  const anyPpm = fc.double({ min: -100, max: 100, noNaN: true });
  fc.assert(
    fc.property(anyMeasured, anyPpm, (measured, ppm) => {
      const truth = (min: number): number => 1234 + ppm * 1e-6 * min * minute;
      const history = historyOf(
        ...measured.map(([error, slant], index) =>
          at(index * 5, truth(index * 5) + slant * error, error),
        ),
      );
      assert.deepEqual(history.steps, []);
      const now = history.current()!;
      const last = (measured.length - 1) * 5;
      assert.ok(Math.abs(now.offsetMs - truth(last)) <= now.errorMs + 1e-6);
    }),
    { numRuns: 300 },
  );
});

test("a node's clock that is set is told once, and the drift begins anew", () => {
  const history = historyOf(at(0, 2), at(1, 2), at(2, 2));
  const step = history.add(at(4, -3598), 0);
  assert.equal(step?.whose, 'node');
  assert.ok(Math.abs(step.stepMs + 3600) < step.errorMs + 1);
  assert.equal(step.at, begin + 4 * minute);
  assert.equal(history.add(at(5, -3598), 0), undefined);
  assert.deepEqual(history.current()?.lastStep, step);
  assert.equal(history.current()?.drift, undefined);
  assert.ok(Math.abs(history.current()!.offsetMs + 3598) < 0.01);
  // The past is not changed by it.
  assert.ok(Math.abs(history.predict(begin + minute)!.offsetMs - 2) < 0.1);
  const between = history.predict(begin + 3 * minute)!;
  assert.ok(between.offsetMs - between.errorMs <= -3598 && between.offsetMs + between.errorMs >= 2);
});

test('our own clock that is set is not taken for the node’s', () => {
  const history = historyOf(at(0, 10), at(1, 10));
  // Set 8 hours ahead: all nodes seem to fall back.
  const jump = 8 * 60 * minute;
  const step = history.add(at(1 + 480, 10 - jump), jump);
  assert.equal(step?.whose, 'ours');
  assert.ok(Math.abs(step.stepMs - jump) < 10_000);
  // And back again, so that the same times come twice.
  assert.equal(history.add(at(2, 10), 0)?.whose, 'ours');
  assert.ok(Math.abs(history.predict(begin + 2 * minute)!.offsetMs - 10) < 1);
});

test('sleep is no step: the monotonic clock stood still, the wall clocks went on', () => {
  const history = historyOf(at(0, 10), at(1, 10), at(2, 10));
  assert.equal(history.add(at(62, 10.1), 60 * minute), undefined);
  // What happened while we slept cannot be told apart from what happened to us.
  const step = history.add(at(200, 5000), 190 * minute);
  assert.equal(step?.whose, 'unknown');
});

test('hostile values change nothing, and extreme ones are kept as what they are', () => {
  const history = historyOf(at(0, 1));
  for (const bad of [NaN, Infinity, -Infinity, 9e15]) {
    assert.equal(history.add(at(1, bad), 0), undefined);
    assert.equal(history.add({ ...at(1, 1), errorMs: bad }, 0), undefined);
    assert.equal(history.add({ ...at(1, 1), measuredAt: bad }, 0), undefined);
  }
  assert.equal(history.add({ ...at(1, 1), errorMs: -1 }, 0), undefined);
  assert.equal(history.current()?.measuredAt, begin);
  const year9999 = 253_402_300_799_000 - begin;
  const year0 = -62_167_219_200_000 - begin;
  for (const offset of [year9999, year0, -3_600_000]) {
    assert.equal(history.add(at(2, offset), 0)?.whose, 'node');
    const clock = history.current()!;
    assert.ok(Math.abs(clock.offsetMs - offset) <= clock.errorMs + 1);
  }
});

test('what is kept is bounded, whatever a node does', () => {
  const history = new ClockHistory();
  for (let count = 0; count < 500; count++) history.add(at(count, (count % 7) * 1000), 0);
  assert.equal(history.steps.length, 16);
  for (let count = 500; count < 1000; count++) history.add(at(count, 1), 0);
  assert.ok(Number.isFinite(history.current()!.drift?.ppm));
});

test('measurements come 1, 2, 4, 8 and then every 10 minutes, spread by chance; soon after a step', () => {
  const history = new ClockHistory();
  const waits: number[] = [];
  for (let count = 0; count < 6; count++) {
    history.add(at(count, 1), 0);
    waits.push(history.nextMeasurementInMs(() => 0.5) / minute);
  }
  assert.deepEqual(waits, [1, 2, 4, 8, 10, 10]);
  assert.equal(history.nextMeasurementInMs(() => 0) / minute, 7.5);
  assert.equal(history.nextMeasurementInMs(() => 1) / minute, 12.5);
  history.add(at(7, 5000), 0);
  assert.equal(
    history.nextMeasurementInMs(() => 0.5),
    15_000,
  );
  history.add(at(8, 5000), 0);
  assert.equal(history.nextMeasurementInMs(() => 0.5) / minute, 2);
});

test('what the node says of its clock stands beside what was measured', () => {
  const history = historyOf(at(0, 1));
  const sync = { kind: 'none', synchronised: undefined, offsetMs: undefined, detail: 'x' } as const;
  const facts = { sync, zone: undefined };
  history.learn(facts);
  assert.deepEqual(history.current()?.facts, facts);
});
