import assert from 'node:assert/strict';
import test from 'node:test';
import { splitLines, type Line } from '../../src/base/lines.ts';
import { eventually } from '../fakes/eventually.ts';
import { LocalShell } from '../../src/remote/localShell.ts';

const payloads: readonly (string | Uint8Array)[] = [
  'hello',
  "it's",
  '$(touch /tmp/never)`touch /tmp/never`',
  '; touch /tmp/never #',
  'a\nb',
  'ends in line feeds\n\n',
  'x\\',
  'a\\\\b',
  'a\\nb\\0101',
  'a!b!!',
  '~root',
  '*',
  '-n -rf',
  '{a,b}',
  '%s%b',
  'é漢',
  'a\rb\tc',
  '\u001b[31m',
  '',
  '=ls',
  Buffer.from([...Array(255).keys()].map((n) => n + 1)),
  'A'.repeat(100_000),
];

test('arguments reach a program byte for byte', async () => {
  const shell = new LocalShell();
  for (const payload of payloads) {
    const result = await shell.exec({ script: 'printf %s "$1"', args: [payload] });
    assert.deepEqual(result.stdout, Buffer.from(payload as string), String(payload).slice(0, 40));
  }
  shell.dispose();
});

test('several arguments keep their order and borders', async () => {
  const shell = new LocalShell();
  const args = ['a b', '', 'c\nd', '$x'];
  const result = await shell.exec({ script: 'for a in "$@"; do printf "<%s>" "$a"; done', args });
  assert.equal(result.stdout.toString(), '<a b><><c\nd><$x>');
});

test('what start-up files print is not taken for output', async () => {
  const shell = new LocalShell({ loginShell: ['/bin/sh', '-c', 'echo noise; eval "$0"'] });
  const result = await shell.exec({ script: 'echo answer; exit 3' });
  assert.equal(result.stdout.toString(), 'answer\n');
  assert.equal(result.exitCode, 3);
});

test('stdin reaches the program after the script', async () => {
  const shell = new LocalShell();
  const result = await shell.exec({ script: 'cat' }, { stdin: 'first\nsecond' });
  assert.equal(result.stdout.toString(), 'first\nsecond');
});

test('a program that does not end is stopped with one sentence', async () => {
  const shell = new LocalShell();
  await assert.rejects(shell.exec({ script: 'sleep 60' }, { timeoutMs: 100 }), {
    code: 'node.timeout',
    message: 'A command on this machine did not end within 0.1 s and was stopped.',
  });
});

test('a guarded program keeps its exit code, and ends with all its children when disposed', async () => {
  const shell = new LocalShell();
  const failing = await shell.start({ script: 'exit 5' }, { guard: true });
  assert.deepEqual(await failing.exited, { exitCode: 5, signal: undefined });

  const sleeping = await shell.start({ script: 'sleep 61 & echo $$ $!; wait' }, { guard: true });
  const first = await splitLines(sleeping.stdout).next();
  const pids = (first.value as Line).text.split(' ').map(Number);
  sleeping.dispose();
  await sleeping.exited;
  await eventually(() => {
    for (const pid of pids) assert.throws(() => process.kill(pid, 0), { code: 'ESRCH' });
  });
});
