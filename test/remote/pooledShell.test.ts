import assert from 'node:assert/strict';
import test from 'node:test';
import { UserError } from '../../src/base/errors.ts';
import { splitLines } from '../../src/base/lines.ts';
import { CommandLog } from '../../src/remote/commandLog.ts';
import { PooledShell, type PoolLimits } from '../../src/remote/pooledShell.ts';
import { connectionLost } from '../../src/remote/sshFailures.ts';
import { eventually } from '../fakes/eventually.ts';
import { FakeConnection } from '../fakes/fakeConnection.ts';

interface TestPool {
  readonly shell: PooledShell;
  readonly connections: FakeConnection[];
}

function pool(
  options: {
    readonly maxSessions?: number;
    /** Further connections are refused after this many. */
    readonly maxLogins?: number;
    readonly limits?: Partial<PoolLimits>;
    readonly commands?: CommandLog;
  } = {},
): TestPool {
  const connections = [new FakeConnection(options)];
  const shell = new PooledShell({
    node: 'node',
    connection: connections[0]!,
    connectAnother: () => {
      if (connections.length >= (options.maxLogins ?? 10)) {
        return Promise.reject(connectionLost('node'));
      }
      connections.push(new FakeConnection(options));
      return Promise.resolve(connections.at(-1)!);
    },
    commands: options.commands,
    ...(options.limits === undefined ? {} : { limits: options.limits }),
    random: () => 0.5,
  });
  return { shell, connections };
}

const echo = { script: 'sleep 0.02; echo "$1"', args: ['x'] };

test('short programs share one connection, at most eight at once', async () => {
  const { shell, connections } = pool();
  const results = await Promise.all(Array.from({ length: 30 }, () => shell.exec(echo)));
  assert.ok(results.every((result) => result.stdout.toString() === 'x\n'));
  assert.deepEqual([connections.length, connections[0]!.peak], [1, 8]);
  shell.dispose();
});

for (const maxSessions of [1, 2, 3]) {
  test(`a node with MaxSessions ${maxSessions} runs everything, one after another`, async () => {
    const { shell, connections } = pool({ maxSessions });
    const results = await Promise.all(Array.from({ length: 8 }, () => shell.exec(echo)));
    assert.ok(results.every((result) => result.stdout.toString() === 'x\n'));
    assert.equal(connections.length, 1);
    shell.dispose();
  });
}

test('with MaxSessions 1 a long program gets a connection of its own', async () => {
  const { shell, connections } = pool({ maxSessions: 1 });
  // Two at once: one is refused, which teaches the limit.
  await Promise.all([shell.exec(echo), shell.exec(echo)]);
  const long = await shell.start({ script: 'echo on; exec cat' });
  await splitLines(long.stdout).next();
  assert.equal((await shell.exec(echo)).stdout.toString(), 'x\n');
  assert.equal(connections.length, 2);
  long.dispose();
  shell.dispose();
});

test('a limit that is learnt too late: a long program holds the one place, and a short one gets another', async () => {
  const { shell, connections } = pool({ maxSessions: 1, limits: { maxWaitMs: 1_000 } });
  const long = await shell.start({ script: 'echo on; exec cat' });
  assert.equal((await shell.exec(echo)).stdout.toString(), 'x\n');
  assert.equal(connections.length, 2);
  // What the first connection taught holds for the second: nothing is refused there.
  const another = await shell.start({ script: 'exec cat' });
  assert.equal((await shell.exec(echo)).stdout.toString(), 'x\n');
  assert.equal(connections.length, 3);
  for (const program of [long, another]) program.dispose();
  shell.dispose();
});

for (const [code, tries] of [
  ['node.authRefused', 1],
  ['node.connectionLost', 2],
] as const) {
  test(`a further connection that failed with ${code} is tried ${tries} times in ten minutes`, async (t) => {
    let tried = 0;
    const shell = new PooledShell({
      node: 'node',
      connection: new FakeConnection({ maxSessions: 1 }),
      connectAnother: () => {
        tried++;
        return Promise.reject(new UserError(code, 'No.'));
      },
    });
    await Promise.all([shell.exec(echo), shell.exec(echo)]);
    let now = performance.now();
    t.mock.method(performance, 'now', () => now);
    for (let minute = 0; minute < 9; minute++) {
      const long = await shell.start({ script: 'exec cat' });
      long.dispose();
      await eventually(() => assert.equal(shell.channelsInUse, 0));
      now += 60_000;
    }
    assert.equal(tried, tries);
    shell.dispose();
  });
}

test('a limit that was learnt is doubted after a minute, one session more at a time', async (t) => {
  const { shell, connections } = pool({ maxSessions: 2, maxLogins: 1 });
  const many = (): Promise<unknown> =>
    Promise.all(Array.from({ length: 12 }, () => shell.exec(echo)));
  await many();
  Object.assign(connections[0]!, { maxSessions: 10, peak: 0 });
  await many();
  assert.equal(connections[0]!.peak, 2);
  let now = performance.now();
  t.mock.method(performance, 'now', () => now);
  const peaks: number[] = [];
  for (let minute = 0; minute < 8; minute++) {
    now += 61_000;
    await many();
    peaks.push(connections[0]!.peak);
  }
  assert.deepEqual(peaks, [3, 4, 5, 6, 7, 8, 8, 8]);
  shell.dispose();
});

test('an aborted opening gives its place back, also when it fails', async () => {
  const connection = new FakeConnection();
  const abort = new AbortController();
  const broken = new PooledShell({
    node: 'node',
    connection: Object.assign(connection, {
      openChannel: () => {
        abort.abort();
        return Promise.reject(connectionLost('node'));
      },
    }),
    connectAnother: () => Promise.reject(connectionLost('node')),
  });
  await assert.rejects(broken.exec(echo, {}, abort.signal));
  assert.equal(broken.channelsInUse, 0);
  broken.dispose();
});

test('long programs leave a place to the short ones: the eighth opens a second connection', async () => {
  const { shell, connections } = pool();
  const programs = [];
  for (let count = 0; count < 7; count++) programs.push(await shell.start({ script: 'exec cat' }));
  assert.equal(connections.length, 1);
  programs.push(await shell.start({ script: 'exec cat' }));
  assert.equal(connections.length, 2);
  assert.equal((await shell.exec(echo)).stdout.toString(), 'x\n');
  assert.ok(connections.every((connection) => connection.peak <= 8));
  for (const program of programs) program.dispose();
  await eventually(() => assert.equal(shell.channelsInUse, 0));
  shell.dispose();
});

test('where no second login is possible a long program takes the last place, and others are told', async () => {
  const { shell } = pool({ maxSessions: 1, maxLogins: 1, limits: { maxWaitMs: 100 } });
  await Promise.all([shell.exec(echo), shell.exec(echo)]);
  const long = await shell.start({ script: 'exec cat' });
  await assert.rejects(shell.exec(echo), { code: 'node.busy', message: /few sessions.*0\.1 s/ });
  long.dispose();
  await eventually(() => assert.equal(shell.channelsInUse, 0));
  assert.equal((await shell.exec(echo)).stdout.toString(), 'x\n');
  shell.dispose();
});

test('a node that allows no session at all says so', async () => {
  const { shell } = pool({ maxSessions: 0 });
  await assert.rejects(shell.exec(echo), { code: 'node.noSessions' });
  shell.dispose();
});

test('a further connection closes when it was idle, the first one stays', async () => {
  const { shell, connections } = pool({ maxSessions: 1, limits: { spareIdleMs: 30 } });
  await Promise.all([shell.exec(echo), shell.exec(echo)]);
  const long = await shell.start({ script: 'exec cat' });
  long.dispose();
  await eventually(() => assert.equal(shell.connectionCount, 1));
  assert.equal(connections.filter((connection) => connection.isClosed).length, 1);
  shell.dispose();
});

test('a connection of great age is replaced, but not before its last channel was closed', async () => {
  const { shell, connections } = pool({ limits: { maxAgeMs: 60 } });
  const long = await shell.start({ script: 'exec cat' });
  await eventually(() => assert.equal(connections.length, 2));
  assert.equal((await shell.exec(echo)).stdout.toString(), 'x\n');
  assert.equal(connections[0]!.isClosed, false);
  long.dispose();
  await eventually(() => assert.equal(connections[0]!.isClosed, true));
  shell.dispose();
});

test('a connection of great age serves on where no other can be had', async () => {
  const { shell, connections } = pool({ maxLogins: 1, limits: { maxAgeMs: 20 } });
  await new Promise((resolve) => setTimeout(resolve, 80));
  assert.equal((await shell.exec(echo)).stdout.toString(), 'x\n');
  assert.equal(connections[0]!.isClosed, false);
  shell.dispose();
});

test('the shell is lost with its last connection, and those who wait hear of it', async () => {
  const { shell, connections } = pool({ maxSessions: 1, maxLogins: 1 });
  await Promise.all([shell.exec(echo), shell.exec(echo)]);
  const closed = new Promise<Error | undefined>((resolve) => shell.onDidClose(resolve));
  const running = shell.exec({ script: 'exec sleep 20' });
  const waiting = shell.exec(echo);
  const failures = Promise.allSettled([running, waiting]);
  await eventually(() => assert.equal(connections[0]!.open, 1));
  connections[0]!.lose(connectionLost('node'));
  assert.equal((await closed)?.message, 'The connection to node was lost.');
  assert.equal(
    (await failures).every((result) => result.status === 'rejected'),
    true,
  );
});

test('aborting while waiting for a place leaves the queue', async () => {
  const { shell } = pool({ maxSessions: 1, maxLogins: 1 });
  await Promise.all([shell.exec(echo), shell.exec(echo)]);
  const long = await shell.start({ script: 'exec cat' });
  const abort = new AbortController();
  const waiting = shell.exec(echo, {}, abort.signal);
  abort.abort();
  await assert.rejects(waiting, { name: 'AbortError' });
  long.dispose();
  await eventually(() => assert.equal(shell.channelsInUse, 0));
  shell.dispose();
});

test('every command is kept with its text, its bytes both ways and its end', async () => {
  const commands = new CommandLog((args) => args);
  const { shell } = pool({ commands });
  await shell.exec({ script: 'cat; echo oops >&2; exit 4' }, { stdin: 'hello' });
  const [entry] = commands.entries();
  assert.equal(entry?.script, 'cat; echo oops >&2; exit 4');
  assert.deepEqual(entry?.exit, { exitCode: 4, signal: undefined });
  assert.ok(entry.bytesSent > 'hello'.length && entry.bytesSent < 1000);
  assert.ok(entry.bytesReceived >= 'hello'.length + 'oops\n'.length);
  commands.dispose();
  shell.dispose();
});

test('a connection that only serves its last terminal is none to fall back on', async () => {
  const { shell, connections } = pool({ limits: { maxAgeMs: 60, spareIdleMs: 20 } });
  const long = await shell.start({ script: 'exec cat' });
  await eventually(() => assert.equal(connections.length, 2));
  await shell.exec(echo);
  await new Promise((resolve) => setTimeout(resolve, 40));
  // The old one is retired; the new one stays although it is idle, until it is of age itself.
  assert.equal((await shell.exec(echo)).stdout.toString(), 'x\n');
  assert.equal(
    connections.slice(1).every((connection) => connection.isClosed),
    false,
  );
  long.dispose();
  shell.dispose();
});

test('a connection that was lost before anybody listened is none', async () => {
  const connections = [new FakeConnection({ maxSessions: 1 })];
  const shell = new PooledShell({
    node: 'node',
    connection: connections[0]!,
    connectAnother: () => {
      connections.push(new FakeConnection());
      connections.at(-1)!.lose(connectionLost('node'));
      return Promise.resolve(connections.at(-1)!);
    },
    limits: { maxWaitMs: 200 },
  });
  await Promise.all([shell.exec(echo), shell.exec(echo)]);
  const long = await shell.start({ script: 'exec cat' });
  assert.deepEqual([connections.length, shell.connectionCount], [2, 1]);
  long.dispose();
  await eventually(() => assert.equal(shell.channelsInUse, 0));
  assert.equal((await shell.exec(echo)).stdout.toString(), 'x\n');
  shell.dispose();
});
