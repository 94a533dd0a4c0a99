// What VS Code knows us by: views, schemes of documents, and the commands of what is loaded late. All of them are
// registered before the code that stands behind them is there.

import type { debugType as DebugType } from '../debug/launchConfiguration.ts';
import type { nodeFileScheme as NodeFileScheme } from '../remote/nodeFiles.ts';
import type { Commands } from './commands.ts';

export const views = {
  nodes: 'faultline.nodes',
  runs: 'faultline.runs',
  liveLogs: 'faultline.liveLogs',
  commands: 'faultline.commands',
} as const;

export const schemes = {
  environment: 'faultline-env',
  log: 'faultline-log',
  command: 'faultline-command',
  // The core's own, whose code activation does without.
  nodeFile: 'faultline' satisfies typeof NodeFileScheme,
} as const;

export const debugType = 'faultline' satisfies typeof DebugType;

export const commandsOf = {
  nodes: [
    'refreshNodes',
    'editNodes',
    'connectNode',
    'retryNode',
    'disconnectNode',
    'openTerminal',
    'showConnectionReport',
    'snapshotEnvironment',
    'compareEnvironments',
    'searchLogs',
    'searchLogsOn',
    'followLogs',
    'profileProcess',
  ],
  addNode: ['addNode'],
  logs: ['searchLogsAgain', 'sameRequest'],
  files: ['browseFiles', 'openFileEnd'],
  commandLog: ['showCommands', 'showAllCommands', 'clearCommands', 'openCommand', 'copyCommand'],
  runs: [
    'refreshRuns',
    'loadRuns',
    'showFailedRuns',
    'showAllRuns',
    'openRun',
    'debugRun',
    'openTerminalOfRun',
    'showRunRecord',
    'searchLogsOfRun',
    'reopenRunOfEntry',
  ],
} as const;

/** The commands of a part, e.g. `CommandsOf<'runs'>`. */
export type CommandsOf<Part extends keyof typeof commandsOf> = Commands<
  (typeof commandsOf)[Part][number]
>;

/** A node's name as one part of an address's path: a name may begin with a slash, and a path not with two. */
export function pathPart(name: string): string {
  return name.replaceAll('/', '%2F');
}
