// The only reader of our settings, besides timeSetting.ts.

import * as vscode from 'vscode';
import { expandHome } from '../remote/sshConfigLines.ts';
import type { ConnectSettings } from '../remote/connect.ts';
import { combineNodes, readNodeSettings, type SettingError } from '../remote/settings.ts';
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

/** All nodes: those of the settings, and those that only the ssh configuration names. */
export function listNodes(
  { nodes, sshConfigFile }: Config,
  onProblem: (error: unknown) => void,
): Promise<Node[]> {
  return combineNodes(nodes, sshConfigFile, onProblem);
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
