import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'node:test';
import { FileWatch, maxWatchedPaths, type NodeFileChange } from '../../src/remote/fileWatch.ts';
import { LocalShell } from '../../src/remote/localShell.ts';
import type { RemoteCommand, Shell } from '../../src/remote/shell.ts';
import { eventually } from '../fakes/eventually.ts';

const root = mkdtempSync(join(tmpdir(), 'faultline-watch-'));
const local = new LocalShell();
test.after(() => {
  local.dispose();
  rmSync(root, { recursive: true, force: true });
});

interface Rig {
  readonly watch: FileWatch;
  readonly changes: NodeFileChange[];
  /** The commands that were run, by their arguments. */
  readonly asked: (readonly unknown[])[];
  isConnected: boolean;
  isActive: boolean;
}

function rig(): Rig {
  const changes: NodeFileChange[] = [];
  const asked: (readonly unknown[])[] = [];
  const shell: Pick<Shell, 'exec'> = {
    exec: (command: RemoteCommand, ...rest) => {
      asked.push(command.args ?? []);
      return local.exec(command, ...rest);
    },
  };
  const made: Rig = {
    changes,
    asked,
    isConnected: true,
    isActive: true,
    watch: new FileWatch({
      shellNow: () => (made.isConnected ? (shell as Shell) : undefined),
      isActive: () => made.isActive,
      minIntervalMs: 5,
      maxIntervalMs: 10,
    }),
  };
  made.watch.onDidChange((list) => changes.push(...list));
  return made;
}

test('files that come, change and go are told, those of a node in one command', async () => {
  const { watch, changes, asked } = rig();
  const [a, b] = ['a', 'b'].map((name) => join(root, name)) as [string, string];
  writeFileSync(a, '1');
  watch.watch('web-1', a);
  watch.watch('web-1', b);
  watch.watch('web-1', a);
  await eventually(() => assert.ok(asked.length > 1));
  assert.deepEqual(asked[1], [a, b]);
  assert.equal(changes.length, 0);
  writeFileSync(a, '22');
  writeFileSync(b, '1');
  await eventually(() => assert.equal(changes.length, 2));
  assert.deepEqual(changes, [
    { node: 'web-1', path: a, kind: 'changed' },
    { node: 'web-1', path: b, kind: 'created' },
  ]);
  rmSync(a);
  await eventually(() => assert.equal(changes[2]?.kind, 'deleted'));
  watch.dispose();
});

test('what nobody watches any more is not asked about, and in the end nothing is', async () => {
  const { watch, asked } = rig();
  const first = watch.watch('web-1', '/tmp');
  const again = watch.watch('web-1', '/tmp');
  const second = watch.watch('web-1', '/usr');
  await eventually(() => assert.ok(asked.length > 0));
  first.dispose();
  second.dispose();
  second.dispose();
  await eventually(() => assert.deepEqual(asked.at(-1), ['/tmp']));
  again.dispose();
  await new Promise((resolve) => setTimeout(resolve, 40));
  const count = asked.length;
  await new Promise((resolve) => setTimeout(resolve, 60));
  assert.equal(asked.length, count);
  watch.dispose();
});

test('nothing is asked of a node that is not connected, nor while nobody looks', async () => {
  const made = rig();
  made.isConnected = false;
  made.watch.watch('web-1', root);
  await new Promise((resolve) => setTimeout(resolve, 60));
  assert.equal(made.asked.length, 0);
  made.isConnected = true;
  made.isActive = false;
  await new Promise((resolve) => setTimeout(resolve, 60));
  assert.equal(made.asked.length, 0);
  made.isActive = true;
  await eventually(() => assert.ok(made.asked.length > 0));
  // What changed meanwhile is told when it is seen again.
  await eventually(() => assert.ok(made.asked.length > 1));
  made.isConnected = false;
  await new Promise((resolve) => setTimeout(resolve, 30));
  writeFileSync(join(root, 'meanwhile'), '');
  made.isConnected = true;
  await eventually(() => assert.equal(made.changes[0]?.kind, 'changed'));
  made.watch.dispose();
});

test('a node is asked about so many files and no more', async () => {
  const { watch, asked } = rig();
  for (let count = 0; count < 150; count++) watch.watch('web-1', `/tmp/${count}`);
  await eventually(() => assert.equal(asked[0]?.length, maxWatchedPaths));
  watch.dispose();
});

test('a round that fails says nothing about the files', async () => {
  const shell: Pick<Shell, 'exec'> = { exec: () => Promise.reject(new Error('gone')) };
  let rounds = 0;
  const watch = new FileWatch({
    shellNow: () => {
      rounds++;
      return shell as Shell;
    },
    isActive: () => true,
    minIntervalMs: 1,
    maxIntervalMs: 2,
  });
  watch.onDidChange(() => assert.fail('nothing changed'));
  watch.watch('web-1', root);
  await eventually(() => assert.ok(rounds > 3));
  watch.dispose();
});
