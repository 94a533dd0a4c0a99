import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  open,
  readFile,
  readdir,
  readlink,
  rm,
  symlink,
  utimes,
  writeFile,
} from 'node:fs/promises';
import { join } from 'node:path';
import test from 'node:test';
import { hostNames, knownHostsLine } from '../../src/remote/knownHosts.ts';
import { addKnownHost, readHostEntries } from '../../src/remote/knownHostsFile.ts';
import { madeUpKey } from '../fakes/hostKeys.ts';
import { temporaryFolder } from '../fakes/temporaryFolder.ts';

const key = madeUpKey('ssh-ed25519', 'key');
const h = hostNames('h', 22);

test('R-05: 100 additions by 3 processes at once are 100 lines, and the rest stays', async () => {
  await using folder = await temporaryFolder();
  const path = join(folder.path, 'known_hosts');
  const before = Buffer.from('# mine \xff\r\n\n@junk\nold ssh-ed25519 half', 'latin1');
  await writeFile(path, before);
  const programs = [34, 33, 33].map((count, index) => {
    const program = `
      const { addKnownHost } = await import(process.argv[1]);
      const { hostNames } = await import(process.argv[2]);
      const key = Buffer.from(process.argv[3], 'base64');
      process.send('ready');
      process.once('message', async () => {
        await Promise.all(Array.from({ length: ${count} }, (_, i) =>
          addKnownHost(process.argv[4], { names: hostNames('p${index}-' + i, 22), key, hashed: false })));
        process.disconnect();
      });`;
    const modules = ['knownHostsFile.ts', 'knownHosts.ts'].map((file) =>
      join(import.meta.dirname, '../../src/remote', file),
    );
    return spawn(
      process.execPath,
      ['--input-type=module', '-e', program, ...modules, key.toString('base64'), path],
      { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] },
    );
  });
  await Promise.all(programs.map((program) => once(program, 'message')));
  const ended = programs.map((program) => once(program, 'exit'));
  for (const program of programs) program.send('go');
  assert.deepEqual(await Promise.all(ended), Array(3).fill([0, null]));

  const after = await readFile(path);
  assert.ok(after.subarray(0, before.length).equals(before));
  const expected = [34, 33, 33].flatMap((count, index) =>
    Array.from({ length: count }, (_, i) => knownHostsLine(`p${index}-${i}`, key)),
  );
  const added = after.toString('latin1', before.length);
  assert.equal(added[0], '\n');
  assert.deepEqual(
    added
      .slice(1)
      .split(/(?<=\n)/)
      .sort(),
    expected.sort(),
  );
  assert.deepEqual(await readdir(folder.path), ['known_hosts']);
});

test('the same key is added once, also by many at once', async () => {
  await using folder = await temporaryFolder();
  const path = join(folder.path, 'known_hosts');
  const add = (): Promise<void> => addKnownHost(path, { names: h, key, hashed: false });
  await Promise.all(Array.from({ length: 10 }, add));
  await add();
  assert.equal(await readFile(path, 'latin1'), knownHostsLine('h', key));
});

test('a link is written through and stays a link', async () => {
  await using folder = await temporaryFolder();
  const real = join(folder.path, 'real');
  const link = join(folder.path, 'link');
  await writeFile(real, '# kept\n');
  await symlink('real', link);
  await addKnownHost(link, { names: h, key, hashed: false });
  assert.equal(await readlink(link), 'real');
  assert.equal(await readFile(real, 'latin1'), `# kept\n${knownHostsLine('h', key)}`);
});

test('a lock that was left behind holds nobody up', async () => {
  await using folder = await temporaryFolder();
  const path = join(folder.path, 'known_hosts');
  await writeFile(path, 'no line end');
  await writeFile(`${path}.faultline-lock`, '');
  await utimes(`${path}.faultline-lock`, 1, 1);
  await addKnownHost(path, { names: h, key, hashed: false });
  assert.equal(await readFile(path, 'latin1'), `no line end\n${knownHostsLine('h', key)}`);
  assert.deepEqual(await readdir(folder.path), ['known_hosts']);
});

test('/dev/null knows nothing and takes everything', async () => {
  assert.deepEqual((await readHostEntries(['/dev/null'], h)).exact, []);
  await addKnownHost('/dev/null', { names: h, key, hashed: false });
});

test('a file that is there and is no file is refused, and waits for nobody', async () => {
  await using folder = await temporaryFolder();
  const fifo = join(folder.path, 'fifo');
  execFileSync('mkfifo', [fifo]);
  const unreadable = { code: 'node.knownHostsUnreadable' };
  await assert.rejects(readHostEntries([fifo], h), unreadable);
  await assert.rejects(readHostEntries(['/dev/zero'], h), unreadable);
  await assert.rejects(readHostEntries([folder.path], h), unreadable);
  await assert.rejects(readHostEntries([join(import.meta.filename, 'x')], h), unreadable);
});

test('lines are whole at every border of a chunk, and one too long is passed over', async () => {
  await using folder = await temporaryFolder();
  const path = join(folder.path, 'known_hosts');
  const mine = knownHostsLine('h', key);
  for (const shift of [0, 1, 20, mine.length - 1, mine.length]) {
    await writeFile(path, `${'#'.repeat((256 << 10) - shift - 1)}\n${mine}`);
    assert.equal((await readHostEntries([path], h)).exact.length, 1, `shift ${shift}`);
  }
  await writeFile(path, `${'x'.repeat(3 << 20)}\n${mine}${'y'.repeat(3 << 20)}`);
  const found = await readHostEntries([path], h);
  assert.deepEqual(
    found.exact.map(({ where }) => where),
    [`${path}:2`],
  );
  assert.deepEqual(found.unreadableLines, [`${path}:1`, `${path}:3`]);
});

test('more than any list of host keys is refused in words', async () => {
  await using folder = await temporaryFolder();
  const path = join(folder.path, 'known_hosts');
  const file = await open(path, 'w');
  await file.truncate((1 << 30) + 1);
  await file.close();
  await assert.rejects(readHostEntries([path], h), {
    code: 'node.knownHostsTooLarge',
    message: `The file ${path} has 1024 MiB, which is no list of host keys.`,
  });
  await rm(path);
});
