import assert from 'node:assert/strict';
import test from 'node:test';
import { sampleProcess, type SampleTarget } from '../../src/profile/sampler.ts';
import { stackWeights } from './columns.ts';
import { ScriptedShell, type Answer } from './scriptedShell.ts';

const target: SampleTarget = { node: 'worker-1', pid: 77, seconds: 1, rateHz: 50 };

interface FactFields {
  readonly exe?: string;
  readonly uid?: string;
  readonly ownUid?: string;
  readonly pySpy?: 'yes' | 'no';
  readonly embeds?: 'yes' | 'no';
}

function facts({
  exe = '/usr/bin/python3.11',
  uid = '1000',
  ownUid = '1000',
  pySpy = 'no',
  embeds = 'no',
}: FactFields = {}): string {
  const argv = ['python3', '-m', 'shop.worker', '--token', 's3cret'];
  return ['here', exe, '/srv', uid, ownUid, pySpy, embeds, ...argv, ''].join('\0');
}

const lines = [
  { type: 'meta', version: 1 },
  { type: 'frame', id: 0, name: 'settle', file: '/srv/shop/settle.py', line: 12 },
  { type: 'stack', id: 0, frames: [[0, 14]], thread: 'MainThread' },
  { type: 'counts', t: 500, stacks: [[0, 25, 20]] },
  { type: 'counts', t: 1000, stacks: [[0, 24, 24]] },
].map((line) => `${JSON.stringify(line)}\n`);

const ended = { type: 'end', missed: 1, torn: 3, seconds: 1, samplerCpuSeconds: 0.05, rateGot: 49 };
const end = `${JSON.stringify(ended)}\n`;

const pySpyFile = JSON.stringify({
  shared: { frames: [{ name: 'settle', file: '/srv/shop/settle.py', line: 14 }] },
  profiles: [
    { type: 'sampled', name: 'Thread 1 "T"', unit: 'seconds', samples: [[0]], weights: [0.02] },
  ],
});

const shellWith = (fields: FactFields, ...answers: Answer[]): ScriptedShell =>
  new ScriptedShell(facts(fields), answers);

test('the probe runs on the interpreter of the process itself, with its input on stdin', async () => {
  const shell = shellWith({}, { stdout: lines.join('') + end });
  await sampleProcess(shell, target);
  const [sampler] = shell.started;
  assert.ok(sampler !== undefined);
  assert.equal(sampler.command.args?.[0], '/proc/77/exe');
  assert.equal(sampler.command.script, 'exec "$@"');
  assert.ok(sampler.stdin().endsWith('\n{"pid":77,"rateHz":50,"seconds":1}\n'));
  assert.equal(sampler.isDisposed, true);
});

test('samples, head and cost become a profile; progress is told', async () => {
  const shell = shellWith({}, { stdout: lines.join('') + end });
  const progress: unknown[] = [];
  const profile = await sampleProcess(shell, target, { onProgress: (p) => progress.push(p) });
  assert.deepEqual(stackWeights(profile, 'wall'), { settle: 49 });
  assert.deepEqual(stackWeights(profile, 'cpu'), { settle: 44 });
  assert.deepEqual(progress, [
    { elapsedMs: 500, samples: 25 },
    { elapsedMs: 1000, samples: 49 },
  ]);
  const { node, pid, command, durationMs, rateAskedHz, rateGotHz, missed, torn, notes, sampler } =
    profile.meta;
  assert.deepEqual(
    { node, pid, command, durationMs, rateAskedHz, rateGotHz, missed, torn, notes },
    {
      node: 'worker-1',
      pid: 77,
      command: 'python3 -m shop.worker …',
      durationMs: 1000,
      rateAskedHz: 50,
      rateGotHz: 49,
      missed: 1,
      torn: 3,
      notes: [],
    },
  );
  assert.equal(sampler.name, 'faultline-probe');
  assert.equal(sampler.cpuSeconds, 0.05);
});

test('a process that ends early is said', async () => {
  const early = end.replace('"seconds":1,', '"seconds":0.5,"reason":"target exited",');
  const profile = await sampleProcess(shellWith({}, { stdout: lines.join('') + early }), target);
  assert.deepEqual(profile.meta.notes, ['The process ended early: 0.5 s of 1 s were sampled.']);
});

test('a connection lost half-way keeps what arrived, and says so', async () => {
  const stdout = lines.slice(0, 4).join('') + '{"type":"cou';
  const profile = await sampleProcess(shellWith({}, { stdout }), target);
  assert.deepEqual(stackWeights(profile, 'wall'), { settle: 25 });
  assert.deepEqual(profile.meta.notes, [
    '1 line of the sampler made no sense and was skipped.',
    'The connection or the sampler ended early: this is only the first 0.5 s.',
  ]);
});

test("when the probe cannot, py-spy does, and the probe's sentence is kept as the reason", async () => {
  const shell = shellWith(
    { pySpy: 'yes' },
    { exitCode: 3, stderr: 'Python 3.15 is not known yet.\n' },
    { stdout: pySpyFile },
  );
  const profile = await sampleProcess(shell, target);
  assert.deepEqual(stackWeights(profile, 'cpu'), { settle: 1 });
  assert.deepEqual(profile.samples.weights.wall, undefined);
  assert.equal(profile.meta.sampler.name, 'py-spy');
  assert.equal(
    profile.meta.sampler.reason,
    "Used in place of Faultline's sampler: Python 3.15 is not known yet.",
  );
  assert.match(profile.meta.notes.join(), /CPU time only/);
  assert.deepEqual(shell.started[1]?.command.args, ['77', '1', '50']);
  assert.equal(shell.started[1]?.options.guard, true);
});

test('a program that carries Python in a library goes to py-spy at once', async () => {
  const shell = shellWith(
    { exe: '/usr/sbin/uwsgi', embeds: 'yes', pySpy: 'yes' },
    { stdout: pySpyFile },
  );
  const profile = await sampleProcess(shell, target);
  assert.equal(shell.started.length, 1);
  assert.equal(profile.meta.sampler.name, 'py-spy');
});

const refusals: readonly (readonly [string, ScriptedShell, string, RegExp])[] = [
  ['is gone', new ScriptedShell('gone\0', []), 'profile.noProcess', /no process 77 on worker-1/],
  [
    'is not Python',
    shellWith({ exe: '/usr/bin/node' }),
    'profile.notPython',
    /runs \/usr\/bin\/node/,
  ],
  [
    'belongs to somebody else',
    shellWith({ exe: '', uid: '33' }),
    'profile.otherUser',
    /another user \(uid 33\)/,
  ],
  [
    'cannot be sampled, without py-spy',
    shellWith({}, { exitCode: 3, stderr: 'The process forbids it.\n' }),
    'profile.cannotSample',
    /Process 77 on worker-1 cannot be sampled: The process forbids it\.$/,
  ],
  [
    'cannot be sampled, py-spy neither',
    shellWith(
      { pySpy: 'yes' },
      { exitCode: 3, stderr: 'No.\n' },
      { exitCode: 3, stderr: 'Nor I.' },
    ),
    'profile.cannotSample',
    /No\.?; py-spy says: Nor I\.$/,
  ],
  [
    'has an interpreter that does not start',
    shellWith({}, { exitCode: 126 }),
    'profile.cannotSample',
    /interpreter could not be started/,
  ],
  [
    'has a sampler that dies in silence',
    shellWith({}, { exitCode: 1 }),
    'profile.cannotSample',
    /without an answer \(exit code 1\)/,
  ],
];

for (const [what, shell, code, message] of refusals) {
  test(`a process that ${what}: one sentence`, async () => {
    await assert.rejects(sampleProcess(shell, target), { name: 'UserError', code, message });
  });
}

for (const [what, wrong] of [
  ['pid 0', { pid: 0 }],
  ['pid 1.5', { pid: 1.5 }],
  ['no seconds', { seconds: 0 }],
  ['a day', { seconds: 86_400 }],
  ['NaN Hz', { rateHz: Number.NaN }],
  ['a million Hz', { rateHz: 1e6 }],
] as const) {
  test(`${what} is refused before the node is asked`, async () => {
    const shell = shellWith({});
    await assert.rejects(sampleProcess(shell, { ...target, ...wrong }), {
      code: 'profile.badTarget',
    });
    assert.equal(shell.started.length, 0);
  });
}

test('cancelling ends the sampler', async () => {
  const shell = shellWith({}, { stdout: lines.join(''), hangs: true });
  const controller = new AbortController();
  const sampling = sampleProcess(
    shell,
    target,
    { onProgress: () => controller.abort() },
    controller.signal,
  );
  await assert.rejects(sampling, { name: 'AbortError' });
  assert.equal(shell.started[0]?.isDisposed, true);
});

test('what a node says in its refusal cannot move the cursor', async () => {
  const shell = shellWith({}, { exitCode: 3, stderr: '\u001b[2Jcleared\n' });
  await assert.rejects(sampleProcess(shell, target), { message: /‹ESC›\[2Jcleared/ });
});
