import assert from 'node:assert/strict';
import path from 'node:path';
import * as vscode from 'vscode';
import { test } from './suite.ts';

const lateParts = (): string[] =>
  Object.keys(require.cache).filter((file) => file.includes(path.join('dist', 'late-')));

async function textOf(address: string): Promise<string> {
  const document = await vscode.workspace.openTextDocument(vscode.Uri.parse(address, true));
  return document.getText();
}

test('what a restored window shows is loaded when VS Code asks for it', async () => {
  await vscode.extensions.getExtension('faultline.faultline')?.activate();
  const before = lateParts().length;
  assert.match(await textOf('faultline-env:/Environment of x?1'), /no longer kept/);
  assert.match(await textOf('faultline-log:/Request x'), /no longer kept/);
  assert.match(await textOf('faultline-command:/x.sh?window.1'), /no longer kept/);
  await assert.rejects(
    async () => vscode.workspace.fs.stat(vscode.Uri.parse('faultline://nobody/etc/hosts', true)),
    { code: 'FileNotFound' },
  );
  assert.ok(lateParts().length > before);
});

test('views are filled, and commands answered, by what is loaded then', async () => {
  for (const view of ['runs', 'commands', 'liveLogs', 'nodes']) {
    await vscode.commands.executeCommand(`faultline.${view}.focus`);
  }
  await vscode.commands.executeCommand('faultline.showAllRuns');
  await vscode.commands.executeCommand('faultline.showAllCommands');
});
