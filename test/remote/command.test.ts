import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import test from 'node:test';
import { bootstrapCommand, encodeCommand, noHeaderExitCode } from '../../src/remote/command.ts';
import { LocalShell } from '../../src/remote/localShell.ts';
import { temporaryFolder } from '../fakes/temporaryFolder.ts';

/** Runs the bootstrap with these bytes as its stdin. */
const bootstrap = (stdin: string): ReturnType<typeof spawnSync> =>
  spawnSync('/bin/sh', ['-c', bootstrapCommand], { input: stdin });

test('what a start-up file has left of the header is never evaluated', async () => {
  await using folder = await temporaryFolder();
  const canary = join(folder.path, 'canary');
  const { header } = encodeCommand({ script: `touch ${canary}`, args: [`; touch ${canary};`] });
  for (let swallowed = 1; swallowed <= header.length; swallowed += 7) {
    const { status } = bootstrap(header.slice(swallowed));
    assert.equal(status, noHeaderExitCode, `${swallowed} bytes swallowed`);
  }
  const { status } = bootstrap(`touch ${canary}\n`);
  assert.equal(status, noHeaderExitCode);
  assert.equal(existsSync(canary), false);
});

test('the header is a comment for a shell that reads it as a script', () => {
  const { header } = encodeCommand({ script: 'echo evaluated', args: ['a\nb'] });
  const { stdout, stderr, status } = spawnSync('/bin/sh', [], { input: header });
  assert.deepEqual([String(stdout), String(stderr), status], ['', '', 0]);
});

test('a header is printable ASCII, one line a shell', () => {
  const command = { script: 'echo "é"\n', args: [Buffer.from([1, 9, 10, 200])] };
  assert.match(encodeCommand(command).header, /^#faultline [ -~]*\n$/);
  assert.match(encodeCommand(command, { guard: true }).header, /^#faultline [ -~]*\n[ -~]*\n$/);
});

test('variables of our own do not reach programs, and those of the user stay', async () => {
  const shell = new LocalShell({
    env: { PATH: process.env['PATH'], l: 'line', m: 'word', r: '1' },
  });
  const { stdout } = await shell.exec({ script: 'exec env', args: ['secret'] });
  const lines = stdout.toString().split('\n');
  assert.ok(lines.includes('l=line') && lines.includes('m=word') && lines.includes('r=1'));
  assert.doesNotMatch(stdout.toString(), /secret|__/);
  shell.dispose();
});

for (const guard of [false, true]) {
  test(`no process is given an argument to see${guard ? ', guarded' : ''}`, async () => {
    const shell = new LocalShell();
    const script = 'for p in $$ $PPID; do tr "\\0" " " </proc/$p/cmdline; echo; done; : "$1"';
    const program = await shell.start({ script, args: ['a secret'] }, { guard });
    if (!guard) program.stdin.end();
    const text = (await program.stdout.toArray()).join('');
    assert.match(text, /\/bin\/sh -c/);
    assert.doesNotMatch(text, /a secret/);
    shell.dispose();
  });
}

for (const path of ['', '/nonexistent']) {
  test(`programs are found although PATH is "${path}"`, async () => {
    const shell = new LocalShell({ env: { PATH: path } });
    const { stdout } = await shell.exec({ script: 'head -c 2 /dev/zero | wc -c; echo "$PATH"' });
    const [count, used] = stdout.toString().split('\n');
    assert.equal(count?.trim(), '2');
    assert.match(used ?? '', new RegExp(`^${path === '' ? '' : `${path}:`}/usr/local/bin:`));
    shell.dispose();
  });
}

test('a PATH that will do stays as it is', async () => {
  const shell = new LocalShell({ env: { PATH: '/usr/bin:/bin' } });
  const { stdout } = await shell.exec({ script: 'echo "$PATH"' });
  assert.equal(stdout.toString(), '/usr/bin:/bin\n');
  shell.dispose();
});

test('what start-up files print on stderr is not taken for the program’s errors', async () => {
  const shell = new LocalShell({ loginShell: ['/bin/sh', '-c', 'echo noise >&2; eval "$0"'] });
  const result = await shell.exec({ script: 'echo error >&2' });
  assert.deepEqual([result.stderr, result.noise], ['error\n', 'noise\n']);
  shell.dispose();
});
