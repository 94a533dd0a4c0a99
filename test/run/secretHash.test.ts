// The hash of a masked secret is made in three places that must agree: the recorder, the launcher, and here.

import assert from 'node:assert/strict';
import test from 'node:test';
import { hashSecret, redactionKey } from '../../src/env/redactionKey.ts';
import { pythonProgram } from '../../src/probe/python.ts';
import { probeSource } from '../../src/probe/sources.ts';
import { LocalShell } from '../../src/remote/localShell.ts';

const salt = '96e9266383565676a2e1a3351b8207c1';
const secret = 'pässword-\n-1';

test('the launcher finds a secret by the hash that a snapshot gives it', async () => {
  const shell = new LocalShell({ env: { ...process.env, MY_SECRET: secret } });
  const program = pythonProgram('python/launch.py');
  const secretHash = hashSecret(secret, redactionKey(salt));
  const plan = {
    argv: ['/bin/sh', '-c', 'printf %s "$MY_SECRET"'],
    env: { PATH: process.env.PATH, MY_SECRET: { secretHash, salt } },
    mode: 'exec',
    stdin: 'inherit',
  };
  const stdin = Buffer.concat([program.input, Buffer.from(`${JSON.stringify(plan)}\n`)]);
  const result = await shell.exec(program.command, { stdin });
  assert.equal(result.stderr, '');
  assert.equal(result.stdout.toString(), secret);
});

test('the recorder gives a secret the same hash', async () => {
  const shell = new LocalShell();
  const script = `
import types, json, sys
recorder = types.ModuleType("recorder")
exec(sys.stdin.buffer.read().decode("utf-8"), recorder.__dict__)
print(recorder.Redactor("${salt}").tag(json.loads(${JSON.stringify(JSON.stringify(secret))})))
`;
  const result = await shell.exec(
    { script: 'exec python3 -c "$1"', args: [script] },
    { stdin: probeSource('python/faultline_probe.py') },
  );
  assert.equal(result.stderr, '');
  assert.equal(result.stdout.toString().trim(), hashSecret(secret, redactionKey(salt)));
});
