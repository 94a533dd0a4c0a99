// Following a real sshd's node while its connection is cut, and while our own process sleeps.

import assert from 'node:assert/strict';
import { fork } from 'node:child_process';
import path from 'node:path';
import test from 'node:test';
import { delay } from '../../src/base/async.ts';
import { eventually } from '../fakes/eventually.ts';
import { startSshd } from '../fakes/sshd.ts';
import { followThroughLosses, LineTally, LineWriter, quantile } from './followLosses.ts';
import type { FromFollower } from './followWorker.ts';

test('R-21: 2,000 lines a second, the session killed ten times: none lost, none doubled', async (t) => {
  const { resumeMs, ...outcome } = await followThroughLosses({ losses: 10, linesPerSecond: 2000 });
  assert.deepEqual(outcome, {
    written: outcome.written,
    lost: 0,
    doubled: 0,
    changed: 0,
    gaps: [],
  });
  assert.ok(outcome.written > 10_000);
  const [median, longest] = [quantile(resumeMs, 0.5), resumeMs.at(-1)!];
  t.diagnostic(
    `${outcome.written} lines; followed again after ${median.toFixed(0)} ms (median), ` +
      `${longest.toFixed(0)} ms at the longest`,
  );
  assert.ok(longest < 10_000);
});

for (const isCut of [false, true]) {
  const what = isCut ? ', and the connection is cut meanwhile' : '';
  test(`our process sleeps for five seconds${what}: none lost, none doubled`, async (t) => {
    const sshd = await startSshd();
    t.after(() => sshd.stop());
    const file = path.join(sshd.dir, 'app.log');
    const writer = new LineWriter(file, 500);
    const worker = fork(path.join(import.meta.dirname, 'followWorker.ts'), [
      await sshd.config(),
      file,
    ]);
    t.after(() => worker.kill('SIGKILL'));
    const tally = new LineTally();
    const states: string[] = [];
    const marks: string[] = [];
    worker.on('message', (message: FromFollower) => {
      if (message.kind === 'state') states.push(message.state);
      else if (message.kind === 'entry') tally.add(message.text);
      else marks.push(message.text);
    });
    await eventually(() => assert.ok(tally.size > 100), 20_000);
    worker.kill('SIGSTOP');
    await delay(2500);
    if (isCut) await sshd.killSessions();
    await delay(2500);
    worker.kill('SIGCONT');
    await delay(1000);
    await eventually(() => assert.equal(states.at(-1), 'following'), 20_000);
    const written = writer.stop();
    await eventually(() => assert.equal(tally.first + tally.size, written), 10_000);
    assert.deepEqual([tally.doubled, tally.changed], [0, 0]);
    assert.deepEqual(states.includes('waiting'), isCut);
    assert.equal(marks.length, isCut ? 1 : 0);
    for (const mark of marks) assert.match(mark, /^Reconnected after .*: nothing was lost\.$/);
  });
}
