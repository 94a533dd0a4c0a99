import assert from 'node:assert/strict';
import test from 'node:test';
import { CommandLog, hasFailed } from '../../src/remote/commandLog.ts';
import { eventually } from '../fakes/eventually.ts';

const done = { exitCode: 0, signal: undefined };
const asGiven = (args: readonly string[]): readonly string[] => args;

test('a command is kept with its literal text, its cost and its end', () => {
  const log = new CommandLog(asGiven);
  const running = log.begin('web-1', 'exec', {
    title: 'List a directory',
    script: 'cd -- "$1"\nls',
    args: ["/srv/it's; rm", Buffer.of(0x61, 0xff, 0x0a)],
  });
  running.sent(120);
  running.received(7);
  running.received(3);
  const [under] = log.entries();
  assert.equal(under?.durationMs, undefined);
  assert.equal(under?.exit, undefined);
  assert.equal(under?.bytesReceived, 10);
  running.end({ exitCode: 3, signal: undefined });
  const [entry] = log.entries('web-1');
  assert.ok(entry !== undefined);
  assert.equal(entry.script, 'cd -- "$1"\nls');
  assert.deepEqual(entry.args, ["/srv/it's; rm", 'a\\xff\n']);
  assert.equal(entry.title, 'List a directory');
  assert.equal(entry.bytesSent, 120);
  assert.ok(entry.durationMs !== undefined && entry.durationMs >= 0 && entry.durationMs < 1000);
  assert.ok(Math.abs(entry.startedAt - Date.now()) < 1000);
  assert.deepEqual(entry.exit, { exitCode: 3, signal: undefined });
  assert.equal(log.find(entry.id)?.script, entry.script);
  assert.equal(log.entries('web-2').length, 0);
  log.dispose();
});

test('what comes after the end is ignored: a channel may still deliver', () => {
  const log = new CommandLog(asGiven);
  const running = log.begin('web-1', 'start', { script: 'true' });
  running.end(done);
  running.received(5);
  running.sent(5);
  running.end({ exitCode: 9, signal: undefined });
  const [entry] = log.entries();
  assert.equal(entry?.bytesReceived, 0);
  assert.deepEqual(entry?.exit, done);
  assert.equal(log.totals()[0]?.running, 0);
  log.dispose();
});

test('totals are per node, and go on counting what is not kept any more', () => {
  const log = new CommandLog(asGiven, { entries: 2, characters: 1000 });
  for (const exitCode of [0, 1, 0, 2]) {
    const running = log.begin('web-1', 'exec', { script: 'x' });
    running.sent(10);
    running.received(100);
    running.end({ exitCode, signal: undefined });
  }
  log.begin('db-1', 'terminal', undefined).end({ exitCode: 130, signal: undefined });
  log.begin('db-1', 'start', { script: 'x' }).end({ exitCode: undefined, signal: undefined });
  assert.equal(log.entries().length, 2);
  assert.equal(log.dropped, 4);
  const [web, db] = log.totals();
  assert.deepEqual(
    { ...web, durationMs: 0 },
    {
      node: 'web-1',
      count: 4,
      running: 0,
      failed: 2,
      bytesSent: 40,
      bytesReceived: 400,
      durationMs: 0,
    },
  );
  assert.equal(db?.count, 2);
  // The user's last command in a terminal, and a channel that we closed, are no failures.
  assert.equal(db?.failed, 0);
  log.dispose();
});

test('a text that many commands share counts once', () => {
  const log = new CommandLog(asGiven, { entries: 100, characters: 60 });
  const script = 'x'.repeat(50);
  for (let count = 0; count < 10; count++) log.begin('a', 'exec', { script }).end(done);
  assert.equal(log.entries().length, 10);
  log.begin('a', 'exec', { script: 'y'.repeat(20) }).end(done);
  assert.deepEqual(
    log.entries().map(({ id }) => id),
    [11],
  );
  assert.equal(log.dropped, 10);
  log.dispose();
});

test('the oldest goes first, but what still runs last', () => {
  const log = new CommandLog(asGiven, { entries: 100, characters: 60 });
  const first = log.begin('a', 'start', { script: 'x'.repeat(30) });
  for (const text of ['1', '2', '3']) {
    log.begin('a', 'exec', { script: text.repeat(20) }).end(done);
  }
  assert.deepEqual(
    log.entries().map(({ id }) => id),
    [1, 4],
  );
  first.end(done);
  log.begin('a', 'exec', { script: '4'.repeat(20) }).end(done);
  assert.deepEqual(
    log.entries().map(({ id }) => id),
    [4, 5],
  );
  log.dispose();
});

test('even running commands are dropped when there are too many, and are counted to their end', () => {
  const log = new CommandLog(asGiven, { entries: 2, characters: 1000 });
  const all = [1, 2, 3].map(() => log.begin('a', 'start', { script: 'x' }));
  assert.deepEqual(
    log.entries().map(({ id }) => id),
    [2, 3],
  );
  for (const running of all) {
    running.received(1);
    running.end(done);
  }
  assert.deepEqual(
    log.totals().map(({ running, bytesReceived }) => [running, bytesReceived]),
    [[0, 3]],
  );
  log.dispose();
});

test('secrets are masked before anything is kept, in the context of all arguments', () => {
  const log = new CommandLog((args) =>
    args.map((arg, index) => (args[index - 1] === '--password' ? '‹redacted›' : arg)),
  );
  log.begin('a', 'exec', { script: 'exec "$@"', args: ['psql', '--password', 'hunter2'] });
  assert.deepEqual(log.entries()[0]?.args, ['psql', '--password', '‹redacted›']);
  assert.ok(!JSON.stringify(log.entries()).includes('hunter2'));
  log.dispose();
});

test('a very long argument is cut, and says so', () => {
  const log = new CommandLog(asGiven);
  log.begin('a', 'exec', { script: 'x', args: ['z'.repeat(100_000)] });
  const [arg = ''] = log.entries()[0]?.args ?? [];
  assert.ok(arg.length < 66_000);
  assert.match(arg, /… \(34,464 more characters\)$/);
  log.dispose();
});

test('a title is always one line that hides nothing', () => {
  const log = new CommandLog(asGiven);
  log.begin('a', 'exec', { script: '\n# Facts of a node.\necho' });
  log.begin('a', 'exec', { script: `exec "$@"` });
  log.begin('a', 'exec', { title: `Read \u001b]0;x\u0007${'y'.repeat(200)}`, script: 'x' });
  log.begin('a', 'terminal', undefined);
  const titles = log.entries().map(({ title }) => title);
  assert.equal(titles[0], 'Facts of a node.');
  assert.equal(titles[1], 'exec "$@"');
  assert.match(titles[2] ?? '', /^Read ‹ESC›\]0;x‹BEL›y+…$/);
  assert.equal(titles[3], 'Login shell');
  log.dispose();
});

test('clearing forgets what has ended and keeps what runs', () => {
  const log = new CommandLog(asGiven);
  log.begin('a', 'exec', { script: 'x' }).end(done);
  const running = log.begin('b', 'start', { script: 'y' });
  running.received(5);
  log.clear();
  assert.deepEqual(
    log.entries().map(({ node }) => node),
    ['b'],
  );
  assert.deepEqual(
    log
      .totals()
      .map(({ node, count, running, bytesReceived }) => [node, count, running, bytesReceived]),
    [['b', 1, 1, 5]],
  );
  running.end(done);
  assert.equal(log.totals()[0]?.running, 0);
  log.dispose();
});

test('listeners hear of many changes at once', async () => {
  const log = new CommandLog(asGiven);
  let times = 0;
  log.onDidChange(() => times++);
  const running = log.begin('a', 'start', { script: 'x' });
  for (let count = 0; count < 1000; count++) running.received(1);
  assert.equal(times, 0);
  await eventually(() => assert.equal(times, 1));
  assert.equal(times, 1);
  log.dispose();
});

test('how commands fail', () => {
  const exits = [
    [{ exitCode: 0, signal: undefined }, false],
    [{ exitCode: 1, signal: undefined }, true],
    [{ exitCode: undefined, signal: 'SIGKILL' }, true],
    [{ exitCode: undefined, signal: undefined }, false],
    [undefined, false],
  ] as const;
  for (const [exit, expected] of exits) assert.equal(hasFailed({ kind: 'exec', exit }), expected);
});
