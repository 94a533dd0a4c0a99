import assert from 'node:assert/strict';
import { chmodSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { type TestContext } from 'node:test';
import {
  createRedactionKey,
  loadOrCreateKey,
  userStateDirectory,
} from '../../src/env/redactionKey.ts';

function directoryFor(t: TestContext): string {
  const directory = mkdtempSync(join(tmpdir(), 'faultline-key-'));
  t.after(() => rmSync(directory, { recursive: true }));
  return join(directory, 'state', 'faultline');
}

test('the key is made once, for its user alone', (t) => {
  const directory = directoryFor(t);
  const key = loadOrCreateKey(directory);
  const file = join(directory, 'redaction.key');
  assert.equal(readFileSync(file, 'utf8'), `${key.secret}\n`);
  assert.equal(statSync(file).mode & 0o777, 0o600);
  assert.equal(statSync(directory).mode & 0o777, 0o700);
  chmodSync(file, 0o644);
  assert.deepEqual(loadOrCreateKey(directory), key);
  assert.equal(statSync(file).mode & 0o777, 0o600);
});

test('two keys differ, and their ids do not tell them', () => {
  const [a, b] = [createRedactionKey(), createRedactionKey()];
  assert.notEqual(a.secret, b.secret);
  assert.notEqual(a.id, b.id);
  assert.ok(!a.secret.includes(a.id));
});

test('a file that holds no key is not replaced in silence', (t) => {
  const directory = directoryFor(t);
  loadOrCreateKey(directory);
  writeFileSync(join(directory, 'redaction.key'), 'short\n');
  assert.throws(() => loadOrCreateKey(directory), {
    code: 'env.keyUnusable',
    message: /redaction\.key/,
  });
});

test('the place is the XDG state directory, where that is a full path', () => {
  assert.equal(userStateDirectory({ XDG_STATE_HOME: '/var/state' }), '/var/state/faultline');
  assert.match(userStateDirectory({ XDG_STATE_HOME: 'here' }), /\.local\/state\/faultline$/);
});
