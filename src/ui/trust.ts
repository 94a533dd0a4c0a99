// In Restricted Mode nothing is connected to: a cloned folder must not make anything happen on a node (T-20).

import * as vscode from 'vscode';
import { UserError } from '../base/errors.ts';
import type { ConnectNode } from '../remote/nodeLink.ts';

export function onlyWhenTrusted(connect: ConnectNode): ConnectNode {
  return (node, signal, attempt) => {
    if (vscode.workspace.isTrusted) return connect(node, signal, attempt);
    return Promise.reject(
      new UserError('node.untrusted', `${node.name} is not connected to in Restricted Mode.`, {
        hint: 'Run "Workspaces: Manage Workspace Trust" if you trust this folder.',
      }),
    );
  };
}
