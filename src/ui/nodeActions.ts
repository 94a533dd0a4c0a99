// What the commands of the Nodes view do.

import * as vscode from 'vscode';
import { mapBounded } from '../base/async.ts';
import { toDisplay, toNotice } from '../base/displayText.ts';
import { describeError, isAbort, UserError } from '../base/errors.ts';
import { listProcesses } from '../profile/processes.ts';
import type { Profile } from '../profile/profile.ts';
import { defaultRateHz, sampleProcess } from '../profile/sampler.ts';
import type { Node } from '../remote/node.ts';
import type { NodeRegistry } from '../remote/nodeRegistry.ts';
import { targetsOf } from './commands.ts';
import type { CommandsOf } from './names.ts';
import type { NodeGroup } from './nodeFilter.ts';
import { isNodeGroup } from './nodeTree.ts';
import { askSearchText, pickNode, pickNodes, pickProcess } from './pickers.ts';
import { abortSignalOf } from './cancellation.ts';

/** What nodes can be used for beyond connecting; each is another room of the house. */
export interface NodeUses {
  refreshNodes(): Promise<void>;
  showEnvironment(node: Node): Promise<void>;
  compareEnvironments(a: Node, b: Node): Promise<void>;
  searchLogs(nodes: readonly Node[], contextId: string): Promise<void>;
  followLogs(nodes: readonly Node[]): Promise<void>;
  openTerminal(node: Node): Promise<void>;
  showConnectionReport(node: Node): Promise<void>;
  showProfile(profile: Profile, title: string): Promise<void>;
}

const maxConnectsAtOnce = 8;
const profileSeconds = [5, 10, 30, 60] as const;

export function nodeCommands(registry: NodeRegistry, uses: NodeUses): CommandsOf<'nodes'> {
  const isNode = (value: unknown): value is Node => registry.nodes.includes(value as Node);
  const one = async (args: readonly unknown[], title: string): Promise<Node | undefined> =>
    args.find(isNode) ?? (await pickNode(registry, title));
  /** A selected group stands for its nodes. */
  const several = (args: readonly unknown[]): Node[] => {
    const isRow = (value: unknown): value is Node | NodeGroup =>
      isNode(value) || isNodeGroup(value);
    const nodes = targetsOf(args, isRow).flatMap((row) => (isNodeGroup(row) ? row.nodes : [row]));
    return [...new Set(nodes)];
  };

  return {
    refreshNodes: () => uses.refreshNodes(),
    editNodes: () =>
      vscode.commands.executeCommand('workbench.action.openSettings', 'faultline.nodes'),
    connectNode: (...args) => connect(registry, several(args), uses),
    // What waits for its next attempt, or gave up, tries now.
    retryNode: (...args) => connect(registry, several(args), uses),
    disconnectNode: (...args) => several(args).forEach((node) => registry.disconnect(node)),
    openTerminal: async (...args) => {
      const node = await one(args, 'Open a terminal on');
      if (node !== undefined) await uses.openTerminal(node);
    },
    showConnectionReport: async (...args) => {
      const node = await one(args, 'Connection report of');
      if (node !== undefined) await uses.showConnectionReport(node);
    },
    snapshotEnvironment: async (...args) => {
      const node = await one(args, 'Show the environment of');
      if (node !== undefined) await uses.showEnvironment(node);
    },
    compareEnvironments: async (...args) => {
      const pair = await pickPair(registry, several(args));
      if (pair !== undefined) await uses.compareEnvironments(...pair);
    },
    // Its own command, since VS Code hands a view's title buttons the selected nodes as well.
    searchLogs: () => searchOn(uses, nodesWithLogs(registry)),
    searchLogsOn: (...args) => searchOn(uses, several(args)),
    followLogs: async (...args) => {
      const chosen = several(args);
      const nodes = chosen.length > 0 ? chosen : await pickNodes(registry, 'Follow the logs of');
      if (nodes !== undefined) await uses.followLogs(nodes);
    },
    profileProcess: async (...args) => {
      const node = await one(args, 'Profile a process of');
      if (node !== undefined) await profile(registry, node, uses);
    },
  };
}

async function searchOn(uses: NodeUses, nodes: readonly Node[]): Promise<void> {
  const id = await askSearchText(await contextIdAtHand());
  if (id !== undefined) await uses.searchLogs(nodes, id);
}

/** The tree shows why each failed; a message is only for the one node that the user clicked. */
async function connect(
  registry: NodeRegistry,
  nodes: readonly Node[],
  uses: NodeUses,
): Promise<void> {
  const [only] = nodes;
  if (nodes.length > 1) await connectAll(registry, nodes);
  else if (only !== undefined) await connectOne(registry, only, uses);
}

async function connectOne(registry: NodeRegistry, node: Node, uses: NodeUses): Promise<void> {
  try {
    await registry.shell(node);
  } catch (error) {
    if (!(error instanceof UserError) || isAbort(error)) throw error;
    const details = 'Connection Report';
    const text = toNotice(describeError(error), 600);
    const choice = await vscode.window.showErrorMessage(text, details);
    if (choice === details) await uses.showConnectionReport(node);
  }
}

async function connectAll(registry: NodeRegistry, nodes: readonly Node[]): Promise<void> {
  const options = {
    location: vscode.ProgressLocation.Notification,
    title: `Connecting to ${nodes.length} nodes`,
    cancellable: true,
  };
  await vscode.window.withProgress(options, async (progress, token) => {
    const signal = abortSignalOf(token);
    let done = 0;
    let failed = 0;
    await mapBounded(nodes, maxConnectsAtOnce, async (node) => {
      if (signal.aborted) return;
      await registry.shell(node, signal).catch(() => failed++);
      done++;
      const message = `${done} of ${nodes.length}${failed === 0 ? '' : ` · ${failed} failed`}`;
      progress.report({ message, increment: 100 / nodes.length });
    });
    if (!signal.aborted) return;
    // Whoever only gives up waiting leaves the attempt to others; here nobody else wants it.
    const unfinished = nodes.filter((node) => registry.state(node).kind === 'connecting');
    for (const node of unfinished) registry.disconnect(node);
  });
}

/** Two nodes: those selected, else the missing ones are asked for. */
async function pickPair(
  registry: NodeRegistry,
  chosen: readonly Node[],
): Promise<readonly [Node, Node] | undefined> {
  if (chosen.length > 2) {
    throw new UserError('env.tooManyNodes', 'Only two nodes can be compared side by side.', {
      hint: 'Select two of them.',
    });
  }
  const a = chosen[0] ?? (await pickNode(registry, 'Compare (1/2)'));
  if (a === undefined) return undefined;
  const title = `Compare ${toDisplay(a.name, 60)} with (2/2)`;
  const b = chosen[1] ?? (await pickNode(registry, title, [a]));
  return b === undefined ? undefined : [a, b];
}

/** Nodes that name log files; searching the others would only connect to them. */
function nodesWithLogs(registry: NodeRegistry): Node[] {
  const nodes = registry.nodes.filter((node) => node.logs.length > 0);
  if (nodes.length > 0) return nodes;
  throw new UserError('log.noSources', 'No node has log files to search.', {
    hint: 'Name them under "logs" in the setting faultline.nodes.',
  });
}

/** A word in the editor's selection or on the clipboard that looks like an id is offered as the answer. */
async function contextIdAtHand(): Promise<string> {
  const editor = vscode.window.activeTextEditor;
  const selected = editor?.document.getText(editor.selection).trim() ?? '';
  const candidates = [selected, (await vscode.env.clipboard.readText()).trim()];
  return candidates.find((text) => /^[\w.:/-]{8,128}$/.test(text) && /\d/.test(text)) ?? '';
}

async function profile(registry: NodeRegistry, node: Node, uses: NodeUses): Promise<void> {
  const shell = await registry.shell(node);
  const chosen = await pickProcess(listProcesses(shell), node);
  if (chosen === undefined) return;
  const seconds = await pickSeconds();
  if (seconds === undefined) return;
  const title = `Sampling ${toDisplay(node.name, 60)}, pid ${chosen.pid}`;
  const sampled = await vscode.window.withProgress(
    { location: vscode.ProgressLocation.Notification, title, cancellable: true },
    (progress, token) => {
      const target = { node: node.name, pid: chosen.pid, seconds, rateHz: defaultRateHz };
      let shown = 0;
      const onProgress = ({ elapsedMs, samples }: { elapsedMs: number; samples: number }): void => {
        const percent = Math.min(100, elapsedMs / (seconds * 10));
        progress.report({ message: `${samples} samples`, increment: percent - shown });
        shown = percent;
      };
      return sampleProcess(shell, target, { onProgress }, abortSignalOf(token));
    },
  );
  await uses.showProfile(sampled, `${node.name} · ${chosen.pid}`);
}

async function pickSeconds(): Promise<number | undefined> {
  const items = profileSeconds.map((seconds) => ({ label: `${seconds} seconds`, seconds }));
  const options = { title: 'Sample for how long?', placeHolder: 'Duration' };
  return (await vscode.window.showQuickPick(items, options))?.seconds;
}
