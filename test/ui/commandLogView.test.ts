import assert from 'node:assert/strict';
import test, { beforeEach } from 'node:test';
import { CommandLog } from '../../src/remote/commandLog.ts';
import type { Node } from '../../src/remote/node.ts';
import '../fakes/useVscode.ts';
import { fake, window, type Uri } from '../fakes/vscode.ts';

const { CommandLogView } = await import('../../src/ui/commandLogView.ts');
const { TimeZoneSwitch } = await import('../../src/ui/timeDisplay.ts');

beforeEach(() => {
  fake.reset();
  fake.set('faultline.time.display', 'utc');
});

/** What a test looks at of a tree item. */
interface Shown {
  readonly label: string;
  readonly description: string;
  readonly iconPath: { readonly id: string };
  readonly tooltip: { readonly value: string };
}

const done = { exitCode: 0, signal: undefined };

function rig() {
  const log = new CommandLog((args) => args);
  const rows = window.createTreeView('faultline.commands') as never;
  const view = new CommandLogView(rows, log, new TimeZoneSwitch(() => undefined));
  const node = { name: 'web-1', host: 'web-1', labels: [], logs: [], origin: 'settings' } as Node;
  const commands = view.commands((value): value is Node => value === node);
  const item = (row: Parameters<typeof view.getTreeItem>[0]): Shown =>
    view.getTreeItem(row) as unknown as Shown;
  return { log, view, commands, item, node };
}

test('commands stand below their node, newest first, with their cost; failed ones look failed', () => {
  const { log, view, item } = rig();
  for (const [title, exitCode] of [
    ['First', 0],
    ['Second', 3],
  ] as const) {
    const running = log.begin('web-1', 'exec', { title, script: 'x' });
    running.sent(2048);
    running.end({ exitCode, signal: undefined });
  }
  log.begin('db-1', 'start', { title: 'Follow', script: 'y' });
  const [web, db] = view.getChildren();
  assert.equal(item(web!).label, 'web-1');
  assert.equal(item(web!).description, '2 commands · 4.00 KiB · 1 failed');
  assert.equal(item(db!).description, '1 command · 0 bytes · 1 running');
  const [second, first] = view.getChildren(web);
  assert.equal(item(second!).label, 'Second');
  assert.match(
    item(second!).description,
    /^exit 3 · [\d.]+ ms · ↑ 2\.00 KiB ↓ 0 bytes · \d\d:\d\d:\d\dZ$/,
  );
  assert.equal(item(second!).iconPath.id, 'error');
  assert.equal(item(first!).iconPath.id, 'check');
  log.dispose();
});

test('a command opens as a document with its literal text; one of another window is not taken for it', async () => {
  const { log, view, commands } = rig();
  log.begin('web/1', 'exec', { title: 'Read a/b', script: 'cat "$1"', args: ['/x'] }).end(done);
  const [row] = view.getChildren(view.getChildren()[0]);
  await commands['openCommand'](row);
  const uri = fake.documents[0]!.uri;
  assert.match(uri.path, /^\/web∕1: Read a∕b\.sh$/);
  const provide = (of: Uri): string => view.provideTextDocumentContent(of as never);
  assert.match(provide(uri), /^cat "\$1"$/m);
  assert.match(provide(uri), /begun 2\d{3}-.*Z$/m);
  assert.match(provide(uri.with({ query: 'other-window.1' })), /no longer kept/);
  await commands['openCommand']('nonsense');
  assert.equal(fake.documents.length, 1);
  log.dispose();
});

test('the view shows one node when asked from it, and all again', async () => {
  const { log, view, commands, node } = rig();
  for (const name of ['web-1', 'db-1']) log.begin(name, 'exec', { script: 'x' }).end(done);
  await commands['showCommands'](node, [node]);
  assert.equal(view.getChildren().length, 1);
  assert.equal(fake.views.get('faultline.commands')?.description, 'web-1');
  assert.equal(fake.contexts.get('faultline.commands.filtered'), true);
  assert.deepEqual(fake.executed.at(-1), ['faultline.commands.focus']);
  await commands['showAllCommands']();
  assert.equal(view.getChildren().length, 2);
  await commands['showCommands'](view.getChildren()[1]);
  assert.equal(view.getChildren().length, 1);
  await commands['showCommands']();
  assert.equal(view.getChildren().length, 2);
  log.dispose();
});

test('commands are copied with their text, and cleared', async () => {
  const { log, view, commands } = rig();
  log.begin('web-1', 'exec', { title: 'One', script: 'echo 1' }).end(done);
  log.begin('web-1', 'exec', { title: 'Two', script: 'echo 2' }).end(done);
  const rows = view.getChildren(view.getChildren()[0]);
  await commands['copyCommand'](rows[0], rows);
  assert.match(fake.clipboard, /# Two[^]*echo 2[^]*# One[^]*echo 1/);
  await commands['clearCommands']();
  assert.deepEqual(view.getChildren(), []);
  log.dispose();
});

test('hostile arguments are code in the hover, and cannot end it', () => {
  const { log, view, item } = rig();
  const args = ['```\n[x](command:evil)\u001b[2J', '$(x)'];
  log.begin('web-1', 'exec', { script: 'x', args }).end(done);
  const [row] = view.getChildren(view.getChildren()[0]);
  const { value } = view.resolveTreeItem(item(row!) as never, row!).tooltip as { value: string };
  assert.ok(!value.includes('\u001b'));
  assert.match(value, /^# \$1 = ```$/m);
  log.dispose();
});

test('older rows are counted instead of shown', () => {
  const { log, view } = rig();
  for (let count = 0; count < 320; count++) log.begin('web-1', 'exec', { script: 'x' }).end(done);
  const rows = view.getChildren(view.getChildren()[0]);
  assert.equal(rows.length, 301);
  assert.deepEqual(rows.at(-1), { kind: 'note', text: '20 older commands are not shown' });
  log.dispose();
});
