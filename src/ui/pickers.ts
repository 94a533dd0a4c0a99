// Choosing nodes, context ids and processes by keyboard.

import * as vscode from 'vscode';
import { toDisplay } from '../base/displayText.ts';
import { UserError } from '../base/errors.ts';
import type { Node, NodeAccess } from '../remote/node.ts';
import type { NodeProcess } from '../profile/processes.ts';

/** Undefined when the user cancels. */
export async function pickNode(
  access: NodeAccess,
  title: string,
  except: readonly Node[] = [],
): Promise<Node | undefined> {
  const items = nodeItems(access, except);
  return (await vscode.window.showQuickPick(items, { title, placeHolder: 'Node' }))?.node;
}

/** At least one node; undefined when the user cancels. */
export async function pickNodes(access: NodeAccess, title: string): Promise<Node[] | undefined> {
  const picked = await vscode.window.showQuickPick(nodeItems(access, []), {
    title,
    placeHolder: 'Nodes',
    canPickMany: true,
  });
  return picked === undefined || picked.length === 0 ? undefined : picked.map(({ node }) => node);
}

interface NodeItem extends vscode.QuickPickItem {
  readonly node: Node;
}

function nodeItems(access: NodeAccess, except: readonly Node[]): NodeItem[] {
  const nodes = access.nodes.filter((node) => !except.includes(node));
  if (nodes.length === 0) {
    throw new UserError('node.none', 'There are no nodes to choose from.', {
      hint: 'Add some to "faultline.nodes" in the settings.',
    });
  }
  return nodes.map((node) => ({
    label: toDisplay(node.name, 100),
    description: toDisplay(node.labels.join(', '), 100),
    node,
  }));
}

/** A process to sample: Python programs first, those that use the processor before the idle ones. */
export async function pickProcess(
  list: Promise<readonly NodeProcess[]>,
  node: Node,
): Promise<NodeProcess | undefined> {
  const items = list.then((processes) =>
    [...processes]
      .sort((a, b) => rank(b) - rank(a))
      .map((process) => ({
        label: toDisplay(process.command, 120),
        description: `pid ${process.pid} · ${process.user}`,
        detail: process.kind === 'python' ? 'Python' : undefined,
        process,
      })),
  );
  const title = `Profile a process of ${toDisplay(node.name, 60)}`;
  const options = { title, placeHolder: 'Process', matchOnDescription: true };
  return (await vscode.window.showQuickPick(items, options))?.process;
}

function rank(process: NodeProcess): number {
  return (process.kind === 'python' ? 1000 : 0) + (process.cpuPercent ?? 0);
}

/** A typed context id or text; undefined when the user cancels. */
export async function askSearchText(value: string): Promise<string | undefined> {
  const text = await vscode.window.showInputBox({
    title: 'Search logs on all nodes',
    prompt: 'A context id (request id, trace id …)',
    placeHolder: 'req-1a2b3c4d5e6f',
    value,
    validateInput: (input) => (input.trim() === '' ? 'Type the id to search for.' : undefined),
  });
  return text?.trim();
}
