// A terminal on a node, over the connection that is already there.

import * as vscode from 'vscode';
import { toDisplay } from '../base/displayText.ts';
import { runTerminalCommand } from '../debug/runTerminal.ts';
import { isProduction, type Node, type NodeAccess } from '../remote/node.ts';
import type { RemoteCommand } from '../remote/shell.ts';
import type { RunRecord } from '../run/runRecord.ts';
import { TerminalSession } from './terminalSession.ts';

/** Opens the user's login shell on the node. */
export function openNodeTerminal(access: NodeAccess, node: Node): void {
  show(access, node, toDisplay(node.name, 60), undefined);
}

/** Opens a shell where a recorded run was, with its directory, umask and variables. */
export function openRunTerminal(access: NodeAccess, node: Node, record: RunRecord): void {
  const name = `${toDisplay(node.name, 40)}: ${record.id}`;
  show(access, node, name, runTerminalCommand(record));
}

/** The tab says at a glance whose node it is, and whether it is one to be careful with. */
function show(
  access: NodeAccess,
  node: Node,
  title: string,
  command: RemoteCommand | undefined,
): void {
  const isOfProduction = isProduction(node);
  const name = isOfProduction ? `${title} (production)` : title;
  const color = isOfProduction ? new vscode.ThemeColor('terminal.ansiRed') : undefined;
  const iconPath = new vscode.ThemeIcon('remote');
  const pty = pseudoterminal(access, node, command);
  vscode.window.createTerminal({ name, pty, iconPath, color, isTransient: true }).show();
}

function pseudoterminal(
  access: NodeAccess,
  node: Node,
  command: RemoteCommand | undefined,
): vscode.Pseudoterminal {
  const session = new TerminalSession({
    node: node.name,
    open: async (size, signal) => (await access.shell(node, signal)).openTerminal(size, command),
  });
  return {
    onDidWrite: session.onDidWrite,
    onDidClose: session.onDidEnd,
    open: (size) => session.open(size),
    close: () => session.close(),
    handleInput: (data) => session.input(data),
    setDimensions: (size) => session.resize(size),
  };
}
