import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { join } from 'node:path';
import test from 'node:test';
import {
  agentKeyTypesOf,
  chooseForWay,
  chooseTransport,
  readTransportFacts,
  systemSshMayHelp,
  type TransportFacts,
} from '../../src/remote/chooseTransport.ts';
import { UserError } from '../../src/base/errors.ts';
import { knownHostsLine } from '../../src/remote/knownHosts.ts';
import { string, uint32 } from '../../src/remote/packetStream.ts';
import { parseTarget, type SshTarget } from '../../src/remote/sshConfig.ts';
import { blob, madeUpKey } from '../fakes/hostKeys.ts';
import { sshTarget } from '../fakes/sshTarget.ts';
import { temporaryFolder } from '../fakes/temporaryFolder.ts';

const nothing: TransportFacts = {
  hasSystemSsh: true,
  certificates: [],
  securityKeys: [],
  agentKeyTypes: ['ssh-ed25519', 'ssh-rsa'],
  hasKerberosTicket: false,
  isOnlyCertified: false,
};
const plain = sshTarget({ alias: 'node', port: 22 });
const configured = (lines: string): SshTarget => parseTarget('node', `hostname node\n${lines}\n`);

const reasons: readonly (readonly [SshTarget, Partial<TransportFacts>, string])[] = [
  [{ ...plain, certificateFiles: ['/k-cert.pub'] }, {}, 'a certificate (/k-cert.pub)'],
  [plain, { certificates: ['/id-cert.pub'] }, 'a certificate (/id-cert.pub)'],
  [plain, { securityKeys: ['/id_ed25519_sk'] }, 'a key in a security key (/id_ed25519_sk)'],
  [plain, { agentKeyTypes: ['ssh-ed25519-cert-v01@openssh.com'] }, 'a certificate in the agent'],
  [
    plain,
    { agentKeyTypes: ['ssh-rsa', 'sk-ssh-ed25519@openssh.com'] },
    'a key in a security key, by the agent',
  ],
  [plain, { isOnlyCertified: true }, 'a host key that only a certificate authority vouches for'],
  [
    configured('gssapiauthentication yes'),
    { hasKerberosTicket: true },
    'GSSAPIAuthentication in the ssh configuration',
  ],
  [
    configured('pkcs11provider /usr/lib/p11.so\nproxyusefdpass yes'),
    {},
    'PKCS11Provider, ProxyUseFdpass in the ssh configuration',
  ],
  [configured('knownhostscommand /bin/keys %H'), {}, 'KnownHostsCommand in the ssh configuration'],
];

for (const [target, facts, reason] of reasons) {
  test(`the system's ssh for ${reason}`, () => {
    const all = { ...nothing, ...facts };
    assert.deepEqual(chooseTransport(target, 'auto', all), { transport: 'system', reason });
    assert.deepEqual(chooseTransport(target, 'ssh2', all), {
      transport: 'ssh2',
      reason: undefined,
    });
    assert.deepEqual(chooseTransport(target, 'auto', { ...all, hasSystemSsh: false }), {
      transport: 'ssh2',
      reason: `${reason}, but there is no ssh program that can be shared`,
    });
  });
}

test('ssh2 for everything else, and the system where the setting says so', () => {
  const usual = configured('gssapiauthentication yes\nremotecommand tmux\ntag x');
  for (const target of [plain, usual]) {
    assert.deepEqual(chooseTransport(target, 'auto', nothing), {
      transport: 'ssh2',
      reason: undefined,
    });
    assert.equal(chooseTransport(target, 'system', nothing).transport, 'system');
  }
});

test('failures of ssh2 that the system may not have', () => {
  const helps = (code: string): boolean => systemSshMayHelp(new UserError(code, '')) !== undefined;
  assert.ok(helps('node.noCommonAlgorithm'));
  assert.ok(helps('node.hostKeyAuthority'));
  // A refused login is never tried again by itself.
  assert.ok(!helps('node.authRefused'));
  assert.equal(systemSshMayHelp(new Error('x')), undefined);
});

test('what is on this machine is read from files', async () => {
  await using folder = await temporaryFolder();
  const at = (name: string): string => join(folder.path, name);
  await writeFile(at('id-cert.pub'), 'x');
  await writeFile(at('touch.pub'), 'sk-ssh-ed25519@openssh.com AAAA me');
  await writeFile(at('plain.pub'), 'ssh-ed25519 AAAA me');
  const key = madeUpKey('ssh-ed25519', 'host');
  const line = knownHostsLine('[127.0.0.1]:2222', key);
  await writeFile(at('certified'), `@cert-authority ${line}`);
  await writeFile(at('both'), `@cert-authority ${line}${line}`);
  const target = (known: string): SshTarget =>
    sshTarget({
      alias: 'node',
      port: 2222,
      identityFiles: ['id', 'touch', 'touch.pub', 'plain', 'missing'].map(at),
      userKnownHostsFiles: [at(known)],
    });
  const facts = await readTransportFacts(target('certified'), {});
  assert.deepEqual(
    [facts.certificates, facts.securityKeys, facts.isOnlyCertified, facts.hasSystemSsh],
    [[at('id-cert.pub')], [at('touch'), at('touch.pub')], true, true],
  );
  const other = await readTransportFacts(target('both'), { sshPath: at('no-ssh') });
  assert.deepEqual([other.isOnlyCertified, other.hasSystemSsh], [false, false]);
  assert.equal((await readTransportFacts(target('missing'), {})).isOnlyCertified, false);
});

test('one jump host that needs the system takes the whole way there', async () => {
  const hop = { ...plain, certificateFiles: ['/hop-cert.pub'] };
  const choice = { transport: 'system', reason: 'a certificate (/hop-cert.pub)' };
  assert.deepEqual(await chooseForWay([hop, plain], 'auto', {}), choice);
  assert.deepEqual(await chooseForWay([plain, hop], 'auto', {}), choice);
  assert.equal((await chooseForWay([plain, plain], 'auto', {})).transport, 'ssh2');
  assert.equal((await chooseForWay([hop, plain], 'ssh2', {})).transport, 'ssh2');
});

test('an agent tells the types of its keys; one that is cut short, silent or missing tells none', async () => {
  await using folder = await temporaryFolder();
  const keys = [
    madeUpKey('ssh-ed25519', 'a'),
    blob('sk-ssh-ed25519@openssh.com', Buffer.alloc(32)),
  ];
  const entries = keys.flatMap((key) => [string(key), string('me@laptop')]);
  const answer = Buffer.concat([Buffer.of(12), uint32(2), ...entries]);
  const ask = async (name: string, packet: Buffer): Promise<string[]> => {
    const path = join(folder.path, name);
    const agent = createServer((socket) => {
      socket.on('error', () => undefined);
      socket.once('data', () => socket.end(Buffer.concat([uint32(packet.length), packet])));
    });
    await new Promise<void>((resolve) => {
      agent.listen(path, () => resolve());
    });
    const types = await agentKeyTypesOf(path);
    agent.close();
    return types;
  };
  assert.deepEqual(await ask('whole', answer), ['ssh-ed25519', 'sk-ssh-ed25519@openssh.com']);
  assert.deepEqual(await ask('short', answer.subarray(0, -5)), [
    'ssh-ed25519',
    'sk-ssh-ed25519@openssh.com',
  ]);
  assert.deepEqual(await ask('shorter', answer.subarray(0, 10)), []);
  assert.deepEqual(await ask('refused', Buffer.of(5)), []);
  assert.deepEqual(await agentKeyTypesOf(join(folder.path, 'missing')), []);
});
