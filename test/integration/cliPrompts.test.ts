// The command on a terminal: what a login asks, and what it does where nobody can be asked.

import assert from 'node:assert/strict';
import { execFile, execFileSync, spawn } from 'node:child_process';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { startSshd, type TestSshd } from '../fakes/sshd.ts';
import { inProject } from '../tools/project.mjs';

let sshd: TestSshd;
let configFile: string;

before(async () => {
  sshd = await startSshd();
  execFileSync('ssh-keygen', [
    '-q',
    '-p',
    '-P',
    '',
    '-N',
    'open sesame',
    '-f',
    `${sshd.dir}/client`,
  ]);
  configFile = await sshd.config();
});
after(() => sshd.stop());

interface Ended {
  readonly code: number | null;
  readonly output: string;
}

/** Runs it on a pseudo terminal; each answer is typed when the screen shows its question. */
function onTerminal(answers: readonly (readonly [RegExp, string])[]): Promise<Ended> {
  const words = [
    process.execPath,
    inProject('src/cli.ts'),
    'nodes',
    'node',
    '--ssh-config',
    configFile,
  ];
  const command = words.map((word) => `'${word}'`).join(' ');
  const child = spawn('script', ['-qec', command, '/dev/null'], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  let output = '';
  let asked = 0;
  let seen = 0;
  child.stdout.on('data', (chunk: Buffer) => {
    output += chunk.toString();
    const next = answers[asked];
    if (next === undefined || !next[0].test(output.slice(seen))) return;
    seen = output.length;
    asked++;
    child.stdin.write(next[1]);
  });
  return new Promise((resolve) => child.once('close', (code) => resolve({ code, output })));
}

test('an unknown host key and a locked key are asked about, and what is typed is not shown', async () => {
  await sshd.knownHosts('');
  const { code, output } = await onTerminal([
    [/not known:[\s\S]*SHA256:[\s\S]*\(yes\/no\)/, 'yes\r'],
    [/Passphrase of .*client/, 'wrong\r'],
    [/Wrong\. Passphrase of .*client/, 'open sesame\r'],
  ]);
  assert.match(output, /node +ready +clock/);
  assert.equal(code, 0);
  assert.doesNotMatch(output, /sesame|wrong\r/);
  assert.match(await readFile(join(sshd.dir, 'known_hosts'), 'utf8'), /ssh-ed25519/);
});

test('Ctrl-C at a question declines it', async () => {
  await writeFile(join(sshd.dir, 'known_hosts'), `${sshd.hostKeyLine}\n`);
  const { code, output } = await onTerminal([[/Passphrase of .*client/, '\u0003']]);
  assert.equal(code, 3);
  assert.match(output, /node +failed +The login of .* was cancelled/);
});

test('without a terminal nothing is asked: one sentence, and the steps with --report', async () => {
  await sshd.knownHosts('');
  const args = [inProject('src/cli.ts'), 'nodes', 'node', '--report', '--ssh-config', configFile];
  const { code, stdout } = await new Promise<{ code: unknown; stdout: string }>((resolve) => {
    execFile(process.execPath, args, (error, out) =>
      resolve({ code: error?.code ?? 0, stdout: out }),
    );
  });
  assert.equal(code, 3);
  assert.match(stdout, /node +failed +The host key of .* is not known/);
  assert.match(stdout, /FAILED.*Check the host key/);
});
