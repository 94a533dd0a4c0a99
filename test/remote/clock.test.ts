import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { after } from 'node:test';
import fc from 'fast-check';
import {
  boundOffset,
  measureClock,
  nextQuestionIn,
  type ClockSample,
} from '../../src/remote/clock.ts';
import { LocalShell } from '../../src/remote/localShell.ts';

const root = mkdtempSync(join(tmpdir(), 'faultline-clock-'));
after(() => rmSync(root, { recursive: true, force: true }));

const middle = ({ lowest, highest }: { lowest: number; highest: number }): number =>
  (lowest + highest) / 2;

/** A sample of a node that is `offset` ahead, with these one-way delays. */
function sample(sentAt: number, there: number, back: number, offset: number): ClockSample {
  return {
    sentAt,
    receivedAt: sentAt + there + back,
    nodeTime: sentAt + there + offset,
    resolutionMs: 0,
  };
}

test('the true offset is always within the bounds, which are no wider than the best round trip', () => {
  const anyDelay = fc.double({ min: 0.05, max: 200, noNaN: true });
  const anySamples = fc.array(fc.tuple(anyDelay, anyDelay), { minLength: 1, maxLength: 30 });
  const anyOffset = fc.double({ min: -1e9, max: 1e9, noNaN: true });
  fc.assert(
    fc.property(anySamples, anyOffset, (delays, offset) => {
      let now = 1000;
      const samples = delays.map(([there, back]) => {
        const one = sample(now, there, back, offset);
        now = one.receivedAt;
        return one;
      });
      const bounds = boundOffset(samples);
      assert.ok(bounds.lowest <= offset + 1e-6 && offset - 1e-6 <= bounds.highest);
      const best = Math.min(...delays.map(([there, back]) => there + back));
      assert.ok(bounds.highest - bounds.lowest <= best + 0.0004 * (now - 1000) + 1e-6);
    }),
    { numRuns: 200 },
  );
});

test('a clock that is set while it is asked counts as it is at last', () => {
  const samples = [0, 1, 2, 3, 4, 5].map((at) => sample(at * 10, 1, 1, at < 3 ? 0 : -3_600_000));
  assert.ok(Math.abs(middle(boundOffset(samples)) + 3_600_000) < 0.5);
});

test('whole seconds are bounded by asking around the change of a second', () => {
  const offset = 123_456.7;
  const samples: ClockSample[] = [];
  let now = 5000;
  for (let wait = nextQuestionIn([]); wait !== undefined; wait = nextQuestionIn(samples)) {
    const sentAt = now + wait;
    const nodeTime = Math.floor((sentAt + 0.5 + offset) / 1000) * 1000;
    now = sentAt + 1;
    samples.push({ sentAt, receivedAt: now, nodeTime, resolutionMs: 1000 });
  }
  const bounds = boundOffset(samples);
  assert.ok(bounds.lowest <= offset && offset <= bounds.highest);
  assert.ok(bounds.highest - bounds.lowest < 12, `± ${(bounds.highest - bounds.lowest) / 2} ms`);
  assert.ok(now - 5000 < 6000, `it takes ${now - 5000} ms`);
});

/** A `python3` on the PATH that answers what a real node would, in a shape of the test's choosing. */
function nodeThatAnswers(name: string, body: string): LocalShell {
  const directory = join(root, name);
  mkdirSync(directory, { recursive: true });
  writeFileSync(join(directory, 'python3'), `#!/bin/sh\n${body}\n`, { mode: 0o755 });
  return new LocalShell({ env: { ...process.env, PATH: `${directory}:${process.env['PATH']}` } });
}

test('this machine is 0 ms away from itself, as exactly as a pipe allows', async () => {
  const shell = new LocalShell();
  const { offsetMs, errorMs, measuredAt } = await measureClock(shell);
  assert.ok(Math.abs(offsetMs) <= errorMs, `${offsetMs} ± ${errorMs} ms`);
  assert.ok(errorMs < 5, `± ${errorMs} ms`);
  assert.ok(Math.abs(Date.now() - measuredAt) < 1000);
  shell.dispose();
});

test('our wall clock may be far from our monotonic one, and is told in whole milliseconds', async () => {
  const shell = new LocalShell();
  const ahead = 8 * 3_600_000 + 0.25;
  const { offsetMs, errorMs } = await measureClock(shell, undefined, {
    monotonic: () => performance.now(),
    wall: () => Math.floor(performance.timeOrigin + performance.now() + ahead),
  });
  const drifted = Date.now() - (performance.timeOrigin + performance.now());
  assert.ok(Math.abs(offsetMs + ahead - drifted) <= errorMs + 1.1, `${offsetMs} ± ${errorMs} ms`);
  shell.dispose();
});

test('a clock before 1970, in the year 9999, or a billion years off is told as it is', async () => {
  for (const year of [-62_167_219_200, 253_402_300_799, 9_999_999_999_999]) {
    const shell = nodeThatAnswers('odd', `while read -r _; do echo ${year}000000000; done`);
    const { offsetMs, errorMs } = await measureClock(shell);
    assert.ok(Math.abs(Date.now() + offsetMs - year * 1000) < 2000 + errorMs);
    shell.dispose();
  }
});

test('a node that tells no time is one sentence, at once', async () => {
  for (const answer of ['NaN', '1e400', '', '12345678901234567890123456', '2026-11-22']) {
    const shell = nodeThatAnswers('bad', `while read -r _; do echo "${answer}"; done`);
    await assert.rejects(measureClock(shell), { code: 'node.clockUnreadable' });
    shell.dispose();
  }
});
