// The launcher as it is sent over SSH: a program's text and a plan on stdin of `python3 -c`.

import assert from 'node:assert/strict';
import { spawn, type ChildProcessWithoutNullStreams } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, realpathSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import test, { after } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { createHmac } from 'node:crypto';
import { pythonProgram } from '../../src/probe/python.ts';
import { Workplace, probeFolder, pythons, recorderFile, systemPython } from '../probe/pythons.ts';

const launcher = readFileSync(join(probeFolder, 'launch.py'));
const recorder = readFileSync(recorderFile, 'utf8');

/** Reads ahead: what follows the program's text may already be in Python's buffer. */
const bufferedBootstrap =
  'import sys;b=sys.stdin.buffer;n=int(b.readline());exec(compile(b.read(n),"faultline","exec"))';

const places: Workplace[] = [];
after(() => {
  for (const place of places) place.dispose();
});

function newPlace(): Workplace {
  const place = new Workplace();
  places.push(place);
  return place;
}

interface Launched {
  readonly process: ChildProcessWithoutNullStreams;
  readonly ended: Promise<{
    readonly code: number | null;
    readonly signal: string | null;
    readonly stdout: Buffer;
    readonly stderr: string;
  }>;
}

interface LaunchOptions {
  readonly python?: string;
  readonly rest?: string | Buffer;
  readonly bootstrap?: 'exact' | 'buffered';
  readonly env?: Record<string, string>;
}

/** Starts the launcher and leaves its stdin open, as the extension does. */
function launch(plan: object, options: LaunchOptions = {}): Launched {
  const exact = pythonProgram('python/launch.py');
  const code =
    options.bootstrap === 'buffered' ? bufferedBootstrap : String(exact.command.args?.[4]);
  const process_ = spawn(options.python ?? systemPython(), ['-I', '-S', '-c', code], {
    env: options.env ?? { PATH: process.env['PATH'] ?? '/usr/bin:/bin' },
  });
  process_.stdin.on('error', () => {
    // The launcher has refused the plan and said why.
  });
  process_.stdin.write(
    Buffer.concat([
      Buffer.from(`${launcher.length}\n`),
      launcher,
      Buffer.from(`${JSON.stringify({ recorder, ...plan })}\n`),
      Buffer.from(options.rest ?? ''),
    ]),
  );
  const stdout: Buffer[] = [];
  const stderr: Buffer[] = [];
  process_.stdout.on('data', (chunk: Buffer) => stdout.push(chunk));
  process_.stderr.on('data', (chunk: Buffer) => stderr.push(chunk));
  const ended = new Promise<Awaited<Launched['ended']>>((resolve) => {
    process_.once('close', (exitCode, signal) =>
      resolve({
        code: exitCode,
        signal,
        stdout: Buffer.concat(stdout),
        stderr: Buffer.concat(stderr).toString(),
      }),
    );
  });
  return { process: process_, ended };
}

/** The same, to its end. */
async function launched(plan: object, options: LaunchOptions = {}) {
  const { process: process_, ended } = launch(plan, options);
  const end = await ended;
  process_.stdin.end();
  return end;
}

function isAlive(pid: number): boolean {
  try {
    // A zombie is no longer a process that runs.
    return !/^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'));
  } catch {
    return false;
  }
}

async function waitFor(what: string, condition: () => boolean, ms = 6000): Promise<void> {
  for (const end = Date.now() + ms; Date.now() < end; await sleep(20)) if (condition()) return;
  assert.fail(`${what}: not within ${ms} ms`);
}

const modes = ['exec', 'run'] as const;

for (const python of pythons()) {
  test(`Python ${python.version.join('.')}: a plan is carried out to the byte`, async () => {
    const place = newPlace();
    const folder = join(realpathSync(place.folder), 'a b\n\u00e9');
    mkdirSync(folder);
    const argv = ['', "'", '"', '\\', '$(id)', 'a\nb', '\u20ac', 'raw \udcff\udc80', '--', '*'];
    const env = {
      ...place.env(),
      EMPTY: '',
      LINES: 'a\nb',
      RAW: '\udcfe',
      'BASH_FUNC_x%%': '() { :; }',
    };
    const show =
      'import os,resource,sys\n' +
      'mask = os.umask(0); soft = resource.getrlimit(resource.RLIMIT_NOFILE)[0]\n' +
      'head = os.getcwdb() + b"\\0%04o\\0%d\\0" % (mask, soft)\n' +
      'words = b"".join(os.fsencode(word) + b"\\0" for word in sys.argv[1:])\n' +
      'sys.stdout.buffer.write(head + words + open("/proc/self/environ", "rb").read())\n';
    const end = await launched(
      {
        argv: [python.path, '-I', '-S', '-c', show, ...argv],
        cwd: folder,
        env,
        umask: '0027',
        limits: { nofile: [64, 64] },
        mode: 'exec',
      },
      { python: python.path },
    );
    assert.deepEqual([end.code, end.signal, end.stderr], [0, null, '']);
    const raw = (text: string) =>
      Buffer.concat(
        Array.from(text, (char) =>
          /[\udc80-\udcff]/.test(char)
            ? Buffer.from([char.charCodeAt(0) - 0xdc00])
            : Buffer.from(char),
        ),
      );
    const expected = Buffer.concat(
      [folder, '0027', '64', ...argv, ...Object.entries(env).map((pair) => pair.join('='))].map(
        (text) => Buffer.concat([raw(text), Buffer.from([0])]),
      ),
    );
    assert.equal(end.stdout.toString('latin1'), expected.toString('latin1'));
  });
}

test('exit codes and signals are the program’s own, plain or recorded', async () => {
  const place = newPlace();
  for (const mode of modes) {
    const run = (script: string) =>
      launched({ argv: ['sh', '-c', script], env: place.env(), mode });
    const ends = await Promise.all([
      run('exit 0'),
      run('exit 7'),
      run('kill -SEGV $$'),
      run('kill -KILL $$'),
    ]);
    assert.deepEqual(
      ends.map(({ code, signal }) => [code, signal]),
      [
        [0, null],
        [7, null],
        [null, 'SIGSEGV'],
        [null, 'SIGKILL'],
      ],
    );
  }
});

test('what follows the plan is the program’s stdin, however it was read', async () => {
  const place = newPlace();
  const rest = Buffer.concat([
    Buffer.from('first\n'),
    Buffer.alloc(200_000, 1),
    Buffer.from('\nlast'),
  ]);
  for (const bootstrap of ['exact', 'buffered'] as const) {
    for (const mode of [...modes, 'adapter'] as const) {
      const plan = {
        argv: ['cat'],
        env: place.env(),
        mode,
        ...(mode === 'adapter' ? {} : { stdin: 'inherit' }),
      };
      const { process: process_, ended } = launch(plan, { rest, bootstrap });
      process_.stdin.end();
      const end = await ended;
      assert.ok(
        end.stdout.equals(rest),
        `${mode} ${bootstrap}: ${end.stdout.length} bytes ${end.stderr}`,
      );
      assert.equal(end.code, 0);
    }
  }
});

test('an adapter answers while its stdin stays open', async () => {
  const place = newPlace();
  const { process: process_, ended } = launch({ argv: ['cat'], env: place.env(), mode: 'adapter' });
  process_.stdin.write('Content-Length: 2\r\n\r\n{}');
  const answer = await new Promise<string>((resolve) =>
    process_.stdout.once('data', (chunk: Buffer) => resolve(chunk.toString())),
  );
  assert.equal(answer, 'Content-Length: 2\r\n\r\n{}');
  process_.stdin.end();
  assert.equal((await ended).code, 0);
});

test('what keeps a program from starting is one sentence and exit code 97', async () => {
  const place = newPlace();
  writeFileSync(join(place.folder, 'file'), '');
  const env = place.env();
  const cases: readonly (readonly [plan: object, why: RegExp])[] = [
    [{ argv: ['true'], cwd: '/no/such', env }, /the directory \/no\/such does not exist/],
    [{ argv: ['true'], cwd: join(place.folder, 'file'), env }, /is not a directory/],
    [{ argv: ['no-such-program'], env, mode: 'exec' }, /no-such-program: there is no such program/],
    [{ argv: [join(place.folder, 'file')], env, mode: 'exec' }, /Permission denied/],
    [{ argv: ['true'], env: { 'A=B': 'x' } }, /cannot be set/],
    [{ argv: ['true'], env, umask: 'x' }, /no umask/],
    [{ argv: ['true'], env, mode: 'what' }, /no mode/],
    [{ argv: ['true'], env, mode: 'run', recorder: null }, /no recorder/],
    [{ argv: [], env }, /names no command/],
    [{ argv: ['x', '--password', '\u2039redacted:0123abcd\u203a'], env }, /argument 2 is a secret/],
  ];
  await Promise.all(
    cases.map(async ([plan, why]) => {
      const end = await launched(plan);
      assert.equal(end.code, 97, end.stderr);
      assert.match(end.stderr, /^faultline: cannot start: [^\n]*\n$/);
      assert.match(end.stderr, why);
    }),
  );
});

test('a limit that cannot be had is a note, and the program runs', async () => {
  const end = await launched({
    argv: ['sh', '-c', 'ulimit -S -n'],
    env: newPlace().env(),
    limits: { nofile: [1 << 30, 1 << 30], nosuch: [1, 1] },
    mode: 'exec',
  });
  assert.equal(end.code, 0);
  assert.match(
    end.stderr,
    /^faultline: note: the limit nofile is \d+ here, recorded was 1073741824$/m,
  );
  assert.match(end.stderr, /^faultline: note: the limit nosuch is not known here$/m);
});

test('under the recorder the run is recorded with its parent and context', async () => {
  const place = newPlace();
  const end = await launched({
    argv: [systemPython(), '-c', 'import sys; sys.stdout.write(sys.stdin.read()); {}["x"]'],
    env: place.env({ HOME: '/root' }),
    mode: 'run',
    parent: 'r-20200101T000000-00000000',
    contextId: 'req-1',
  });
  assert.equal(end.code, 1);
  const record = place.record(/faultline: run (\S+)/.exec(end.stderr)?.[1] ?? '');
  assert.deepEqual(
    [
      record.exception?.type,
      record.exception?.source,
      record.parent,
      record.contextId,
      record.stdin,
    ],
    ['KeyError', 'hook', 'r-20200101T000000-00000000', 'req-1', 'null'],
  );
});

test('inheritEnv adds to the environment we were given, without what Python added to it', async () => {
  const end = await launched(
    { argv: ['env', '-0'], env: { B: '2', C: '3' }, inheritEnv: true, mode: 'exec' },
    { env: { PATH: process.env['PATH'] ?? '', A: '1', B: '1', LANG: 'C' } },
  );
  const seen = end.stdout
    .toString()
    .split('\0')
    .filter((entry) => !/^(PATH=|$)/.test(entry));
  assert.deepEqual(seen.sort(), ['A=1', 'B=2', 'C=3', 'LANG=C']);
});

test('a masked secret is found on the node by its hash, and only there', async () => {
  const salt = '00112233445566778899aabbccddeeff';
  const hash = (value: string) =>
    createHmac('sha256', salt).update(value).digest('hex').slice(0, 8);
  const holder = spawn('sleep', ['20'], {
    env: { FL_TEST_A: 'recorded', FL_TEST_B: 'newer' },
    stdio: 'ignore',
  });
  const end = await launched(
    {
      argv: ['env', '-0'],
      env: {
        PATH: process.env['PATH'] ?? '',
        FL_TEST_A: { secretHash: hash('recorded'), salt },
        FL_TEST_B: { secretHash: hash('older'), salt },
        FL_TEST_NONE: { secretHash: hash('gone'), salt },
      },
      mode: 'exec',
    },
    { env: { PATH: process.env['PATH'] ?? '', FL_TEST_A: 'other' } },
  );
  holder.kill('SIGKILL');
  assert.equal(end.code, 0, end.stderr);
  const seen = end.stdout
    .toString()
    .split('\0')
    .filter((entry) => entry.startsWith('FL_'));
  assert.deepEqual(seen, ['FL_TEST_A=recorded', 'FL_TEST_B=newer']);
  assert.match(
    end.stderr,
    /^faultline: note: FL_TEST_B is not the recorded secret: the value of process \d+ was taken$/m,
  );
  assert.match(end.stderr, /^faultline: note: FL_TEST_NONE is left out: /m);
  assert.ok(!end.stderr.includes('newer'));
});

test('when the channel ends everything of the program ends, even what does not want to', async () => {
  for (const mode of modes) {
    const place = newPlace();
    const pids = join(place.folder, 'pids');
    // A shell that ignores TERM, a child, and a daemon in a session of its own.
    const script = `trap '' TERM; sleep 60 & echo $! >>${pids}; setsid sh -c 'echo $$ >>${pids}; exec sleep 60' & echo $$ >>${pids}; while :; do sleep 1; done`;
    const { process: process_, ended } = launch({
      argv: ['sh', '-c', script],
      env: place.env(),
      mode,
    });
    await waitFor(
      'the program is up',
      () => existsSync(pids) && readFileSync(pids, 'utf8').split('\n').length === 4,
    );
    const started = readFileSync(pids, 'utf8').trim().split('\n').map(Number);
    assert.ok(started.every(isAlive));
    process_.stdin.end();
    const end = await ended;
    assert.equal(end.signal, 'SIGKILL');
    assert.deepEqual(started.filter(isAlive), []);
    if (mode === 'run') {
      const record = place.record(/faultline: run (\S+)/.exec(end.stderr)?.[1] ?? '');
      assert.deepEqual([record.state, record.signal], ['failed', 'SIGKILL']);
    }
  }
});

test('a program that obeys TERM gets it once and has its say', async () => {
  for (const mode of modes) {
    const place = newPlace();
    const script =
      'n=0; trap "n=$((n+1))" TERM; echo up; while [ $n = 0 ]; do sleep 0.02; done; sleep 0.2; echo got $n; exit 9';
    const { process: process_, ended } = launch({
      argv: ['sh', '-c', script],
      env: place.env(),
      mode,
    });
    await new Promise((resolve) => process_.stdout.once('data', resolve));
    process_.stdin.end();
    const end = await ended;
    assert.deepEqual([end.code, end.stdout.toString()], [9, 'up\ngot 1\n']);
  }
});

test('a signal to the launcher reaches the program; a killed launcher takes it along', async () => {
  for (const mode of modes) {
    const place = newPlace();
    const forwarded = launch({
      argv: ['sh', '-c', 'trap "exit 12" USR1; echo up; while :; do sleep 0.02; done'],
      env: place.env(),
      mode,
    });
    await new Promise((resolve) => forwarded.process.stdout.once('data', resolve));
    forwarded.process.kill('SIGUSR1');
    assert.equal((await forwarded.ended).code, 12);

    const killed = launch({ argv: ['sh', '-c', 'echo $$; exec sleep 60'], env: place.env(), mode });
    const pid = Number(
      await new Promise<string>((resolve) =>
        killed.process.stdout.once('data', (chunk: Buffer) => resolve(chunk.toString())),
      ),
    );
    killed.process.kill('SIGKILL');
    await waitFor(`${mode}: the program ends too`, () => !isAlive(pid));
  }
});

test('without a heartbeat in time the channel counts as dead', async () => {
  const { process: process_, ended } = launch({
    argv: ['sleep', '60'],
    env: newPlace().env(),
    mode: 'exec',
    heartbeatSeconds: 0.5,
  });
  const beat = setInterval(() => process_.stdin.write('.'), 100);
  await sleep(1200);
  assert.equal(process_.exitCode, null, 'it was ended in spite of its heartbeat');
  clearInterval(beat);
  assert.equal((await ended).signal, 'SIGTERM');
  process_.stdin.end();
});
