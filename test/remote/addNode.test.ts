import assert from 'node:assert/strict';
import {
  chmod,
  lstat,
  mkdir,
  mkdtemp,
  readFile,
  readdir,
  rm,
  stat,
  symlink,
  writeFile,
} from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'node:test';
import {
  appendBlock,
  hostBlock,
  missingParts,
  nameProblem,
  previewBlock,
  programsOf,
  removeBlock,
  settingsEntry,
} from '../../src/remote/addNode.ts';
import { parseSshCommandLine } from '../../src/remote/sshCommandLine.ts';
import { resolveHost } from '../../src/remote/sshConfig.ts';

async function inFolder(use: (dir: string) => Promise<void>): Promise<void> {
  const dir = await mkdtemp(join(tmpdir(), 'faultline-add-'));
  try {
    await use(dir);
  } finally {
    await rm(dir, { recursive: true });
  }
}

test('a pasted command as the lines of an ssh configuration', () => {
  const typed = parseSshCommandLine(
    'ssh -p 2222 -i ~/.ssh/k -i "/a b/k" me@10.0.0.7 -J b1,me@b2:22 -o ServerAliveInterval=15 -o "ProxyCommand=nc %h %p"',
  );
  assert.equal(
    hostBlock('web-1', typed),
    [
      'Host web-1',
      '  HostName 10.0.0.7',
      '  User me',
      '  Port 2222',
      '  IdentityFile ~/.ssh/k',
      '  IdentityFile "/a b/k"',
      '  ProxyJump b1,me@b2:22',
      '  ServerAliveInterval 15',
      '  ProxyCommand nc %h %p',
      '',
    ].join('\n'),
  );
  assert.deepEqual(programsOf(typed), ['nc %h %p']);
});

test('of several values for one keyword the first counts, as for ssh', () => {
  const typed = parseSshCommandLine('ssh -o ConnectTimeout=5 -o connecttimeout=7 web');
  assert.equal(hostBlock('web', typed), 'Host web\n  ConnectTimeout 5\n');
});

test('a name that is the host needs no more; a zone keeps its percent sign', () => {
  assert.equal(hostBlock('web', parseSshCommandLine('web')), 'Host web\n');
  assert.equal(
    hostBlock('local', parseSshCommandLine('fe80::1%eth0')),
    'Host local\n  HostName fe80::1%%eth0\n',
  );
});

test('a block on top of an alias says what the alias leads to', async () => {
  await inFolder(async (dir) => {
    const configFile = join(dir, 'config');
    await writeFile(
      configFile,
      'Host web\n HostName 10.0.0.7\n User me\n Port 7\n IdentityFile /k\n ProxyJump b\n',
    );
    const alias = await resolveHost('web', { configFile });
    assert.equal(
      hostBlock('web-root', parseSshCommandLine('root@web'), alias),
      'Host web-root\n  HostName 10.0.0.7\n  User root\n  Port 7\n  IdentityFile /k\n  ProxyJump b\n',
    );
  });
});

test('the block means what was typed, as ssh reads it', async () => {
  await inFolder(async (dir) => {
    const file = join(dir, 'config');
    const typed = parseSshCommandLine('ssh -p 2222 -i "/a b" me@10.0.0.7 -J b1,b2');
    await appendBlock(file, hostBlock('web', typed));
    const { host, port, user, identityFiles, proxyJump } = await resolveHost('web', {
      configFile: file,
    });
    assert.deepEqual(
      { host, port, user, identityFiles, proxyJump },
      {
        host: '10.0.0.7',
        port: 2222,
        user: 'me',
        identityFiles: ['/a b'],
        proxyJump: ['b1', 'b2'],
      },
    );
  });
});

const files: readonly [string, string, string][] = [
  ['a new file', '', 'Host a\n'],
  ['a file with its last line ended', 'Port 22\n', 'Port 22\n\nHost a\n'],
  ['a file with its last line open', 'Port 22', 'Port 22\n\nHost a\n'],
  ['a file with CRLF', 'Port 22\r\n', 'Port 22\r\n\r\nHost a\r\n'],
  ['a file that is no UTF-8', '# \xff\xfe\n', '# \xff\xfe\n\nHost a\n'],
];
for (const [title, before, after] of files) {
  test(`${title} keeps its bytes, gets the block, and loses it again`, async () => {
    await inFolder(async (dir) => {
      const file = join(dir, 'sub', 'config');
      if (before !== '') {
        await mkdir(join(dir, 'sub'));
        await writeFile(file, before, 'latin1');
      }
      await appendBlock(file, 'Host a\n');
      assert.equal(await readFile(file, 'latin1'), after);
      assert.equal(await removeBlock(file, 'Host a\n'), true);
      const isOpen = before !== '' && !before.endsWith('\n');
      assert.equal(await readFile(file, 'latin1'), isOpen ? `${before}\n` : before);
      assert.deepEqual(await readdir(join(dir, 'sub')), ['config']);
    });
  });
}

test('a new file and its folder are the user’s alone, an old one keeps its rights, a link stays one', async () => {
  await inFolder(async (dir) => {
    const file = join(dir, 'ssh', 'config');
    await appendBlock(file, 'Host a\n');
    assert.equal((await stat(file)).mode & 0o777, 0o600);
    assert.equal((await stat(join(dir, 'ssh'))).mode & 0o777, 0o700);
    await chmod(file, 0o640);
    const link = join(dir, 'link');
    await symlink(file, link);
    await appendBlock(link, 'Host b\n');
    assert.equal((await stat(file)).mode & 0o777, 0o640);
    assert.ok((await lstat(link)).isSymbolicLink());
    assert.equal(await readFile(file, 'utf8'), 'Host a\n\nHost b\n');
  });
});

test('a block that others have written behind is left alone', async () => {
  await inFolder(async (dir) => {
    const file = join(dir, 'config');
    await writeFile(file, 'Host a\nHost b\n');
    assert.equal(await removeBlock(file, 'Host a\n'), false);
    assert.equal(await readFile(file, 'utf8'), 'Host a\nHost b\n');
  });
});

test('a file that cannot be written is one sentence', async () => {
  await assert.rejects(appendBlock('/dev/null/config', 'Host a\n'), {
    code: 'addNode.cannotWrite',
  });
});

test('before anything is written it is told what the block would mean', async () => {
  await inFolder(async (dir) => {
    const file = join(dir, 'config');
    await writeFile(file, 'Host old\nHost *\n  User deploy\n  Port 22\n');
    const options = { configFile: file };
    const typed = parseSshCommandLine('me@10.0.0.7:2222');
    const preview = await previewBlock('new', hostBlock('new', typed), typed, file, options);
    assert.equal(preview.target.host, '10.0.0.7');
    assert.deepEqual(preview.surprises, [
      'An earlier line of the configuration decides the user: deploy instead of me.',
      'An earlier line of the configuration decides the port: 22 instead of 2222.',
    ]);
    await assert.rejects(previewBlock('old', 'Host old\n', typed, file, options), {
      code: 'addNode.nameTaken',
    });
    await assert.rejects(previewBlock('new', 'Host new\n  Port x\n', typed, file, options), {
      code: 'ssh.configInvalid',
    });
    assert.equal(await readFile(file, 'utf8'), 'Host old\nHost *\n  User deploy\n  Port 22\n');
  });
});

test('names for nodes', () => {
  assert.equal(nameProblem('web-1.eu', ['db']), undefined);
  assert.match(nameProblem('db', ['db']) ?? '', /already/);
  for (const name of ['', '-o', 'a b', 'a*', '!a', 'a;b', '../x', 'ü']) {
    assert.notEqual(nameProblem(name, []), undefined, name);
  }
});

test('the entry of the settings', () => {
  assert.deepEqual(settingsEntry('web', parseSshCommandLine('web')), { name: 'web' });
  assert.deepEqual(settingsEntry('db', parseSshCommandLine('me@10.0.0.7:7')), {
    name: 'db',
    host: 'me@10.0.0.7:7',
  });
});

test('key files that are not there', async () => {
  const typed = parseSshCommandLine('ssh -i /nonexistent/k -i /dev/null -i %d/k web');
  assert.deepEqual(await missingParts(typed), ['There is no file /nonexistent/k.']);
});
