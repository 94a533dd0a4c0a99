import assert from 'node:assert/strict';
import test, { beforeEach } from 'node:test';
import '../fakes/useVscode.ts';
import { EventEmitter, fake, Uri } from '../fakes/vscode.ts';

const { createLateTree, late, lateCommands, registerLateDocuments, registerLateFiles } =
  await import('../../src/ui/late.ts');

beforeEach(() => fake.reset());

test('a thing is made at the first call, once', async () => {
  let count = 0;
  const thing = late(async () => ({ number: ++count }));
  assert.equal(count, 0);
  const [one, two] = await Promise.all([thing(), thing()]);
  assert.equal(one, two);
  assert.equal(await thing(), one);
  assert.equal(count, 1);
});

test('a making that failed is tried again', async () => {
  let count = 0;
  const thing = late(async () => {
    if (++count === 1) throw new Error('no file');
    return count;
  });
  await assert.rejects(thing(), /no file/);
  assert.equal(await thing(), 2);
});

test('the first command that is called loads the table; each gets its arguments and gives its answer', async () => {
  let count = 0;
  const table = late(async () => {
    count++;
    return {
      add: (a: unknown, b: unknown) => Number(a) + Number(b),
      fail: () => {
        throw new Error('it failed');
      },
    };
  });
  const commands = lateCommands(['add', 'fail'], table);
  assert.deepEqual(Object.keys(commands), ['add', 'fail']);
  assert.equal(count, 0);
  assert.equal(await commands.add(2, 3), 5);
  await assert.rejects(async () => commands.fail(), /it failed/);
  assert.equal(count, 1);
});

test('a tree is loaded with its first rows, and its changes reach VS Code from then on', async () => {
  const changes = new EventEmitter<string | undefined>();
  let count = 0;
  const view = createLateTree<string>('faultline.runs', {}, async () => {
    count++;
    return {
      onDidChangeTreeData: changes.event as never,
      getChildren: () => ['a'],
      getTreeItem: (row) => ({ label: row }),
    };
  });
  assert.equal(fake.views.get('faultline.runs'), view as never);
  const provider = fake.trees.get('faultline.runs')!;
  const seen: unknown[] = [];
  provider.onDidChangeTreeData?.((row) => seen.push(row));
  assert.equal(count, 0);
  assert.deepEqual(await provider.getChildren(), ['a']);
  assert.deepEqual(await provider.getTreeItem('a' as never), { label: 'a' });
  changes.fire('a');
  assert.deepEqual(seen, ['a']);
  assert.equal(count, 1);
});

test('documents are loaded when a text is asked for, and their changes reach VS Code from then on', async () => {
  const changes = new EventEmitter<Uri>();
  let count = 0;
  const registration = registerLateDocuments('faultline-log', async () => {
    count++;
    return {
      onDidChange: changes.event as never,
      provideTextDocumentContent: (uri) => `text of ${uri.path}`,
    };
  });
  const provider = fake.providers.get('faultline-log') as {
    onDidChange(listener: (uri: Uri) => void): void;
    provideTextDocumentContent(uri: Uri): Promise<string>;
  };
  const seen: Uri[] = [];
  provider.onDidChange((uri) => seen.push(uri));
  const uri = Uri.from({ scheme: 'faultline-log', path: '/x' });
  assert.equal(await provider.provideTextDocumentContent(uri), 'text of /x');
  assert.equal(await provider.provideTextDocumentContent(uri), 'text of /x');
  changes.fire(uri);
  assert.deepEqual(seen, [uri]);
  assert.equal(count, 1);
  registration.dispose();
});

test('a file that is watched no more before its provider is loaded is not watched then', async () => {
  const watched: string[] = [];
  let load = (): void => undefined;
  const loading = new Promise<void>((resolve) => (load = resolve));
  registerLateFiles('faultline', {}, async () => {
    await loading;
    return {
      watch: (uri: Uri) => {
        watched.push(uri.path);
        return { dispose: () => watched.splice(watched.indexOf(uri.path), 1) };
      },
    } as never;
  });
  const provider = fake.providers.get('faultline') as {
    watch(uri: Uri, options: unknown): { dispose(): void };
  };
  const watching = ['/a', '/b'].map((path) => {
    return provider.watch(Uri.from({ scheme: 'faultline', path }), {});
  });
  watching[0]!.dispose();
  load();
  await new Promise(setImmediate);
  assert.deepEqual(watched, ['/b']);
});
