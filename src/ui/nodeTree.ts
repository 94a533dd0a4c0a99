// The Nodes view: each node with its state, why, and its clock.

import * as vscode from 'vscode';
import { toDisplay } from '../base/displayText.ts';
import type { Node, NodeState } from '../remote/node.ts';
import type { NodeRegistry } from '../remote/nodeRegistry.ts';

export const nodesViewId = 'faultline.nodes';

/** Scheme of the URIs that carry a node's decoration (the badge of a failed run); nothing opens them. */
const decorationScheme = 'faultline-node';

export class NodeTree implements vscode.TreeDataProvider<Node> {
  private readonly registry: NodeRegistry;
  private readonly changed = new vscode.EventEmitter<Node | undefined>();

  readonly onDidChangeTreeData = this.changed.event;

  constructor(registry: NodeRegistry) {
    this.registry = registry;
  }

  register(): vscode.Disposable {
    const view = vscode.window.createTreeView(nodesViewId, {
      treeDataProvider: this,
      canSelectMany: true,
      showCollapseAll: false,
    });
    return vscode.Disposable.from(
      view,
      this.changed,
      this.registry.onDidChange((node) => this.changed.fire(node)),
      this.registry.onDidChangeNodes(() => this.changed.fire(undefined)),
    );
  }

  getChildren(parent?: Node): Node[] {
    return parent === undefined ? [...this.registry.nodes] : [];
  }

  /** Parents are needed by `reveal`; there are no levels yet. */
  getParent(): undefined {
    return undefined;
  }

  getTreeItem(node: Node): vscode.TreeItem {
    const state = this.registry.state(node);
    const item = new vscode.TreeItem(toDisplay(node.name, 200));
    item.id = node.name;
    item.description = describeState(state, node);
    item.iconPath = stateIcon(state);
    item.contextValue = `node.${state.kind}`;
    item.resourceUri = vscode.Uri.from({ scheme: decorationScheme, path: `/${node.name}` });
    item.tooltip = tooltip(node, state);
    item.accessibilityInformation = {
      label: `${node.name}, ${stateWord(state)}, ${item.description}`,
    };
    return item;
  }
}

function describeState(state: NodeState, node: Node): string {
  switch (state.kind) {
    case 'offline':
      return node.labels.join(', ');
    case 'connecting':
      return 'connecting…';
    case 'ready':
      return state.clock === undefined ? 'ready' : formatOffset(state.clock);
    case 'failed':
      return toDisplay(state.failure.message, 200);
  }
}

function stateWord(state: NodeState): string {
  return state.kind === 'offline' ? 'not connected' : state.kind;
}

function stateIcon(state: NodeState): vscode.ThemeIcon {
  switch (state.kind) {
    case 'offline':
      return new vscode.ThemeIcon('circle-outline');
    case 'connecting':
      return new vscode.ThemeIcon('loading~spin');
    case 'ready':
      return new vscode.ThemeIcon('vm-active', new vscode.ThemeColor('charts.green'));
    case 'failed':
      return new vscode.ThemeIcon('error', new vscode.ThemeColor('list.errorForeground'));
  }
}

/** `clock +3.5 s ± 0.2 ms`, in the unit that reads best. */
export function formatOffset(clock: {
  readonly offsetMs: number;
  readonly errorMs: number;
}): string {
  const sign = clock.offsetMs < 0 ? '−' : '+';
  return `clock ${sign}${formatDuration(Math.abs(clock.offsetMs))} ± ${formatDuration(clock.errorMs)}`;
}

function formatDuration(ms: number): string {
  if (ms >= 1000) return `${(ms / 1000).toFixed(2)} s`;
  return ms >= 10 ? `${ms.toFixed(0)} ms` : `${ms.toFixed(1)} ms`;
}

/** Untrusted Markdown: names and reasons come from settings and nodes, and are appended as plain text. */
function tooltip(node: Node, state: NodeState): vscode.MarkdownString {
  const text = new vscode.MarkdownString();
  const line = (words: string): void => {
    text.appendText(toDisplay(words, 500));
    text.appendMarkdown('\n\n');
  };
  line(`${node.name} · ${stateWord(state)}`);
  if (node.host !== node.name) line(`Host: ${node.host}`);
  if (node.labels.length > 0) line(`Labels: ${node.labels.join(', ')}`);
  line(node.origin === 'settings' ? 'From the settings' : 'From the ssh configuration');
  if (state.kind === 'ready' && state.clock !== undefined) {
    line(
      `Clock: ${formatOffset(state.clock).slice('clock '.length)}, measured at ` +
        new Date(state.clock.measuredAt).toLocaleTimeString(),
    );
  }
  if (state.kind === 'failed') {
    line(state.failure.message);
    if (state.failure.hint !== undefined) line(state.failure.hint);
  }
  return text;
}
