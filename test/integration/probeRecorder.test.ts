// The recorder around real programs: the program must not notice it, and the record must be true.

import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import {
  chmodSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  realpathSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import test, { after } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import {
  Workplace,
  recordRun,
  recordedRun,
  recorderFile,
  systemPython,
  type RecordedEnd,
} from '../probe/pythons.ts';

const python = systemPython();
const places: Workplace[] = [];
after(() => {
  for (const place of places) place.dispose();
});

function newPlace(): Workplace {
  const place = new Workplace();
  places.push(place);
  return place;
}

/** `list --json` or `show`, parsed line by line. */
function ask(place: Workplace, ...args: readonly string[]): unknown[] {
  const done = spawnSync(python, [recorderFile, ...args], { env: place.env() });
  if (done.status !== 0) throw new Error(done.stderr.toString());
  return args[0] === 'show'
    ? [JSON.parse(done.stdout.toString())]
    : done.stdout
        .toString()
        .split('\n')
        .filter((line) => line !== '')
        .map((line) => JSON.parse(line) as unknown);
}

test('a program ends as it does alone: code, output, and the record says the same', () => {
  const place = newPlace();
  for (const code of [0, 1, 3, 255]) {
    const end = recordedRun(place, ['sh', '-c', `printf out; printf err >&2; exit ${code}`]);
    assert.deepEqual([end.exitCode, end.stdout, end.stderr], [code, 'out', 'err\n']);
    assert.equal(end.record.exitCode, code);
    assert.equal(end.record.state, code === 0 ? 'passed' : 'failed');
    assert.equal(end.record.stderrTail, 'err');
    assert.equal(end.record.signal, null);
  }
});

test('a program that dies by a signal takes the recorder with it by the same signal', () => {
  const place = newPlace();
  for (const signal of ['SIGTERM', 'SIGKILL', 'SIGSEGV', 'SIGPIPE', 'SIGINT']) {
    const end = recordedRun(place, ['sh', '-c', `kill -s ${signal.slice(3)} $$`]);
    assert.deepEqual([end.exitCode, end.signal], [null, signal]);
    assert.deepEqual([end.record.exitCode, end.record.signal], [null, signal]);
    assert.equal(end.record.state, 'failed');
  }
});

test('what cannot be run is 127 or 126, as in a shell, and recorded', () => {
  const place = newPlace();
  writeFileSync(join(place.folder, 'data'), 'x');
  const missing = recordedRun(place, ['no-such-program']);
  assert.equal(missing.exitCode, 127);
  assert.equal(
    missing.stderr,
    'faultline: cannot run no-such-program: No such file or directory\n',
  );
  assert.equal(missing.record.exitCode, 127);
  const denied = recordedRun(place, ['./data']);
  assert.deepEqual([denied.exitCode, denied.record.state], [126, 'failed']);
  // A script without #! is given to sh, as execvp(3) does.
  writeFileSync(join(place.folder, 'script'), 'exit 9\n', { mode: 0o755 });
  assert.equal(recordedRun(place, ['./script']).exitCode, 9);
});

test('arguments, environment and stdin reach the program byte for byte', () => {
  const place = newPlace();
  const show =
    'import os,sys;print(ascii([os.fsencode(a) for a in sys.argv[1:]]),ascii(sorted(os.environb.items())),' +
    'ascii(open("/proc/self/environ","rb").read()),ascii(sys.stdin.buffer.read()))';
  const nasty = [
    '',
    ' ',
    "'",
    '"',
    '\\',
    '$(id)',
    '`id`',
    'a\nb',
    '\t',
    '*',
    '-',
    '--',
    '!',
    '\u00e9',
    '--x=$HOME',
  ];
  const env = place.env({
    NASTY: 'a\nb\'"\\=\u00e9',
    EMPTY: '',
    'BASH_FUNC_x%%': '() { :; }',
    LC_ALL: 'C',
  });
  const input = Buffer.from([0, 10, 255, 13, 10]);
  const alone = spawnSync(python, ['-S', '-c', show, ...nasty], { env, input });
  // -S: no hook, so even /proc/self/environ has to be the same.
  const end = recordedRun(place, [python, '-S', '-c', show, ...nasty], { env, input });
  assert.equal(end.stdout, alone.stdout.toString('latin1'));
  assert.deepEqual(end.record.argv.slice(4), nasty);
  assert.equal(end.record.env['NASTY'], env['NASTY']);
});

test('bytes that are no UTF-8 reach the program, and the record as lone surrogates', () => {
  const place = newPlace();
  const run = `exec "$0" "$1" run -- /bin/sh -c 'printf %s "$1$V"' sh "$(printf 'a\\377b\\n.')"`;
  const done = spawnSync(
    'sh',
    ['-c', `V=$(printf 'v\\376') && export V && ${run}`, python, recorderFile],
    {
      env: place.env(),
    },
  );
  assert.equal(done.stdout.toString('latin1'), 'a\u00ffb\n.v\u00fe');
  const id = /faultline: run (\S+)/.exec(done.stderr.toString())?.[1] ?? '';
  const record = place.record(id);
  assert.equal(record.argv.at(-1), 'a\udcffb\n.');
  assert.equal(record.env['V'], 'v\udcfe');
});

test('the record tells where and as whom the program ran', () => {
  const place = newPlace();
  mkdirSync(join(place.folder, 'real'));
  symlinkSync('real', join(place.folder, 'current'));
  const end = recordedRun(place, ['sh', '-c', 'sleep 0.05'], {
    cwd: join(place.folder, 'current'),
    env: place.env({ PWD: join(place.folder, 'current'), TZ: 'Asia/Kolkata', LANG: 'C.UTF-8' }),
    options: ['--context', 'req-7', '--parent', 'r-20200101T000000-00000000'],
  });
  const { record } = end;
  assert.equal(record.cwd.logical, join(place.folder, 'current'));
  assert.equal(record.cwd.physical, join(realpathSync(place.folder), 'real'));
  assert.equal(record.user.uid, process.getuid?.());
  assert.match(record.umask, /^0\d{3}$/);
  assert.deepEqual(record.limits['nofile']?.length, 2);
  assert.deepEqual(record.timezone, { tz: 'Asia/Kolkata', name: 'IST', offsetMinutes: 330 });
  assert.equal(record.locale['preferredEncoding'], 'UTF-8');
  assert.deepEqual([record.contextId, record.parent], ['req-7', 'r-20200101T000000-00000000']);
  assert.equal(record.stdin, 'pipe');
  assert.ok((record.durationMs ?? 0) >= 50 && (record.durationMs ?? 0) < 5000);
  assert.ok(Date.parse(record.endedAt ?? '') >= Date.parse(record.startedAt));
  assert.match(record.program ?? '', /^\/.*\/sh$/);
  assert.equal(
    recordedRun(place, ['true'], { env: place.env({ FAULTLINE_CONTEXT_ID: 'c' }) }).record
      .contextId,
    'c',
  );
});

test('signals sent to the recorder reach the program once, and its answer comes back', async () => {
  const place = newPlace();
  const script =
    'n=0; trap "n=$((n+1))" TERM; echo up; while [ $n = 0 ]; do sleep 0.02; done; sleep 0.1; exit $((40+n))';
  const child = spawn(python, [recorderFile, 'run', '--', 'sh', '-c', script], {
    env: place.env(),
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  await new Promise((resolve) => child.stdout.once('data', resolve));
  child.kill('SIGTERM');
  const code = await new Promise((resolve) => child.once('exit', resolve));
  assert.equal(code, 41);
});

test('stderr arrives whole while the program runs, and a background process keeps it', async () => {
  const place = newPlace();
  const script =
    'printf first >&2; (sleep 0.6; printf late >&2; printf later >&2) & head -c 300000 /dev/zero >&2; exit 4';
  const child = spawn(python, [recorderFile, 'run', '--', 'sh', '-c', script], {
    env: place.env(),
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  let stderr = Buffer.alloc(0);
  child.stderr.on('data', (chunk: Buffer) => (stderr = Buffer.concat([stderr, chunk])));
  const started = Date.now();
  const code = await new Promise((resolve) => child.once('exit', resolve));
  const exitedAfter = Date.now() - started;
  await new Promise((resolve) => child.once('close', resolve));
  assert.equal(code, 4);
  assert.ok(stderr.subarray(0, 5).equals(Buffer.from('first')));
  assert.equal(stderr.filter((byte) => byte === 0).length, 300_000);
  assert.ok(stderr.toString('latin1').endsWith('latelater'), 'the background process was cut off');
  assert.ok(Date.now() - started > exitedAfter, 'the recorder waited for the background process');
});

test('of a long stderr the last 8 KiB are kept, from a whole character on', () => {
  const place = newPlace();
  const end = recordedRun(place, [
    python,
    '-I',
    '-c',
    'import sys; sys.stderr.buffer.write(b"x" * 100001 + "\u20ac".encode() * 4000 + b"end")',
  ]);
  const tail = Buffer.from(end.record.stderrTail, 'utf8');
  assert.ok(tail.length > 8180 && tail.length <= 8192);
  assert.ok(
    end.record.stderrTail.startsWith('\u20ac') && end.record.stderrTail.endsWith('\u20acend'),
  );
});

test('no secret is anywhere in the record, nor left in a file', () => {
  const place = newPlace();
  const canary = (name: string) => `canary-${name}-7Zq9`;
  const token = `ghp_${'Ab3'.repeat(12)}`;
  const env = place.env({
    DB_PASSWORD: canary('name'),
    UPSTREAM: `https://me:${canary('url')}@host/`,
    COPY: `see ${canary('name')} there`,
    SESSION_COOKIE: `${canary('line1')}-with-20-letters\n${canary('line2')}-with-20-letters`,
    QUOTED_SECRET: `${canary('quote')}'"\\\u00e9`,
  });
  const program = `
import os, sys
password = os.environ['DB_PASSWORD']
print('stderr', password, '${token}', os.environ['UPSTREAM'], file=sys.stderr)
print(os.environ['SESSION_COOKIE'].split(chr(10))[1], repr(os.environ['QUOTED_SECRET']), file=sys.stderr)
def connect(dsn="${canary('code')}"):
    raise RuntimeError('refused: ' + password + ' ' + sys.argv[2] + ' --token=${canary('text')}1')
connect()
`;
  writeFileSync(join(place.folder, 'leak.py'), program);
  const before = readdirSync('/dev/shm').filter((name) => name.startsWith('faultline-'));
  const end = recordedRun(
    place,
    [python, 'leak.py', '--api-key', canary('argv'), `TOKEN=${canary('assigned')}`],
    {
      env,
    },
  );
  assert.ok(end.stderr.includes(canary('name')), 'the program itself is not to be censored');
  const text = place.recordText(end.record.id);
  const exposed = ['name', 'url', 'line1', 'line2', 'quote', 'argv', 'assigned', 'text'].filter(
    (name) => text.includes(canary(name)),
  );
  assert.deepEqual(exposed, []);
  assert.ok(!text.includes(token));
  assert.equal(end.record.exception?.type, 'RuntimeError');
  assert.match(end.record.exception.message, /^refused: ‹redacted:\w{8}› ‹redacted:\w{8}› /);
  const grep = spawnSync('grep', ['-raol', canary('name'), place.folder]);
  assert.equal(grep.stdout.toString(), '');
  const left = readdirSync('/dev/shm').filter((name) => name.startsWith('faultline-'));
  assert.ok(left.length <= before.length);
});

test('a killed program is recorded as killed, a killed recorder’s run is lost', async () => {
  const place = newPlace();
  const start = () =>
    spawn(python, [recorderFile, 'run', '--', 'sleep', '30'], {
      env: place.env(),
      stdio: 'ignore',
    });
  const running = async (other?: string) => {
    for (let tries = 0; tries < 200; tries++) {
      const names = readdirSync(place.state, { recursive: true }).map(String);
      const found = names.find((name) => name.endsWith('.json') && name !== `runs/${other}.json`);
      if (found !== undefined) return found.slice(5, -5);
      await sleep(20);
    }
    throw new Error('no record was written');
  };
  mkdirSync(place.state);
  const first = start();
  const killed = await running();
  const record = place.record(killed);
  assert.equal(record.state, 'running');
  process.kill(record.pid ?? 0, 'SIGKILL');
  assert.equal(
    await new Promise((resolve) => first.once('exit', (_, signal) => resolve(signal))),
    'SIGKILL',
  );
  assert.deepEqual(
    [place.record(killed).state, place.record(killed).signal],
    ['failed', 'SIGKILL'],
  );

  const second = start();
  const lost = await running(killed);
  const program = place.record(lost).pid ?? 0;
  second.kill('SIGKILL');
  await new Promise((resolve) => second.once('exit', resolve));
  const states = () =>
    Object.fromEntries(
      (ask(place, 'list', '--json') as { run: string; state: string }[]).map(({ run, state }) => [
        run,
        state,
      ]),
    );
  assert.equal(states()[lost], 'running', 'its program still runs');
  process.kill(program, 'SIGKILL');
  for (let tries = 0; states()[lost] === 'running' && tries < 50; tries++) await sleep(20);
  assert.deepEqual(states(), { [lost]: 'lost', [killed]: 'failed' });
  assert.equal((ask(place, 'show', lost)[0] as { state: string }).state, 'lost');
});

test('when no record can be written the program runs all the same, and one sentence says why', () => {
  const place = newPlace();
  writeFileSync(join(place.folder, 'file'), '');
  const check = (end: RecordedEnd) => {
    assert.deepEqual([end.exitCode, end.stdout, end.run], [6, 'out', undefined]);
    assert.match(end.stderr, /^faultline: this run is not recorded: cannot write \/.*: .*\n$/);
  };
  const run = (state: string) =>
    recordRun(place, ['sh', '-c', 'printf out; exit 6'], {
      env: place.env({ FAULTLINE_STATE: state }),
    });
  check(run(join(place.folder, 'file/state')));
  check(run('/proc/nowhere'));
  check(
    recordRun(place, ['sh', '-c', 'printf out; exit 6'], {
      env: { PATH: process.env['PATH'] ?? '', HOME: '/proc/nowhere' },
    }),
  );
});

test('records are private whatever the umask, and written in one step', () => {
  const place = newPlace();
  for (const umask of ['000', '077', '777']) {
    const done = spawnSync(
      'sh',
      ['-c', `umask ${umask}; exec "$0" "$@"`, python, recorderFile, 'run', '--', 'true'],
      {
        env: place.env(),
      },
    );
    assert.equal(done.status, 0, done.stderr.toString());
  }
  const find = spawnSync('find', [place.state, '-printf', '%y%m\n']).stdout.toString();
  assert.deepEqual([...new Set(find.trim().split('\n'))].sort(), ['d700', 'f600']);
  assert.ok(readdirSync(place.runs).every((name) => /^r-.*\.json$/.test(name)));
  chmodSync(place.runs, 0o700);
});

test('the code’s commit, local edits and the files of the traceback are recorded', () => {
  const place = newPlace();
  const repository = join(place.folder, 'shop');
  mkdirSync(join(repository, 'lib'), { recursive: true });
  writeFileSync(join(repository, 'lib/prices.py'), 'def price(name):\n    return {}[name]\n');
  writeFileSync(join(repository, 'main.py'), 'from lib.prices import price\nprice("A")\n');
  const git = (...args: readonly string[]) =>
    spawnSync('git', [
      '-C',
      repository,
      '-c',
      'user.name=t',
      '-c',
      'user.email=t@t',
      ...args,
    ]).stdout.toString();
  git('init', '-q', '-b', 'trunk');
  git('add', '.');
  git('commit', '-qm', 'x');
  const commit = git('rev-parse', 'HEAD').trim();
  const clean = recordedRun(place, [python, join(repository, 'main.py')]).record;
  assert.deepEqual(
    [clean.code?.root, clean.code?.commit, clean.code?.branch, clean.code?.dirty],
    [realpathSync(repository), commit, 'trunk', false],
  );
  assert.deepEqual(Object.keys(clean.code?.files ?? {}).sort(), ['lib/prices.py', 'main.py']);
  const sum = spawnSync('sha256sum', [join(repository, 'main.py')])
    .stdout.toString()
    .slice(0, 64);
  assert.equal(clean.code?.files['main.py'], sum);
  writeFileSync(
    join(repository, 'main.py'),
    readFileSync(join(repository, 'main.py'), 'utf8') + '# x\n',
  );
  assert.equal(
    recordedRun(place, [python, 'main.py'], { cwd: repository }).record.code?.dirty,
    true,
  );
});

test('a plan on stdin names the command where `ps` does not show it', () => {
  const place = newPlace();
  const input = `${JSON.stringify({ argv: ['cat'], contextId: 'c-1' })}\nrest of stdin`;
  const done = spawnSync(python, [recorderFile, 'run', '--plan', '-'], { env: place.env(), input });
  assert.equal(done.stdout.toString(), 'rest of stdin');
  const id = /faultline: run (\S+)/.exec(done.stderr.toString())?.[1] ?? '';
  assert.equal(place.record(id).contextId, 'c-1');
});

test('wrong use is exit code 2 and a sentence; an unknown run is 1', () => {
  const place = newPlace();
  for (const args of [
    [],
    ['what'],
    ['run'],
    ['run', '--nope', 'x'],
    ['show'],
    ['list', 'x'],
    ['run', '--plan', 'f'],
  ]) {
    const done = spawnSync(python, [recorderFile, ...args], { env: place.env(), input: '' });
    assert.equal(done.status, 2, args.join(' '));
    assert.match(done.stderr.toString(), /^faultline: .*\(try --help\)\n$/);
  }
  const done = spawnSync(python, [recorderFile, 'show', 'r-20200101T000000-00000000'], {
    env: place.env(),
  });
  assert.equal(done.status, 1);
  assert.match(done.stderr.toString(), /there is no run/);
  assert.deepEqual(ask(place, 'list', '--json'), []);
});
