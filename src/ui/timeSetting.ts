// The setting `faultline.time.display`; apart from config.ts, since views show times before any node is known.

import * as vscode from 'vscode';
import { isTimeDisplay, type TimeDisplay } from '../base/time.ts';

const key = 'time.display';

/** In whose zone times are shown. */
export function readTimeDisplay(): TimeDisplay {
  const value = vscode.workspace.getConfiguration('faultline').get<unknown>(key);
  return isTimeDisplay(value) ? value : 'local';
}

/** Where it is set already: in the workspace, else for the user. */
export async function writeTimeDisplay(display: TimeDisplay): Promise<void> {
  const settings = vscode.workspace.getConfiguration('faultline');
  const isOfWorkspace = settings.inspect(key)?.workspaceValue !== undefined;
  const target = isOfWorkspace
    ? vscode.ConfigurationTarget.Workspace
    : vscode.ConfigurationTarget.Global;
  await settings.update(key, display, target);
}
