// Choosing nodes, context ids and processes by keyboard.

import * as vscode from 'vscode';
import { toDisplay } from '../base/displayText.ts';
import { UserError } from '../base/errors.ts';
import type { Node, NodeAccess } from '../remote/node.ts';
import { groupNodes, stateWords, type StateKind } from './nodeFilter.ts';
import type { NodeProcess } from '../profile/processes.ts';

/** Undefined when the user cancels. */
export async function pickNode(
  access: NodeAccess,
  title: string,
  except: readonly Node[] = [],
): Promise<Node | undefined> {
  const options = { title, placeHolder: 'Node', ...matching };
  return (await vscode.window.showQuickPick(nodeItems(access, except), options))?.node;
}

/** At least one node; undefined when the user cancels. */
export async function pickNodes(access: NodeAccess, title: string): Promise<Node[] | undefined> {
  const options = { title, placeHolder: 'Nodes', canPickMany: true as const, ...matching };
  const picked = await vscode.window.showQuickPick(nodeItems(access, []), options);
  const nodes = picked?.flatMap(({ node }) => node ?? []) ?? [];
  return nodes.length === 0 ? undefined : nodes;
}

/** Typing a label or a state finds nodes, too. */
const matching = { matchOnDescription: true } as const;

interface NodeItem extends vscode.QuickPickItem {
  /** Undefined for the heading of a group. */
  readonly node?: Node;
}

/** Nodes under the headings of their groups, each with its state and labels. */
function nodeItems(access: NodeAccess, except: readonly Node[]): NodeItem[] {
  const left = new Set(except);
  const nodes = access.nodes.filter((node) => !left.has(node));
  if (nodes.length === 0) {
    throw new UserError('node.none', 'There are no nodes to choose from.', {
      hint: 'Add one with the button + of the Nodes view, or to "faultline.nodes" in the settings.',
    });
  }
  const stateOf = (node: Node): StateKind => access.state(node).kind;
  const { groups, others } = groupNodes(nodes, 'group', stateOf);
  const itemOf = (node: Node): NodeItem => ({
    label: toDisplay(node.name, 100),
    description: toDisplay([stateWords[stateOf(node)], ...node.labels].join(' · '), 100),
    node,
  });
  const heading = (title: string): NodeItem => ({
    label: toDisplay(title, 100),
    kind: vscode.QuickPickItemKind.Separator,
  });
  return [
    ...others.map(itemOf),
    ...groups.flatMap((group) => [heading(group.title), ...group.nodes.map(itemOf)]),
  ];
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
