import assert from 'node:assert/strict';
import test from 'node:test';
import {
  describeHostKey,
  fingerprint,
  hostNames,
  judgeHostKey,
  knownHostsLine,
  knownKeyTypes,
  matchesPattern,
  otherHost,
  preferKnownKeyTypes,
  readKnownHostsLine,
  unreadable,
  type HostEntries,
  type HostNames,
  type KnownHostsEntry,
} from '../../src/remote/knownHosts.ts';
import { blob, madeUpKey } from '../fakes/hostKeys.ts';

const ours = madeUpKey('ssh-ed25519', 'ours');
const other = madeUpKey('ssh-ed25519', 'other');
const rsa = madeUpKey('ssh-rsa', 'rsa');
const ecdsa = madeUpKey('ecdsa-sha2-nistp256', 'ecdsa');
const base64 = ours.toString('base64');
const line = (patterns: string, key: Buffer): string => knownHostsLine(patterns, key);
const hashed = (name: string, key: Buffer): string => knownHostsLine(name, key, true);

const h: HostNames = hostNames('h', 22);
const h2222: HostNames = hostNames('h', 2222);

function entriesOf(text: string, names: HostNames): HostEntries {
  const readAll = (name: string | undefined): KnownHostsEntry[] =>
    name === undefined
      ? []
      : text
          .split('\n')
          .map((one, index) => readKnownHostsLine(one, name, `k:${index + 1}`))
          .filter((entry) => entry !== otherHost && entry !== unreadable);
  return { exact: readAll(names.name), withoutPort: readAll(names.withoutPort) };
}

// The same cases, and hundreds of others, are put to the real ssh by test/integration/knownHosts.test.ts.
const cases: readonly [string, string, HostNames, string][] = [
  ['no file', '', h, 'unknown'],
  ['known', line('h', ours), h, 'known'],
  ['known among several names', line('a,h,b', ours), h, 'known'],
  ['another key', line('h', other), h, 'changed'],
  ['a key of another type only', line('h', rsa), h, 'changed'],
  ['the right one of two keys', line('h', other) + line('h', ours), h, 'known'],
  ['the right one of three types', line('h', rsa) + line('h', ecdsa) + line('h', ours), h, 'known'],
  ['other port', line('h', ours), h2222, 'known'],
  ['other key without the port', line('h', other), h2222, 'unknown'],
  ['revoked without the port', `@revoked ${line('h', ours)}`, h2222, 'revoked'],
  ['other key with the port', line('h', ours) + line('[h]:2222', other), h2222, 'changed'],
  ['known with another port only', line('[h]:2223', ours), h2222, 'unknown'],
  ['hashed', hashed('h', ours), h, 'known'],
  ['hashed with a port', hashed('[h]:2222', other), h2222, 'changed'],
  ['hashed, another host', hashed('g', other), h, 'unknown'],
  ['hashed with a bad salt', hashed('h', ours).replace(/\|1\|..../, '|1|!!!!'), h, 'unknown'],
  ['hashed with a short salt', hashed('h', ours).replace(/\|1\|..../, '|1|'), h, 'unknown'],
  ['hashed by another algorithm', hashed('h', ours).replace('|1|', '|2|'), h, 'unknown'],
  ['wildcard', line('*.example', ours), hostNames('db.example', 22), 'known'],
  ['one character', line('d?.example', ours), hostNames('db.example', 22), 'known'],
  ['negated', line('*.example,!db.example', ours), hostNames('db.example', 22), 'unknown'],
  ['negated first', line('!db.example,*', ours), hostNames('db.example', 22), 'unknown'],
  ['only negated', line('!db', ours), h, 'unknown'],
  ['an overlong pattern', line(`h,${'x'.repeat(1100)}`, ours), h, 'unknown'],
  ['wildcard with a port', line('[*.example]:2222', ours), hostNames('db.example', 2222), 'known'],
  ['revoked', `${line('h', ours)}@revoked ${line('h', ours)}`, h, 'revoked'],
  ['revoked everywhere', `@revoked ${line('*', ours)}${line('h', ours)}`, h, 'revoked'],
  ['another key revoked', `@revoked ${line('*', other)}${line('h', ours)}`, h, 'known'],
  ['an authority only', `@cert-authority ${line('h', other)}`, h, 'unknown'],
  ['unknown marker', `@junk ${line('h', ours)}`, h, 'unknown'],
  ['two markers', `@revoked @revoked ${line('h', ours)}`, h, 'unknown'],
  ['comment', `#${line('h', other)}`, h, 'unknown'],
  ['a blank first', `  \t${line('h', ours)}`, h, 'known'],
  ['tabs', line('h', ours).replaceAll(' ', '\t\t'), h, 'known'],
  ['a comment behind', line('h', ours).replace('\n', ' me@there # 2019\n'), h, 'known'],
  [
    'CR LF, no last line feed',
    `${line('g', other).trim()}\r\n${line('h', ours).trim()}`,
    h,
    'known',
  ],
  ['CR LF', line('h', ours).replace('\n', '\r\n'), h, 'known'],
  ['broken lines', `h\nh ssh-ed25519\nh ssh-ed25519 !!!\n${line('h', ours)}`, h, 'known'],
  ['half a key', line('h', other).slice(0, -20), h, 'unknown'],
  ['half a key at a border of base64', `h ssh-ed25519 ${base64.slice(0, -4)}`, h, 'unknown'],
  ['a stray character in the key', `h ssh-ed25519 -${base64}`, h, 'unknown'],
  ['base64 for the web', `h ssh-ed25519 ${base64.replaceAll('/', '_')}_`, h, 'unknown'],
  ['more behind the key', line('h', Buffer.concat([other, Buffer.from([0])])), h, 'unknown'],
  ['a key of another type than named', line('h', rsa).replace('ssh-rsa', 'ssh-dss'), h, 'unknown'],
  ['an RSA key by its algorithm', line('h', rsa).replace('ssh-rsa', 'rsa-sha2-512'), h, 'changed'],
  [
    'an RSA key too short',
    line('h', blob('ssh-rsa', Buffer.of(3), Buffer.alloc(64, 1))),
    h,
    'unknown',
  ],
  ['a type of the future', line('h', blob('ssh-ed448', Buffer.alloc(57))), h, 'unknown'],
  ['a point off the curve', line('h', ecdsaOffCurve()), h, 'unknown'],
  ['NUL in the line', `h\0${line('h', ours)}`, h, 'unknown'],
  ['upper case in the file', line('H', ours), h, 'known'],
  ['upper case in the name', line('h', ours), hostNames('H', 22), 'known'],
  ['an alias in upper case', line('app', ours), hostNames('h', 2222, 'App'), 'known'],
  ['an alias needs no port', line('h', ours), hostNames('h', 2222, 'app'), 'unknown'],
  ['a byte order mark', `\u00ef\u00bb\u00bf${line('h', ours)}`, h, 'unknown'],
  ['a trailing dot', line('h.', ours), h, 'unknown'],
  ['a zone', line('fe80::1%eth0', ours), hostNames('FE80::1%eth0', 22), 'known'],
  ['other letters', line('b\u00c3\u00bccher', ours), hostNames('bücher', 22), 'known'],
];

for (const [title, text, names, verdict] of cases) {
  test(`host key: ${title} → ${verdict}`, () => {
    assert.equal(judgeHostKey(entriesOf(text, names), ours).verdict, verdict);
  });
}

function ecdsaOffCurve(): Buffer {
  const off = Buffer.from(ecdsa);
  off[off.length - 1]! ^= 1;
  return off;
}

test('the deciding line is named, the last one of several as ssh does', () => {
  const text = `# comment\n${line('h', other)}${line('h', rsa)}`;
  assert.equal(judgeHostKey(entriesOf(text, h), ours).entry?.where, 'k:3');
  assert.equal(judgeHostKey(entriesOf(text, h), other).entry?.where, 'k:2');
});

test('an authority for the host is noticed, also one without the port', () => {
  const text = `@cert-authority ${line('*.example,h', other)}`;
  assert.equal(judgeHostKey(entriesOf(text, h), ours).hasAuthority, true);
  assert.equal(judgeHostKey(entriesOf(text, h2222), ours).hasAuthority, true);
  assert.equal(judgeHostKey(entriesOf(text, hostNames('g', 22)), ours).hasAuthority, false);
});

test('the name of a host on port 22 has no port', () => {
  assert.deepEqual(hostNames('Web-1', 22), { name: 'web-1', withoutPort: undefined });
  assert.deepEqual(hostNames('::1', 2222), { name: '[::1]:2222', withoutPort: '::1' });
  assert.deepEqual(hostNames('h', 2222, 'App'), { name: 'app', withoutPort: undefined });
});

test('lines that cannot be read are told from lines of other hosts', () => {
  const read = (text: string): unknown => readKnownHostsLine(text, 'h', '');
  assert.equal(read('g ssh-ed25519 !!!'), otherHost);
  assert.equal(read('# h'), otherHost);
  assert.equal(read(''), otherHost);
  for (const bad of ['@junk h', 'h ssh-ed25519 !!!', '|1|x|y k', 'h']) {
    assert.equal(read(bad), unreadable, bad);
  }
});

test('known key types are listed once, and not when the first key of the type is revoked', () => {
  const text = line('h', rsa) + line('h', ours) + line('h', other) + line('h', ecdsa);
  assert.deepEqual(knownKeyTypes(entriesOf(text, h)), [
    'ssh-rsa',
    'ssh-ed25519',
    'ecdsa-sha2-nistp256',
  ]);
  const revoked = `${text}@revoked ${line('h', rsa)}@revoked ${line('h', other)}`;
  assert.deepEqual(knownKeyTypes(entriesOf(revoked, h)), ['ssh-ed25519', 'ecdsa-sha2-nistp256']);
});

test('algorithms of known keys are offered first', () => {
  const all = ['ssh-ed25519', 'ecdsa-sha2-nistp256', 'rsa-sha2-512', 'rsa-sha2-256'];
  assert.deepEqual(preferKnownKeyTypes(all, []), all);
  assert.deepEqual(preferKnownKeyTypes(all, ['ssh-rsa']), [...all.slice(2), ...all.slice(0, 2)]);
  // With a key of the best type on file ssh leaves the order alone.
  assert.deepEqual(preferKnownKeyTypes(all, ['ssh-rsa', 'ssh-ed25519']), all);
});

test('a line that is written is read again, hashed or not', () => {
  const name = '[fe80::1%eth0]:2222';
  for (const isHashed of [false, true]) {
    const entry = readKnownHostsLine(knownHostsLine(name, ours, isHashed).trim(), name, 'k');
    assert.deepEqual(entry, { marker: '', keyType: 'ssh-ed25519', key: ours, where: 'k' });
  }
  assert.ok(!knownHostsLine(name, ours, true).includes('fe80'));
});

test('a hashed name is as ssh-keygen writes it', () => {
  // Made by `ssh-keygen -H` of OpenSSH 9.2.
  const made =
    '|1|hSN2CHzRhi3NyXZihbKlikTruB8=|cnz5RFA/000pbwWhg19TmXAOmXo= ' +
    'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SdG6UOoqKLsabgH5C9okWi0dh2l9GKJl';
  assert.notEqual(readKnownHostsLine(made, 'db.example', ''), unreadable);
  assert.equal(readKnownHostsLine(made, 'db.example', ''), otherHost);
  assert.equal((readKnownHostsLine(made, '[db.example]:2222', 'k') as KnownHostsEntry).where, 'k');
});

test('a fingerprint is as ssh-keygen prints it', () => {
  const key = Buffer.from(
    'AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SdG6UOoqKLsabgH5C9okWi0dh2l9GKJl',
    'base64',
  );
  assert.equal(fingerprint(key), 'SHA256:+DiY3wvvV6TuJJhbpZisF/zLDA0zPMSvHdkr4UvCOqU');
  assert.equal(describeHostKey(key), `ssh-ed25519 ${fingerprint(key)}`);
});

test('patterns match as a whole and in linear time', () => {
  assert.ok(matchesPattern('web-01.eu', 'web-??.*'));
  assert.ok(!matchesPattern('web-01.eu', 'web-?.*'));
  assert.ok(!matchesPattern('xweb', 'web'));
  assert.ok(!matchesPattern('a'.repeat(50_000), `${'*a'.repeat(50)}b`));
});
