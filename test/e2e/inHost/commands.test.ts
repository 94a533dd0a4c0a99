import assert from 'node:assert/strict';
import * as vscode from 'vscode';
import { test } from './suite.ts';

/** Called by our own CodeLenses and links with arguments nobody could type. */
const internalCommands = ['reopenRunOfEntry', 'sameRequest', 'searchLogsAgain'];

interface Manifest {
  readonly contributes: {
    readonly commands: readonly { readonly command: string }[];
    readonly views: Readonly<Record<string, readonly { readonly id: string }[]>>;
  };
}

test('every command in package.json has a handler, and every handler is in package.json', async () => {
  const extension = vscode.extensions.getExtension('faultline.faultline');
  assert.ok(extension !== undefined);
  await extension.activate();
  const { contributes } = extension.packageJSON as Manifest;
  const viewIds = Object.values(contributes.views).flatMap((views) => views.map(({ id }) => id));
  const contributed = contributes.commands.map(({ command }) => command);
  const registered = (await vscode.commands.getCommands(true)).filter(
    (command) =>
      command.startsWith('faultline.') &&
      // VS Code makes `<view>.focus` and the like for each view.
      !viewIds.some((id) => command.startsWith(`${id}.`)),
  );
  const internal = internalCommands.map((command) => `faultline.${command}`);
  assert.deepEqual([...registered].sort(), [...contributed, ...internal].sort());
});
