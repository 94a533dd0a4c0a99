import assert from 'node:assert/strict';
import { mkdtemp, mkdir, rm, writeFile } from 'node:fs/promises';
import { homedir, tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'node:test';
import {
  expandTokens,
  isSafeHostName,
  listHosts,
  resolveHost,
} from '../../src/remote/sshConfig.ts';

async function withConfig(
  files: Readonly<Record<string, string>>,
  use: (file: string, dir: string) => Promise<void>,
): Promise<void> {
  const dir = await mkdtemp(join(tmpdir(), 'faultline-config-'));
  try {
    for (const [name, text] of Object.entries(files)) {
      await mkdir(join(dir, name, '..'), { recursive: true });
      await writeFile(join(dir, name), text);
    }
    await use(join(dir, 'config'), dir);
  } finally {
    await rm(dir, { recursive: true });
  }
}

test('hosts are listed in order, with those of included files, without patterns', async () => {
  const files = {
    config:
      'Include more/*.conf\nHost web-1 web-2\n  User me\nHost *.eu !x\nHost "db"\nInclude none',
    'more/a.conf': 'Host first\nInclude config\n',
  };
  await withConfig(files, async (file) => {
    assert.deepEqual(await listHosts(file), ['first', 'web-1', 'web-2', 'db']);
  });
});

test('a missing file names no hosts', async () => {
  assert.deepEqual(await listHosts('/nonexistent/config'), []);
});

test('a directory in place of the file is one clear sentence', async () => {
  await assert.rejects(listHosts('/'), {
    code: 'ssh.configUnreadable',
    message: 'The ssh configuration / cannot be read.',
  });
});

test('a host is resolved as ssh resolves it', async () => {
  const config = `
Host web
  HostName 10.0.0.7
  Port 2222
  User me
  IdentityFile ~/.ssh/%h_%r
  IdentitiesOnly yes
  UserKnownHostsFile /a /b
  StrictHostKeyChecking accept-new
  ProxyJump one,two
  HostKeyAlias web-alias
  ConnectTimeout 7
  IdentityAgent none
  CertificateFile ~/.ssh/k-cert.pub
  ServerAliveInterval 15
`;
  await withConfig({ config }, async (configFile) => {
    const target = await resolveHost('web', { configFile });
    assert.deepEqual(
      { ...target, globalKnownHostsFiles: [] },
      {
        alias: 'web',
        host: '10.0.0.7',
        port: 2222,
        user: 'me',
        identityFiles: [join(homedir(), '.ssh', '10.0.0.7_me')],
        identitiesOnly: true,
        agentSocket: undefined,
        hostKeyAlias: 'web-alias',
        userKnownHostsFiles: ['/a', '/b'],
        globalKnownHostsFiles: [],
        strictHostKeyChecking: 'accept-new',
        proxyJump: ['one', 'two'],
        proxyCommand: undefined,
        connectTimeoutMs: 7000,
        certificateFiles: [join(homedir(), '.ssh', 'k-cert.pub')],
        serverAliveIntervalMs: 15_000,
        serverAliveCountMax: 3,
        unsupported: [],
      },
    );
  });
});

test('a broken configuration is named with its reason', async () => {
  await withConfig({ config: 'Host x\n  Port many\n' }, async (configFile) => {
    await assert.rejects(resolveHost('x', { configFile }), { code: 'ssh.configInvalid' });
  });
});

test('names that ssh or a shell could take for something else are refused', () => {
  const bad = [
    '-oProxyCommand=x',
    'a;b',
    '`id`',
    '$(id)',
    'a b',
    '',
    'a\nb',
    '../x',
    'x'.repeat(300),
  ];
  for (const name of bad) assert.equal(isSafeHostName(name), false, name);
  for (const name of ['web-1', '10.0.0.1', 'fe80::1%eth0', 'me@web', 'web_1.eu.']) {
    assert.equal(isSafeHostName(name), true, name);
  }
});

test('without an ssh program the next step is said', async () => {
  await assert.rejects(resolveHost('x', { sshPath: '/nonexistent/ssh' }), { code: 'ssh.noClient' });
});

test('tokens', () => {
  const names = { alias: 'n', host: 'h', port: 7, user: 'r', jump: 'j', hostKeyAlias: 'k' };
  assert.equal(expandTokens('%n %h %p %r %j %k %% %z', names), 'n h 7 r j k % %z');
});
