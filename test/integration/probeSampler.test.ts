// The sampler against real processes of every Python on this machine, started as the extension does it:
// with the target's own binary, the program's text and the question on stdin.

import assert from 'node:assert/strict';
import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import test, { after } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { pythonProgram } from '../../src/probe/python.ts';
import { ProfileBuilder } from '../../src/profile/profile.ts';
import { SampleStream } from '../../src/profile/sampleStream.ts';
import { Workplace, pythons, systemPython } from '../probe/pythons.ts';

const place = new Workplace();
const children: ChildProcess[] = [];
after(() => {
  endChildren();
  place.dispose();
});

function endChildren(): void {
  for (const child of children.splice(0)) child.kill('SIGKILL');
}

const hot = join(place.folder, 'h\u00f6t.py');
writeFileSync(
  hot,
  `import select, sys, threading
class Ledger:
    def settle(self, n):
        total = 0
        for i in range(n):
            total += (i * i) % 7
        return total
    def __init__(self):
        self.settle(5000)
def gr\u00f6\u00dfe\u65e5\u672c():
    return [ledger for ledger in (Ledger() for _ in range(3))]
def waits():
    while True:
        select.select([], [], [], 5)
def recurse(n):
    if n:
        return recurse(n - 1)
    while True:
        gr\u00f6\u00dfe\u65e5\u672c()
for _ in range(2):
    threading.Thread(target=waits, daemon=True).start()
if sys.argv[1:] == ['deep']:
    sys.setrecursionlimit(5000)
print('up', flush=True)
recurse(int(sys.argv[2]) if sys.argv[2:] else 0)
`,
);

/** Starts a Python program in place of the last one, and waits until it says that it is up. */
async function target(
  python: string,
  args: readonly string[] = [],
  env: Record<string, string> = {},
): Promise<number> {
  endChildren();
  const child = spawn(python, [hot, ...args], {
    env: { ...place.env(), ...env },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  children.push(child);
  await new Promise((resolve) => child.stdout.once('data', resolve));
  return child.pid ?? 0;
}

type Message = Readonly<Record<string, unknown>>;

interface Sampled {
  readonly code: number | null;
  readonly stderr: string;
  readonly messages: readonly Message[];
  readonly end: Message | undefined;
}

interface SampleOptions {
  readonly python?: string;
  readonly env?: Record<string, string>;
  readonly uid?: number;
  /** Called at the first output. */
  readonly onStart?: (sampler: ChildProcess) => void;
}

async function sample(
  question: object,
  pid: number,
  options: SampleOptions = {},
): Promise<Sampled> {
  const program = pythonProgram('python/sampler.py');
  const sampler = spawn(
    options.python ?? `/proc/${pid}/exe`,
    (program.command.args ?? []).slice(1).map(String),
    {
      env: { ...place.env(), ...options.env },
      ...(options.uid === undefined ? {} : { uid: options.uid, gid: options.uid, cwd: '/' }),
    },
  );
  children.push(sampler);
  sampler.stdin.on('error', () => {
    // It has ended before it read all: its exit code tells.
  });
  sampler.stdin.write(program.input);
  sampler.stdin.write(`${JSON.stringify({ pid, ...question })}\n`);
  const stdout: Buffer[] = [];
  let stderr = '';
  sampler.stdout.on('data', (chunk: Buffer) => {
    if (stdout.length === 0) options.onStart?.(sampler);
    stdout.push(chunk);
  });
  sampler.stderr.on('data', (chunk: Buffer) => (stderr += chunk.toString()));
  const code = await new Promise<number | null>((resolve) => sampler.once('close', resolve));
  const messages = Buffer.concat(stdout)
    .toString('utf8')
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as Message);
  return { code, stderr, messages, end: messages.find(({ type }) => type === 'end') };
}

interface Seen {
  readonly thread: string;
  /** Innermost last, `name:line`. */
  readonly calls: readonly string[];
  readonly samples: number;
  readonly onCpu: number;
}

/** The stacks with their counts, and a check that the extension's reader takes every line. */
function stacksOf({ messages }: Sampled): Seen[] {
  const reader = new SampleStream(new ProfileBuilder());
  for (const message of messages) reader.read(JSON.stringify(message));
  assert.deepEqual(reader.notes, []);
  const frames = new Map(messages.filter(({ type }) => type === 'frame').map((m) => [m['id'], m]));
  const counts = new Map<unknown, readonly [number, number]>();
  for (const message of messages.filter(({ type }) => type === 'counts')) {
    for (const [id, samples, onCpu] of message['stacks'] as [number, number, number][]) {
      const before = counts.get(id) ?? [0, 0];
      counts.set(id, [before[0] + samples, before[1] + onCpu]);
    }
  }
  return messages
    .filter(({ type }) => type === 'stack')
    .map((stack) => ({
      thread: String(stack['thread']),
      calls: (stack['frames'] as [number, number][]).map(
        ([id, line]) => `${String(frames.get(id)?.['name'])}:${line}`,
      ),
      samples: counts.get(stack['id'])?.[0] ?? 0,
      onCpu: counts.get(stack['id'])?.[1] ?? 0,
    }));
}

const sum = (seen: readonly Seen[], of: 'samples' | 'onCpu') =>
  seen.reduce((total, stack) => total + stack[of], 0);

/** The hot function has at least 80 % of what was on a CPU, with its lines and its callers. */
function assertHot(sampled: Sampled, isQualified: boolean): void {
  assert.equal(sampled.code, 0, sampled.stderr);
  const seen = stacksOf(sampled);
  const settle = isQualified ? 'Ledger.settle' : 'settle';
  const isHot = ({ calls }: Seen) =>
    new RegExp(`^${settle.replace('.', '\\.')}:[567]$`).test(calls.at(-1) ?? '');
  const onCpu = sum(seen, 'onCpu');
  assert.ok(onCpu >= 10, `${onCpu} samples on a CPU`);
  assert.ok(sum(seen.filter(isHot), 'onCpu') / onCpu >= 0.8, JSON.stringify(seen));
  const main = seen
    .filter(isHot)
    .map(({ calls }) => calls.map((call) => call.replace(/^.*\./, '')).join(' '));
  assert.match(
    main[0] ?? '',
    /^<module>:25 recurse:\d+ gr\u00f6\u00dfe\u65e5\u672c:11 (<listcomp>:11 )?<genexpr>:11 __init__:9 settle:\d$/,
  );
  const waiting = seen.filter(({ calls }) => calls.at(-1) === 'waits:14');
  assert.equal(new Set(waiting.map(({ thread }) => thread)).size, 2);
  assert.ok(sum(waiting, 'onCpu') < sum(waiting, 'samples') * 0.2);
  const { end } = sampled;
  assert.equal(end?.['reason'], 'done');
  assert.ok(Number(end['torn']) <= Number(end['samples']) * 0.05, JSON.stringify(end));
}

/** Samples and checks; on a busy machine a short look may see too little, then a long one counts. */
async function sampleHot(
  pid: number,
  isQualified: boolean,
  options: SampleOptions = {},
): Promise<Sampled> {
  const short = await sample({ rateHz: 100, seconds: 0.6 }, pid, options);
  const isEnough = short.code !== 0 || sum(stacksOf(short), 'onCpu') >= 25;
  const sampled = isEnough ? short : await sample({ rateHz: 100, seconds: 4 }, pid, options);
  assertHot(sampled, isQualified);
  return sampled;
}

for (const python of pythons().filter(({ version }) => version[1] >= 7)) {
  test(`Python ${python.version.join('.')}: a hot function is found, with lines, callers and threads`, async () => {
    const pid = await target(python.path);
    const sampled = await sampleHot(pid, python.version[1] >= 11);
    const meta = sampled.messages[0];
    assert.deepEqual([meta?.['type'], meta?.['version'], meta?.['threads']], ['meta', 1, 3]);
    assert.ok(String(meta?.['python']).startsWith(python.version.join('.')));
    const file = sampled.messages.find(({ name }) => String(name).endsWith('settle'));
    assert.deepEqual([file?.['file'], file?.['line']], [hot, 3]);
  });
}

test('a venv’s Python and one under a false clock are sampled as well', async () => {
  const venv = join(place.folder, 'venv');
  const made = spawnSync(systemPython(), ['-m', 'venv', '--without-pip', venv]);
  assert.equal(made.status, 0, made.stderr.toString());
  const isQualified = pythons()[0]!.version[1] >= 11;
  const inVenv = await target(join(venv, 'bin/python'));
  await sampleHot(inVenv, isQualified);

  const library = ['x86_64', 'aarch64']
    .map((machine) => `/usr/lib/${machine}-linux-gnu/faketime/libfaketime.so.1`)
    .find((path) => existsSync(path));
  const env: Record<string, string> =
    library === undefined
      ? {}
      : { LD_PRELOAD: library, FAKETIME: '-90s', FAKETIME_DONT_FAKE_MONOTONIC: '1' };
  const faked = await target(systemPython(), [], env);
  await sampleHot(faked, isQualified, { env });
  endChildren();
  // A killed process leaves its clock's memory behind.
  for (const name of [`faketime_shm_${faked}`, `sem.faketime_sem_${faked}`]) {
    rmSync(join('/dev/shm', name), { force: true });
  }
});

test('a deep stack is cut at its outer end, with a mark', async () => {
  const pid = await target(systemPython(), ['deep', '900']);
  const seen = stacksOf(await sample({ rateHz: 50, seconds: 0.5 }, pid)).filter(
    ({ thread }) => thread === 'MainThread',
  );
  assert.ok(seen.length > 0);
  for (const { calls } of seen) {
    assert.equal(calls.length, 257);
    assert.equal(calls[0], '(outer frames left out):0');
    assert.equal(calls[1]?.split(':')[0], 'recurse');
  }
});

test('counts come about every 250 ms, and the sampler costs little', async () => {
  const pid = await target(systemPython());
  const short = await sample({ rateHz: 100, seconds: 0.1 }, pid);
  const long = await sample({ rateHz: 100, seconds: 2.1 }, pid);
  const times = long.messages.filter(({ type }) => type === 'counts').map(({ t }) => Number(t));
  assert.ok(
    times.length >= 7 && times.every((t, index) => index === 0 || t > times[index - 1]!),
    String(times),
  );
  assert.ok((times.at(-1) ?? 0) >= 2000);
  const cpu = Number(long.end?.['samplerCpuSeconds']) - Number(short.end?.['samplerCpuSeconds']);
  // The goal is 5 % of a core at 100 Hz; beside busy neighbours the same work takes more CPU time.
  assert.ok(cpu / 2 < 0.1, `${cpu / 2} of a core`);
  assert.ok(Number(long.end?.['rateGot']) > 50, JSON.stringify(long.end));
});

test('the target runs on and is never traced or stopped', async () => {
  const pid = await target(systemPython());
  const states: string[] = [];
  await sample({ rateHz: 200, seconds: 0.5 }, pid, {
    onStart: () => {
      const look = setInterval(() => {
        const status = readFileSync(`/proc/${pid}/status`, 'utf8');
        states.push(
          /^State:\s+(\w)/m.exec(status)?.[1] ?? '',
          /^TracerPid:\s+(\d+)/m.exec(status)?.[1] ?? '',
        );
        if (states.length > 60) clearInterval(look);
      }, 5);
      setTimeout(() => clearInterval(look), 450);
    },
  });
  assert.ok(states.length > 20);
  assert.deepEqual(
    states.filter((state) => !['R', 'S', 'D', '0'].includes(state)),
    [],
  );
});

test('the end says why: the target is gone, or nobody listens any more', async () => {
  const ending = await target(systemPython());
  const gone = await sample({ rateHz: 50, seconds: 20 }, ending, {
    onStart: () => process.kill(ending, 'SIGKILL'),
  });
  assert.deepEqual([gone.code, gone.end?.['reason']], [0, 'target exited']);
  const running = await target(systemPython());
  const started = Date.now();
  const closed = await sample({ rateHz: 50, seconds: 20 }, running, {
    onStart: (sampler) => sampler.stdin?.end(),
  });
  assert.deepEqual([closed.code, closed.end?.['reason']], [0, 'channel closed']);
  assert.ok(Date.now() - started < 10_000);
});

test('a process that cannot be sampled is refused with what to do', async () => {
  const python = systemPython();
  const refusals: (readonly [Sampled, RegExp])[] = [];
  const sleeper = spawn('sleep', ['30'], { stdio: 'ignore' });
  children.push(sleeper);
  await sleep(50);
  refusals.push([
    await sample({}, sleeper.pid ?? 0, { python }),
    /does not run the Python that is installed/,
  ]);
  refusals.push([await sample({}, 2 ** 22 + 1, { python }), /there is no process 4194305/]);
  const others = pythons();
  const old = others.find(({ version }) => version[1] === 6);
  if (old !== undefined) {
    const pid = await target(old.path);
    refusals.push([await sample({}, pid), /runs cpython 3\.6; .*from 3\.7 on, use py-spy/]);
  }
  const second = others.find(({ path, version }) => path !== python && version[1] >= 7);
  if (second !== undefined) {
    const pid = await target(second.path);
    refusals.push([
      await sample({}, pid, { python }),
      /does not run the Python that is installed now/,
    ]);
  }
  if (process.getuid?.() === 0) {
    const pid = await target('/usr/bin/python3');
    const nobody = 65_534;
    refusals.push([
      await sample({}, pid, { python: '/usr/bin/python3', uid: nobody }),
      /as its user or as root/,
    ]);
  }
  for (const [refused, why] of refusals) {
    assert.equal(refused.code, 3, refused.stderr);
    assert.match(refused.stderr, /^faultline: [^\n]*\n$/);
    assert.match(refused.stderr, why);
    assert.deepEqual(refused.messages, []);
  }
});

test('a wrong question is exit code 2 and a sentence', async () => {
  const python = systemPython();
  for (const question of [
    { pid: 'x' },
    { rateHz: 0 },
    { rateHz: 1e9 },
    { seconds: -1 },
    { seconds: true },
  ]) {
    const refused = await sample(question, process.pid, { python });
    assert.equal(refused.code, 2);
    assert.match(refused.stderr, /^faultline: .* must be a number above 0 and at most \d+\n$/);
  }
});
