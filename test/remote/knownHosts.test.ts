import assert from 'node:assert/strict';
import { createHmac, randomBytes } from 'node:crypto';
import test from 'node:test';
import {
  fingerprint,
  knownHostsLine,
  knownHostsName,
  knownKeyTypes,
  lookUpHostKey,
  matchesPattern,
} from '../../src/remote/knownHosts.ts';

function keyBlob(type: string, fill: number): Buffer {
  const name = Buffer.from(type);
  const length = Buffer.alloc(4);
  length.writeUInt32BE(name.length);
  return Buffer.concat([length, name, Buffer.alloc(36, fill)]);
}

const ours = keyBlob('ssh-ed25519', 1);
const other = keyBlob('ssh-ed25519', 2);
const rsa = keyBlob('ssh-rsa', 3);
const line = (patterns: string, key: Buffer): string => knownHostsLine(patterns, key);
const hashed = (name: string): string => {
  const salt = randomBytes(20);
  const hash = createHmac('sha1', salt).update(name).digest('base64');
  return `|1|${salt.toString('base64')}|${hash}`;
};

// Each verdict was compared with what `ssh -o BatchMode=yes` of OpenSSH 9.2 does with the same file.
const cases: readonly [string, string, string, string][] = [
  ['no file', '', 'h', 'unknown'],
  ['known', line('h', ours), 'h', 'known'],
  ['known among several names', line('a,h,b', ours), 'h', 'known'],
  ['another key', line('h', other), 'h', 'changed'],
  ['a key of another type only', line('h', rsa), 'h', 'changed'],
  ['the right one of two keys', line('h', other) + line('h', ours), 'h', 'known'],
  ['other port', line('h', ours), '[h]:2222', 'known'],
  ['other key without the port', line('h', other), '[h]:2222', 'unknown'],
  ['other key with the port', line('h', ours) + line('[h]:2222', other), '[h]:2222', 'changed'],
  ['hashed', line(hashed('h'), ours), 'h', 'known'],
  ['hashed with a port', line(hashed('[h]:2222'), other), '[h]:2222', 'changed'],
  ['hashed, another host', line(hashed('g'), other), 'h', 'unknown'],
  ['wildcard', line('*.example', ours), 'db.example', 'known'],
  ['negated', line('*.example,!db.example', ours), 'db.example', 'unknown'],
  ['revoked', `${line('h', ours)}@revoked ${line('h', ours)}`, 'h', 'revoked'],
  ['revoked everywhere', `@revoked ${line('*', ours)}${line('h', ours)}`, 'h', 'revoked'],
  ['an authority only', `@cert-authority ${line('h', other)}`, 'h', 'unknown'],
  ['unknown marker', `@junk ${line('h', ours)}`, 'h', 'unknown'],
  ['comment', `#${line('h', other)}`, 'h', 'unknown'],
  [
    'CR LF and no last line feed',
    `${line('g', other).trim()}\r\n${line('h', ours).trim()}`,
    'h',
    'known',
  ],
  ['broken lines', `h\nh ssh-ed25519\nh ssh-ed25519 !!!\n${line('h', ours)}`, 'h', 'known'],
  ['upper case in the file', line('H', ours), 'h', 'known'],
];

for (const [title, text, name, verdict] of cases) {
  test(`host key: ${title} → ${verdict}`, () => {
    const found = lookUpHostKey([{ path: 'known_hosts', text }], name, ours);
    assert.equal(found.verdict, verdict);
  });
}

test('the deciding line is named', () => {
  const text = `# comment\n${line('h', other)}`;
  const found = lookUpHostKey([{ path: '/k', text }], 'h', ours);
  assert.equal(found.where, '/k:2');
});

test('the name of a host on port 22 has no port', () => {
  assert.equal(knownHostsName('Web-1', 22), 'web-1');
  assert.equal(knownHostsName('::1', 2222), '[::1]:2222');
});

test('known key types are listed once', () => {
  const text = line('h', rsa) + line('h', ours) + line('h', other) + `@revoked ${line('h', rsa)}`;
  assert.deepEqual(knownKeyTypes([{ path: '', text }], 'h'), ['ssh-rsa', 'ssh-ed25519']);
});

test('a fingerprint is as ssh-keygen prints it', () => {
  const key = Buffer.from(
    'AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SdG6UOoqKLsabgH5C9okWi0dh2l9GKJl',
    'base64',
  );
  assert.equal(fingerprint(key), 'SHA256:+DiY3wvvV6TuJJhbpZisF/zLDA0zPMSvHdkr4UvCOqU');
});

test('patterns match as a whole and in linear time', () => {
  assert.ok(matchesPattern('web-01.eu', 'web-??.*'));
  assert.ok(!matchesPattern('web-01.eu', 'web-?.*'));
  assert.ok(!matchesPattern('xweb', 'web'));
  assert.ok(!matchesPattern('a'.repeat(50_000), `${'*a'.repeat(50)}b`));
});
