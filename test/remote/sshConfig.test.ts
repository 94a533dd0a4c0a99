import assert from 'node:assert/strict';
import { mkdtemp, mkdir, rm, writeFile } from 'node:fs/promises';
import { homedir, tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'node:test';
import { expandTokens, listHosts, resolveHost } from '../../src/remote/sshConfig.ts';

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
  await withConfig({}, async (file, dir) => {
    await mkdir(join(dir, 'more'));
    await writeFile(join(dir, 'more', 'a.conf'), `Host first\nInclude ${file}\n`);
    await writeFile(
      file,
      `Include ${dir}/more/*.conf\nHost web-1 'web-2'\n  User "me\nHost *.eu !x\nHost "db"\nInclude none`,
    );
    assert.deepEqual(await listHosts(file), ['first', 'web-1', 'web-2', 'db']);
  });
});

test('a circle of includes that name each other twice is listed at once', async () => {
  await withConfig({}, async (file, dir) => {
    await writeFile(file, `Include ${dir}/b ${file}\nInclude ${dir}/b\nHost a\n`);
    await writeFile(join(dir, 'b'), `Include ${file} ${file}\nHost b\n`);
    assert.deepEqual(await listHosts(file), ['a', 'b']);
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
  HostKeyAlias %h-alias
  HashKnownHosts yes
  CheckHostIP yes
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
        hostKeyAlias: '%h-alias',
        userKnownHostsFiles: ['/a', '/b'],
        globalKnownHostsFiles: [],
        strictHostKeyChecking: 'accept-new',
        hashKnownHosts: true,
        checkHostIp: true,
        proxyJump: ['one', 'two'],
        proxyCommand: undefined,
        connectTimeoutMs: 7000,
        loginMethods: undefined,
        certificateFiles: [join(homedir(), '.ssh', 'k-cert.pub')],
        serverAliveIntervalMs: 15_000,
        serverAliveCountMax: 3,
        unsupported: [],
        needsSystemSsh: [],
      },
    );
  });
});

test('a broken configuration is named with its reason', async () => {
  await withConfig({ config: 'Host x\n  Port many\n' }, async (configFile) => {
    await assert.rejects(resolveHost('x', { configFile }), { code: 'ssh.configInvalid' });
  });
});

test('a hop of a ProxyJump brings its user and its port', async () => {
  const config = 'Host bastion\n  HostName 10.0.0.1\n  User other\n  Port 7\n';
  await withConfig({ config }, async (configFile) => {
    for (const sshPath of ['ssh', '/nonexistent/ssh']) {
      const { host, port, user } = await resolveHost('me@bastion:2222', { configFile, sshPath });
      assert.deepEqual({ host, port, user }, { host: '10.0.0.1', port: 2222, user: 'me' });
    }
  });
});

test('options that ssh knows and Faultline does not use are named', async () => {
  const config = 'BindAddress 10.0.0.9\nRevokedHostKeys /r\nVerifyHostKeyDNS no\n';
  await withConfig({ config }, async (configFile) => {
    const { unsupported } = await resolveHost('x', { configFile });
    assert.deepEqual(unsupported, ['BindAddress', 'RevokedHostKeys']);
  });
});

test('a name that is no host name is refused, an IDN with the form that ssh takes', async () => {
  await assert.rejects(resolveHost('-oProxyCommand=x', {}), { code: 'node.badName' });
  await assert.rejects(resolveHost('bücher.example', {}), {
    code: 'node.badName',
    hint: 'ssh takes it in its ASCII form: xn--bcher-kva.example',
  });
});

test('one identity rule, as ssh has it: case, final dots, addresses with a zone', async () => {
  for (const sshPath of ['ssh', '/nonexistent/ssh']) {
    const options = { configFile: '/dev/null', sshPath };
    for (const [asked, host] of [
      ['WEB.Example', 'web.example'],
      ['web.example.', 'web.example.'],
      ['fe80::1%eth0', 'fe80::1%eth0'],
      ['FE80::A', 'FE80::A'],
    ] as const) {
      const target = await resolveHost(asked, options);
      assert.deepEqual([target.alias, target.host], [asked, host]);
    }
  }
});

test('an ssh program that is named and not there is said', async () => {
  const { unsupported } = await resolveHost('x', {
    configFile: '/dev/null',
    sshPath: '/nonexistent/ssh',
  });
  assert.deepEqual(unsupported, [
    'the program /nonexistent/ssh, which was not found or cannot run',
  ]);
});

test('tokens', () => {
  const names = { alias: 'n', host: 'h', port: 7, user: 'r', jump: 'j', hostKeyAlias: 'k' };
  assert.equal(expandTokens('%n %h %p %r %j %k %% %z', names), 'n h 7 r j k % %z');
  assert.equal(expandTokens(`\${NO_SUCH_VARIABLE} ~`, names), `\${NO_SUCH_VARIABLE} ~`);
});
