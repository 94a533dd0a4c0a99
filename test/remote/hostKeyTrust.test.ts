import assert from 'node:assert/strict';
import { chmod, mkdir, readFile, stat, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import test from 'node:test';
import { UserError } from '../../src/base/errors.ts';
import {
  HostKeyTrust,
  UnknownHostKey,
  type HostKeyTarget,
  type HostKeyTrustOptions,
} from '../../src/remote/hostKeyTrust.ts';
import { fingerprint, knownHostsLine } from '../../src/remote/knownHosts.ts';
import type { HostKeyQuestion } from '../../src/remote/loginPrompts.ts';
import { madeUpKey } from '../fakes/hostKeys.ts';
import { temporaryFolder } from '../fakes/temporaryFolder.ts';

const ours = madeUpKey('ssh-ed25519', 'ours');
const other = madeUpKey('ssh-ed25519', 'other');
const rsa = madeUpKey('ssh-rsa', 'rsa');

/** The answer on one key with these known_hosts files, and what became of the user's. */
interface Outcome {
  readonly error: UserError | undefined;
  readonly text: string;
  readonly added: readonly HostKeyQuestion[];
}

async function check(
  text: string | undefined,
  options: Partial<HostKeyTarget & HostKeyTrustOptions> & {
    readonly key?: Buffer;
    readonly globalText?: string;
    readonly address?: string;
  } = {},
): Promise<Outcome> {
  await using folder = await temporaryFolder();
  const file = join(folder.path, 'ssh', 'known_hosts');
  const globalFile = join(folder.path, 'global');
  if (text !== undefined) {
    await mkdir(join(folder.path, 'ssh'));
    await writeFile(file, text, 'latin1');
  }
  await writeFile(globalFile, options.globalText ?? '');
  const added: HostKeyQuestion[] = [];
  const target: HostKeyTarget = {
    alias: 'web',
    host: 'h',
    port: 22,
    hostKeyAlias: undefined,
    userKnownHostsFiles: [file],
    globalKnownHostsFiles: [globalFile],
    strictHostKeyChecking: 'ask',
    hashKnownHosts: false,
    checkHostIp: false,
    ...options,
  };
  const trust = await HostKeyTrust.load(target, {
    accepted: new Set(),
    canAsk: true,
    onDidAdd: (question) => added.push(question),
    ...options,
  });
  const error = await trust.check(options.key ?? ours, options.address).then(
    () => undefined,
    (reason: unknown) => reason,
  );
  assert.ok(error === undefined || error instanceof UserError, String(error));
  assert.equal(await readFile(globalFile, 'utf8'), options.globalText ?? '');
  return { error, text: await readFile(file, 'latin1').catch(() => '<none>'), added };
}

const code = async (...args: Parameters<typeof check>): Promise<string | undefined> =>
  (await check(...args)).error?.code;

test('a known key is trusted in every mode, from the user’s file or the system’s', async () => {
  for (const strictHostKeyChecking of ['ask', 'yes', 'accept-new', 'no'] as const) {
    const mine = knownHostsLine('h', ours);
    assert.equal(await code(mine, { strictHostKeyChecking }), undefined);
    assert.equal(await code('', { strictHostKeyChecking, globalText: mine }), undefined);
  }
});

test('a changed or revoked key is refused in every mode, whatever was accepted', async () => {
  for (const strictHostKeyChecking of ['ask', 'yes', 'accept-new', 'no'] as const) {
    const options = { strictHostKeyChecking, accepted: new Set([`h ${fingerprint(ours)}`]) };
    const changed = await check(knownHostsLine('h', other), options);
    assert.equal(changed.error?.code, 'node.hostKeyChanged');
    assert.match(changed.error.message, /another key is on file \(.*known_hosts:1\)/);
    assert.match(changed.error.hint ?? '', /ssh-keygen -R "h"/);
    const revoked = await check(`@revoked ${knownHostsLine('*', ours)}`, options);
    assert.equal(revoked.error?.code, 'node.hostKeyRevoked');
    assert.deepEqual([...changed.added, ...revoked.added], []);
  }
});

test('another type on file is said to be one', async () => {
  const { error } = await check(knownHostsLine('h', rsa));
  assert.equal(error?.code, 'node.hostKeyChanged');
  assert.match(error.message, /but only a key of another type, ssh-rsa, is on file/);
});

test('an unknown key is a question, and nothing is written', async () => {
  const { error, text } = await check(undefined, { port: 2222 });
  assert.ok(error instanceof UnknownHostKey);
  assert.equal(error.code, 'node.hostKeyUnknown');
  const { knownHostsFile, ...question } = error.question;
  assert.deepEqual(question, {
    name: '[h]:2222',
    keyType: 'ssh-ed25519',
    fingerprint: fingerprint(ours),
  });
  assert.match(knownHostsFile, /\/ssh\/known_hosts$/);
  assert.match(error.message, /^The host key of \[h\]:2222 is not known \(ssh-ed25519 SHA256:/);
  assert.equal(text, '<none>');
});

test('an unknown key nobody can be asked about is refused', async () => {
  const { error, text } = await check('', { canAsk: false });
  assert.equal(error?.code, 'node.hostKeyUnknown');
  assert.ok(!(error instanceof UnknownHostKey));
  assert.equal(text, '');
});

test('with StrictHostKeyChecking yes nothing is asked and nothing is accepted', async () => {
  const accepted = new Set([`h ${fingerprint(ours)}`]);
  const { error, text } = await check('', { strictHostKeyChecking: 'yes', accepted });
  assert.equal(error?.code, 'node.hostKeyUnknown');
  assert.ok(!(error instanceof UnknownHostKey));
  assert.equal(text, '');
});

test('an accepted key is written and trusted; another one is asked about', async () => {
  const accepted = new Set([`h ${fingerprint(ours)}`]);
  const { error, text, added } = await check('# mine, no line end', { accepted });
  assert.equal(error, undefined);
  assert.equal(text, `# mine, no line end\n${knownHostsLine('h', ours)}`);
  assert.deepEqual(
    added.map(({ name }) => name),
    ['h'],
  );
  const unknown = await check('', { accepted, key: other });
  assert.ok(unknown.error instanceof UnknownHostKey);
});

test('a key that was accepted for one host is a question for another, which may only pretend', async () => {
  const accepted = new Set([`h ${fingerprint(ours)}`]);
  const { error, text } = await check('', { accepted, host: 'behind-h' });
  assert.ok(error instanceof UnknownHostKey);
  assert.equal(error.question.name, 'behind-h');
  assert.equal(text, '');
});

test('accept-new and no add a key without a question, and say so', async () => {
  for (const strictHostKeyChecking of ['accept-new', 'no'] as const) {
    const options = { strictHostKeyChecking, canAsk: false, hostKeyAlias: 'App' };
    const { error, text, added } = await check('', options);
    assert.deepEqual([error, text], [undefined, knownHostsLine('app', ours)]);
    assert.equal(added.length, 1);
  }
});

test('hashed names stay hashed, and become so with HashKnownHosts', async () => {
  const accepted = new Set([`h ${fingerprint(ours)}`]);
  const hashedBefore = knownHostsLine('g', other, true);
  for (const [before, hashKnownHosts] of [
    [hashedBefore, false],
    ['', true],
  ] as const) {
    const { text } = await check(before, { accepted, hashKnownHosts });
    assert.ok(text.startsWith(`${before}|1|`), text);
    assert.equal(await code(text), undefined);
    assert.equal(await code(text, { key: rsa }), 'node.hostKeyChanged');
  }
});

test('a host with only a certificate authority is told apart', async () => {
  const authority = `@cert-authority ${knownHostsLine('*', other)}`;
  assert.equal(await code(authority), 'node.hostKeyAuthority');
  assert.equal(await code(authority + knownHostsLine('h', ours)), undefined);
  assert.equal(await code(authority + knownHostsLine('h', rsa)), 'node.hostKeyChanged');
});

test('a name that means something else in a file is never written', async () => {
  for (const name of ['*', 'a,b', 'a b', '#a', '!a', '[a]', 'a\nb']) {
    const { error, text } = await check('', { host: name, strictHostKeyChecking: 'accept-new' });
    assert.equal(error?.code, 'node.hostKeyUnknown', name);
    assert.equal(text, '');
    assert.equal(await code('', { hostKeyAlias: name }), 'node.hostKeyUnknown', name);
  }
});

test('CheckHostIP: a key on file for the address must be the same', async () => {
  const options = { checkHostIp: true, address: '192.0.2.7', port: 2222 };
  const host = knownHostsLine('[h]:2222', ours);
  assert.equal(await code(host, options), undefined);
  assert.equal(await code(host + knownHostsLine('[192.0.2.7]:2222', ours), options), undefined);
  const moved = host + knownHostsLine('[192.0.2.7]:2222', other);
  assert.equal(await code(moved, options), 'node.hostKeyAddress');
  assert.equal(await code(moved, { ...options, checkHostIp: false }), undefined);
  assert.equal(await code(moved, { ...options, address: undefined }), undefined);
  // ssh 9.2 overlooks what is revoked for the address alone.
  const revoked = `${host}@revoked ${knownHostsLine('[192.0.2.7]:2222', ours)}`;
  assert.equal(await code(revoked, options), undefined);
  const local = host + knownHostsLine('[127.0.0.1]:2222', other);
  assert.equal(await code(local, { ...options, address: '127.0.0.1' }), undefined);
});

test('a file that is no file of ours to read refuses every key', async () => {
  await using folder = await temporaryFolder();
  const path = join(folder.path, 'known_hosts');
  await mkdir(path);
  const target = targetWith(path);
  const options = { accepted: new Set<string>(), canAsk: true };
  await assert.rejects(HostKeyTrust.load(target, options), { code: 'node.knownHostsUnreadable' });
});

test('an accepted key counts although it cannot be written down, and that is said', async () => {
  await using folder = await temporaryFolder();
  const notAFolder = join(folder.path, 'file');
  await writeFile(notAFolder, '');
  await symlink('/proc/self/nowhere/known_hosts', join(folder.path, 'known_hosts'));
  const failures: unknown[] = [];
  const trust = await HostKeyTrust.load(targetWith(join(folder.path, 'known_hosts')), {
    accepted: new Set([`h ${fingerprint(ours)}`]),
    canAsk: true,
    onDidNotAdd: (_question, error) => failures.push(error),
  });
  await trust.check(ours);
  assert.equal(failures.length, 1);
});

test('known types come from all files, skipped lines are named, other names are shown as they are', async () => {
  await using folder = await temporaryFolder();
  const path = join(folder.path, 'known_hosts');
  await writeFile(path, `@junk x\n${knownHostsLine('h', rsa)}h ssh-rsa half\n`);
  const options = { accepted: new Set<string>(), canAsk: true };
  const trust = await HostKeyTrust.load(targetWith(path), options);
  assert.deepEqual(trust.knownKeyTypes, ['ssh-rsa']);
  assert.deepEqual(trust.unreadableLines, [`${path}:1`, `${path}:3`]);
  const bücher = await HostKeyTrust.load({ ...targetWith(path), host: 'Bücher' }, options);
  assert.equal(bücher.name, 'bücher');
});

test('a new file is for its owner alone, in a folder for its owner alone', async () => {
  await using folder = await temporaryFolder();
  const path = join(folder.path, 'ssh', 'known_hosts');
  const trust = await HostKeyTrust.load(targetWith(path), {
    accepted: new Set([`h ${fingerprint(ours)}`]),
    canAsk: true,
  });
  await trust.check(ours);
  assert.equal((await stat(path)).mode & 0o777, 0o600);
  assert.equal((await stat(join(folder.path, 'ssh'))).mode & 0o777, 0o700);
  await chmod(path, 0o644);
  const again = await HostKeyTrust.load(
    { ...targetWith(path), host: 'g' },
    { accepted: new Set([`g ${fingerprint(ours)}`]), canAsk: true },
  );
  await again.check(ours);
  assert.equal((await stat(path)).mode & 0o777, 0o644);
});

function targetWith(path: string): HostKeyTarget {
  return {
    alias: 'web',
    host: 'h',
    port: 22,
    hostKeyAlias: undefined,
    userKnownHostsFiles: [path],
    globalKnownHostsFiles: [],
    strictHostKeyChecking: 'ask',
    hashKnownHosts: false,
    checkHostIp: false,
  };
}
