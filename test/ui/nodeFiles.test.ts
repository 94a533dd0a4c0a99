import assert from 'node:assert/strict';
import {
  chmodSync,
  mkdirSync,
  mkdtempSync,
  rmSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { after, beforeEach } from 'node:test';
import type { Node } from '../../src/remote/node.ts';
import type { Shell } from '../../src/remote/shell.ts';
import { eventually } from '../fakes/eventually.ts';
import { LocalNodes } from '../fakes/localNodes.ts';
import '../fakes/useVscode.ts';
import { FileChangeType, FileType, fake, Uri } from '../fakes/vscode.ts';

const { NodeFiles } = await import('../../src/ui/nodeFiles.ts');

const root = mkdtempSync(join(tmpdir(), 'faultline-node-files-'));
chmodSync(root, 0o755);

/** Local nodes that know whether they are connected. */
class Nodes extends LocalNodes {
  private readonly open = new Map<string, Shell>();

  override async shell(node: Node, signal?: AbortSignal): Promise<Shell> {
    const shell = await super.shell(node, signal);
    this.open.set(node.name, shell);
    return shell;
  }

  shellNow(node: Node): Shell | undefined {
    return this.open.get(node.name);
  }
}

const nodes = new Nodes({ 'web-1': { shell: { env: { ...process.env, HOME: root } } } });
const files = new NodeFiles(nodes, { minIntervalMs: 20, maxIntervalMs: 30 });
after(() => {
  files.dispose();
  nodes.dispose();
  rmSync(root, { recursive: true, force: true });
});
beforeEach(() => fake.reset());

function uri(path: string, query = ''): never {
  return Uri.from({ scheme: 'faultline', authority: 'web-1', path, query }) as never;
}

test('files are described, listed and read as VS Code asks', async () => {
  mkdirSync(join(root, 'd'));
  writeFileSync(join(root, 'd/a.py'), 'print(1)\n');
  symlinkSync('a.py', join(root, 'd/link'));
  const stat = await files.stat(uri(`${root}/d/a.py`));
  assert.equal(stat.type, FileType.File);
  assert.equal(stat.size, 9);
  assert.deepEqual(await files.readDirectory(uri(`${root}/d`)), [
    ['a.py', FileType.File],
    ['link', FileType.File | FileType.SymbolicLink],
  ]);
  assert.equal(Buffer.from(await files.readFile(uri(`${root}/d/a.py`))).toString(), 'print(1)\n');
});

test('what is wrong has the words of VS Code’s file service', async () => {
  symlinkSync('circle', join(root, 'circle'));
  const other = Uri.from({ scheme: 'faultline', authority: 'nobody', path: '/' }) as never;
  const cases: readonly (readonly [() => unknown, string])[] = [
    [() => files.stat(uri(`${root}/absent`)), 'FileNotFound'],
    [() => files.readFile(uri(`${root}/circle`)), 'FileNotFound'],
    [() => files.readFile(uri(root)), 'FileIsADirectory'],
    [() => files.readDirectory(uri('/etc/passwd')), 'FileNotADirectory'],
    [() => files.readFile(uri('/dev/zero')), 'Unavailable'],
    [() => files.stat(other), 'FileNotFound'],
    [() => files.writeFile(uri('/x')), 'NoPermissions'],
    [() => files.delete(uri('/x')), 'NoPermissions'],
  ];
  for (const [work, code] of cases) {
    await assert.rejects(
      async () => {
        await work();
      },
      { code },
    );
  }
});

test('of a file that is too large the end is offered once, and opens from a whole line on', async () => {
  const path = join(root, 'large.log');
  writeFileSync(path, 'first\n');
  truncateSync(path, 33 << 20);
  writeFileSync(path, '\nlast line\n', { flag: 'a' });
  fake.answer = (message) =>
    /larger than 32 MiB/.test(message.text) ? message.choices[0] : undefined;
  await assert.rejects(files.readFile(uri(path)), { code: 'Unavailable' });
  await eventually(() => assert.equal(fake.executed.length, 1));
  const [command, end] = fake.executed[0] as [string, Uri];
  assert.equal(command, 'vscode.open');
  assert.equal(end.query, 'end');
  assert.equal(Buffer.from(await files.readFile(end as never)).toString(), 'last line\n');
  assert.ok((await files.stat(end as never)).size <= 4 << 20);
});

test('a change of a watched file is told for every address under which it is open', async () => {
  const path = join(root, 'watched');
  writeFileSync(path, '1');
  await nodes.shell(nodes.node('web-1'));
  const told: { readonly type: number; readonly uri: unknown }[] = [];
  files.onDidChangeFile((events) => told.push(...events));
  const whole = files.watch(uri(path));
  const end = files.watch(uri(path, 'end'));
  // The first look shows how the file is, the next what changed.
  await new Promise((resolve) => setTimeout(resolve, 200));
  writeFileSync(path, '22');
  await eventually(() => assert.equal(told.length, 2));
  assert.deepEqual(told, [
    { type: FileChangeType.Changed, uri: uri(path) },
    { type: FileChangeType.Changed, uri: uri(path, 'end') },
  ]);
  whole.dispose();
  end.dispose();
});

test('browsing begins in the home directory, in VS Code’s own dialog', async () => {
  await files.commands()['browseFiles'](nodes.node('web-1'));
  const [dialog, options] = fake.executed[0] as [string, { defaultUri: Uri; title: string }];
  assert.equal(dialog, 'showOpenDialog');
  assert.equal(options.defaultUri.path, root);
  assert.equal(options.defaultUri.authority, 'web-1');
  assert.equal(options.title, 'Files of web-1');
});
