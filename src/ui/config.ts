// The only reader of our settings.

import * as vscode from 'vscode';
import { isTimeDisplay, type TimeDisplay } from '../base/time.ts';
import { expandHome } from '../remote/sshConfigLines.ts';
import { readNodeSettings, type SettingError } from '../remote/settings.ts';
import type { ConnectSettings } from '../remote/connect.ts';
import { isTransportSetting } from '../remote/transportSetting.ts';
import type { Node } from '../remote/node.ts';

export interface Config {
  readonly nodes: readonly Node[];
  /** One sentence for each entry of `faultline.nodes` that could not be read. */
  readonly nodeProblems: readonly SettingError[];
  /** Undefined: OpenSSH's own default. */
  readonly sshConfigFile: string | undefined;
  readonly ssh: ConnectSettings;
}

export function readConfig(): Config {
  const settings = vscode.workspace.getConfiguration('faultline');
  const configFile = expandedPath(settings.get<string>('ssh.configFile'));
  const sshPath = expandedPath(settings.get<string>('ssh.path'));
  const transport = settings.get<unknown>('ssh.transport');
  const { nodes, problems } = readNodeSettings(nodeLists(settings));
  return {
    nodes,
    nodeProblems: problems,
    sshConfigFile: configFile,
    ssh: { configFile, sshPath, ...(isTransportSetting(transport) ? { transport } : {}) },
  };
}

/** The user's list and the workspace's: they add up, and for a name in both the user's counts. */
function nodeLists(
  settings: vscode.WorkspaceConfiguration,
): { readonly owner: string; readonly value: unknown }[] {
  const found = settings.inspect<unknown>('nodes');
  const users = { owner: 'your user settings', value: found?.globalValue };
  if (!vscode.workspace.isTrusted) return [users];
  const workspace = found?.workspaceFolderValue ?? found?.workspaceValue;
  return [users, { owner: 'the settings of this workspace', value: workspace }];
}

/** `~/x` as people write it; undefined for an empty setting. */
function expandedPath(path: string | undefined): string | undefined {
  return path === undefined || path.trim() === '' ? undefined : expandHome(path.trim());
}

/** In whose zone times are shown. */
export function readTimeDisplay(): TimeDisplay {
  const value = vscode.workspace.getConfiguration('faultline').get<unknown>(timeDisplayKey);
  return isTimeDisplay(value) ? value : 'local';
}

/** Where it is set already: in the workspace, else for the user. */
export async function writeTimeDisplay(display: TimeDisplay): Promise<void> {
  const settings = vscode.workspace.getConfiguration('faultline');
  const isOfWorkspace = settings.inspect(timeDisplayKey)?.workspaceValue !== undefined;
  const target = isOfWorkspace
    ? vscode.ConfigurationTarget.Workspace
    : vscode.ConfigurationTarget.Global;
  await settings.update(timeDisplayKey, display, target);
}

const timeDisplayKey = 'time.display';

export function onDidChangeConfig(listener: () => void): vscode.Disposable {
  return vscode.workspace.onDidChangeConfiguration((event) => {
    if (event.affectsConfiguration('faultline')) listener();
  });
}
