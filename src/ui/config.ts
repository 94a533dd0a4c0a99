// The only reader of our settings.

import * as vscode from 'vscode';
import { parseNodes, SettingError } from '../remote/settings.ts';
import { UserError } from '../base/errors.ts';
import type { Node } from '../remote/node.ts';

export interface Config {
  readonly nodes: readonly Node[];
  /** Undefined: OpenSSH's own default. */
  readonly sshConfigFile: string | undefined;
}

/** Errors: `settings.invalid`, naming the entry. */
export function readConfig(): Config {
  const settings = vscode.workspace.getConfiguration('faultline');
  const configFile = settings.get<string>('ssh.configFile') ?? '';
  try {
    return {
      nodes: parseNodes(settings.get<unknown>('nodes')),
      sshConfigFile: configFile === '' ? undefined : configFile,
    };
  } catch (error) {
    if (!(error instanceof SettingError)) throw error;
    throw new UserError('settings.invalid', `In your settings: ${error.message}.`, {
      hint: 'Correct that entry in settings.json.',
    });
  }
}

export function onDidChangeConfig(listener: () => void): vscode.Disposable {
  return vscode.workspace.onDidChangeConfiguration((event) => {
    if (event.affectsConfiguration('faultline')) listener();
  });
}
