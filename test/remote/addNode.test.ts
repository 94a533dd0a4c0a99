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
  hostBlock,
  insertBlock,
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
    await insertBlock(file, hostBlock('web', typed), 'end');
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
      const inserted = await insertBlock(file, 'Host a\n', 'end');
      assert.equal(await readFile(file, 'latin1'), after);
      assert.equal(await removeBlock(file, inserted), true);
      assert.equal(await readFile(file, 'latin1'), before);
      assert.deepEqual(await readdir(join(dir, 'sub')), ['config']);
    });
  });
}

test('a new file and its folder are the user’s alone, an old one keeps its rights, a link stays one', async () => {
  await inFolder(async (dir) => {
    const file = join(dir, 'ssh', 'config');
    await insertBlock(file, 'Host a\n', 'end');
    assert.equal((await stat(file)).mode & 0o777, 0o600);
    assert.equal((await stat(join(dir, 'ssh'))).mode & 0o777, 0o700);
    await chmod(file, 0o640);
    const link = join(dir, 'link');
    await symlink(file, link);
    await insertBlock(link, 'Host b\n', 'end');
    assert.equal((await stat(file)).mode & 0o777, 0o640);
    assert.ok((await lstat(link)).isSymbolicLink());
    assert.equal(await readFile(file, 'utf8'), 'Host a\n\nHost b\n');
  });
});

const sections: readonly [string, string][] = [
  ['Port 1\n\n# all\n# of them\nHost *\n', 'Port 1\n\nHost a\n\n# all\n# of them\nHost *\n'],
  ['# top\n\nPort 1\nHost *\n', '# top\n\nPort 1\nHost a\n\nHost *\n'],
  ['Host b\n', 'Host a\n\nHost b\n'],
  ['Port 1\n\tmatch all\n', 'Port 1\nHost a\n\n\tmatch all\n'],
  ['HostName x\n', 'HostName x\n\nHost a\n'],
];
for (const [before, after] of sections) {
  test(`a block before the first section of ${JSON.stringify(before)}`, async () => {
    await inFolder(async (dir) => {
      const file = join(dir, 'config');
      await writeFile(file, before);
      const inserted = await insertBlock(file, 'Host a\n', 'first');
      assert.equal(await readFile(file, 'utf8'), after);
      assert.equal(await removeBlock(file, inserted), true);
      assert.equal(await readFile(file, 'utf8'), before);
    });
  });
}

test('a block that others have changed, or that stands there twice, is left alone', async () => {
  await inFolder(async (dir) => {
    const file = join(dir, 'config');
    for (const text of ['Host a b\n', 'Host a\n\nHost a\n']) {
      await writeFile(file, text);
      assert.equal(await removeBlock(file, 'Host a\n'), false);
      assert.equal(await readFile(file, 'utf8'), text);
    }
  });
});

test('a file that cannot be written is one sentence', async () => {
  await assert.rejects(insertBlock('/dev/null/config', 'Host a\n', 'end'), {
    code: 'addNode.cannotWrite',
  });
});

test('before anything is written it is told what the block would mean', async () => {
  await inFolder(async (dir) => {
    const file = join(dir, 'config');
    const options = { configFile: file };
    const typed = parseSshCommandLine('me@10.0.0.7:2222');
    const preview = (name: string, block = hostBlock(name, typed)): Promise<unknown[]> =>
      previewBlock(name, block, typed, file, options).then(({ place, target, surprises }) => [
        place,
        `${target.user}@${target.host}:${target.port}`,
        ...surprises,
      ]);
    assert.deepEqual(await preview('new'), ['end', 'me@10.0.0.7:2222']);
    await writeFile(file, 'Host old\nHost *\n  User deploy\n');
    assert.deepEqual(await preview('new'), ['first', 'me@10.0.0.7:2222']);
    const text = 'Port 22\nHost old\nHost *\n  User deploy\n';
    await writeFile(file, text);
    assert.deepEqual(await preview('new'), [
      'first',
      'me@10.0.0.7:22',
      'An earlier line of the configuration decides the port: 22 instead of 2222.',
    ]);
    await assert.rejects(preview('old'), { code: 'addNode.nameTaken' });
    await assert.rejects(preview('new', 'Host new\n  Port x\n'), { code: 'ssh.configInvalid' });
    assert.equal(await readFile(file, 'utf8'), text);
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
