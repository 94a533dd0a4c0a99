import assert from 'node:assert/strict';
import {
  chmodSync,
  mkdtempSync,
  mkdirSync,
  rmSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'node:test';
import { encodeText } from '../../src/remote/command.ts';
import type { Shell } from '../../src/remote/shell.ts';
import { LocalShell } from '../../src/remote/localShell.ts';
import {
  decodeName,
  formatNodeUri,
  homeDirectory,
  listDirectory,
  maxFileBytes,
  parseNodeUri,
  readFile,
  readFileRange,
  statFile,
  versionsOfFiles,
} from '../../src/remote/nodeFiles.ts';

const oddNames = [
  'plain.py',
  ' leading and trailing ',
  '-n',
  '--',
  '*',
  '.hidden',
  '..almost',
  'line\nfeed\n',
  'quote\'"`$(touch never)',
  'back\\slash',
  'é漢\u{1f40d}',
  'not\udcffUTF-8\udc80',
  'private \uef80 use',
  '%41?#&;',
];

const shell = new LocalShell();
const root = mkdtempSync(join(tmpdir(), 'faultline-files-'));
test.after(() => {
  shell.dispose();
  rmSync(root, { recursive: true, force: true });
});

function at(name: string): string {
  return `${root}/${name}`;
}

function onDisk(name: string): Buffer {
  return Buffer.concat([Buffer.from(`${root}/`), encodeText(name)]);
}

test('files of every name are listed, described and read', async () => {
  mkdirSync(at('odd'));
  for (const name of oddNames)
    writeFileSync(onDisk(`odd/${name}`), `text of ${oddNames.indexOf(name)}`);
  const entries = await listDirectory(shell, at('odd'));
  assert.deepEqual(entries.map(({ name }) => name).sort(), [...oddNames].sort());
  assert.ok(entries.every(({ kind, isLink }) => kind === 'file' && !isLink));
  for (const [index, name] of oddNames.entries()) {
    const stat = await statFile(shell, at(`odd/${name}`));
    assert.equal(stat.size, `text of ${index}`.length);
    assert.ok(Math.abs(stat.modifiedAt - Date.now() / 1000) < 60);
    assert.equal((await readFile(shell, at(`odd/${name}`))).toString(), `text of ${index}`);
  }
});

test('every byte survives', async () => {
  const bytes = Buffer.from(Array.from({ length: 4096 }, (_, index) => index % 256));
  writeFileSync(at('bytes'), bytes);
  assert.deepEqual(await readFile(shell, at('bytes')), bytes);
});

test('links are described by what they lead to', async () => {
  mkdirSync(at('links'));
  writeFileSync(at('links/file'), 'content');
  symlinkSync('file', at('links/toFile'));
  symlinkSync('.', at('links/toDirectory'));
  symlinkSync('nowhere', at('links/broken'));
  assert.deepEqual(await listDirectory(shell, at('links')), [
    { name: 'broken', kind: 'missing', isLink: true },
    { name: 'file', kind: 'file', isLink: false },
    { name: 'toDirectory', kind: 'directory', isLink: true },
    { name: 'toFile', kind: 'file', isLink: true },
  ]);
  assert.equal((await statFile(shell, at('links/toFile'))).size, 7);
  assert.equal((await readFile(shell, at('links/toFile'))).toString(), 'content');
  assert.equal((await statFile(shell, at('links/broken'))).kind, 'missing');
  await assert.rejects(readFile(shell, at('links/broken')), { code: 'file.brokenLink' });
  symlinkSync('circle', at('links/circle'));
  assert.equal((await statFile(shell, at('links/circle'))).kind, 'missing');
  await assert.rejects(readFile(shell, at('links/circle')), { code: 'file.brokenLink' });
});

test('an empty directory has no entries', async () => {
  mkdirSync(at('empty'));
  assert.deepEqual(await listDirectory(shell, at('empty')), []);
});

test('a path with a line feed at its end is a path', async () => {
  mkdirSync(at('folder\n'));
  writeFileSync(at('folder\n/a'), '');
  assert.deepEqual(await listDirectory(shell, at('folder\n')), [
    { name: 'a', kind: 'file', isLink: false },
  ]);
});

test('pipes and devices are never opened', async () => {
  await shell.exec({ script: 'mkfifo "$1"', args: [at('pipe')] });
  assert.equal((await statFile(shell, at('pipe'))).kind, 'other');
  for (const path of [at('pipe'), '/dev/zero', '/dev/tty']) {
    await assert.rejects(readFile(shell, path), { code: 'file.notRegular' }, path);
  }
});

test('files of /proc are read although they state no size', async () => {
  assert.equal((await statFile(shell, '/proc/self/status')).size, 0);
  assert.match((await readFile(shell, '/proc/self/status')).toString(), /^Name:/);
  assert.match((await readFile(shell, '/proc/cpuinfo')).toString(), /processor/);
});

test('what states to be too large is refused', async () => {
  writeFileSync(at('huge'), '');
  truncateSync(at('huge'), maxFileBytes + 1);
  await assert.rejects(readFile(shell, at('huge')), {
    code: 'file.tooLarge',
    message: `${at('huge')} is larger than 32 MiB.`,
  });
});

test('what turns out to be too large is refused', async () => {
  const growing: Pick<Shell, 'exec'> = {
    exec: () =>
      Promise.resolve({
        stdout: Buffer.alloc(maxFileBytes + 1),
        stderr: '',
        exitCode: 0,
        signal: undefined,
      }),
  };
  await assert.rejects(readFile(growing as Shell, '/proc/endless'), { code: 'file.tooLarge' });
});

test('any part of a file is read, of any size', async () => {
  const bytes = Buffer.from(
    Array.from({ length: 200_000 }, (_, index) => (index * 7 + (index >> 8)) & 255),
  );
  writeFileSync(at('-parts'), bytes);
  const ranges = [
    [0, 10],
    [0, 0],
    [65_535, 3],
    [65_536, 65_536],
    [70_001, 100_000],
    [199_999, 10],
    [200_000, 10],
    [5_000_000, 10],
    [-1, 10],
    [-70_000, 100],
    [-300_000, 300_000],
  ] as const;
  for (const [offset, length] of ranges) {
    const part = await readFileRange(shell, at('-parts'), offset, length);
    const start = offset < 0 ? Math.max(0, bytes.length + offset) : offset;
    assert.equal(part.size, bytes.length);
    assert.equal(part.offset, start);
    assert.ok(part.bytes.equals(bytes.subarray(start, start + length)), `${offset}, ${length}`);
  }
  for (const [offset, length] of [
    [0, -1],
    [0.5, 1],
    [NaN, 1],
    [0, maxFileBytes + 1],
  ] as const) {
    await assert.rejects(readFileRange(shell, at('-parts'), offset, length), RangeError);
  }
});

test('the end of a huge file costs no more than its beginning', async () => {
  writeFileSync(at('sparse'), '');
  truncateSync(at('sparse'), 2 ** 40);
  const startedAt = performance.now();
  const middle = await readFileRange(shell, at('sparse'), 2 ** 39 + 5, 4);
  assert.deepEqual([...middle.bytes], [0, 0, 0, 0]);
  assert.equal((await readFileRange(shell, at('sparse'), -4, 4)).offset, 2 ** 40 - 4);
  assert.ok(performance.now() - startedAt < 2000);
});

test('parts are refused as whole files are', async () => {
  const cases = [
    [at('absent'), 'file.notFound'],
    [root, 'file.isDirectory'],
    ['/dev/zero', 'file.notRegular'],
    ['-n', 'file.notFound'],
  ] as const;
  for (const [path, code] of cases) {
    await assert.rejects(readFileRange(shell, path, 0, 1), { code });
  }
});

test('any change of a watched file is seen, and only that', async () => {
  mkdirSync(at('watched'));
  const paths = ['a', 'line\nfeed', 'absent'].map((name) => at(`watched/${name}`));
  writeFileSync(paths[0]!, '1');
  writeFileSync(paths[1]!, '1');
  const before = await versionsOfFiles(shell, [...paths, at('watched')]);
  assert.deepEqual(
    before.map((version) => version !== undefined),
    [true, true, false, true],
  );
  assert.deepEqual(await versionsOfFiles(shell, [...paths, at('watched')]), before);
  writeFileSync(paths[0]!, '2');
  rmSync(paths[1]!);
  writeFileSync(paths[2]!, 'new');
  const after = await versionsOfFiles(shell, [...paths, at('watched')]);
  assert.notEqual(after[0], before[0]);
  assert.equal(after[1], undefined);
  assert.notEqual(after[2], undefined);
  assert.notEqual(after[3], before[3]);
  assert.deepEqual(await versionsOfFiles(shell, []), []);
});

test('the home directory is where a login starts, whatever it is called', async () => {
  const home = at('odd/line\nfeed and more\n');
  mkdirSync(home, { recursive: true });
  const login = new LocalShell({ env: { ...process.env, HOME: home } });
  assert.equal(await homeDirectory(login), home);
  login.dispose();
  const homeless = new LocalShell({ env: { ...process.env, HOME: '/nowhere' } });
  assert.equal(await homeDirectory(homeless), '/');
  homeless.dispose();
});

test('a wrong path is told from a wrong kind', async () => {
  const cases: readonly (readonly [() => Promise<unknown>, string])[] = [
    [() => statFile(shell, at('absent')), 'file.notFound'],
    [() => statFile(shell, at('bytes/inside')), 'file.notFound'],
    [() => readFile(shell, at('absent/deeper/still')), 'file.notFound'],
    [() => listDirectory(shell, at('absent')), 'file.notFound'],
    [() => listDirectory(shell, at('bytes')), 'file.notDirectory'],
    [() => readFile(shell, root), 'file.isDirectory'],
    [() => readFile(shell, 'relative'), 'file.notFound'],
    [() => readFile(shell, '-n'), 'file.notFound'],
  ];
  for (const [work, code] of cases) await assert.rejects(work(), { code });
});

test('a missing permission is not taken for a missing file', async () => {
  mkdirSync(at('locked'));
  writeFileSync(at('locked/file'), 'secret');
  writeFileSync(at('unreadable'), 'secret', { mode: 0 });
  chmodSync(root, 0o755);
  chmodSync(at('locked'), 0);
  // Root reads everything: then the login is made somebody else's.
  const other = ['setpriv', '--reuid=65534', '--regid=65534', '--clear-groups', '/bin/sh', '-c'];
  const login = new LocalShell(process.getuid?.() === 0 ? { loginShell: other } : {});
  for (const work of [
    () => statFile(login, at('locked/file')),
    () => readFile(login, at('locked/file')),
    () => readFile(login, at('unreadable')),
    () => listDirectory(login, at('locked')),
  ]) {
    await assert.rejects(work(), { code: 'file.noPermission' });
  }
  login.dispose();
});

test('an error shows a hostile name without its control characters', async () => {
  await assert.rejects(statFile(shell, at('\u001b[2J')), /‹ESC›\[2J on the node/);
});

test('names are decoded as Python does, and encoded back', () => {
  const samples = ['41', 'c3a9', 'ff', 'c3', 'c328', 'eda080', 'f09f908d', 'f49080', 'e282', '80'];
  for (const hex of samples) {
    const bytes = Buffer.from(hex, 'hex');
    assert.deepEqual(encodeText(decodeName(bytes)), bytes, hex);
  }
  assert.equal(decodeName(Buffer.from('c3a9ff', 'hex')), 'é\udcff');
});

test('addresses lead back to their node and path', () => {
  for (const node of [
    'web-1',
    'Web_01.example',
    'a b',
    'user@host:22',
    '漢',
    '~7e',
    'x/y',
    '%41',
  ]) {
    for (const name of [...oddNames, 'a:b', '..', '']) {
      const address = { node, path: `/srv/${name}` };
      const uri = formatNodeUri(address);
      assert.match(uri, /^faultline:\/\/[a-z0-9._~-]+\/[!-~]*$/);
      assert.deepEqual(parseNodeUri(uri), address, uri);
    }
  }
  assert.equal(
    formatNodeUri({ node: 'web-1', path: '/srv/a b.py' }),
    'faultline://web-1/srv/a%20b.py',
  );
});

test('other addresses are none', () => {
  const others = [
    'file:///etc/passwd',
    'faultline:/etc/passwd',
    'faultline:///etc/passwd',
    'faultline://node',
    'faultline://node/a?b',
    'faultline://node/a#b',
    'faultline://node/%ff',
    'xfaultline://node/a',
    '/srv/faultline://node/a',
    '',
  ];
  for (const text of others) assert.equal(parseNodeUri(text), undefined, text);
});
